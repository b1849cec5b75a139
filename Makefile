# Everything a developer needs by one word each; `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup stack stack-down demo psql test bench fuzz clean

# The vCenter simulator's inventory: so many VMs, or a folder that `govc object.save` wrote.
VMS ?= 200
INVENTORY ?=
# QUICK=1 takes a fifth of the records; PEERS=debezium,redpanda also builds Redpanda Connect.
QUICK ?=
PEERS ?=
# How long to fuzz.
SECONDS ?= 60
# ONCE=1 lets the demo end by itself when the rows equal the source.
ONCE ?=

stack := target/debug/stack
inventory := $(if $(INVENTORY),--inventory '$(INVENTORY)',--vms $(VMS))

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

setup: ## Check this machine, install and fetch what is missing
	@tests/harness/setup.sh

stack: setup ## Start Kafka, registry, PostgreSQL and a vCenter simulator, and print their addresses
	@cargo build -p harness --bin stack
	@$(stack) up $(inventory)

stack-down: ## Stop them; their data stay
	@if [ -x $(stack) ]; then $(stack) down; fi

demo: setup ## Run the whole pipeline on a simulated vCenter: VMS=200, INVENTORY=DIR, ONCE=1
	@cargo build --workspace --bins
	@target/debug/demo $(inventory) $(if $(ONCE),--once)

psql: ## Open psql on the stack's database
	@variables=$$($(stack) env) && eval "$$variables" && exec .stack/cache/postgres/psql "$$DATABASE_URL"

test: setup ## Check format and lints, then run all tests on the real parts
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo build --workspace --all-targets
	cargo test --workspace --all-targets

bench: setup ## Measure against plain SQL and Debezium, write tests/bench/REPORT.md: QUICK=1, PEERS=
	@cargo build --release -p persister -p bench
	@target/release/bench $(if $(QUICK),--quick) $(if $(PEERS),--peers $(PEERS)) \
		--report tests/bench/REPORT.md

# The compiler's coverage flags, which cargo-fuzz needs, are hidden in a stable one.
fuzz: ## Let arbitrary bytes meet the decoder and apache-avro: SECONDS=60
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz@0.13.2
	@cd persisters/plan && RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none decode -- \
		-max_total_time=$(SECONDS) -max_len=1024 -rss_limit_mb=512

clean: ## Stop the stack and delete its data and everything that was built
	@if [ -x $(stack) ]; then $(stack) reset; fi
	@rm -rf .stack
	@cargo clean
