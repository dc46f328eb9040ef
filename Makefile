# Builds, shows, tests and checks Metlog; `make help` lists the targets.
# All that is built or installed lies inside this folder: target, .venv, .cache, dist, and node_modules of metlog-node.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The Python that .venv is made of.
PYTHON ?= python3
# How long `make demo` runs, in seconds. Empty: until Ctrl-C on a terminal, 20 without one. `make fuzz`: each target, 60;
# `make bench`: the event loop's load, 60.
DURATION ?=

VENV := .venv
VENV_PYTHON := $(CURDIR)/$(VENV)/bin/python
NODE := metlog-node

# pyo3's build script runs anew when its interpreter changes, and all of pyo3 after it: every cargo call names this one.
export PYO3_PYTHON := $(VENV_PYTHON)

# What is installed leaves its stamp beside it, so that removing the folder is enough to have it installed again.
PYTHON_TOOLS := $(VENV)/.tools-installed
WHEEL := $(VENV)/.wheel-installed
NODE_TOOLS := $(NODE)/node_modules/.installed
ADDON := $(NODE)/metlog.node
CARGO_DENY := .cache/cargo-tools/bin/cargo-deny
CARGO_DENY_VERSION := 0.20.2
BACKENDS := .cache/backends/.installed
# Of Debian, with the libraries that a plain system lacks; graphite-web draws with cairo.
SYSLOG_PACKAGES := rsyslog rsyslog-openssl libestr0 libfastjson4 liblognorm5 syslog-ng-core libivykis0 libjson-c5 libnet1 \
    libwrap0 libpcre3 libglib2.0-0 logrotate libpopt0
CAIRO_PACKAGES := libcairo2 libpixman-1-0 libxcb-render0 libxcb-shm0 libxcb1 libx11-6 libxrender1 libxext6 libfontconfig1 \
    libfreetype6 libpng16-16 libxau6 libxdmcp6 libbsd0 libmd0
NAGIOS := .cache/backends/debian/versions/nsca
BUGSINK := .cache/backends/bugsink/.installed

sources = $(shell find $(1) -type f \( -name '*.rs' -o -name '*.toml' -o -name '*.py' -o -name '*.pyi' -o -name py.typed \) 2>/dev/null)
CORE_SOURCES := Cargo.toml Cargo.lock $(call sources,metlog-core)

.PHONY: help demo test check bench torture fuzz backends fmt dist clean prerequisites workspace

help: ## Lists these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Settings: PYTHON=$(PYTHON), DURATION=seconds (demo, fuzz, bench, torture), ONLY=\"clippy mypy ...\" (check, fuzz)"

demo: $(WHEEL) $(ADDON) ## Starts both daemons and three applications, shows what arrives and whether the ledger balances
	@DURATION=$(DURATION) $(VENV_PYTHON) examples/demo

test: $(WHEEL) $(NODE_TOOLS) $(ADDON) ## Runs every test: Rust and whole-system, Python, Node
	@echo "== testing the Rust crates and the whole system"
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cargo test --workspace -- --quiet
	@echo "== testing the integrations of metlog-core"
	@cargo test --package metlog-core --all-features --test log --test tracing --test tower -- --quiet
	@cargo test --package metlog-core --all-features --doc -- --quiet
	@echo "== testing the Python package"
	@$(VENV_PYTHON) -m pytest -q metlog-py/tests
	@echo "== testing the npm package"
	@cd $(NODE) && npm test --silent
	@echo "== all tests passed"

check: $(WHEEL) $(NODE_TOOLS) $(CARGO_DENY) ## Checks format, lints, types, documentation, licences and spelling of all languages
	@tools/check.sh $(ONLY)

bench: $(PYTHON_TOOLS) ## Runs the benchmarks of client and sidecar: each figure beside its peers, its floor and its bar
	@code=0; \
	echo "== running the benchmarks of metlog-core"; \
	cargo bench -p metlog-core --no-fail-fast --bench '*' || code=1; \
	echo "== running the benchmarks of metlog-sidecar"; \
	cargo bench -p metlog-sidecar --no-fail-fast --bench '*' || code=1; \
	tools/bench_python.sh || code=1; \
	tools/bench_node.sh || code=1; \
	exit $$code

torture: prerequisites ## Crashes the spool's model at random calls, DURATION seconds long
	@METLOG_TORTURE_SECONDS=$(or $(DURATION),60) cargo test -p metlog-pipeline --lib spool::tests_model -- --nocapture

