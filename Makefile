.PHONY: build run test fmt lint doc

build: ; cargo build --release --locked
run: ; cargo run --release --locked
test: ; ./scripts/test
fmt: ; cargo fmt --all
lint: ; cargo clippy --workspace --all-targets --locked -- -D warnings
doc: ; cargo doc --workspace --no-deps --locked
