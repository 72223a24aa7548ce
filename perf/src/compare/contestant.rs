//! Who takes part: bare hyper, the server, a second build of it, nginx; how each is started, and when
//! it is ready.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::process::{self, Process};
use crate::contestants::bare;

/// Items of every sale: far more than a turn sells.
pub const SALE_ITEMS: u32 = 1_000_000;

/// A kind of process that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// This binary's own `bare`.
    BareHyper,
    /// The server.
    Server {
        /// As it is shown.
        label: &'static str,
        /// Its binary.
        path: PathBuf,
    },
    /// nginx with `return 200`.
    Nginx {
        /// Its binary.
        path: PathBuf,
    },
}

impl Contestant {
    /// As it is shown.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Contestant::BareHyper => "bare hyper",
            Contestant::Server { label, .. } => label,
            Contestant::Nginx { .. } => "nginx",
        }
    }

    /// Whether it sells.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self, Contestant::Server { .. })
    }
}

/// All who can take part.
#[derive(Clone, Debug)]
pub struct Contestants {
    servers: Vec<Contestant>,
    nginx: Option<Contestant>,
}

impl Contestants {
    /// The server, a second build of it, and nginx where it is installed, by their binaries.
    #[must_use]
    pub fn new(server: PathBuf, server_b: Option<PathBuf>, nginx: Option<PathBuf>) -> Self {
        let labelled = |(label, path)| Contestant::Server { label, path };
        let b = server_b.map(|path| ("flashsale B", path));
        let servers = std::iter::once(("flashsale", server)).chain(b);
        Self {
            servers: servers.map(labelled).collect(),
            nginx: nginx.map(|path| Contestant::Nginx { path }),
        }
    }

    /// The server, and its second build.
    pub fn servers(&self) -> impl Iterator<Item = &Contestant> {
        self.servers.iter()
    }

    /// nginx, where it is installed.
    pub fn nginx(&self) -> impl Iterator<Item = &Contestant> {
        self.nginx.iter()
    }
}

/// A contestant that answers.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it uses.
    pub process: Process,
    /// Holds its files; goes after the process.
    _dir: TempDir,
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
            _dir: dir,
        })
    }

    /// Starts bare hyper with answers of `body_bytes`.
    ///
    /// # Errors
    /// It does not start; says what it wrote.
    pub fn bare_hyper(body_bytes: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = process::command(&std::env::current_exe()?);
        command.args(["bare", "--address", "127.0.0.1:0"]);
        command.args(["--body-bytes", &body_bytes.to_string()]);
        let mut process = Process::start("bare hyper", &mut command, dir.path().join("log"))?;
        let address = process.wait_for(|output| {
            let line = output.strip_suffix('\n')?;
            line.strip_prefix("bare hyper on http://")?.parse().ok()
        })?;
        Ok(Self {
            address,
            process,
            _dir: dir,
        })
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
            _dir: dir,
        })
    }

    /// The body of an answer, whatever its status.
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

/// Besides the segment that is written there is another one, and none in the making.
fn next_segment_is_ready(journal: &Path) -> bool {
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

fn listening_address(line: &str) -> Option<SocketAddr> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let rest = entry["message"]
        .as_str()?
        .strip_prefix("listening on http://")?;
    rest.split(' ').next()?.parse().ok()
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

/// The server's binary: the one that is named, or the one beside this binary, which is built first
/// where cargo runs this.
///
/// # Errors
/// There is none, or it cannot be built.
pub fn find_server(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        if !path.is_file() {
            bail!("{} is no file: give the server's binary", path.display());
        }
        return Ok(path.canonicalize()?);
    }
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "flashsale"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        eprintln!("building the server");
        let status = build.status().context("cannot run cargo")?;
        if !status.success() {
            bail!("the server cannot be built");
        }
    }
    let beside = std::env::current_exe()?.with_file_name("flashsale");
    if !beside.is_file() {
        bail!(
            "{} is missing: build it with `cargo build --release -p flashsale`, or name the server's \
             binary with --server",
            beside.display()
        );
    }
    Ok(beside)
}
