#!/usr/bin/env bash
# Builds the Python wheel in the dev profile and installs it into .venv in place of the one before.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

echo "== building the Python wheel"
rm -rf target/wheels
# Not audited for other machines: this wheel is for the tests beside it (`make dist` builds the shipped one).
.venv/bin/maturin build --profile dev --manifest-path metlog-py/Cargo.toml --interpreter .venv/bin/python \
    --compatibility linux --out target/wheels
.venv/bin/python -m pip install --quiet --force-reinstall --no-deps --no-index target/wheels/*.whl
