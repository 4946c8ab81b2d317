#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Installs the distribution packages that Lariat builds with, if any is missing. Asks for nothing; uses sudo when it is
# not run by root. The list and its reasons: docs/dependencies.md.
set -euo pipefail

# LLVM and MLIR as libraries, and what configures, compiles and links. clang and lld could be gcc and ld, but the
# documented build times are for these; lld as a library links what Lariat compiles.
build_packages=(
  ccache clang-22 cmake liblld-22-dev libmlir-22-dev libssl-dev lld-22 llvm-22-dev mlir-22-tools ninja-build
  nlohmann-json3-dev python3 python3-venv zlib1g-dev
)
# Test tools (FileCheck, not), sanitizer runtimes, a browser for the pages of reports, formatters, linters.
dev_packages=(chromium clang-format-22 clang-tidy-22 libclang-rt-22-dev libgtest-dev llvm-22-tools shellcheck)

usage() {
  cat <<'EOF'
usage: scripts/packages.sh [--no-dev] [--list]
  --no-dev  only what the build needs, without test tools and linters
  --list    print the packages instead of installing them
EOF
}

fail() {
  echo "error: $*" >&2
  exit 1
}

packages=("${build_packages[@]}" "${dev_packages[@]}")
list=no
for argument in "$@"; do
  case $argument in
    --no-dev) packages=("${build_packages[@]}") ;;
    --list) list=yes ;;
    -h | --help) usage && exit 0 ;;
    *) fail "unknown option '$argument', see scripts/packages.sh --help" ;;
  esac
done
if [[ $list == yes ]]; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

command -v dpkg-query >/dev/null ||
  fail "this is not a Debian-like system: install the equivalents of ${packages[*]} and run with --no-packages"

missing=()
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
for package in "${packages[@]}"; do
  grep -qx "$package installed" <<<"$installed" || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || fail "installing ${missing[*]} needs root: run as root or install sudo"
  as_root=(sudo)
fi

echo "installing packages: ${missing[*]}"
"${as_root[@]}" apt-get update -qq || echo "warning: the package lists could not be brought up to date" >&2
for package in "${missing[@]}"; do
  candidate=$(apt-cache policy "$package" 2>/dev/null | sed -n 's/^ *Candidate: //p')
  if [[ -z $candidate || $candidate == "(none)" ]]; then
    fail "package '$package' is not in the configured package sources: add a source that offers LLVM 22" \
      "(the LLVM project publishes them for Debian and Ubuntu) and run this again"
  fi
done
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" ||
  fail "apt-get could not install ${missing[*]}: its own message is above"
