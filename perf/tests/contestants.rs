//! The other contestants, for real: they sell exactly what there is, and end in order.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flashsale_perf::load::{self, Plan, Sale, Workload};
use postgres_server::{DATABASE, Postgres, USER};
use redis_server::RedisServer;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../tests/servers/postgres.rs"]
mod postgres_server;
#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../tests/servers/redis.rs"]
mod redis_server;

/// How long anything may take before a test gives up. Nothing is expected to take it.
const PATIENCE: Duration = Duration::from_secs(60);
const CLIENTS: usize = 64;

/// A contestant on a free port. It ends with this.
struct Contestant {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Contestant {
    fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("output");
        let output = File::create(&log).expect("writable");
        let mut child = Command::new(env!("CARGO_BIN_EXE_flashsale-perf"))
            .args(arguments)
            .args(["--address", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .spawn()
            .expect("the binary runs");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = fs::read_to_string(&log).expect("readable");
            let line = said.lines().find_map(|line| line.split_once(" on http://"));
            if let Some(address) = line.and_then(|(_, address)| address.parse().ok()) {
                return Self {
                    child,
                    address,
                    _dir: dir,
                };
            }
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none() && Instant::now() < deadline, "{said}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn post(&self, path: &str) -> (u16, Value) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = ureq::Agent::new_with_config(agent.build());
        let url = format!("http://{}{path}", self.address);
        let mut answer = agent.post(&url).send_empty().expect("an answer");
        let body = answer.body_mut().read_to_string().expect("text");
        let body = serde_json::from_str(&body).expect("JSON");
        (answer.status().as_u16(), body)
    }

    /// The status and the error of an answer that refuses.
    fn refusal(&self, path: &str) -> (u16, String) {
        let (status, body) = self.post(path);
        (
            status,
            body["error"].as_str().unwrap_or_default().to_owned(),
        )
    }

    /// Asks for all `paths` from many clients at once.
    fn post_all(&self, paths: &[String]) -> Vec<(u16, Value)> {
        let share = paths.len().div_ceil(CLIENTS);
        thread::scope(|scope| {
            let client = |paths| scope.spawn(move || one_after_the_other(self, paths));
            let clients: Vec<_> = paths.chunks(share).map(client).collect();
            let answers = clients.into_iter().map(|it| it.join().expect("no panic"));
            answers.flatten().collect()
        })
    }

    fn end(mut self) -> ExitStatus {
        let id = i32::try_from(self.child.id()).expect("an id");
        kill_process(Pid::from_raw(id).expect("not 0"), Signal::TERM).expect("it runs");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn one_after_the_other(contestant: &Contestant, paths: &[String]) -> Vec<(u16, Value)> {
    paths.iter().map(|path| contestant.post(path)).collect()
}

/// How often each error was answered; the empty one is none.
fn errors(answers: &[(u16, Value)]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for (_, body) in answers {
        *counts
            .entry(body["error"].as_str().unwrap_or_default())
            .or_default() += 1;
    }
    counts
}

/// Units of the one item, of which one user may take [`LIMIT`].
const UNITS: usize = 150;
const LIMIT: usize = 10;

fn hot_stock(more: &[&'static str]) -> Vec<&'static str> {
    let stock = ["--items", "1", "--units", "150", "--limit", "10"];
    [&stock, more].concat()
}

/// Buys the one item from many clients at once, until it is sold out.
fn sell_out(shop: &Contestant) {
    let one_user = vec!["/checkout?user_id=one&id=HOT".to_owned(); CLIENTS];
    let mut answers = shop.post_all(&one_user);
    let expected = [("", LIMIT), ("user_limit_exceeded", CLIENTS - LIMIT)];
    assert_eq!(errors(&answers), HashMap::from(expected));

    let users: Vec<_> = (0..CLIENTS * 4)
        .map(|ask| format!("/checkout?user_id=user-{}&id=HOT", ask / 4))
        .collect();
    answers.extend(shop.post_all(&users));
    let codes: Vec<_> = answers
        .iter()
        .filter_map(|(_, body)| body["code"].as_str())
        .collect();
    assert_eq!(codes.len(), UNITS, "exactly the stock, however many ask");
    assert_eq!(
        errors(&answers)["item_sold_out"],
        CLIENTS * 4 + LIMIT - UNITS
    );

    let twice = codes.iter().chain(&codes);
    let purchases: Vec<_> = twice.map(|code| format!("/purchase?code={code}")).collect();
    let purchases = shop.post_all(&purchases);
    let expected = [("", UNITS), ("already_processed", UNITS)];
    assert_eq!(errors(&purchases), HashMap::from(expected));
    let sold = purchases.iter().find(|(status, _)| *status == 200);
    let sold = &sold.expect("one is sold").1;
    assert_eq!(sold["purchased_items"][0]["id"], "HOT");
    assert_eq!(sold["total_purchased"], 1);
}

fn check_refusals(shop: &Contestant) {
    let cases = [
        ("/checkout?user_id=late&id=HOT", 409, "item_sold_out"),
        ("/checkout?user_id=late&id=other", 404, "item_not_found"),
        ("/checkout?id=HOT", 400, "validation_failed"),
        ("/checkout?user_id=late", 400, "validation_failed"),
        ("/purchase", 400, "validation_failed"),
        ("/purchase?code=any", 404, "checkout_not_found"),
        (
            "/purchase?code=CHK-1-00000000000000000000000000000000",
            404,
            "checkout_not_found",
        ),
        ("/other", 404, "not_found"),
    ];
    for (path, status, error) in cases {
        assert_eq!(shop.refusal(path), (status, error.to_owned()), "{path}");
    }
}

/// The load generator understands every answer.
fn check_load(address: SocketAddr, workload: Workload) {
    let mut plan = Plan::new(address, Duration::from_millis(300));
    plan.workload = workload;
    plan.connections = CLIENTS;
    plan.sale = Some(Sale {
        id: 1,
        total_items: 20_000,
        items_sold: 0,
    });
    // A machine that is busy with other tests says nothing about the contestant.
    plan.late_percent_max = 100.0;
    let outcome = load::run(&plan).expect("it answers");
    assert_eq!(outcome.invalid(), [], "{workload:?}");
}

#[test]
fn redis_lua_sells_exactly_the_stock_to_64_clients_at_once() {
    let settings = ["appendonly yes", "appendfsync always", "unixsocket socket"];
    let redis = RedisServer::start_with(&settings);
    let url = format!("redis+unix://{}", redis.dir().join("socket").display());
    let shop = Contestant::start(&[&["redis-lua", "--redis", &url][..], &hot_stock(&[])].concat());
    sell_out(&shop);
    check_refusals(&shop);
    assert_eq!(redis.command(&["GET", "stock:HOT"]).text(), "0");
    let orders = redis.command(&["LLEN", "orders"]).number();
    assert_eq!(orders, UNITS as i64);
    assert!(shop.end().success());

    let flags = [
        "redis-lua",
        "--redis",
        &url,
        "--items",
        "20000",
        "--connections",
        "2",
    ];
    let shop = Contestant::start(&flags);
    check_load(shop.address, Workload::Buy);
    check_load(shop.address, Workload::SoldOut);
}

#[test]
fn postgres_row_sells_exactly_the_stock_to_64_clients_at_once() {
    let postgres = Postgres::start_with(&["max_connections=100"]);
    let database = format!(
        "host={} port={} user={USER} dbname={DATABASE}",
        postgres.socket_dir().display(),
        postgres.port()
    );
    let start = [
        "postgres-row",
        "--connections",
        "8",
        "--postgres",
        &database,
    ];
    let shop = Contestant::start(&[&start[..], &hot_stock(&[])].concat());
    sell_out(&shop);
    check_refusals(&shop);
    let stock = "SELECT stock FROM items";
    assert_eq!(postgres.query(DATABASE, stock), "0");
    let orders = "SELECT count(*), count(sold_at) FROM orders";
    assert_eq!(postgres.query(DATABASE, orders), format!("{UNITS}|{UNITS}"));
    let over = format!("SELECT count(*) FROM buyers WHERE units > {LIMIT}");
    assert_eq!(postgres.query(DATABASE, &over), "0");
    let wrong = "SELECT count(*) FROM buyers JOIN
        (SELECT user_id, count(*) AS orders FROM orders GROUP BY user_id) AS theirs USING (user_id)
        WHERE units <> orders";
    assert_eq!(postgres.query(DATABASE, wrong), "0");
    assert!(shop.end().success());

    let shop = Contestant::start(&[&start[..], &["--items", "20000"]].concat());
    check_load(shop.address, Workload::Buy);
    check_load(shop.address, Workload::SoldOut);
}

#[test]
fn the_floor_answers_once_for_each_record_in_its_log() {
    const ANSWERS: usize = 200;
    let ways = [
        ("direct-dsync", "worker"),
        ("direct-dsync", "thread"),
        ("dsync", "worker"),
        ("fdatasync", "thread"),
    ];
    for (technique, thread) in ways {
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let log = dir.path().join("log");
        let path = log.display().to_string();
        let flags = ["floor", "--log", &path, "--body-bytes", "125"];
        let how = ["--commit", technique, "--committed-by", thread];
        let floor = Contestant::start(&[&flags[..], &how].concat());
        let paths = vec!["/checkout".to_owned(); ANSWERS];
        let answers = floor.post_all(&paths);
        assert!(answers.iter().all(|(status, body)| {
            *status == 200 && body["code"].is_string() && body["total_purchased"] == 1
        }));
        assert_eq!(records(&log), ANSWERS, "{technique}, {thread}");
        check_load(floor.address, Workload::Buy);
        assert!(floor.end().success());
    }
}

/// Records in a log of the floor, each of which names the same user.
fn records(log: &Path) -> usize {
    let bytes = fs::read(log).expect("readable");
    memchr::memmem::find_iter(&bytes, b"a1b2c3-again-100000").count()
}

#[test]
fn bare_hyper_ends_in_order() {
    let bare = Contestant::start(&["bare"]);
    assert_eq!(bare.post("/checkout").0, 200);
    assert!(bare.end().success());
}

#[test]
fn a_database_that_is_not_there_is_named_and_nothing_hangs() {
    let absent: [&[&str]; 2] = [
        &["redis-lua", "--redis", "redis+unix:///no/socket"],
        &["postgres-row", "--postgres", "host=/no/socket user=any"],
    ];
    for flags in absent {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flashsale-perf"));
        let output = command.args(flags).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot connect to"), "{said}");
    }
}
