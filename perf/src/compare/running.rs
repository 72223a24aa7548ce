//! How each contestant is started, and when it is ready.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use flashsale::env::{Clock, SystemClock};
use flashsale::types::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::contestant::{AppendFsync, SALE_ITEMS};
use super::databases::{OwnPostgres, OwnRedis};
use super::process::{self, Process};
use crate::contestants::{HOT_ITEM, bare};

/// The token of administration of every server.
pub const ADMIN_TOKEN: &str = "the-token-of-the-comparison";
/// Units of an item that everybody wants: far more than a turn sells.
const HOT_UNITS: u32 = 1_000_000_000;
/// How long a sale lasts that is created here: a day.
const OWN_SALE_SECONDS: u32 = 86_400;

/// The items on sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stock {
    /// So many generated items, each of which there is once.
    Unique(u32),
    /// One item that everybody wants.
    Hot,
}

impl Stock {
    /// Returns the flags of a usual design that begins with these items.
    fn flags(self) -> [String; 4] {
        let (items, units) = match self {
            Self::Unique(items) => (items, 1),
            Self::Hot => (1, HOT_UNITS),
        };
        [
            "--items".into(),
            items.to_string(),
            "--units".into(),
            units.to_string(),
        ]
    }
}

/// A database of a usual design.
enum Database {
    Redis(OwnRedis),
    Postgres(OwnPostgres),
}

/// A contestant that answers.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it uses.
    pub process: Process,
    /// Ends after the process.
    database: Option<Database>,
    /// Holds its files; goes after the process.
    dir: TempDir,
}

impl Running {
    /// Starts a server in `dir`, with `settings` of its environment.
    ///
    /// # Errors
    /// It does not start; says what it wrote.
    pub fn server(path: &Path, dir: TempDir, settings: &[(&str, String)]) -> Result<Self> {
        let mut command = process::command(path);
        command
            .arg("serve")
            .current_dir(dir.path())
            .env_clear()
            .env("SERVER_HOST", "127.0.0.1")
            .env("SERVER_PORT", "0")
            .env("SERVER_CONNECTIONS_PER_PEER", "0")
            .env("LOG_FORMAT", "json")
            .env("ADMIN_TOKEN", ADMIN_TOKEN)
            .env("JOURNAL_DIR", journal_dir(dir.path()))
            .env("SALE_TOTAL_ITEMS", SALE_ITEMS.to_string())
            // No sale begins or ends while this runs.
            .env(
                "SALE_INTERVAL_SECONDS",
                super::prefill::INTERVAL_SECONDS.to_string(),
            )
            .envs(settings.iter().map(|(key, value)| (key, value)));
        let mut process = Process::start("flashsale", &mut command, dir.path().join("log"))?;
        let address = process.wait_for(|log| log.lines().find_map(listening_address))?;
        // It writes the next segment beforehand, which would take the disk from the first turn.
        process.wait_for(|_| next_segment_is_ready(&journal_dir(dir.path())).then_some(()))?;
        Ok(Self {
            address,
            process,
            database: None,
            dir,
        })
    }

    /// Starts bare hyper with answers of `body_bytes`.
    ///
    /// # Errors
    /// It does not start; says what it wrote.
    pub fn bare_hyper(body_bytes: usize) -> Result<Self> {
        let flags = ["bare", "--body-bytes", &body_bytes.to_string()].map(str::to_owned);
        Self::own(&flags, tempfile::tempdir()?, None)
    }

    /// Starts bare hyper over TLS with answers of `body_bytes`.
    ///
    /// # Errors
    /// It does not start; says what it wrote.
    pub fn bare_hyper_over_tls(body_bytes: usize, cert: &Path, key: &Path) -> Result<Self> {
        let [cert, key] = [cert, key].map(|path| path.display().to_string());
        let body_bytes = body_bytes.to_string();
        let flags = [
            "bare",
            "--body-bytes",
            &body_bytes,
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
        ];
        Self::own(&flags.map(str::to_owned), tempfile::tempdir()?, None)
    }

