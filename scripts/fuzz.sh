#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Builds the fuzz targets with sanitizers and runs them in turn. What they find is in build/fuzz/found; docs/fuzzing.md
# says what to do with it. Exit status 1 when something was found.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

compiled=(manifest safetensors index capi protocol bytecode ir)
python=(template config tokenizer)

usage() {
  cat <<EOF
usage: scripts/fuzz.sh [--minutes N] [--runs N] [--target NAME]...
  --minutes N    time of each target (default: 1)
  --runs N       stop a target after so many inputs, too
  --target NAME  one of: ${compiled[*]} ${python[*]} (default: all)
EOF
}

fail() {
  echo "error: $*" >&2
  exit 2
}

minutes=1 runs=-1 targets=()
while (($#)); do
  case $1 in
    --minutes | --runs | --target)
      (($# > 1)) || fail "$1 needs a value"
      case $1 in
        --minutes) minutes=$2 ;;
        --runs) runs=$2 ;;
        --target) targets+=("$2") ;;
      esac
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    *) fail "unknown option '$1', see scripts/fuzz.sh --help" ;;
  esac
  shift
done
[[ $minutes =~ ^[1-9][0-9]*$ ]] || fail "--minutes: '$minutes' is not a number of minutes"
[[ $runs == -1 || $runs =~ ^[1-9][0-9]*$ ]] || fail "--runs: '$runs' is not a number of inputs"
((${#targets[@]})) || targets=("${compiled[@]}" "${python[@]}")
binaries=() with_python=no
for target in "${targets[@]}"; do
  if [[ " ${compiled[*]} " == *" $target "* ]]; then
    binaries+=("fuzz-$target")
  elif [[ " ${python[*]} " == *" $target "* ]]; then
    with_python=yes
  else
    fail "no target '$target', see scripts/fuzz.sh --help"
  fi
done

build=build/fuzz venv=build/venv/bin/python
wanted=$(IFS=, && echo "${binaries[*]:-lariat-opt}")
scripts/setup.sh --preset fuzz --targets "$wanted,lariat-opt"
if [[ $with_python == yes ]] && ! "$venv" -c 'import atheris' 2>/dev/null; then
  "$venv" -m pip install --quiet --disable-pip-version-check -r python/requirements-fuzz.txt ||
    fail "pip could not install python/requirements-fuzz.txt: its own message is above"
fi
mkdir -p "$build/found"
"$venv" test/fuzz/seeds.py "$build/seeds" "$build/bin"

status=0
for target in "${targets[@]}"; do
  mkdir -p "$build/corpus/$target"
  folders=("$build/corpus/$target" "$build/seeds/$target")
  [[ -d test/fuzz/regressions/$target ]] && folders+=("test/fuzz/regressions/$target")
  command=("$build/fuzz/fuzz-$target")
  [[ " ${python[*]} " == *" $target "* ]] && command=("$venv" test/fuzz/python_fuzzer.py "$target" --atheris)
  log=$build/found/$target.log
  if "${command[@]}" "-max_total_time=$((60 * minutes))" "-runs=$runs" -max_len=8192 -timeout=30 -rss_limit_mb=4096 \
    "-artifact_prefix=$build/found/$target-" -print_final_stats=1 "${folders[@]}" >"$log" 2>&1; then
    result="nothing found"
  else
    result="found something: $log" status=1
  fi
  printf '%-12s %10s inputs  %s\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)" "$result"
done
exit "$status"
