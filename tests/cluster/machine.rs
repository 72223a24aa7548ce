//! A machine: a member of etcd, Patroni with its PostgreSQL unless etcd keeps the log, and a server.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use flashsale::types::Lsn;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::network::{MACHINES, Network, address};
use crate::postgres_server::give_away;
use crate::replication::buyers::ask;
use crate::replication::keeper::LogEngine;
use crate::server::{Place, Server, wait_for};

/// The one that `scripts/test` has installed Patroni for, which every user may run.
const PYTHON: &str = "/usr/bin/python3";
/// The directory of Patroni and what it needs, in that of the network.
const PACKAGES: &str = "packages";
const ETCD: u16 = 2379;
const ETCD_PEERS: u16 = 2380;
const PATRONI: u16 = 8008;
const POSTGRES: u16 = 5432;
pub const SHOP: u16 = 8080;
const PASSWORD: &str = "Pa55word-of-the-test";
/// Items of the sale.
const STOCK: &str = "1000000";
const PATIENCE: Duration = Duration::from_secs(2);

/// The machine.
pub struct Machine {
    network: Arc<Network>,
    number: usize,
    dir: PathBuf,
    etcd: Option<Child>,
    patroni: Option<Child>,
    server: Option<Server>,
}

impl Machine {
    /// Makes its directories, with a copy of `docker/ha` that everybody may read.
    pub fn new(network: &Arc<Network>, number: usize) -> Self {
        let dir = network.dir().join(name(number));
        for dir in [&dir, &dir.join("configuration")] {
            fs::create_dir(dir).expect("a new directory");
            give_away(dir);
        }
        for file in ["etcd.env", "patroni.yml", "make-database"] {
            let copy = dir.join("configuration").join(file);
            fs::copy(source(file), &copy).expect("a file of docker/ha");
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("our own");
        }
        Self {
            network: Arc::clone(network),
            number,
            dir,
            etcd: None,
            patroni: None,
            server: None,
        }
    }

    /// Returns the name that the cluster has for it.
    pub fn name(&self) -> String {
        name(self.number)
    }

    pub fn start_etcd(&mut self) {
        let (name, own) = (self.name(), address(self.number));
        let member = |number| {
            let at = address(number);
            format!("{}=http://{at}:{ETCD_PEERS}", self::name(number))
        };
        let members: Vec<_> = (0..MACHINES).map(member).collect();
        let mut command = self.command("etcd", "etcd.log");
        // The file of the containers, and what compose.yaml says of each.
        command.envs(variables_of("etcd.env"));
        command.env("ETCD_NAME", name);
        command.env("ETCD_DATA_DIR", self.dir.join("etcd"));
        command.env("ETCD_INITIAL_CLUSTER", members.join(","));
        command.env("ETCD_ADVERTISE_CLIENT_URLS", format!("http://{own}:{ETCD}"));
        let peer = format!("http://{own}:{ETCD_PEERS}");
        command.env("ETCD_INITIAL_ADVERTISE_PEER_URLS", peer);
        self.etcd = Some(command.spawn().expect("etcd runs"));
    }

    pub fn start_patroni(&mut self) {
        let mut command = self.command(PYTHON, "patroni.log");
        command.args(["-m", "patroni", "patroni.yml"]);
        self.patroni = Some(command.spawn().expect("patroni runs"));
    }

