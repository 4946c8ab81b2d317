#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Sets up, compiles the bundled trained models and shows what Lariat does with a loop: its structure in the IR, KV bytes
# by policy, text whose tokens are coloured by depth, the same prompt at several numbers of loop steps. Colours appear on
# a terminal, or anywhere with FORCE_COLOR=1.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'EOF2'
usage: scripts/demo.sh [--tokens N] [--prompt TEXT]
  --tokens N     length of the long text (default: 160)
  --prompt TEXT  what the models continue (default: 'And the LORD said unto ')
EOF2
}

fail() {
  echo "error: $*" >&2
  exit 1
}

tokens=160 prompt='And the LORD said unto '
while (($#)); do
  case $1 in
    --tokens | --prompt)
      (($# > 1)) || fail "$1 needs a value"
      [[ $1 == --tokens ]] && tokens=$2 || prompt=$2
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    *) fail "unknown option '$1', see scripts/demo.sh --help" ;;
  esac
  shift
done
[[ $tokens =~ ^[1-9][0-9]{0,3}$ ]] || fail "--tokens: '$tokens' is not a number from 1 to 9999"

scripts/setup.sh --no-dev --targets lariat-tools

lariat=build/release/bin/lariat
folder=build/demo
mkdir -p "$folder"

color=never bold='' dim='' plain=''
if [[ -n ${FORCE_COLOR:-} ]] || [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  color=always bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '%s\n' "$*"; }
show() {
  printf '%s$ lariat' "$dim"
  printf ' %q' "$@"
  printf '%s\n' "$plain"
}
# run ARGUMENT...: shows the command and runs it.
run() {
  show "$@"
  "$lariat" "$@"
}

# loop_of FILE: caches and the body of the loop over depth, without types and without plain arithmetic.
loop_of() {
  build/release/bin/lariat-opt "$1" | awk '
    /lariat\.cache/ { sub(/^ +/, "    "); print }
    /lariat\.recur/ { inside = 1 }
    !inside || /^ *}/ { next }
    !/lariat\.(recur|top_k|end|take|put|select|append|attend|next)|@router|fill/ { hidden++; next }
    {
      if (hidden) printf "      ... %d more\n", hidden
      hidden = 0
      gsub(/ : (tensor<[^>]*>(, tensor<[^>]*>)*|!lariat\.rows<"[a-z_]+">)/, "")
      gsub(/ to tensor<[^>]*>/, "")
      print
    }
    /lariat\.next/ { inside = 0; print "    }" }'
}

# text MODEL OPTION...: continues the prompt with sampling, prompt first.
text() {
  local model=$1
  shift
  printf '%s%s%s' "$dim" "$prompt" "$plain"
  "$lariat" generate "$folder/$model.lariat" --prompt "$prompt" --temperature 0.7 --seed 7 --ignore-eos \
    --color "$color" "$@"
}

title "1 of 7: Compile two trained models whose depth is a loop"
for model in mor-expert ouro; do
  run compile "test/models/$model" -o "$folder/$model.lariat" --force --print-memory
done
"$lariat" compile test/models/mor-share -o "$folder/mor-share.lariat" --force

title "2 of 7: What they are"
for model in mor-expert ouro; do
  run info "$folder/$model.lariat"
done

title "3 of 7: The loop stays a loop: one body, whatever R is"
say "mor-expert: the router keeps some rows at each loop step; only those run, and only they enter the cache."
loop_of "$folder/mor-expert.lariat/model.mlir"

title "4 of 7: KV bytes by policy, measured on one generated text each"
kv_bytes() {
  local label=$1
  shift
  printf '%-52s ' "$label"
  text "$@" --max-new-tokens 64 --color never --summary 2>&1 >/dev/null | sed -n 's/^KV @kv: //p'
}
kv_bytes "mor-expert: own slots, stopped rows are not stored" mor-expert
kv_bytes "mor-share:  one slot, written at depth 0" mor-share
kv_bytes "ouro:       own slots, all rows run 4 loop steps" ouro
kv_bytes "ouro:       exit at 0.5, deepest entry is read" ouro --exit-threshold 0.5
kv_bytes "ouro:       exit at 0.5, missing entries computed" ouro --exit-threshold 0.5 --missing compute

title "5 of 7: Text, each token coloured by the loop steps it took"
say "mor-expert, temperature 0.7:"
text mor-expert --max-new-tokens "$tokens" --summary 2>&1

say ""
say "ouro, exit threshold 0.7:"
text ouro --max-new-tokens "$tokens" --exit-threshold 0.7 --summary 2>&1

title "6 of 7: The same prompt at R = 1, 2, 3, 4 loop steps: one artefact, R is an argument"
for loops in 1 2 3 4; do
  printf 'R = %s  ' "$loops"
  text ouro --max-new-tokens 72 --loops "$loops" --color never | tr '\n' ' '
  echo
done

title "7 of 7: Your own model"
say "A directory with config.json, safetensors and tokenizer.json (families: README.md):"
say ""
say "  $PWD/$lariat compile DIR -o model.lariat && \\"
say "  $PWD/$lariat generate model.lariat --prompt 'Once upon a time' --max-new-tokens 64"
