# `make help` lists the targets. GOFLAGS and the other variables of the go
# command are left as they are set outside.

.DEFAULT_GOAL := help

GO       ?= go
BIN      := bin/poolkeeper
FUZZTIME ?= 30s

# Added to `go test` by `make test`, for example TESTFLAGS=-v.
TESTFLAGS ?=
# Passed on to the service by `make run`, for example RUN_ARGS='--addr 127.0.0.1:9000'.
RUN_ARGS ?=
# Passed on to `poolkeeper bench` by `make bench`.
BENCH_ARGS ?=
# How often `make test-exact` counts, each time with another seed.
EXACT_RUNS ?= 20
# How long, and how often with another seed, `make test-faults` has faults strike, and
# how long nothing is answered there; how long `make soak` lasts.
FAULT_TIME  ?= 60s
FAULT_SEEDS ?= 20
HOLE_TIME   ?= 10m
SOAK_TIME   ?= 20m
# How many tests of a package that mostly wait run at once.
WAITING ?= 4
# At every how manieth call of the file system `make test` breaks the store on
# files, from a random one on; `make test-exact` does so at each.
CRASH_EVERY ?= 5

# Tests that `make test` runs without the race detector, under which they would take
# most of its time: those of much content, the suite of backends on each further
# kind of server, after one on which it runs with the detector, scripts that were run
# with it before, and the fault suite.
PLAIN = ^(TestCases|TestVerdicts|TestRenamesAndSharedTokens|TestNoSecretInTexts|TestNoSecretIsPrinted|TestMaskKeepsJSON|TestJSON|TestOneByteInDirectory|TestImportKilled|TestForeignOfManyProviders|TestRoundTrip|TestBigDirectory|TestBigImportThroughInstance|TestScriptsThroughInstance|TestKilledInALongOutage|TestServerRefusesWrites|TestConformance(ThroughTLS|BehindSentinel|AsRestrictedUser|OnCluster|OnRedis|OnFiles|OverHTTP|Secured)|TestFaults.*)$$
PLAIN_IN = ./memstore ./filestore ./redisstore ./client ./configdir ./transfer ./cmd/poolkeeper ./open ./open/faults ./replica ./replica/queue

.PHONY: help build man run transcript test test-node test-openapi test-plain test-exact test-faults soak check bench mutants fuzz lint clean

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build bin/poolkeeper
	$(GO) build -trimpath -o $(BIN) ./cmd/poolkeeper

man: build ## write the manual pages to bin/man
	$(BIN) man bin/man

run: build ## serve a copy of the sample directory (on Redis where REDIS_URL is set)
	scripts/run $(RUN_ARGS)

transcript: ## run the commands of docs/start.md again, and write down what they print
	scripts/require-redis
	$(GO) test ./cmd/poolkeeper -run '^TestTranscript$$' -count=1 -update

test: ## run all tests, with the race detector, in a random order, against a real redis-server
	scripts/require-redis
	scripts/require-systemd
	@$(MAKE) --no-print-directory test-node test-openapi test-plain >&2
	POOLKEEPER_REQUIRE_REDIS=1 POOLKEEPER_CRASH_EVERY=$(CRASH_EVERY) $(GO) test -race -shuffle=on -parallel $(WAITING) -timeout 9m -skip '$(PLAIN)' $(TESTFLAGS) ./...

test-node: ## test the Node example against the real service, on files and on Redis
	scripts/require-redis
	scripts/require-node
	cd examples/node && node --test --test-reporter=spec --test-timeout=300000 test/*.test.js

test-openapi: ## hold the service to its OpenAPI document with a validator of others, which is in a module of its own
	cd internal/tools/openapicheck && $(GO) test -shuffle=on ./...

test-plain: ## run without the race detector what moves much content, and the suite on further kinds of servers
	scripts/require-redis
	POOLKEEPER_REQUIRE_REDIS=1 $(GO) test -shuffle=on -parallel $(WAITING) -timeout 9m -run '^TestLimits$$|$(PLAIN)' $(PLAIN_IN)

test-exact: ## count while connections break and processes are killed, EXACT_RUNS (20) times; crash the store on files at each call
	scripts/require-redis
	POOLKEEPER_REQUIRE_REDIS=1 $(GO) test ./redisstore -run '^TestExact' -v -count=1 -exact.runs=$(EXACT_RUNS) -timeout 60m
	$(GO) test -race ./filestore -run '^(TestKilledAtEachCall|TestFaultAtEachCall|TestFullDisk|TestPowerCut)$$' -v -count=1 -timeout 30m
	$(GO) test ./filestore -run '^TestExact$$' -v -count=1 -exact.time=60s

test-faults: ## strike instances and servers with faults of every kind, FAULT_SEEDS (20) times for FAULT_TIME (60s)
	scripts/require-redis
	POOLKEEPER_REQUIRE_REDIS=1 $(GO) test ./open/faults -v -count=1 -timeout 6h -faults.time=$(FAULT_TIME) -faults.seeds=$(FAULT_SEEDS) -faults.hole=$(HOLE_TIME)

soak: ## strike at random for SOAK_TIME (20m), and see that nothing is lost or leaks
	scripts/require-redis
	POOLKEEPER_REQUIRE_REDIS=1 $(GO) test ./open/faults -run '^TestFaultsCounters$$' -v -count=1 -timeout 0 -faults.time=$(SOAK_TIME)

check: ## do what CI does, on the working tree
	.ci/run

bench: build ## measure this machine
	$(BIN) bench $(BENCH_ARGS)

mutants: ## break one promise after the other and see a test fail for each
	scripts/require-redis
	$(GO) run ./storetest/mutants

fuzz: ## run every fuzz target for FUZZTIME (30s)
	@set -eu; found=0; \
	for file in $$(find . -path './.*' -prune -o -name '*_test.go' -print | xargs grep -l '^func Fuzz'); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			found=1; \
			echo "$$(dirname "$$file") $$target"; \
			$(GO) test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) "$$(dirname "$$file")"; \
		done; \
	done; \
	test $$found = 1 || { echo 'fuzz: no fuzz target found' >&2; exit 1; }

lint: ## check format, vet, staticcheck, go.mod and the scripts
	@unformatted=$$(find . \( -path './.*' -o -name testdata \) -prune -o -name '*.go' -print | xargs gofmt -l) || exit 1; \
	test -z "$$unformatted" || { echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; } >&2
	sh -n scripts/require-redis
	sh -n scripts/require-node
	sh -n scripts/require-systemd
	sh -n scripts/run
	bash -n .ci/run
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	cd internal/tools/openapicheck && $(GO) vet ./... && $(GO) mod tidy -diff

clean: ## remove what building and running left behind
	rm -rf bin .run .mutants coverage.*
