#!/usr/bin/env bash
# Names every program that building Metlog needs and that is missing or too old, one line each, then exits 2.
# Usage: tools/prerequisites.sh [python]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${1:-python3}
missing=0

# needs NAME VERSION FOUND HOW-TO-GET-IT: a line when FOUND is empty or older than VERSION.
needs() {
    local oldest
    oldest=$(printf '%s\n%s\n' "$2" "$3" | sort -V | head -n 1)
    [[ -n $3 && $oldest == "$2" ]] && return
    echo "missing: $1 $2 or newer (found ${3:-none}): $4" >&2
    missing=$((missing + 1))
}

# version_of COMMAND...: the first dotted number that the command prints; nothing when it cannot be run.
version_of() {
    { "$@" 2>/dev/null || true; } | grep -oE -m 1 '[0-9]+(\.[0-9]+)+' | head -n 1 || true
}

rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
needs "Rust (rustc)" "$rust" "$(version_of rustc --version)" "rustup toolchain install $rust"
needs "Rust (cargo)" "$rust" "$(version_of cargo --version)" "rustup toolchain install $rust"
needs "Python ($python)" 3.10 "$(version_of "$python" --version)" \
    "install python3, or name another with make PYTHON=/path/to/python"
if [[ -n $(version_of "$python" --version) ]] && ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "missing: the modules venv and ensurepip of $python: install python3-venv" >&2
    missing=$((missing + 1))
fi
needs "Node.js (node)" 18.0 "$(version_of node --version)" "install nodejs"
needs "npm" 8.0 "$(version_of npm --version)" "install npm, which Node.js brings with it"
needs "a C++ compiler (${CXX:-c++})" 7.0 "$(version_of "${CXX:-c++}" --version)" \
    "install g++ or clang, or name one with CXX=/path/to/compiler"
needs "GNU make" 3.82 "$(version_of make --version)" "install make"

if ((missing > 0)); then
    echo "$missing missing; after installing, run make again" >&2
    exit 2
fi
