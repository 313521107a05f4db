# Every target is one Go command; make is a convenience and nothing needs it.
export CGO_ENABLED = 0

.PHONY: build test lint race fuzz bench bench-peers bench-scale cover mutate cross man

build:
	go build -trimpath -o bin/nacre ./cmd/nacre

test:
	go run ./tools/test

lint:
	go run ./tools/linters

race:
	go run ./tools/test --race ./internal/...

fuzz:
	go run ./tools/fuzz

bench:
	go test -run '^$$' -bench . -benchmem ./internal/... ./bench/...

# docs/PERFORMANCE.md tells of these two.
TOOLS = nacre,nacre-key,restic,kopia,borg,find
CORPUS = SRC
bench-peers:
	go run ./bench/peers --build $(TOOLS) $(CORPUS)

bench-scale:
	go run ./bench/scale

cover:
	go run ./tools/cover

mutate:
	go run ./tools/mutate

cross:
	go run ./tools/cross
