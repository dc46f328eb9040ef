#!/usr/bin/env bash
# Runs the benchmarks of the npm package: its release build, installed beside its peers in metlog-node/benches/node_modules.
# Usage: tools/bench_node.sh [file...]    the benchmarks' names without .js; all of them unless named
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case $(uname -s) in
    Darwin) extension=dylib ;;
    *) extension=so ;;
esac
benches=metlog-node/benches
modules=$benches/node_modules

cargo build --quiet --release -p metlog-node --lib --example floor
if [[ ! -f $modules/.installed || $benches/package-lock.json -nt $modules/.installed ]]; then
    echo "== installing the peers into $modules"
    (cd "$benches" && npm ci --silent --no-audit --no-fund --omit=optional)
    touch "$modules/.installed"
fi

# A copy, so that the addon of a debug build stays where the tests look for it.
rm -rf "$modules/metlog"
mkdir -p "$modules/metlog"
cp -r metlog-node/{package.json,index.js,lib} "$modules/metlog/"
cp "target/release/libmetlog_node.$extension" "$modules/metlog/metlog.node"
cp "target/release/examples/libfloor.$extension" "$modules/floor.node"

code=0
(($# > 0)) || set -- call batching absent delay
for name in "$@"; do
    echo "== running the benchmark $name of the npm package"
    node --expose-gc "$benches/$name.js" || code=1
done
exit "$code"
