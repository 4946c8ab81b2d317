#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Makes a checkout usable: packages, Python environment in build/venv, a build in build/PRESET and its launcher
# build/PRESET/bin/lariat. Does only what is missing or out of date, so it is quick the second time.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

usage() {
  cat <<'EOF'
usage: scripts/setup.sh [--preset NAME] [--targets LIST] [--no-dev] [--no-packages] [--with-torch]
                        [--with-public-model]
  --preset NAME   build preset of CMakePresets.json (default: release)
  --targets LIST  what to build, separated by commas (default: everything); `lariat-tools` is what compiling and
                  running models takes: no tests, benchmarks, reference path or language server
  --no-dev        leave out test tools and linters
  --no-packages   install no distribution packages: they are there already
  --with-torch    also install torch and transformers, for the tests that compare with them
  --with-public-model
                  also install a checkpoint that others made (93 MB), for the tests and the tutorial that run it
  --try-public-model
                  the same, and go on without it where it cannot be had
EOF
}

fail() {
  echo "error: $*" >&2
  exit 1
}

preset=release targets=() dev=yes packages=yes torch=no public_model=no
while (($#)); do
  case $1 in
    --preset)
      (($# > 1)) || fail "--preset needs a name"
      preset=$2
      shift
      ;;
    --preset=*) preset=${1#*=} ;;
    --targets)
      (($# > 1)) || fail "--targets needs a list"
      IFS=, read -r -a targets <<<"$2"
      shift
      ;;
    --targets=*) IFS=, read -r -a targets <<<"${1#*=}" ;;
    --no-dev) dev=no ;;
    --no-packages) packages=no ;;
    --with-torch) torch=yes ;;
    --with-public-model) public_model=yes ;;
    --try-public-model) public_model=try ;;
    -h | --help) usage && exit 0 ;;
    *) fail "unknown option '$1', see scripts/setup.sh --help" ;;
  esac
  shift
done
[[ $preset =~ ^[a-z][a-z0-9-]*$ ]] && grep -q "\"name\": \"$preset\"" CMakePresets.json ||
  fail "no preset '$preset' in CMakePresets.json"

# --- packages -------------------------------------------------------------------------------------------------------
if [[ $packages == yes ]]; then
  flags=()
  [[ $dev == no ]] && flags=(--no-dev)
  scripts/packages.sh "${flags[@]}"
fi

# --- Python environment ---------------------------------------------------------------------------------------------
venv=$root/build/venv
usable_python='import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))'

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c "$usable_python" 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.10 or newer with the venv module was found"
}

# The stamp names the folder too: scripts inside an environment hold its absolute path.
if [[ ! -x $venv/bin/python || $(cat "$venv/.folder" 2>/dev/null) != "$venv" ]] || ! "$venv/bin/python" -c '' 2>/dev/null; then
  echo "creating the Python environment in build/venv"
  mkdir -p build
  "$(find_python)" -m venv --clear "$venv"
  echo "$venv" >"$venv/.folder"
fi

# install_requirements NAME [FLAG...]: installs python/NAME.txt unless exactly this file was installed before; false where
# pip, which takes the flags, could not.
install_requirements() {
  local file=python/$1.txt stamp=$venv/.$1 hash
  hash=$(sha256sum "$file" | cut -d ' ' -f 1)
  [[ $(cat "$stamp" 2>/dev/null) == "$hash" ]] && return
  echo "installing $file"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${@:2}" -r "$file" || return
  echo "$hash" >"$stamp"
}

# require NAME [FLAG...]: the same, or the end.
require() {
  install_requirements "$@" || fail "pip could not install python/$1.txt: its own message is above"
}

require requirements
[[ $dev == yes ]] && require requirements-dev
[[ $torch == yes ]] && require requirements-torch
case $public_model in
  yes) require requirements-public --no-deps ;;
  try)
    # Soon clear without a network, where pip would try for minutes.
    install_requirements requirements-public --no-deps --retries 1 --timeout 20 ||
      echo "going on without the public checkpoint: its tests are skipped"
    ;;
esac

# --- build ----------------------------------------------------------------------------------------------------------
build=$root/build/$preset
[[ -f CMakeLists.txt ]] || fail "no CMakeLists.txt in $root"
for tool in cmake ninja; do
  command -v "$tool" >/dev/null || fail "'$tool' was not found: run without --no-packages or install it"
done

compilers=()
if command -v clang++-22 >/dev/null; then
  compilers=(-DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22)
