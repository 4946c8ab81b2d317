#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Runs the lints, by name or all of them. Exit status 1 when one fails. Set up first: scripts/setup.sh.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

# What a change must pass. The tree pieces are lit tests as well (test/Lint), the tools are not.
tool_pieces=(format ruff ruff-format mypy shell space large subjects)
tree_pieces=(layers duplicates words sizes spdx paths built passes)
# Tens of seconds a file, so by name only; scripts/test.sh --long runs `tidy`.
slow_pieces=(tidy tidy-changed)

usage() {
  cat <<EOF
usage: scripts/lint.sh [--fix] [--tools] [--preset NAME] [--report FILE] [PIECE...]
  --fix          let clang-format and ruff rewrite what they can
  --tools        the pieces that are not lit tests: ${tool_pieces[*]}
  --preset NAME  build whose compile commands clang-tidy reads (default: release)
  --report FILE  append one line per piece: NAME, tab, passed|failed|skipped, tab, reason
pieces: ${tool_pieces[*]} ${tree_pieces[*]} (all by default); ${slow_pieces[*]}
EOF
}

fix=no report=/dev/null preset=release pieces=()
while (($#)); do
  case $1 in
    --fix) fix=yes ;;
    --tools) pieces+=("${tool_pieces[@]}") ;;
    --preset) preset=${2:?"error: --preset needs a name"} && shift ;;
    --report) report=${2:?"error: --report needs a file"} && shift ;;
    -h | --help) usage && exit 0 ;;
    -*) echo "error: unknown option '$1', see scripts/lint.sh --help" >&2 && exit 2 ;;
    *) pieces+=("$1") ;;
  esac
  shift
done
((${#pieces[@]})) || pieces=("${tool_pieces[@]}" "${tree_pieces[@]}")

bin=build/venv/bin
python=$bin/python
[[ -x $python ]] || python=python3

# A piece returns this when its tool is not installed or it has nothing to look at; the last line printed is the reason.
skipped=77
skip() {
  echo "$*"
  return "$skipped"
}

# ours SUFFIX...: files with these suffixes that git tracks or would track, one a line.
ours() {
  local patterns=()
  for suffix in "$@"; do patterns+=("*.$suffix"); done
  git ls-files --cached --others --exclude-standard -- "${patterns[@]}" | while read -r path; do
    [[ -f $path ]] && echo "$path"
  done
}

lint_format() {
  command -v clang-format-22 >/dev/null || { skip "clang-format-22 is not installed"; return; }
  local paths
  mapfile -t paths < <(ours cpp h)
  ((${#paths[@]})) || { skip "no C++ files"; return; }
  if [[ $fix == yes ]]; then
    clang-format-22 -i "${paths[@]}"
    return
  fi
  local found
  found=$(clang-format-22 --dry-run "${paths[@]}" 2>&1 | sed -nE 's/^([^:]+):[0-9]+:.*clang-format-violations.*/\1/p' | sort | uniq -c)
  [[ -z $found ]] || { echo "places to format, by file; scripts/lint.sh --fix format does it:" && echo "$found" && return 1; }
}

lint_ruff() {
  [[ -x $bin/ruff ]] || { skip "ruff is not in build/venv"; return; }
  local flags=()
  [[ $fix == yes ]] && flags=(--fix)
  "$bin/ruff" check --quiet --config python/pyproject.toml "${flags[@]}" python test scripts bench
}

lint_ruff_format() {
  [[ -x $bin/ruff ]] || { skip "ruff is not in build/venv"; return; }
  local flags=(--diff)
  [[ $fix == yes ]] && flags=()
  "$bin/ruff" format --quiet --config python/pyproject.toml "${flags[@]}" python test scripts bench
}

lint_mypy() {
  [[ -x $bin/mypy ]] || { skip "mypy is not in build/venv"; return; }
  [[ -d python/lariat ]] || { skip "no python/lariat"; return; }
  (cd python && "../$bin/mypy" lariat)
}

lint_shell() {
  local paths path
  mapfile -t paths < <(ours sh; echo .ci/run)
  for path in "${paths[@]}"; do bash -n "$path" || return 1; done
  command -v shellcheck >/dev/null || { skip "shellcheck is not installed"; return; }
  shellcheck "${paths[@]}"
}

lint_space() {
  local found
  found=$(ours cpp h c td py pyi sh cmake txt md json yaml mlir test | grep -v '^test/models/' |
    xargs -r -d '\n' grep -nE '[[:blank:]]+$' | cut -c 1-160)
  [[ -z $found ]] || { echo "$found" && echo "trailing space" && return 1; }
}

lint_large() {
  local path size status=0
  while read -r path; do
    [[ -f $path && $path != test/models/*/*.safetensors ]] || continue
    size=$(stat -c %s "$path")
    ((size <= 1048576)) || { echo "$path: $size bytes, above 1 MiB" && status=1; }
  done < <(git ls-files --cached --others --exclude-standard)
  return "$status"
}

# The rule holds from a commit on; a clone without it has no history to look at.
lint_subjects() {
  local first=a4f20177398e form='^[[][A-Z][A-Za-z]*[]] [A-Z][^ ]* ...*[^.]$' found
  git cat-file -e "$first^{commit}" 2>/dev/null || { skip "the history is not here"; return; }
  found=$(git log --no-merges --format='%h %s' "$first..HEAD" | awk -v form="$form" '
    { subject = substr($0, length($1) + 2) } subject !~ form || length(subject) > 100')
  [[ -z $found ]] || { echo "$found" && echo "expected '[Area] Imperative ...', at most 100 characters, no full stop" && return 1; }
}

tidy() {
  command -v clang-tidy-22 >/dev/null || { skip "clang-tidy-22 is not installed"; return; }
  [[ -f build/$preset/compile_commands.json ]] || { skip "no build/$preset/compile_commands.json"; return; }
  (($#)) || { skip "no C++ files to look at"; return; }
  printf '%s\n' "$@" | xargs -d '\n' -n 1 -P "$(nproc)" clang-tidy-22 --quiet -p "build/$preset"
}

lint_tidy() {
  local paths
  mapfile -t paths < <(ours cpp | grep -E '^(lib|tools|unittests)/')
  tidy "${paths[@]}"
}

lint_tidy_changed() {
  local paths
  mapfile -t paths < <({ git diff --name-only --diff-filter=d HEAD -- '*.cpp' 2>/dev/null || true
    git ls-files --others --exclude-standard -- '*.cpp'; } | sort -u)
  tidy "${paths[@]}"
}

status=0
for piece in "${pieces[@]}"; do
  case " ${tool_pieces[*]} ${slow_pieces[*]} " in
    *" $piece "*) command=("lint_${piece//-/_}") ;;
    *)
      case " ${tree_pieces[*]} " in
        *" $piece "*) command=("$python" "test/Lint/$piece.py" .) ;;
        *) echo "error: no lint '$piece', see scripts/lint.sh --help" >&2 && exit 2 ;;
      esac
      ;;
  esac
  output=$("${command[@]}" 2>&1)
  case $? in
    0) result=passed reason='' && grep '^advice: ' <<<"$output" || true ;;
    "$skipped") result=skipped reason=${output##*$'\n'} ;;
    *) result=failed reason='' status=1 && printf '%s\n' "$output" ;;
  esac
  echo "lint $piece: $result${reason:+: $reason}"
  printf '%s\t%s\t%s\n' "$piece" "$result" "$reason" >>"$report"
done
exit "$status"
