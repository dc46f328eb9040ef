#!/usr/bin/env bash
# Runs every check that needs no running program; all of them even if one fails, then names those that failed.
# Usage: tools/check.sh [name...]    the names are those that it prints
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

export PATH="$PWD/.venv/bin:$PWD/metlog-node/node_modules/.bin:$PWD/.cache/cargo-tools/bin:$PATH"

rustfmt() { cargo fmt --all --check; }

clippy() { cargo clippy --workspace --all-targets -- --deny warnings; }

# Only metlog-core has features: with all of them, and with each alone.
features() {
    local code=0 feature
    cargo clippy --package metlog-core --all-targets --all-features -- --deny warnings || code=1
    for feature in "" zmq exceptions config log panic tower tracing; do
        cargo clippy --quiet --package metlog-core --lib --no-default-features --features "$feature" \
            -- --deny warnings || { echo "with the feature \"$feature\" alone" && code=1; }
    done
    return "$code"
}

rustdoc() {
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps &&
        RUSTDOCFLAGS="--deny warnings" cargo doc --package metlog-core --all-features --no-deps
}

# Cargo only warns of a key it does not know, and builds as if it were not there. A lock file left behind fails too.
manifests() {
    local said
    said=$(cargo fetch --locked 2>&1) || { echo "$said" && return 1; }
    [[ $said != *"unused manifest key"* ]] || { echo "$said" && return 1; }
}

deny() { cargo deny --log-level warn check licenses bans sources; }

# The database of advisories is fetched anew; where it cannot be reached that is said, and is no failure.
advisories() {
    local found
    found=$(timeout 120 cargo deny --log-level warn check advisories 2>&1) && return
    if [[ $found == *"failed to fetch advisory database"* ]]; then
        echo "advisories were NOT checked: their database cannot be reached from here"
        return
    fi
    echo "$found"
    return 1
}

ruff_lint() { ruff check --quiet --no-cache . ; }

ruff_format() { ruff format --check --no-cache . ; }

# One call for each, since files of one name may lie in two of them.
mypy_strict() {
    local code=0
    mypy --strict metlog-py/python || code=1
    mypy --strict examples/python examples/demo || code=1
    mypy --strict tests/backends || code=1
    return "$code"
}

# The stubs against the compiled module as it is installed.
stubtest() { python -m mypy.stubtest --mypy-config-file mypy.ini metlog._metlog; }

# Applications in TypeScript, as CommonJS and as modules, for Node and for bundlers.
typescript() {
    local code=0
    tsc --project metlog-node || code=1
    tsc --project metlog-node/test/bundler.tsconfig.json || code=1
    return "$code"
}

# The npm package as others find it: what its exports name is there, and types say what is exported. Before exports Node
# knew no paths like metlog/senders: that is left out.
npm_package() {
    local code=0
    (cd metlog-node && publint --strict) || code=1
    (cd metlog-node && attw --pack . --quiet) || code=1
    return "$code"
}

javascript() { biome ci --colors=off --error-on-warnings . ; }

shell_scripts() {
    local scripts
    mapfile -t scripts < <(project_files '*.sh' '.ci/run')
    shellcheck "${scripts[@]}"
}

spelling() { typos; }

# Over 500 lines a file holds more than one thing.
file_lengths() {
    local sources
    mapfile -t sources < <(project_files '*.rs' '*.py' '*.pyi' '*.js' '*.ts' '*.sh')
    wc -l "${sources[@]}" | awk '$1 > 500 && $2 != "total" { print $2 ": " $1 " lines, at most 500"; long = 1 } END { exit long }'
}

# project_files PATTERN...: tracked files and those about to be, but for what others wrote.
project_files() {
    git ls-files --cached --others --exclude-standard -- "$@" ':!vendor' | while read -r file; do
        if [[ -f $file ]]; then echo "$file"; fi
    done
}

checks=(rustfmt manifests clippy features rustdoc deny advisories ruff_lint ruff_format mypy_strict stubtest
    typescript npm_package javascript shell_scripts spelling file_lengths)
for name in "$@"; do
    [[ " ${checks[*]} " == *" $name "* ]] || { echo "error: no check is named $name; there are: ${checks[*]}" >&2 && exit 2; }
done
(($# == 0)) || checks=("$@")

failed=()
for check in "${checks[@]}"; do
    start=$SECONDS
    echo "== checking $check"
    if "$check"; then
        echo "   ok ($((SECONDS - start)) s)"
    else
        echo "   FAILED"
        failed+=("$check")
    fi
done

echo "== ${#checks[@]} checks, ${#failed[@]} failed${failed[*]:+: ${failed[*]}}"
((${#failed[@]} == 0))
