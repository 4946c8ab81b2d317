#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Makes build/peers-venv, the Python environment of the systems that bench/ measures beside Lariat. Several GB, never
# needed by Lariat or its tests; a peer that is not installed is reported as absent.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${1:-$root/build/peers-venv}
here=$root/bench/peers
python_tag='import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")'

fail() {
  echo "error: $*" >&2
  exit 1
}

[[ ${1:-} != -* ]] || fail "usage: bench/peers/setup.sh [FOLDER]"
free_kb=$(df --output=avail "$root" | tail -n 1)
((free_kb > 12 * 1024 * 1024)) || fail "$root: 12 GiB of free disk are needed, $((free_kb / 1048576)) GiB are there"

if [[ ! -x $venv/bin/python ]] || ! "$venv/bin/python" -c '' 2>/dev/null; then
  python3 -m venv --clear "$venv"
fi
pip=("$venv/bin/python" -m pip install --disable-pip-version-check --quiet)

# The CPU-only wheel is a tenth of the size; its index is not reachable from everywhere.
if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
  echo "installing torch for Python $("$venv/bin/python" -c "$python_tag")"
  "${pip[@]}" --timeout 10 --retries 0 --index-url https://download.pytorch.org/whl/cpu \
    -r "$here/requirements-torch.txt" 2>/dev/null ||
    "${pip[@]}" -r "$here/requirements-torch.txt" || fail "pip could not install torch: its own message is above"
fi
"${pip[@]}" -r "$here/requirements.txt" || fail "pip could not install the peers: its own message is above"
"$venv/bin/python" -m pip list --disable-pip-version-check 2>/dev/null | grep -iE '^(torch|onnx|onnxruntime|onnxscript|numpy|safetensors) '
echo "ready: $venv"