elif ! command -v g++ >/dev/null; then
  fail "no C++ compiler was found: install clang-22 or g++"
fi

# Ninja configures again by itself when a CMakeLists.txt changes; this covers what it does not see.
configure=(--preset "$preset" -DPython3_EXECUTABLE="$venv/bin/python" "${compilers[@]}")
wanted=$(printf '%s\n' "$build" "${configure[@]}" "$(sha256sum <CMakePresets.json)" | sha256sum)
if [[ ! -f $build/build.ninja || $(cat "$build/.configured" 2>/dev/null) != "$wanted" ]]; then
  echo "configuring build/$preset"
  fresh=()
  [[ -f $build/CMakeCache.txt ]] && fresh=(--fresh)
  mkdir -p "$build"
  cmake "${configure[@]}" "${fresh[@]}" >"$build/configure.log" 2>&1 || {
    cat "$build/configure.log" >&2
    fail "cmake could not configure the preset '$preset': its own message is above"
  }
  echo "$wanted" >"$build/.configured"
elif grep -q '^GTest_DIR:.*NOTFOUND' "$build/CMakeCache.txt" && [[ $dev == yes ]]; then
  # googletest came after a build without tests, such as that of scripts/demo.sh.
  cmake "$build" >"$build/configure.log" 2>&1 || fail "cmake could not configure again: see build/$preset/configure.log"
fi

# One compiler per core, but no more than memory allows: a file that uses MLIR takes about 1.5 GiB.
jobs=$(nproc)
memory_jobs=$(awk '/^MemAvailable:/ {print int($2 / 1572864)}' /proc/meminfo 2>/dev/null || echo "$jobs")
((memory_jobs < jobs)) && jobs=$((memory_jobs > 1 ? memory_jobs : 1))
# clock SECONDS: as minutes and seconds.
clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# show_progress: reads ninja's output and prints what is not a step. On a terminal, one line says how far the build is.
show_progress() {
  local line step=0 steps now started=$SECONDS clear=''
  [[ -t 1 ]] && clear=$'\r\e[K'
  while IFS= read -r line; do
    if [[ $line =~ ^@([0-9]+)/([0-9]+)@ ]]; then
      ((step)) || [[ -n $clear ]] || echo "building: ${BASH_REMATCH[2]} steps"
      step=${BASH_REMATCH[1]} steps=${BASH_REMATCH[2]} now=$((SECONDS - started))
      [[ -z $clear ]] || printf '%sbuilding: step %d of %d, %s gone, about %s left' "$clear" "$step" "$steps" \
        "$(clock "$now")" "$(clock $((now * (steps - step) / step)))"
    elif [[ $line != "ninja: Entering directory"* && $line != "ninja: no work to do"* && $line != *"Re-checking globbed"* ]]; then
      printf '%s%s\n' "$clear" "$line"
    fi
  done
  ((step == 0)) || printf '%sbuilt: %d steps in %s\n' "$clear" "$step" "$(clock $((SECONDS - started)))"
}

NINJA_STATUS='@%f/%t@ ' ninja -C "$build" -j "$jobs" "${targets[@]}" | show_progress ||
  fail "the build of the preset '$preset' failed: the compiler's message is above"

# --- launcher -------------------------------------------------------------------------------------------------------
mkdir -p "$build/bin"
launcher=$build/bin/lariat
cat >"$launcher.new" <<'EOF'
#!/bin/sh
# Written by scripts/setup.sh: the `lariat` command of this build, from any folder and through symbolic links.
self=$0
while [ -h "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=$(dirname "$self")/$target ;;
  esac
done
LARIAT_BIN_DIR=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd) || exit 1
root=${LARIAT_BIN_DIR%/build/*/bin}
PYTHONPATH=$root/python${PYTHONPATH:+:$PYTHONPATH}
# A file called json.py in the user's folder must not become our json module.
PYTHONSAFEPATH=1
export LARIAT_BIN_DIR PYTHONPATH PYTHONSAFEPATH
if [ -s "${LARIAT_BIN_DIR%/bin}/sanitizer.sh" ]; then # what Python loads to load sanitised libraries
  . "${LARIAT_BIN_DIR%/bin}/sanitizer.sh"
fi
exec "$root/build/venv/bin/python" -m lariat "$@"
EOF
chmod +x "$launcher.new"
if cmp -s "$launcher.new" "$launcher"; then
  rm "$launcher.new"
else
  mv "$launcher.new" "$launcher"
fi
echo "ready: build/$preset/bin/lariat"
