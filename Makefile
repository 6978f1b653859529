# `make` or `make help` says what there is. The two that matter: `make run` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash -o pipefail
CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto
TOOLS := $(HOME)/.cache/claude-gateway-build
export PATH := $(TOOLS)/bin:$(PATH)

.PHONY: help run cluster test test-long test-programs image programs-static profile check deny fmt bench fuzz sql schema crds crds-promise chart chart-programs tools node programs

VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -1)
TRIPLE := $(shell rustc -vV | sed -n 's/^host: //p')
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# A place of its own: other flags would have everything else built anew each time.
STATIC := $(TARGET)/static
INSTRUMENTED := $(TARGET)/instrumented
IMAGES := claude-gateway $(if $(wildcard operator/Cargo.toml),claude-gateway-operator)
# No library, and no path of this machine in the bytes. The workspace's own paths are relative without being told, and a flag
# that names this tree would have every dependency built anew in every clone.
STATIC_FLAGS := -C target-feature=+crt-static --remap-path-prefix=$(HOME)/.cargo=/cargo
# Where the code is hot, as `make profile` last saw it; its name says what it holds, so that another profile is another build.
PROFILE := $(TOOLS)/gateway-$(firstword $(shell sha256sum gateway/release.profdata)).profdata
PROFILE_FLAGS := -Cprofile-use=$(PROFILE) -Cllvm-args=-disable-vp -Cllvm-args=-no-pgo-warn-mismatch
# Both programs in one command, with and without instruments: what is built together decides the names the profile goes by.
# With instruments that takes some twenty minutes.
STATIC_BUILD := $(CARGO) build --release --target $(TRIPLE) $(IMAGES:%=--bin %)
PACK = $(foreach name,$(IMAGES),$(TARGET)/debug/image \
	$(name):$(VERSION) $(STATIC)/$(TRIPLE)/release/$(name) dist/images/$(name).tar &&) true

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: tools ## the whole thing on this machine: Postgres, a test identity provider, a model provider, the gateway
	$(CARGO) build --release -p gateway -p e2e --bin claude-gateway --bin devstack
	$(CARGO) run --release -q -p e2e --bin devstack

cluster: tools node programs image ## Kubernetes on this machine: two nodes, the operator by its chart, a gateway (needs root)
	$(CARGO) run -q -p e2e --bin cluster

test: test-programs ## every test, with lifetimes shortened
	$(CARGO) test --workspace --no-fail-fast

test-long: test-programs ## the same tests at full length; the operator's in each kind of installation
	GATEWAY_TEST_FULL_LENGTH=1 $(CARGO) test --workspace --no-fail-fast
	$(foreach whom,namespaces cluster,GATEWAY_TEST_INSTALLED_FOR=$(whom) $(CARGO) test --workspace --test scenarios --no-fail-fast &&) true

# What tests start, and the images. Built as tests are, all in one: for each choice of packages cargo builds half of the crates anew.
test-programs: tools node programs chart-programs programs-static
	$(CARGO) test --workspace --no-run
	@$(PACK)

# The programs that the images carry.
programs-static: $(PROFILE)
	CARGO_TARGET_DIR=$(STATIC) RUSTFLAGS="$(STATIC_FLAGS) $(PROFILE_FLAGS)" $(STATIC_BUILD)

$(PROFILE):
	@mkdir -p $(@D) && cp gateway/release.profdata $@

profile: tools node ## gateway/release.profdata: where the code is hot, from an instrumented gateway under the bench's load
	@command -v llvm-profdata >/dev/null || tools/install llvm
	@command -v nginx >/dev/null || tools/install nginx-light
	rm -rf $(INSTRUMENTED)/raw
	CARGO_TARGET_DIR=$(INSTRUMENTED) RUSTFLAGS="$(STATIC_FLAGS) -Cprofile-generate=$(INSTRUMENTED)/raw -Cllvm-args=-disable-vp" $(STATIC_BUILD)
	$(CARGO) build --release -p e2e --bin bench --bin profile
	cp $(INSTRUMENTED)/$(TRIPLE)/release/claude-gateway $(TARGET)/release/
	$(TARGET)/release/bench --profile
	$(TARGET)/release/profile $(INSTRUMENTED)/raw gateway/release.profdata

image: programs-static ## both container images, without a container engine: dist/images/*.tar
	$(CARGO) build -q -p e2e --bin image
	@$(PACK)

check: ## the quick loop: format, lints, dependencies, pure tests
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --workspace --lib

deny: ## licences and sources of every dependency, and advisories where their database can be fetched
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked --root $(TOOLS)
	$(CARGO) deny check licenses bans sources
	@if $(CARGO) deny fetch db; then $(CARGO) deny check --disable-fetch advisories; \
	else echo "advisories are NOT checked: their database cannot be fetched from here" >&2; fi

fmt: ## format
	$(CARGO) fmt

bench: tools node programs-static ## this gateway beside nginx and a direct connection, in one run (REFERENCE=1: the reference gateway too)
	@command -v nginx >/dev/null || tools/install nginx-light
	$(CARGO) build --release -p e2e --bin bench
	cp $(foreach name,$(IMAGES),$(STATIC)/$(TRIPLE)/release/$(name)) $(TARGET)/release/
	$(TARGET)/release/bench
	$(TARGET)/release/bench --policies
	$(TARGET)/release/bench --limits
	$(TARGET)/release/bench --hardship
	$(TARGET)/release/bench --operator
	$(CARGO) bench -q -p gateway --bench policy

fuzz: ## each fuzz target for a minute
	tools/fuzz

sql: tools ## the offline data of the SQL macros, from a throw-away Postgres
	tools/prepare-sql.sh

schema: ## docs/gateway.schema.json
	$(CARGO) run -q -p gateway-config --example schema > docs/gateway.schema.json

crds: ## the CRDs of both charts and their reference, from the types
	$(CARGO) run -q -p crds --bin crdgen

crds-promise: crds ## what the CRDs promise from now on: at a release, or for a change that takes something away and is meant
	cp charts/claude-gateway-operator/files/crds/*.yaml crds/tests/promised/

chart: ## what is made from the chart: docs/chart-values.md and deploy/install.yaml
	$(CARGO) run -q -p e2e --bin chart -- values > docs/chart-values.md
	$(CARGO) run -q -p e2e --bin chart -- install > deploy/install.yaml

chart-programs:
	@tools/chart-programs >/dev/null
	@tools/cluster-programs helm >/dev/null

tools:
	@tools/install --check

# Cold, about 11 minutes.
programs:
	@tools/cluster-programs >/dev/null
	@tools/foreign-definitions >/dev/null

node:
	@cd e2e/node && (test -d node_modules && test node_modules/.package-lock.json -nt package-lock.json || npm ci --ignore-scripts --no-audit --no-fund)