    /// Starts the floor with answers of `body_bytes` and a log in `dir` of `record`s.
    ///
    /// # Errors
    /// It does not start; says what it wrote.
    pub fn floor(dir: TempDir, body_bytes: usize, record: &str) -> Result<Self> {
        let log = dir.path().join("records").display().to_string();
        let body_bytes = body_bytes.to_string();
        let flags = [
            "floor",
            "--body-bytes",
            &body_bytes,
            "--log",
            &log,
            "--record",
            record,
        ];
        Self::own(&flags.map(str::to_owned), dir, None)
    }

    /// Starts `redis-lua` with a Redis of its own.
    ///
    /// # Errors
    /// It does not start; says what it wrote.
    pub fn redis_lua(fsync: AppendFsync, stock: Stock) -> Result<Self> {
        let redis = OwnRedis::start(match fsync {
            AppendFsync::Everysec => "everysec",
            AppendFsync::Always => "always",
        });
        let flags = ["redis-lua".to_owned(), "--redis".into(), redis.url()];
        let flags = [&flags[..], &stock.flags()].concat();
        Self::own(&flags, tempfile::tempdir()?, Some(Database::Redis(redis)))
    }

    /// Starts `postgres-row` with a Postgres of its own.
    ///
    /// # Errors
    /// It does not start; says what it wrote.
    pub fn postgres_row(stock: Stock) -> Result<Self> {
        let postgres = OwnPostgres::start();
        let parameters = postgres.parameters();
        let flags = ["postgres-row".to_owned(), "--postgres".into(), parameters];
        let flags = [&flags[..], &stock.flags()].concat();
        let database = Some(Database::Postgres(postgres));
        Self::own(&flags, tempfile::tempdir()?, database)
    }

    /// Starts a contestant that is a subcommand of this binary.
    fn own(flags: &[String], dir: TempDir, database: Option<Database>) -> Result<Self> {
        let mut command = process::command(&std::env::current_exe()?);
        command.args(flags).args(["--address", "127.0.0.1:0"]);
        let mut process = Process::start(&flags[0], &mut command, dir.path().join("log"))?;
        let address = process.wait_for(own_address)?;
        Ok(Self {
            address,
            process,
            database,
            dir,
        })
    }

    /// Returns the processes that work for it, besides its own.
    #[must_use]
    pub fn other_pids(&self) -> Vec<u32> {
        let id = self.database.as_ref().map(|database| match database {
            Database::Redis(redis) => redis.id(),
            Database::Postgres(postgres) => postgres.id(),
        });
        id.into_iter().collect()
    }

    /// Creates a sale of the one item [`HOT_ITEM`] at a server, whose units are held for `hold_seconds`.
    ///
    /// # Errors
    /// The server does not create it.
    pub fn create_hot_sale(&self, hold_seconds: u32) -> Result<()> {
        let now = SystemClock::new().now();
        let sale = json!({
            "items": [{"id": HOT_ITEM, "name": HOT_ITEM, "stock": HOT_UNITS}],
            "ended_at": now.plus_seconds(OWN_SALE_SECONDS).to_string(),
            "hold_seconds": hold_seconds,
        });
        self.create(&sale).map(drop)
    }

    /// Creates a sale of `items` generated items at a server, which opens at `opens_at` in seconds since 1970, and
    /// returns its number.
    ///
    /// # Errors
    /// The server does not create it.
    pub fn create_sale(&self, items: u32, opens_at: u64, hold_seconds: u32) -> Result<u32> {
        let opens_at = Timestamp::from_seconds(i64::try_from(opens_at)?);
        let created = self.create(&json!({
            "total_items": items,
            "started_at": opens_at.to_string(),
            "ended_at": opens_at.plus_seconds(OWN_SALE_SECONDS).to_string(),
            "hold_seconds": hold_seconds,
        }))?;
        let id = created["data"]["id"]
            .as_str()
            .and_then(|id| id.parse().ok());
        id.with_context(|| format!("a created sale has a number: {created}"))
    }

    fn create(&self, sale: &Value) -> Result<Value> {
        let text = self.administer("/admin/sales", sale.to_string().as_bytes())?;
        serde_json::from_str(&text).with_context(|| format!("a created sale is shown: {text}"))
    }

