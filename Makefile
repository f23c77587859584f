# Each target installs what it needs on Debian or Ubuntu and says what it installs (tests/prerequisites.sh).

export PATH := $(HOME)/.cargo/bin:/usr/local/go/bin:$(PATH)
CACHE := $(or $(HERALD_LAB_CACHE),/var/cache/herald-lab)
CARGO_DENY = $(or $(shell command -v cargo-deny 2>/dev/null),$(CACHE)/tools/bin/cargo-deny)
# The lab makes network namespaces and mounts; cargo itself needs no root.
LAB = cargo run --quiet --locked --package herald-tests --bin lab --

.PHONY: help demo test images e2e bench soak lint clean

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a real cluster on this machine, a Service with an external address, and traffic to it from outside
	@tests/prerequisites.sh lab
	@$(LAB) demo

test: ## every ring of tests: unit, property, network namespaces, real cluster
	@tests/prerequisites.sh lab
	cargo test --workspace --locked

images: ## both daemons as images without Docker, in build/images
	@tests/prerequisites.sh build
	@$(LAB) images build/images

e2e: ## Kubernetes' own end-to-end suite for LoadBalancer Services; writes docs/kubernetes-e2e.md
	@tests/prerequisites.sh lab
	@$(LAB) e2e

bench: ## latency and memory, as distributions; writes build/bench.json
	@tests/prerequisites.sh lab
	cargo run --release --locked --package herald-tests --bin bench

soak: ## what takes long: many more random cases, and a cluster under constant change and crashes
	@tests/prerequisites.sh lab
	PROPTEST_CASES=20000 cargo test --release --locked --package herald-core --package herald-wire
	cargo run --release --locked --package herald-tests --bin simulate -- --first 10000 --count 200000
	cargo run --release --locked --package herald-tests --bin simulate -- --long
	cargo run --release --locked --package herald-tests --bin soak

lint: ## formatting, clippy with warnings as errors, documentation, licences and sources of dependencies
	@tests/prerequisites.sh lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --locked --quiet
	$(CARGO_DENY) --log-level error check bans licenses sources

clean: ## removes what was built here, and labs that still run
	@-! [ -x target/debug/lab ] || target/debug/lab down --all
	rm -rf target build
