//! A real Postgres of the test's own: started, stopped, killed, paused, and gone with the test.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take before the test gives up. Nothing is expected to take it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The cluster's superuser.
pub const USER: &str = "flashsale";
/// Its password, easily found where it should not be.
pub const PASSWORD: &str = "Pa55word-of-the-test";
/// The database that every cluster begins with.
pub const DATABASE: &str = "flashsale";
/// Settings of every server, unless a test says otherwise.
const SETTINGS: [&str; 4] = [
    "listen_addresses=127.0.0.1",
    "shared_buffers=32MB",
    "max_connections=30",
    // Otherwise a start after a crash opens every file to sync it.
    "recovery_init_sync_method=syncfs",
];

/// A running server with a cluster of its own. Its process dies with the thread that started it.
pub struct Postgres {
    dir: TempDir,
    settings: Vec<String>,
    port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// Starts a server with a fresh cluster.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Postgres::start`], with `settings` such as `fsync=off`.
    pub fn start_with(settings: &[&str]) -> Self {
        let dir = new_directory();
        copy(&template(), &dir.path().join("data"));
        let settings = SETTINGS.iter().chain(settings);
        let settings = settings.map(|&setting| setting.to_owned()).collect();
        Self::launch_in(dir, settings)
    }

    fn launch_in(dir: TempDir, settings: Vec<String>) -> Self {
        let mut postgres = Self {
            dir,
            settings,
            port: 0,
            server: None,
        };
        // Another process may take the port in between.
        for _ in 0..20 {
            postgres.port = free_port();
            if postgres.launch() {
                return postgres;
            }
        }
        panic!("no port was free:\n{}", postgres.log());
    }

    /// Starts a standby of `primary`, which knows it as `name`.
    pub fn start_standby(primary: &Self, name: &str) -> Self {
        let dir = primary.back_up();
        let signal = dir.path().join("data/standby.signal");
        File::create(&signal).expect("our own directory");
        give_away(&signal);
        let connection = format!(
            "primary_conninfo=host={} port={} user={USER} application_name={name}",
            primary.socket_dir().display(),
            primary.port
        );
        let mut settings: Vec<String> = SETTINGS.iter().map(|&it| it.to_owned()).collect();
        settings.push(connection);
        Self::launch_in(dir, settings)
    }

    /// A directory whose `data` is a copy of this cluster, as it is now.
    pub fn back_up(&self) -> TempDir {
        let dir = new_directory();
        let (mut backup, port) = (as_server("pg_basebackup"), self.port.to_string());
        backup.args(["-p", &port, "-U", USER, "-h"]);
        backup.arg(self.socket_dir());
        backup
            .args("-X stream -c fast --no-sync -D".split(' '))
            .arg(dir.path().join("data"));
        said(&mut backup).expect("it lets itself be copied");
        dir
    }

    /// Replaces the cluster, which must not run, by the one in `backup`.
    pub fn restore(&self, backup: &TempDir) {
        fs::remove_dir_all(self.data()).expect("our own directory");
        copy(&backup.path().join("data"), &self.data());
    }

    /// Changes a setting that a running server takes anew.
    pub fn set(&self, setting: &str, value: &str) {
        self.query(DATABASE, &format!("ALTER SYSTEM SET {setting} = '{value}'"));
        self.query(DATABASE, "SELECT pg_reload_conf()");
        wait_for("a setting", || {
            let shown = self.query(DATABASE, &format!("SHOW {setting}"));
            (shown == value).then_some(())
        });
    }

    /// As [`Postgres::start`], with encryption by the certificate and key, both in PEM.
    pub fn start_tls(certificate: &str, key: &str) -> Self {
        let mut postgres = Self::start();
        postgres.stop();
        for (name, text) in [("tls.crt", certificate), ("tls.key", key)] {
            let path = postgres.data().join(name);
            fs::write(&path, text).expect("a new file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("our own file");
            give_away(&path);
        }
        for setting in ["ssl=on", "ssl_cert_file=tls.crt", "ssl_key_file=tls.key"] {
            postgres.settings.push(setting.to_owned());
        }
        postgres.restart();
        postgres
    }

    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process that is the parent of all others of the server.
    pub fn id(&self) -> u32 {
        self.server.as_ref().expect("the server runs").id()
    }

    /// The directory of its Unix socket, where no password is asked for.
    pub fn socket_dir(&self) -> &Path {
        self.dir.path()
    }

    /// The cluster's directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Everything that the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn create_database(&self, name: &str) {
        self.query("postgres", &format!("CREATE DATABASE {name}"));
    }

