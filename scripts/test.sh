#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Sets up and runs every test: lit, gtest, pytest, lints. The last line is `N passed, N failed[, N skipped]`; the exit
# status is non-zero when a test failed or none ran.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

usage() {
  cat <<'EOF'
usage: scripts/test.sh [--preset NAME] [--long]
  --preset NAME  build preset to test (default: release)
  --long         also run what takes minutes: tests marked long, clang-tidy on every file, and under asan and ubsan all
                 integration tests in Python rather than every fourth
EOF
}

preset=release long=no
while (($#)); do
  case $1 in
    --preset) preset=${2:?"error: --preset needs a name"} && shift ;;
    --preset=*) preset=${1#*=} ;;
    --long) long=yes ;;
    -h | --help) usage && exit 0 ;;
    *) echo "error: unknown option '$1', see scripts/test.sh --help" >&2 && exit 2 ;;
  esac
  shift
done

if ! scripts/setup.sh --preset "$preset" --try-public-model; then
  echo "0 passed, 1 failed"
  exit 1
fi

build=$PWD/build/$preset
python=$PWD/build/venv/bin/python
results=$build/results
rm -rf "$results" && mkdir -p "$results"
export LARIAT_BIN_DIR=$build/bin PYTHONDONTWRITEBYTECODE=1
[[ $long == no ]] || export LARIAT_LONG=1
# All is built, but for a native module under the thread sanitizer: what is missing all the same fails its tests.
[[ $preset == tsan ]] || export LARIAT_BUILT=1
# A sanitised compiler takes four times as long, so its integration tests in Python are sampled.
[[ $long == yes || ! $preset =~ ^(asan|ubsan)$ ]] || export LARIAT_SHARE=4

# A program that hangs ends, which counts as a failure, and the others go on. pytest has a limit per test.
limit=(timeout --kill-after=10 "$([[ $long == yes ]] && echo 7200 || echo 900)")

# finished LEG STATUS: what the leg's program returned, so that a crash before its report counts as a failure.
finished() { echo "$2" >"$results/$1.status"; }

echo "== lit"
if [[ -f $build/test/lit.site.cfg.py ]]; then
  flags=()
  [[ $long == yes ]] && flags=(--param long=1)
  "${limit[@]}" build/venv/bin/lit -sv "${flags[@]}" -o "$results/lit.json" "$build/test"
  finished lit $?
fi

echo "== unit tests"
while read -r binary; do
  name=gtest-$(basename "$binary")
  flags=()
  # A suite whose name starts with Long belongs to the long leg.
  [[ $long == yes ]] || flags=('--gtest_filter=-Long*.*:*/Long*.*')
  "${limit[@]}" "$binary" "${flags[@]}" --gtest_output="json:$results/$name.json"
  finished "$name" $?
done < <(find "$build/unittests" -type f -name '*Tests' -perm -u+x 2>/dev/null | sort)
compgen -G "$results/gtest-*.status" >/dev/null || finished gtest-none 1 # no googletest is a failure, not a skip

echo "== pytest"
if [[ -d python/tests ]]; then
  flags=(-m 'not long')
  [[ $long == yes ]] && flags=()
  # A sanitised native module needs its runtime before the interpreter's own libraries.
  # shellcheck source=/dev/null
  ([[ -s $build/sanitizer.sh ]] && . "$build/sanitizer.sh"
    cd python && PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} "$python" -m pytest tests -q -n "$(nproc)" --dist worksteal \
    --junitxml="$results/pytest.xml" "${flags[@]}")
  finished pytest $?
fi

echo "== lints"
pieces=()
[[ $long == yes ]] && pieces=(tidy)
scripts/lint.sh --preset "$preset" --tools --report "$results/lint.tsv" "${pieces[@]}"
finished lint $?

echo "== summary"
"$python" scripts/sum_results.py "$results"
