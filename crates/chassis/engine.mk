# The steps of the engine and of the template, which stay here; the Makefile includes them.

# Tests that mostly wait run beside each other; those that measure take turns (see crates/chassis/tests/it/harness).
TEST_THREADS ?= 8
# pyo3 asks the interpreter of this name what to link with: Debian's has a shared library, one that pyenv built has none.
export PYO3_PYTHON ?= $(or $(wildcard /usr/bin/python3),python3)
# Always both: cargo gives dependencies the features that the named packages ask for, and each other set is built anew.
ENGINE = --package chassis --package chassis-tests
# So the engine is built twice: as a service has it, and with every feature.
WHOLE = $(ENGINE) --all-features
GUESTS = --package uwsgi-plugin --package wsgi-guest
EXAMPLES = --package recipes --package links
# More than what the service drives.
TOOLS = engine
ENGINE_GENERATED = first-route fleet
TEMPLATE_STEPS = template-chart template-ops template-canary template-load template-release template-gate docs
ENGINE_STEPS = guest engine-lint engine package test-host database examples doors hostile uwsgi-plugin wsgi wsgi-guest fuzz $(TEMPLATE_STEPS)

# What `make deny` checks beside the root's workspace.
DENY_ALSO = crates/chassis/fuzz/Cargo.toml benches/Cargo.toml

