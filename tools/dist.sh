#!/usr/bin/env bash
# Builds what is shipped, in the release profile, into dist/: the wheel, the npm package, an archive of the daemons.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
daemons="metlog-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)"
rm -rf dist
mkdir -p "dist/$daemons"

echo "== building the wheel"
.venv/bin/maturin build --release --manifest-path metlog-py/Cargo.toml --interpreter .venv/bin/python --out dist

echo "== building the daemons and the addon"
cargo build --release -p metlog-sidecar -p metlog-grater -p metlog-node
cp target/release/metlog-sidecar target/release/metlog-grater LICENSE CHANGELOG.md "dist/$daemons"
tar -C dist -czf "dist/$daemons.tar.gz" "$daemons"
rm -r "dist/$daemons"

echo "== packing the npm package"
tools/install_addon.sh release
(cd metlog-node && npm pack --silent --pack-destination ../dist)

echo "== dist/ holds"
ls -l dist
