#!/usr/bin/env bash
# Builds what is shipped, in the release profile, into dist/: the wheel, the npm packages, an archive of the daemons.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
daemons="metlog-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)"
rm -rf dist
mkdir -p "dist/$daemons"

echo "== packing the Python sources"
.venv/bin/maturin sdist --manifest-path metlog-py/Cargo.toml --out dist

# From the packed sources, outside the workspace: so they are complete.
echo "== building the wheel from them"
sources=$(mktemp -d)
trap 'rm -rf "$sources"' EXIT
tar -C "$sources" -xzf "dist/metlog-$version.tar.gz"
(export CARGO_TARGET_DIR="$PWD/target" PYO3_PYTHON="$PWD/.venv/bin/python" &&
    maturin="$PWD/.venv/bin/maturin" out="$PWD/dist" && cd "$sources/metlog-$version" &&
    "$maturin" build --release --strip --interpreter "$PYO3_PYTHON" --out "$out")
.venv/bin/python tools/check_wheel.py dist/*.whl

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
