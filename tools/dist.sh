#!/usr/bin/env bash
# Builds what is shipped, in the release profile, into dist/: the wheel, the npm packages, an archive of the daemons.
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

# A release names the addons of all its platforms in this call; here there is this one.
echo "== packing the npm packages"
tools/install_addon.sh release
platform=$(node -p 'require("./metlog-node/lib/platform.js").described().name.split("/")[1]')
node tools/npm_packages.js dist "$platform=metlog-node/metlog.node"

echo "== dist/ holds"
ls -l dist