guest: ## Tests the installation of tools and the numbered steps.
	for each in template/tests/guest/*.py; do python3 -B $$each || exit 1; done

first-route: ## The pages of crates/clone/bare, from docs/first-route.md.
	UPDATE=1 cargo test --locked --package clone --test it the_documented_first_route

fleet: ## Runs the simulation of a fleet, and writes its tables and figures into docs/fleet.md.
	UPDATE=1 cargo test --locked $(ENGINE) --lib balancer::fleet

# The feature host is the one that many have alone.
engine-lint: ## Checks formatting, lints and documentation links of the engine and of everything beside the service.
	cargo fmt --all --check
	cargo clippy --locked $(ENGINE) --all-targets -- -D warnings
	cargo clippy --locked $(ENGINE) --features host --lib --test host -- -D warnings
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib --package chassis

engine: tools ## Runs the engine's own tests: units, and its program behind real proxies and under load.
	cargo test --locked $(ENGINE) -- --test-threads=$(TEST_THREADS)
	cargo test --locked --package heap

package: ## The engine's public face, what CHANGELOG.md says of it, and the licences of all dependencies.
	cargo test --locked --package chassis-package

test-full: tools lint ## Runs all checks with the full number of restarts and requests.
	FLEET_ROUNDS=20 $(MAKE) engine
	HOST_RESTARTS=40 $(MAKE) test-host
	HOST_RESTARTS=40 $(MAKE) doors
	JOBS=100000 $(MAKE) database
	HOSTILE=full $(MAKE) hostile
	FULL=yes cargo test --locked --package clone -- --include-ignored
	FULL=yes $(MAKE) template-load template-fleet
	$(MAKE) newest
	SCHEMATHESIS_EXAMPLES=500 $(MAKE) api examples
	$(MAKE) bench-check peers

peers: tools ## Asks the service, nginx and Caddy the same 117 requests, and prints where they differ, each with its reason.
	template/tests/peers/check

bench: ## Measures the cost of requests, connections and a start, beside others: docs/performance.md. QUICK=yes for a look, PARTS="cpu json" for some; `benches/run --list` names them with their durations.
	scripts/gate tools/install bench
	benches/run $(if $(QUICK),--quick) $(PARTS)

bench-check: ## Checks formatting and lints of what `make bench` builds.
	cargo clippy --locked --package hello -- -D warnings
	cargo fmt --manifest-path benches/Cargo.toml --check
	cargo clippy --manifest-path benches/Cargo.toml --target-dir target/benches --locked --all-targets -- -D warnings

python: tools # A Python to link with: every feature means the bridge to WSGI as well.
	template/scripts/wsgi-tools

test-host: python ## Tests the engine's units with every feature, and the feature host: restarts, inherited sockets, privileges (as root), systemd.
	cargo test --locked $(WHOLE) --lib --test host -- --test-threads=$(TEST_THREADS)

FUZZ_SECONDS ?= 5

database: python ## Tests the features postgres and jobs on a real Postgres: deadlines, restarts of the database, migrations, rollouts; JOBS=100000 for the full count of jobs.
	cargo test --locked $(WHOLE) --test postgres --test jobs -- --test-threads=$(TEST_THREADS)

doors: python ## Tests every protocol beyond plain HTTP, behind real web servers; each is handed over in a restart.
	cargo test --locked $(WHOLE) --test doors

hostile: python ## Tests slow, greedy and lying peers beside healthy clients; HOSTILE=full for the size of an attack.
	cargo test --locked $(WHOLE) --test hostile -- --test-threads=1

uwsgi-plugin: ## Tests the service inside Debian's uWSGI, behind HTTP.
	cargo build --locked $(GUESTS) --lib --example battery_plugin
	cargo test --locked $(GUESTS)

wsgi: python ## Tests a Python WSGI application behind the routes: PEP 3333, Flask, Django, a migrated route.
	cargo test --locked --package wsgi
	cargo test --locked $(WHOLE) --test wsgi -- --test-threads=$(TEST_THREADS)

wsgi-guest: python ## Tests the service as a WSGI callable, under gunicorn and wsgiref.validate.
	cargo build --locked $(GUESTS) --lib --example battery
	cargo test --locked $(WHOLE) --test wsgi-guest

fuzz: ## Fuzzes the parsers of untrusted input, for FUZZ_SECONDS each, from the corpus in crates/chassis/fuzz/.
	template/scripts/fuzz $(FUZZ_SECONDS)

image-test: ## Builds the image on local bases and restarts three containers under load; needs root, takes 15 minutes.
	template/scripts/image-test

# What tests the template and not a service.
template: $(TEMPLATE_STEPS) ## Checks chart, rules, load tests, release and pages beyond a service's own gate.

template-chart: ## Tests every value set, wrong values, two revisions in a rollout, a registry.
	cargo build --locked --bin server
	cargo build --locked --package chassis-tests --bin streams
	template/tests/chart/check

template-ops: ## Tests every alert, and every metric of the dashboard.
	template/tests/ops/check

template-canary: ## Checks the samples of canaries: schemas, metrics of the live service, rollouts that promtool plays.
	cargo build --locked --bin server
	template/tests/canary/check

template-fleet: ## Compares real fleets with the simulation's predictions: of 3 replicas, and with FULL=yes of 8.
	cargo build --locked --bin server
	template/tests/fleet/check $(if $(FULL),--all)

template-load: ## Tests the load tests: faults that must fail them, reports in a browser; balancers; rollouts, evictions and drains of nodes.
	cargo build --locked --bin server
	cargo build --locked $(ENGINE) --bin ledger --bin mixed
	template/tests/load/check

newest: python ## Tests doors, fleets, load and rollouts with the newest nginx, HAProxy and lighttpd, of a later Debian; needs the network.
	cargo build --locked --bin server
	cargo build --locked $(ENGINE) --bin ledger --bin mixed
	template/tests/balancers/newest

template-release: ## Tests scripts/release in a copy of the files that it reads.
	scripts/gate chart/tools
	PATH="$$PWD/.tools/bin:$$PATH" PYTHONPATH=.tools/chart-python PYTHONDONTWRITEBYTECODE=1 python3 template/tests/workflows/release.py

template-gate: ## Tests the gate of a clone: fresh, bare, after the first hour, with a required setting.
	template/tests/gate/check

docs: ## Runs the commands in docs/, applies their edits to copies of the tree, and checks links.
	template/scripts/check-docs

examples: tools ## Runs the recipes' tests with a real Redis, those of template/examples/links with a real Postgres, and schemathesis on it.
	scripts/gate api/tools
	cargo test --locked $(EXAMPLES)
