#!/usr/bin/env bash
# Takes packages of Debian apart into .cache/backends/debian, without root: tests/backends/debian.sh nsca libmcrypt4 ..
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$PWD/.cache/backends/debian
mkdir -p "$target/packages" "$target/versions"
cd "$target/packages"
for package in "$@"; do
    [[ -f ../versions/$package ]] && continue
    rm -f "$package"_*.deb
    apt-get -o APT::Sandbox::User=root download --quiet=2 "$package" \
        || { echo "error: apt-get cannot download $package: is this Debian, with its lists (apt-get update)?" >&2; exit 1; }
    dpkg -x "$package"_*.deb "$target"
    dpkg-deb --field "$package"_*.deb Version > "../versions/$package"
done