fuzz: prerequisites ## Fuzzes whatever reads bytes that others wrote, DURATION seconds each
	@tools/fuzz.sh $(or $(DURATION),60) $(ONLY)

backends: workspace $(WHEEL) $(BACKENDS) $(BUGSINK) $(NAGIOS) ## Runs the grater's outputs against the real back ends (ONLY="syslog files ..": these)
	@.cache/backends/bin/python tests/backends/run.py $(ONLY)
	@echo "== comparing statsd lines with etsy's daemon"
	@cargo test --workspace --test etsy -- --quiet

fmt: $(PYTHON_TOOLS) $(NODE_TOOLS) ## Formats Rust, Python and JavaScript
	@cargo fmt --all
	@$(VENV)/bin/ruff format -q .
	@$(VENV)/bin/ruff check -q --fix .
	@$(NODE)/node_modules/.bin/biome check --write .

dist: $(PYTHON_TOOLS) $(NODE_TOOLS) ## Builds what is shipped into dist/: wheel, npm packages, daemons
	@tools/dist.sh

clean: ## Removes everything that make built or installed
	rm -rf target $(VENV) .cache dist $(NODE)/node_modules $(NODE)/benches/node_modules $(ADDON)

prerequisites:
	@tools/prerequisites.sh "$(PYTHON)"

# One cargo call for daemons, examples and addon: cargo picks features per call, and a second choice compiles all again.
workspace: $(PYTHON_TOOLS)
	@echo "== building the Rust workspace"
	@cargo build --workspace

$(ADDON): workspace
	@tools/install_addon.sh debug

$(PYTHON_TOOLS): tools/requirements.txt tools/requirements-uwsgi.txt | prerequisites
	@echo "== installing the Python tools into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV_PYTHON) -m pip install --quiet --requirement $< \
	    || { echo "error: pip could not install $<: see above" >&2; exit 1; }
	@$(VENV_PYTHON) -m pip install --quiet --requirement tools/requirements-uwsgi.txt &> $(VENV)/uwsgi.log \
	    || echo "   uWSGI cannot be compiled here, its tests will be skipped: see $(VENV)/uwsgi.log"
	@touch $@

$(WHEEL): $(PYTHON_TOOLS) $(CORE_SOURCES) $(call sources,metlog-py/src metlog-py/python) metlog-py/Cargo.toml metlog-py/pyproject.toml
	@tools/install_wheel.sh
	@touch $@

$(NODE_TOOLS): $(NODE)/package.json $(wildcard $(NODE)/package-lock.json) | prerequisites
	@echo "== installing the Node tools into $(NODE)/node_modules"
	@cd $(NODE) && npm $$([[ -f package-lock.json ]] && echo ci || echo install) --no-audit --no-fund \
	    || { echo "error: npm could not install the packages of $(NODE)/package.json: see above" >&2; exit 1; }
	@touch $@

# A debug build takes a minute, a release build ten; it reads a few hundred manifests either way.
$(CARGO_DENY): | prerequisites
	@echo "== installing cargo-deny $(CARGO_DENY_VERSION)"
	@cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --debug --no-default-features \
	    --root .cache/cargo-tools --target-dir .cache/cargo-tools/target \
	    || { echo "error: cargo could not install cargo-deny: see above" >&2; exit 1; }
	@rm -rf .cache/cargo-tools/target

$(BACKENDS): tests/backends/requirements.txt tests/backends/debian.sh | prerequisites
	@echo "== installing the back ends into .cache/backends"
	@$(PYTHON) -m venv .cache/backends
	@.cache/backends/bin/python -m pip install --quiet --requirement $< \
	    || { echo "error: pip could not install $<: see above" >&2; exit 1; }
	@npm install --prefix .cache/backends --no-save --no-audit --no-fund --silent statsd@0.9.0 \
	    || { echo "error: npm could not install statsd: see above" >&2; exit 1; }
	@tests/backends/debian.sh $(SYSLOG_PACKAGES) $(CAIRO_PACKAGES)
	@touch $@

$(BUGSINK): tests/backends/requirements-bugsink.txt | prerequisites
	@echo "== installing Bugsink into .cache/backends/bugsink"
	@$(PYTHON) -m venv .cache/backends/bugsink
	@.cache/backends/bugsink/bin/python -m pip install --quiet --requirement $< \
	    || { echo "error: pip could not install $<: see above" >&2; exit 1; }
	@touch $@

# The last package is the stamp.
$(NAGIOS): | prerequisites
	@tests/backends/debian.sh libmcrypt4 nagios4-core nsca
