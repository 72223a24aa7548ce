.PHONY: build run test fmt lint doc bench compare check-instructions fuzz fuzz-api \
	load-test load-test-light load-test-medium load-test-heavy load-test-stress realistic-test soak run-monitoring \
	docker-build docker-run docker-run-ha docker-stop docker-logs needs-compose sbom check-image

# A container's build cannot ask git for the revision.
revision = $(shell git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)
compose = FLASHSALE_REVISION=$(revision) docker compose --env-file .env -f docker/compose.yaml

build: ; cargo build --release --locked
run: ; cargo run --release --locked
test: ; ./scripts/test
fmt: ; cargo fmt --all
lint: ; cargo clippy --workspace --all-targets --locked -- -D warnings
doc: ; cargo doc --workspace --no-deps --locked

# ARGS goes to what is run: make load-test ARGS='--output target/load'; make bench ARGS=--quick.
# ADDRESS=host:port puts the load on a server that runs already. The load targets take a release build that is
# there, and say so when they build; BUILD=1 builds anew.
load-test: load-test-medium
load-test-light load-test-medium load-test-heavy load-test-stress: load-test-%:
	./scripts/load-testing/run $* $(ARGS)
realistic-test: ; ./scripts/load-testing/run realistic $(ARGS)
soak: ; ./scripts/load-testing/soak $(ARGS)
run-monitoring: needs-compose .env ; docker compose --env-file .env -f monitoring/compose.yaml up -d
docker-build: needs-compose .env ; $(compose) build
# The server that runs is replaced last: `up` alone would stop it before the schema is looked at.
docker-run: needs-compose .env
	$(compose) build
	$(compose) up --detach --wait postgres redis
	$(compose) run --rm --no-deps roles
	$(compose) run --rm --no-deps migrate
	$(compose) up --detach --wait
# The servers that replicate, and what they need: not the server alone and its databases.
docker-run-ha: needs-compose .env
	$(compose) --profile ha build app patroni1
	$(compose) --profile ha up --detach --wait balancer
docker-stop: needs-compose .env ; $(compose) --profile monitoring --profile ha down
docker-logs: needs-compose .env ; $(compose) logs --follow
# Says what is missing, and not which word of the command line is unknown.
needs-compose:
	@command -v docker >/dev/null || { echo "there is no docker here: install Docker Engine with its plugin compose" >&2; exit 1; }
	@docker compose version >/dev/null 2>&1 || { echo "docker here has no plugin compose: install it (docker-compose-plugin of Docker's packages, docker-compose-v2 or docker-compose of the distribution's)" >&2; exit 1; }
.env: ; ./scripts/make-env
sbom: ; ./scripts/sbom
check-image: ; ./scripts/check-image
bench: ; cargo bench --locked -- $(ARGS)
compare:
	@echo "building the server and the generator: some minutes the first time…"
	cargo build --release --locked -p flashsale -p flashsale-perf
	cargo run --release --locked -p flashsale-perf --bin flashsale-perf -- compare $(ARGS)

# Fails where the server needs more instructions per request than perf/instructions.json allows; ARGS=--write replaces it.
check-instructions:
	@echo "building the server and the generator: some minutes the first time…"
	cargo build --release --locked -p flashsale -p flashsale-perf
	cargo run --release --locked -p flashsale-perf --bin flashsale-perf -- instructions $(or $(ARGS),--check)

# SECONDS_EACH=600 goes on for longer; TARGET=http is one target of fuzz/ alone.
fuzz: ; ./fuzz/run $(or $(SECONDS_EACH),60) $(TARGET)
fuzz-api:
	PATH="$$PATH:$${CARGO_TARGET_DIR:-$$PWD/target}/tools/schemathesis/bin" FUZZ_API_SECONDS=$(or $(SECONDS_EACH),60) \
		cargo test --locked --test server fuzzer -- --test-threads=1
