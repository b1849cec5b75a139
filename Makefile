# `make help` lists what can be made.
SHELL := bash
.DEFAULT_GOAL := help
export CARGO_TERM_COLOR ?= auto

.PHONY: help setup stack stack-down test clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: ## check the toolchains, fetch the parts of the local stack
	@tests/harness/setup.sh

stack: setup ## bring up Kafka, registry, PostgreSQL and a vCenter simulator on this machine
	@cargo build --quiet --package harness
	@target/debug/stack up

stack-down: ## stop them; their data stays
	@cargo build --quiet --package harness
	@target/debug/stack down

test: setup ## format, lints, unit, property and stack tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	cargo test --workspace --quiet

clean: ## remove what was built
	cargo clean
