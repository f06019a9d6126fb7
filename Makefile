# Cargo does the work; this names the steps. `make test` is what CI runs.
.DEFAULT_GOAL := test
# All of them are names, none is a file.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*/\1/p' Makefile)

# Tests that mostly wait run beside each other; those that measure take turns (see tests/it/harness).
TEST_THREADS ?= 8
BUILDER ?= docker
# pyo3 asks the interpreter of this name what to link with: Debian's has a shared library, one that pyenv built has none.
export PYO3_PYTHON ?= $(or $(wildcard /usr/bin/python3),python3)
# What build_info names; a clone's .template has it.
TEMPLATE_COMMIT ?= $(or $(shell sed -n 's/^commit = "\(.*\)"/\1/p' .template 2>/dev/null),unknown)
IMAGE ?= service:dev

run: ## The service on :8080, its probes and metrics on :8081.
	cargo run

build: ## The binary that ships.
	TEMPLATE_COMMIT=$(TEMPLATE_COMMIT) cargo build --locked --release

tools: ## What the tests drive: proxies, load generators, a collector.
	scripts/tools
	scripts/chart-tools

lint: ## Format, lints, and documentation links.
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

test: tools lint ## Everything, at CI's size.
	cargo test --locked -- --test-threads=$(TEST_THREADS)
	$(MAKE) test-host
	$(MAKE) chart
	$(MAKE) ops
	$(MAKE) workflows
	$(MAKE) recipes
	$(MAKE) load
	$(MAKE) api
	$(MAKE) docs
	$(MAKE) doors
	$(MAKE) hostile
	$(MAKE) uwsgi-plugin
	$(MAKE) wsgi
	$(MAKE) wsgi-guest
	$(MAKE) fuzz

test-full: tools lint ## The same with the full number of restarts and requests.
	FLEET_ROUNDS=20 cargo test --locked -- --test-threads=$(TEST_THREADS)
	HOST_RESTARTS=40 $(MAKE) test-host
	HOST_RESTARTS=40 $(MAKE) doors
	HOSTILE=full $(MAKE) hostile
	FULL=yes cargo test --locked --package clone
	FULL=yes $(MAKE) load
	SCHEMATHESIS_EXAMPLES=500 $(MAKE) api
	$(MAKE) bench-check

bench: ## What a request, a connection and a start cost, beside others: docs/performance.md. QUICK=yes for a look, PARTS=cpu for some.
	scripts/tools bench
	benches/run $(if $(QUICK),--quick) $(PARTS)

bench-check: ## Format and lints of what `make bench` builds.
	cargo clippy --locked --package hello -- -D warnings
	cargo fmt --manifest-path benches/Cargo.toml --check
	cargo clippy --manifest-path benches/Cargo.toml --target-dir target/benches --locked --all-targets -- -D warnings

test-host: ## The feature host: restarts, passed sockets, privileges (as root), systemd.
	cargo build --locked --features host --bins --examples
	cargo test --locked --features host --lib --test host -- --test-threads=$(TEST_THREADS)

FUZZ_SECONDS ?= 5

# The doors that are cargo features.
DOORS = fastcgi,proxy-protocol,tls,uwsgi

# With the feature host as well: every door is handed over in a restart.
doors: tools ## Every door beyond plain HTTP, behind the real servers.
	cargo clippy --locked --all-targets --features host,$(DOORS) -- -D warnings
	cargo build --locked --features host,$(DOORS) --example battery
	cargo test --locked --features host,$(DOORS) --lib transports
	cargo test --locked --features host,$(DOORS) --test doors

hostile: tools ## Peers that are slow, greedy or lie, with healthy clients beside them; HOSTILE=full for the size of an attack.
	cargo build --locked --features host,$(DOORS) --bins --examples
	cargo test --locked --features host,$(DOORS) --test hostile -- --test-threads=1

uwsgi-plugin: ## The service inside Debian's uWSGI, behind HTTP.
	cargo clippy --locked --package uwsgi-plugin --all-targets -- -D warnings
	cargo build --locked --package uwsgi-plugin --lib --example battery_plugin
	cargo test --locked --package uwsgi-plugin