    /// Starts the server for the first time, with its log in the databases or the etcd of all machines, and does not wait for anything.
    pub fn begin_server(&mut self, engine: LogEngine) {
        let host = address(self.number).to_string();
        let (engine, port) = match engine {
            LogEngine::Postgres => ("postgres", POSTGRES),
            LogEngine::Etcd => ("etcd", ETCD),
        };
        let hosts: Vec<_> = (0..MACHINES)
            .map(|number| format!("{}:{port}", address(number)))
            .collect();
        let mut place = Place::new(&[
            ("SERVER_HOST", &host),
            ("SERVER_PORT", &SHOP.to_string()),
            ("SERVER_ADVERTISE", &format!("{host}:{SHOP}")),
            ("SERVER_WORKERS", "1"),
            ("SALE_TOTAL_ITEMS", STOCK),
            ("JOURNAL_RETAIN_HOURS", "24"),
            ("REPLICATION_ENGINE", engine),
            ("REPLICATION_HOSTS", &hosts.join(",")),
        ]);
        if port == POSTGRES {
            place.set("REPLICATION_USER", "flashsale");
            place.set("REPLICATION_PASSWORD", PASSWORD);
            place.set("REPLICATION_DBNAME", "flashsale");
        }
        let space = self.network.space(self.number);
        let binary = env!("CARGO_BIN_EXE_flashsale");
        place.use_program(ip_program(), &["netns", "exec", &space, binary]);
        self.server = Some(Server::begin_in(place));
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("it was started")
    }

    pub fn server_mut(&mut self) -> &mut Server {
        self.server.as_mut().expect("it was started")
    }

    pub fn into_server(self) -> Server {
        self.server.expect("it was started")
    }

    /// A program on this machine that has what Patroni has in its environment, and writes to `log`.
    fn command(&self, program: &str, log: &str) -> Command {
        let mut command = self.network.command(self.number, program);
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.dir.join(log));
        let log = log.expect("our own directory");
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        command.current_dir(self.dir.join("configuration"));
        command.envs(self.patroni_variables());
        command.env("PYTHONPATH", self.network.dir().join(PACKAGES));
        command
    }

    /// What `compose.yaml` says of each Patroni.
    fn patroni_variables(&self) -> Vec<(&'static str, String)> {
        let own = address(self.number);
        let etcd = (0..MACHINES).map(|number| format!("{}:{ETCD}", address(number)));
        let path = |name: &str| self.dir.join(name).display().to_string();
        vec![
            ("PATRONI_NAME", self.name()),
            ("PATRONI_ETCD3_HOSTS", etcd.collect::<Vec<_>>().join(",")),
            (
                "PATRONI_RESTAPI_CONNECT_ADDRESS",
                format!("{own}:{PATRONI}"),
            ),
            (
                "PATRONI_POSTGRESQL_CONNECT_ADDRESS",
                format!("{own}:{POSTGRES}"),
            ),
            ("PATRONI_POSTGRESQL_DATA_DIR", path("data")),
            ("PATRONI_POSTGRESQL_PGPASS", path("pgpass")),
            ("PATRONI_SUPERUSER_PASSWORD", PASSWORD.into()),
            ("PATRONI_REPLICATION_PASSWORD", PASSWORD.into()),
            ("PATRONI_REWIND_PASSWORD", PASSWORD.into()),
            ("FLASHSALE_LOG_PASSWORD", PASSWORD.into()),
        ]
    }

    /// Runs patronictl, which must succeed.
    pub fn patronictl(&self, arguments: &[&str]) {
        let mut command = self.command(PYTHON, "patronictl.log");
        command.args(["-c", "from patroni.ctl import ctl; ctl()"]);
        command.args(["-c", "patroni.yml"]).args(arguments);
        let status = command.status().expect("patronictl runs");
        assert!(status.success(), "patronictl {arguments:?}: {status}");
    }

    /// Sends `signal` to every process of PostgreSQL.
    pub fn signal_postgres(&self, signal: Signal) {
        self.network.signal(self.number, Some("postgres"), signal);
    }

    /// Sends `signal` to Patroni, and to nothing else.
    pub fn signal_patroni(&self, signal: Signal) {
        send(self.patroni.as_ref(), signal);
    }

    pub fn signal_etcd(&self, signal: Signal) {
        send(self.etcd.as_ref(), signal);
    }

    /// Waits for the end of Patroni, and starts it again.
    pub fn restart_patroni(&mut self) {
        end(&mut self.patroni, "Patroni");
        self.start_patroni();
    }

    /// Waits for the end of etcd, and starts it again.
    pub fn restart_etcd(&mut self) {
        end(&mut self.etcd, "etcd");
        self.start_etcd();
    }

    /// Ends everything on this machine, as a power cut would.
    pub fn lose_power(&mut self) {
        self.network.signal(self.number, None, Signal::KILL);
        // What one of them has just started.
        self.network.signal(self.number, None, Signal::KILL);
        self.server_mut().wait();
    }

    /// Starts what runs beside etcd again, once that answers: Patroni ends where it does not.
    pub fn power_on(&mut self) {
        wait_for("etcd", || self.has_healthy_etcd().then_some(()));
        if self.patroni.is_some() {
            self.restart_patroni();
        }
        self.server_mut().begin_again();
    }

    /// What a program on this machine answers.
    fn get(&self, port: u16, target: &str) -> Option<(u16, String)> {
        let at = SocketAddr::from((address(self.number), port));
        ask(at, "GET", target, None, PATIENCE).ok()
    }

    pub fn has_healthy_etcd(&self) -> bool {
        let health = self.get(ETCD, "/health");
        health.is_some_and(|(_, health)| health.contains("true"))
    }

    pub fn leads_etcd(&self) -> bool {
        let figures = self.get(ETCD, "/metrics");
        figures.is_some_and(|(_, figures)| figures.contains("\netcd_server_is_leader 1\n"))
    }

    /// The members of the database's cluster, as Patroni here sees them.
    pub fn members(&self) -> Option<Vec<Value>> {
        let (_, cluster) = self.get(PATRONI, "/cluster")?;
        let cluster: Value = serde_json::from_str(&cluster).ok()?;
        cluster["members"].as_array().cloned()
    }

    /// Whether the PostgreSQL here runs, as its own Patroni says.
    pub fn has_running_postgres(&self) -> bool {
        self.get(PATRONI, "/health")
            .is_some_and(|(status, _)| status == 200)
    }

    /// Whether the server here leads and sells.
    pub fn sells(&self) -> bool {
        let ready = self.get(SHOP, "/readyz?role=leader");
        ready.is_some_and(|(status, _)| status == 200)
    }

    /// The last record that buyers may have been told of, as the server here says.
    pub fn acknowledged(&self) -> Option<Lsn> {
        let (_, health) = self.get(SHOP, "/health")?;
        let health: Value = serde_json::from_str(&health).ok()?;
        health["replication"]["acknowledged_lsn"].as_u64().map(Lsn)
    }

    /// Whether the server here follows the log.
    pub fn stands_by(&self) -> bool {
        let ready = self.get(SHOP, "/readyz");
        ready.is_some_and(|(status, body)| status == 503 && body.contains("standby"))
    }
}

