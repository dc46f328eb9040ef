#!/usr/bin/env bash
# Puts the built Node addon where the npm package loads it: metlog-node/metlog.node.
# Usage: tools/install_addon.sh debug|release
# This copy is all that `napi build` would add to cargo's work, and that tool does not start on Node 18.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case $(uname -s) in
    Darwin) library=libmetlog_node.dylib ;;
    *) library=libmetlog_node.so ;;
esac
built=target/$1/$library
installed=metlog-node/metlog.node

if ! cmp --silent "$built" "$installed"; then
    echo "== installing the Node addon ($1)"
    # Removed first: writing into a library that a running process has mapped would crash it.
    rm -f "$installed"
    cp "$built" "$installed"
fi
