#!/usr/bin/env bash
# Takes packages of Debian apart into .cache/backends/debian, without root and whatever apt's own lists hold:
# tests/backends/debian.sh nsca libmcrypt4 ..
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$PWD/.cache/backends/debian
mkdir -p "$target"/{packages,versions,apt/lists/partial,apt/cache}

wanted=()
for package in "$@"; do
    [[ -f $target/versions/$package ]] || wanted+=("$package")
done
((${#wanted[@]} > 0)) || exit 0

command -v apt-get > /dev/null || { echo "error: the real servers come from Debian's packages, and this is not Debian" >&2; exit 1; }
# Lists of our own: those of the system may be old, or not there at all, and need root to be renewed.
apt() {
    apt-get --quiet=2 -o APT::Sandbox::User="$(id --user --name)" -o Dir::State::lists="$target/apt/lists" \
        -o Dir::Cache="$target/apt/cache" "$@"
}
apt update || { echo "error: apt-get cannot read the lists of Debian's packages: see above" >&2; exit 1; }
cd "$target/packages"
apt download "${wanted[@]}" || { echo "error: apt-get cannot download all of ${wanted[*]}: see above" >&2; exit 1; }
for package in "${wanted[@]}"; do
    dpkg -x "$package"_*.deb "$target"
    dpkg-deb --field "$package"_*.deb Version > "$target/versions/$package"
done
