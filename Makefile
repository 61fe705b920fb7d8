# What a developer does here. `make` or `make help` lists it. CARGO_TARGET_DIR is respected.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help demo test soak fuzz bench decode plugin-bench lint fmt plugins bindings mysql audit clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build, and watch changes of a real MySQL arrive at two consumers (Ctrl-C ends it)
	@scripts/demo

test: plugins ## all tests, against a real MySQL and with the WASM plugins built
	$(CARGO) test --workspace --locked --no-fail-fast
	$(CARGO) test --manifest-path plugins/Cargo.toml --workspace --locked
	scripts/wasm-go each go test ./...
	scripts/wasm-go bindings --check

soak: plugins ## 100 kills under load, 20 snapshots with six kills each, 5 M rows in one transaction (about 15 minutes)
	FOREBAY_KILLS=100 FOREBAY_SNAPSHOTS=20 FOREBAY_LARGE_ROWS=5000000 \
		$(CARGO) test --locked --package forebay --test it -- --nocapture --test-threads 1 \
		killed_at_random_moments killed_and_resumed_under_a_writer larger_than_memory

fuzz: ## fuzz what reads foreign bytes, 60 seconds a target (FUZZ="10 rows": 10 seconds, one target)
	scripts/fuzz $(FUZZ)

bench: ## rows per CPU second, memory and latency, measured on the release build (about 15 minutes)
	$(CARGO) build --release --locked --package forebay --bin forebay
	$(CARGO) build --profile fast --locked --package forebay-bench
	scripts/wasm-rust build plugins/mask $(TARGET)/guests/mask.wasm
	$(TARGET)/fast/forebay-bench --forebay $(TARGET)/release/forebay --mask $(TARGET)/guests/mask.wasm $(BENCH)

decode: ## row changes per CPU second of decoding alone, over binlogs that it records first
	$(CARGO) run --profile fast --locked --package forebay-bench -- --forebay /dev/null --only load
	$(CARGO) bench --locked --package forebay-source --bench decode

plugin-bench: plugins ## what plugins cost: ns for each row image in Rust and Go beside native code, opening, loading
	$(CARGO) bench --locked --package forebay-transform --bench plugin

lint: ## formatting, clippy, dependency policy, links in the documents
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path plugins/Cargo.toml --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --manifest-path plugins/Cargo.toml --workspace --all-targets --locked -- -D warnings
	$(CARGO) fmt --manifest-path sdk/go/generate/Cargo.toml --check
	$(CARGO) clippy --manifest-path sdk/go/generate/Cargo.toml --locked -- -D warnings
	scripts/wasm-go lint
	scripts/cargo-deny --locked check bans licenses sources
	scripts/cargo-deny --locked --manifest-path plugins/Cargo.toml --config deny.toml check bans licenses sources
	scripts/check-links

fmt: ## format all Rust and Go code
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path plugins/Cargo.toml --all
	scripts/wasm-go each gofmt -w .

plugins: ## build the WASM plugins and the tests' guests into the target folder
	scripts/wasm-rust guests
	scripts/wasm-go guests

bindings: ## write the Go SDK's bindings anew, after a change of wit/
	scripts/wasm-go bindings

mysql: ## get the private MySQL and MariaDB ready (otherwise done on first use) and say where they come from
	scripts/mysql prepare
	@scripts/mysql which
	scripts/mariadb prepare
	@scripts/mariadb which

audit: ## known vulnerabilities in dependencies (fetches the advisory database)
	scripts/cargo-deny --locked check advisories

clean: ## delete what was built here; the caches in ~/.cache/forebay stay
	$(CARGO) clean
