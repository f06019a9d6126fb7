# Cargo does the work; this names the steps. `make test` is what CI runs.
.DEFAULT_GOAL := test
.PHONY: run build tools lint test test-full generate check deny clean

# Tests that mostly wait run beside each other; those that measure take turns (see tests/it/harness).
TEST_THREADS ?= 8

run: ## The service on :8080, its probes and metrics on :8081.
	cargo run

build: ## The binary that ships.
	cargo build --locked --release

tools: ## What the tests drive: proxies, load generators, a collector.
	scripts/tools

lint: ## Format, lints, and documentation links.
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

test: tools lint ## Everything, at CI's size.
	cargo test --locked -- --test-threads=$(TEST_THREADS)

test-full: tools lint ## The same with the full number of restarts and requests.
	FLEET_ROUNDS=20 cargo test --locked -- --test-threads=$(TEST_THREADS)

generate: ## The files that are generated from the code.
	UPDATE=1 cargo test --locked --test it generated::

check: ## The settings that a start would use now.
	cargo run --quiet -- check

deny: ## Licences, advisories and sources of the dependencies.
	cargo deny check

clean:
	cargo clean