wsgi: ## A Python WSGI application behind the routes: PEP 3333, Flask, Django, a route that moves.
	scripts/wsgi-tools
	cargo clippy --locked --package wsgi --all-targets -- -D warnings
	cargo test --locked --package wsgi
	cargo build --locked --features wsgi --bins --example moving
	cargo test --locked --features wsgi --lib wsgi
	cargo test --locked --features wsgi --test wsgi -- --test-threads=$(TEST_THREADS)

wsgi-guest: ## The service as a WSGI callable, under gunicorn and wsgiref.validate.
	scripts/wsgi-tools
	cargo clippy --locked --package wsgi-guest --all-targets -- -D warnings
	cargo build --locked --package wsgi-guest --lib --example battery
	cargo test --locked --features guest --test wsgi-guest

fuzz: ## The parsers of what strangers send, for FUZZ_SECONDS each, from the corpus in fuzz/.
	scripts/fuzz $(FUZZ_SECONDS)

# buildah and podman keep a HEALTHCHECK in images of the Docker format only.
image: ## The container image, named IMAGE; BUILDER is docker, podman or buildah.
	$(BUILDER) build $(if $(filter podman buildah,$(notdir $(BUILDER))),--format docker) --tag $(IMAGE) \
	  --build-arg SERVICE_COMMIT=$(shell git rev-parse HEAD) --build-arg TEMPLATE_COMMIT=$(TEMPLATE_COMMIT) \
	  --build-arg IMAGE_VERSION=$(lastword $(subst :, ,$(notdir $(IMAGE)))) .

image-test: ## The image built on bases made here, and three containers restarted and rolled out under load; root, a quarter of an hour.
	scripts/image-test

chart: ## The chart and the manifests that are rendered from it.
	cargo build --locked --bins --examples
	scripts/check-chart
	scripts/chart-generate --check
	scripts/render-k8s --check

api: ## The API's description by two validators, and schemathesis against a live server.
	scripts/check-api

policy: ## A second opinion on chart, manifests and Dockerfile: checkov and trivy; 1 GB of them.
	scripts/check-policy

sbom: ## A bill of materials of a program that cargo-auditable built, as the image's: PROGRAM=path.
	scripts/sbom $(PROGRAM)

base-digests: ## The base image by its digest, for --build-arg; needs the network and skopeo or docker.
	scripts/image-digest $(shell sed -n 's/^ARG RUST_IMAGE=//p' Dockerfile)

cluster-up: image ## A kind cluster with the image loaded.
	IMAGE=$(IMAGE) scripts/cluster up

e2e-cluster: ## Install, helm test, roll, scale and roll back under load, uninstall; on any KUBECONFIG.
	IMAGE=$(IMAGE) scripts/cluster e2e

cluster-down: ## Deletes what cluster-up made.
	scripts/cluster down

ops: ## Rules, a test of every alert, the dashboard against a live server.
	cargo build --locked
	scripts/check-ops

workflows: ## actionlint, zizmor, yamllint and shellcheck on the workflows.
	scripts/check-workflows

recipes: ## The recipes' own tests, with a real Redis.
	cargo clippy --locked --package recipes --all-targets -- -D warnings
	cargo test --locked --package recipes

load: ## The load tests' own test: scenarios on a local fleet, faults that have to fail them, reports in a browser.
	cargo build --locked --bin server
	scripts/check-load

docs: ## Runs the commands of the pages, makes their edits in copies of the tree, follows their links.
	scripts/check-docs

generate: ## The files that are generated: from the code, and from the chart.
	UPDATE=1 cargo test --locked --test it generated::
	cargo build --locked
	scripts/chart-tools
	scripts/chart-generate
	scripts/render-k8s
	[ ! -d crates/clone/tests ] || UPDATE=1 cargo test --locked --package clone --test it the_documented_first_route

template-update: ## In a clone: merges what the template has changed since; ARGUMENTS=--check only says how far behind it is.
	scripts/template-update $(ARGUMENTS)

check: ## The settings that a start would use now.
	cargo run --quiet -- check

deny: ## Licences, advisories and sources of the dependencies.
	cargo deny check

clean:
	cargo clean
