#!/usr/bin/env bash
# Runs the benchmarks of the Python package: a release wheel beside its peers, in an environment of its own.
# Usage: tools/bench_python.sh [name...]    the names are those of the programs in metlog-py/benches
# Ends with 1 when a bar was missed, after all of them have run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bench=.cache/bench
venv=$bench/venv
python=$venv/bin/python
requirements=tools/requirements-bench.txt
wheels=target/bench-wheels

if ! cmp --silent "$requirements" "$venv/.installed"; then
    echo "== installing the peers into $venv"
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$python" -m pip install --quiet --requirement "$requirements"
    cp "$requirements" "$venv/.installed"
fi

echo "== building the wheel and the floors in the release profile"
rm -rf "$wheels"
.venv/bin/maturin build --quiet --release --manifest-path metlog-py/Cargo.toml --interpreter .venv/bin/python \
    --compatibility linux --out "$wheels"
# A folder of its own: cargo would build pyo3 anew each time for one set of variables after the other.
PYO3_BUILD_EXTENSION_MODULE=1 PYO3_PYTHON="$PWD/.venv/bin/python" cargo build --quiet --release --package metlog-py \
    --example python_floor --target-dir "$bench/target"
case $(uname -s) in
    Darwin) extension=dylib ;;
    *) extension=so ;;
esac
cp "$bench/target/release/examples/libpython_floor.$extension" "$bench/python_floor.so"
"$python" -m pip install --quiet --force-reinstall --no-deps --no-index "$wheels"/*.whl

names=("$@")
(($# > 0)) || names=(calls records errors threads)
missed=()
for name in "${names[@]}"; do
    echo "== running metlog-py/benches/$name.py"
    PYTHONPATH=$bench "$python" "metlog-py/benches/$name.py" || missed+=("$name")
done
((${#missed[@]} == 0)) || { echo "== missed a bar: ${missed[*]}" && exit 1; }
