.PHONY: build run test fmt lint doc bench compare \
	load-test load-test-light load-test-medium load-test-heavy load-test-stress realistic-test soak

build: ; cargo build --release --locked
run: ; cargo run --release --locked
test: ; ./scripts/test
fmt: ; cargo fmt --all
lint: ; cargo clippy --workspace --all-targets --locked -- -D warnings
doc: ; cargo doc --workspace --no-deps --locked

# ARGS goes to what is run: make load-test ARGS='--output target/load'; make bench ARGS=--quick.
# ADDRESS=host:port puts the load on a server that runs already.
load-test: load-test-medium
load-test-light load-test-medium load-test-heavy load-test-stress: load-test-%:
	./scripts/load-testing/run $* $(ARGS)
realistic-test: ; ./scripts/load-testing/run realistic $(ARGS)
soak: ; ./scripts/load-testing/soak $(ARGS)
bench: ; cargo bench --locked -- $(ARGS)
compare:
	cargo build --release --locked --workspace
	cargo run --release --locked -p flashsale-perf --bin flashsale-perf -- compare $(ARGS)