/// Copies Patroni, in the version of `docker/ha`, to where every user may read it.
pub fn copy_patroni(network: &Network) {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let tools = temporary.with_file_name("tools").join("patroni/lib");
    let versions = fs::read_dir(&tools).into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("site-packages"));
    let from = found.last().unwrap_or_else(|| {
        panic!(
            "no Patroni in {}: run scripts/test, which installs it",
            tools.display()
        )
    });
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(from).arg(network.dir().join(PACKAGES));
    assert!(copy.status().expect("cp runs").success());
}

/// Returns the name that the cluster has for a machine.
pub fn name(number: usize) -> String {
    format!("n{}", number + 1)
}

/// A file of the containers.
pub fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docker/ha")
        .join(file)
}

/// The variables that a file of the containers sets.
fn variables_of(file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(source(file)).expect("a file of docker/ha");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Where `ip` is: a server is started with nothing in its environment.
fn ip_program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|dir| dir.join("ip"));
    found
        .find(|it| it.is_file())
        .expect("iproute2 is installed")
}

fn send(process: Option<&Child>, signal: Signal) {
    let process = process.expect("it was started").id();
    let process = i32::try_from(process).expect("a process id");
    // An error means that it has ended.
    let _ = kill_process(Pid::from_raw(process).expect("not 0"), signal);
}

fn end(process: &mut Option<Child>, what: &str) {
    let mut process = process.take().expect("it was started");
    wait_for(&format!("the end of {what}"), || {
        process.try_wait().expect("a child").map(drop)
    });
}