    /// Sends a server a `POST` of its administration with `body`, which is JSON, and returns the body of the answer.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn administer(&self, path: &str, body: &[u8]) -> Result<String> {
        let url = format!("http://{}{path}", self.address);
        let request = ureq::post(&url)
            .header("Authorization", &format!("Bearer {ADMIN_TOKEN}"))
            .header("Content-Type", "application/json");
        let answered = request.send(body);
        let text = answered.and_then(|mut answer| answer.body_mut().read_to_string());
        text.with_context(|| format!("POST {url}"))
    }

    /// Returns the directory with its files, of which `log` has what it writes.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts nginx with answers of `body_bytes`.
    ///
    /// # Errors
    /// It does not start; says what it wrote.
    pub fn nginx(path: &Path, body_bytes: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        // It cannot be asked to choose a port. Whoever takes this one in between is noticed below.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let workers = available_parallelism().map_or(1, usize::from);
        let config = dir.path().join("nginx.conf");
        fs::write(&config, nginx_config(address, workers, body_bytes))?;
        let mut command = process::command(path);
        command.arg("-p").arg(dir.path()).arg("-c").arg(&config);
        command.args(["-e", "stderr"]);
        let mut process = Process::start("nginx", &mut command, dir.path().join("log"))?;
        process.wait_for(|_| TcpStream::connect(address).ok())?;
        Ok(Self {
            address,
            process,
            database: None,
            dir,
        })
    }

    /// Returns the body of an answer, whatever its status.
    ///
    /// # Errors
    /// There is none.
    pub fn ask(&self, method: &str, path: &str) -> Result<String> {
        let url = format!("http://{}{path}", self.address);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(&url)
            .body(())?;
        let configured = ureq::agent()
            .configure_request(request)
            .http_status_as_error(false);
        let answer = ureq::run(configured.build());
        let text = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        text.with_context(|| format!("{method} {url}"))
    }

    /// What `GET /health` says.
    ///
    /// # Errors
    /// It does not answer.
    pub fn health(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.ask("GET", "/health")?)?)
    }
}

/// The journal of a server in `dir`.
#[must_use]
pub fn journal_dir(dir: &Path) -> PathBuf {
    dir.join("journal")
}

/// Returns where a subcommand of this binary says that it listens.
#[must_use]
pub fn own_address(output: &str) -> Option<SocketAddr> {
    let whole = output.lines().filter(|_| output.ends_with('\n'));
    let mut addresses = whole.filter_map(|line| line.split_once(" on http"));
    let (_, rest) = addresses.next()?;
    without_scheme(rest)?.parse().ok()
}

/// Returns whether there is another segment besides the one that is written, and none in the making.
#[must_use]
pub fn next_segment_is_ready(journal: &Path) -> bool {
    let names = fs::read_dir(journal).into_iter().flatten().flatten();
    let names: Vec<_> = names.map(|it| it.path()).collect();
    let end_with = |end: &str| {
        names
            .iter()
            .filter(|it| it.extension() == Some(end.as_ref()))
            .count()
    };
    end_with("segment") > 1 && end_with("preparing") == 0
}

/// Returns where a line of a server's log says that it listens.
#[must_use]
pub fn listening_address(line: &str) -> Option<SocketAddr> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let rest = entry["message"]
        .as_str()?
        .strip_prefix("listening on http")?;
    without_scheme(rest)?.split(' ').next()?.parse().ok()
}

/// Returns the rest of an address behind `http`, with or without TLS.
fn without_scheme(rest: &str) -> Option<&str> {
    rest.strip_prefix('s').unwrap_or(rest).strip_prefix("://")
}

fn nginx_config(address: SocketAddr, workers: usize, body_bytes: usize) -> String {
    let body = bare::body(body_bytes);
    format!(
        "daemon off; worker_processes {workers}; worker_cpu_affinity auto; pid nginx.pid;
        error_log stderr error; worker_rlimit_nofile 20000;
        events {{ worker_connections 16384; }}
        http {{
            access_log off; default_type application/json; keepalive_requests 1000000000;
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            server {{ listen {address} reuseport backlog=4096; location / {{ return 200 '{body}'; }} }}
        }}\n"
    )
}
