#!/usr/bin/env bash
# Runs the fuzz targets of metlog-core and of the sidecar, each for so many seconds, and ends with 1 when one finds something.
# Usage: tools/fuzz.sh SECONDS [target...]
#
# libFuzzer itself and the coverage passes of the stable compiler: neither a nightly one nor clang is needed. The targets
# lie as cargo-fuzz wants them, so `cargo +nightly fuzz run batch` in metlog-core works as well, with the address sanitizer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=$1
shift
folders=(metlog-core/fuzz sidecar/fuzz)
# Everything it leaves lies in target: `make clean` removes it.
work=target/fuzz

targets_of() { sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"/\1/p' "$1/Cargo.toml"; }

# The folder of each target.
declare -A home
targets=()
for fuzz in "${folders[@]}"; do
    while read -r target; do
        home[$target]=$fuzz
        targets+=("$target")
    done < <(targets_of "$fuzz")
done
(($# == 0)) || targets=("$@")
for target in "${targets[@]}"; do
    [[ -n ${home[$target]:-} ]] || { echo "error: no fuzz target is named $target; there are: ${!home[*]}" >&2 && exit 2; }
done

dictionary() {
    case $1 in
    batch | record | link) echo wire ;;
    toml | ini) echo config ;;
    line_* | records | timestamps) echo lines ;;
    *) echo "$1" ;;
    esac
}

echo "== building the fuzz targets"
host=$(rustc -vV | sed -n 's/^host: //p')
passes="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
passes+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
# With a target named, the flags are not those of build scripts and macros.
mapfile -t needed < <(for target in "${targets[@]}"; do echo "${home[$target]}"; done | sort --unique)
for fuzz in "${needed[@]}"; do
    RUSTFLAGS="--cfg fuzzing $passes" CARGO_TARGET_DIR=$work \
        cargo build --quiet --release --target "$host" --manifest-path "$fuzz/Cargo.toml"
    python3 "$fuzz/seeds.py" "$work/seeds"
done

failed=()
for target in "${targets[@]}"; do
    mkdir -p "$work/corpus/$target" "$work/artifacts/$target"
    log=$work/$target.log
    echo "== fuzzing $target for $seconds s"
    # Four kilobytes reach every branch; what is larger has tests of its own (tests/hostile.rs).
    if nice -n 19 "$work/$host/release/$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 \
        -dict="${home[$target]}/dictionaries/$(dictionary "$target").dict" -artifact_prefix="$work/artifacts/$target/" \
        -print_final_stats=1 "$work/corpus/$target" "$work/seeds/$target" >"$log" 2>&1; then
        coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "   ok: $runs inputs, $coverage edges, $(find "$work/corpus/$target" -type f | wc -l) inputs kept"
    else
        failed+=("$target")
        grep -m 5 -e "panicked at" -A 3 -e "ERROR: libFuzzer" "$log" | head -8 || true
        echo "   FAILED: $log; again with: $work/$host/release/$target $work/artifacts/$target/<file>"
    fi
done
echo "== ${#targets[@]} targets, ${#failed[@]} failed${failed[*]:+: ${failed[*]}}"
((${#failed[@]} == 0))