    /// What `sql` gives in `database`, a line a row, fields separated by `|`.
    pub fn query(&self, database: &str, sql: &str) -> String {
        self.try_query(database, sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// As [`Postgres::query`]; otherwise what the server says. Goes through the Unix socket, where no
    /// password is asked for.
    pub fn try_query(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut command = self.psql(database);
        said(command.args(["-v", "ON_ERROR_STOP=1", "-c", sql]))
    }

    /// Runs a file of SQL, with nothing but these variables in its environment; otherwise what the server
    /// says.
    pub fn run_file(
        &self,
        database: &str,
        file: &Path,
        environment: &[(&str, &str)],
    ) -> Result<(), String> {
        let mut command = self.psql(database);
        command.env_clear().envs(environment.iter().copied());
        said(command.arg("-f").arg(file)).map(drop)
    }

    /// psql, through the Unix socket.
    fn psql(&self, database: &str) -> Command {
        let mut command = Command::new(binary("psql"));
        command.args(["-XAtq", "-U", USER, "-d", database, "-h"]);
        command.arg(self.dir.path());
        command.args(["-p", &self.port.to_string()]);
        command.env("PGOPTIONS", "-c timezone=UTC");
        command.stdin(Stdio::null());
        command
    }

    /// An open session in `database`, fed through its standard input. It ends when that is closed.
    pub fn session(&self, database: &str) -> Child {
        self.psql(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql runs")
    }

    /// Ends the server in order.
    pub fn stop(&mut self) {
        self.signal(Signal::INT);
        self.wait();
    }

    /// Ends the server and everything that belongs to it without a chance to do anything.
    pub fn kill_9(&mut self) {
        let Some(server) = &self.server else { return };
        let id = server.id();
        // While it stands still nothing new begins, and nobody notices that it is gone.
        send(id, Signal::STOP);
        let children = children_of(id);
        for &child in &children {
            send(child, Signal::KILL);
        }
        send(id, Signal::KILL);
        self.wait();
        let gone = || children.iter().all(|&child| !is_running(child));
        wait_for("the end of the server's processes", || gone().then_some(()));
    }

    /// Starts the server again on the same port, after [`Postgres::stop`] or [`Postgres::kill_9`].
    pub fn restart(&mut self) {
        assert!(self.server.is_none(), "the server still runs");
        wait_for("the server's port", || self.launch().then_some(()));
    }

    /// Lets every process of the server stand still.
    pub fn pause(&self) {
        for id in self.processes() {
            send(id, Signal::STOP);
        }
    }

    /// Lets them go on.
    pub fn resume(&self) {
        for id in self.processes() {
            send(id, Signal::CONT);
        }
    }

    fn processes(&self) -> Vec<u32> {
        let mut all = vec![self.id()];
        all.extend(children_of(self.id()));
        all
    }

    /// Starts the server and waits until it answers; `false` when its port is taken.
    fn launch(&mut self) -> bool {
        let log = self.dir.path().join("log");
        let before = fs::metadata(&log).map_or(0, |log| log.len());
        let log = File::options().append(true).create(true).open(log);
        let log = log.expect("our own directory");
        let mut command = as_server("postgres");
        command.arg("-D").arg(self.data());
        command.arg("-k").arg(self.dir.path());
        command.args(["-p", &self.port.to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut server = command.stderr(log).spawn().expect("postgres runs");
        let id = server.id();
        let ended = wait_for("postgres to be ready", || {
            let ended = server.try_wait().expect("a child");
            (ended.is_some() || self.is_ready(id)).then_some(ended)
        });
        match ended {
            None => {
                self.server = Some(server);
                true
            }
            Some(status) => {
                let log = self
                    .log()
                    .split_off(usize::try_from(before).expect("short"));
                let taken = log.contains("Address already in use");
                assert!(taken, "postgres ended with {status}:\n{log}");
                false
            }
        }
    }

    /// The server says so in its lock file.
    fn is_ready(&self, id: u32) -> bool {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        lines.first() == Some(&id.to_string().as_str())
            && matches!(lines.get(7), Some(&("ready" | "standby")))
    }

    fn signal(&self, signal: Signal) {
        send(self.id(), signal);
    }

    fn wait(&mut self) -> ExitStatus {
        let mut server = self.server.take().expect("the server runs");
        wait_for("the end of postgres", || {
            server.try_wait().expect("a child")
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill_9();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(30)..];
            eprintln!("--- end of the log of postgres\n{}", last.join("\n"));
        }
    }
}

/// What a command of psql prints; otherwise what went wrong.
pub fn said(psql: &mut Command) -> Result<String, String> {
    let output = psql.output().expect("psql runs");
    if output.status.success() {
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        Ok(text.trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Polls `look` until it gives something; panics with `what` when that takes too long.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// Where a program of Postgres is: Debian keeps those of the server outside of PATH.
fn binary(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<_> = versions.flatten().map(|it| it.path().join("bin")).collect();
    versions.sort();
    places.extend(versions.into_iter().rev());
    let found = places
        .into_iter()
        .map(|place| place.join(name))
        .find(|it| it.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: install postgresql"))
}

/// Postgres does not run as root: a user who may not do much, with its group.
pub fn other_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("there are users");
    let find = |wanted: &str| {
        let user = users.lines().find(|line| line.starts_with(wanted))?;
        let mut ids = user.split(':').skip(2).map(str::parse);
        Some((ids.next()?.ok()?, ids.next()?.ok()?))
    };
    let user = find("postgres:").or_else(|| find("nobody:"));
    Some(user.expect("a user other than root"))
}

/// A program of the server, as a user that it accepts; it dies when this thread does.
pub fn as_server(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some((user, group)) = other_user() {
        command.args(["--reuid", &user.to_string(), "--regid", &group.to_string()]);
        command.arg("--clear-groups");
    }
    command.arg("--").arg(binary(name)).current_dir("/");
    command
}

/// Lets the server's user own `path`.
pub fn give_away(path: &Path) {
    if let Some((user, group)) = other_user() {
        chown(path, Some(user), Some(group)).expect("root may");
    }
}

/// A directory that the server's user can use.
pub fn new_directory() -> TempDir {
    let dir = tempfile::Builder::new()
        .prefix("flashsale-postgres-")
        .tempdir()
        .expect("a temporary directory");
    give_away(dir.path());
    dir
}

fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto"]).arg(from).arg(to);
    let status = command.status().expect("cp runs");
    assert!(status.success(), "a cluster could not be copied");
}

/// A cluster that was never started. To make one takes seconds, so that it is made once and copied.
fn template() -> PathBuf {
    let target = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    fs::create_dir_all(&target).expect("a writable target directory");
    let lock = File::create(target.join("postgres-template.lock")).expect("our own directory");
    lock.lock().expect("locks work here");
    let version = Command::new(binary("postgres")).arg("--version").output();
    let version = String::from_utf8(version.expect("postgres runs").stdout).expect("UTF-8");
    let version = version.trim().replace([' ', '(', ')', '/'], "-");
    let user = rustix::process::geteuid().as_raw();
    let template = target.join(format!("postgres-template-{version}-{user}"));
    if !template.exists() {
        let made = make_cluster();
        let partial = template.with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        copy(&made.path().join("data"), &partial);
        fs::rename(&partial, &template).expect("the same directory");
    }
    template
}

fn make_cluster() -> TempDir {
    let dir = new_directory();
    let password = dir.path().join("password");
    let mut file = File::create(&password).expect("our own directory");
    writeln!(file, "{PASSWORD}").expect("a new file");
    give_away(&password);
    let output = as_server("initdb")
        .arg("-D")
        .arg(dir.path().join("data"))
        .args(["-U", USER, "--encoding=UTF8", "--locale=C", "--no-sync"])
        .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
        .arg("--pwfile")
        .arg(&password)
        .output()
        .expect("initdb runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "initdb: {said}");
    let mut single = as_server("postgres");
    single.args(["--single", "-D"]).arg(dir.path().join("data"));
    single.arg("postgres").stdin(Stdio::piped());
    single.stdout(Stdio::null()).stderr(Stdio::null());
    let mut single = single.spawn().expect("postgres runs");
    let mut input = single.stdin.take().expect("piped");
    writeln!(input, "CREATE DATABASE {DATABASE}").expect("it listens");
    drop(input);
    assert!(single.wait().expect("a child").success());
    dir
}

fn send(id: u32, signal: Signal) {
    let id = i32::try_from(id).expect("a process id");
    // An error means that the process has ended.
    let _ = kill_process(Pid::from_raw(id).expect("not 0"), signal);
}

/// The third and fourth field of a process's line in `/proc`: its state, and its parent.
fn state_of(id: u32) -> Option<(String, u32)> {
    let line = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = line.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn is_running(id: u32) -> bool {
    state_of(id).is_some_and(|(state, _)| state != "Z")
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("Linux").flatten();
    let ids = processes.filter_map(|it| it.file_name().to_str()?.parse().ok());
    ids.filter(|&id| state_of(id).is_some_and(|(_, of)| of == parent))
        .collect()
}
