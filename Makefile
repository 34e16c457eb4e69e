# `make demo` shows what the product does, `make test` runs the tests. Both set
# up all they need: Go modules, and for the tests a browser and packages of Node.js.

TOOL := go tool -modfile=.ci/tools/go.mod
GO_FILES = $(shell git ls-files -co --exclude-standard '*.go' | grep -v '\.pb\.go$$' | grep -v '\.pb\.gw\.go$$')

.DEFAULT_GOAL := help
.PHONY: help demo run build test prepare screenshots race bench check format vet staticcheck proto generated generate

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Run the whole job by itself in the terminal.
	@go run ./cmd/tokenvault demo

run: build ## Start a vault with a made-up provider that a browser can use.
	@./bin/tokenvault dev

build: ## Build the static binaries bin/tokenvault and bin/mailchimp-mcp.
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/tokenvault ./cmd/mailchimp-mcp

test: prepare ## Run the tests.
	go test ./...

prepare:
	@.ci/prepare

screenshots: prepare ## Take pictures of every page into bin/screenshots (a minute).
	go test -count=1 ./vault/vaulttest/browsertest -screenshots '$(CURDIR)/bin/screenshots'
	@echo "The pictures are in bin/screenshots; the README's are copies in gateway/screenshots."

# -short leaves out repetition, not promises: where a test does the same thing ten
# thousand times, a thousand show the detector as much, in a tenth of the time.
# `make test` does all of it.
race: prepare ## Run the tests under the race detector, with fewer repetitions.
	go test -race -short ./...

bench: ## Measure GetCredentials against a bare echo, side by side (a minute).
	go test -run '^$$' -bench . -benchtime 2s ./vault/vaulttest ./vault/access ./vault/audit ./vault/keyring ./vault/store/boltstore

check: format vet staticcheck proto generated test race ## Everything that must be green.

format:
	@out=$$(gofmt -l $(GO_FILES)); test -z "$$out" || { echo "not formatted (run gofmt -w):"; echo "$$out"; exit 1; }

vet:
	go vet ./...

staticcheck:
	$(TOOL) staticcheck ./...

proto:
	$(TOOL) buf lint
	@if git rev-parse -q --verify main:proto >/dev/null; then \
	  echo "$(TOOL) buf breaking --against .git#branch=main"; \
	  $(TOOL) buf breaking --against '.git#branch=main'; \
	else echo "there is no branch main here to compare with: buf breaking is left out"; fi

generated: generate
	@out=$$(git status --porcelain -- '*.pb.go' '*.pb.gw.go' gateway/openapi.swagger.json); \
	  test -z "$$out" || { echo "generated code is not up to date (run make generate and commit):"; echo "$$out"; exit 1; }

generate: ## Generate code from the protos.
	$(TOOL) buf generate
