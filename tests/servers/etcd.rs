//! A real etcd of the test's own: one member or several, each of which can be killed, paused, started again and replaced.

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::postgres_server::{free_port, wait_for};

/// How long anything may take before the test gives up. Nothing is expected to take it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The files by which members and clients know each other, in PEM.
#[derive(Clone, Debug)]
pub struct EtcdFiles {
    /// The certificate of the authority.
    pub authority: PathBuf,
    /// A certificate for 127.0.0.1 that the authority has signed, and its key.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A cluster of etcd. Its processes die with the thread that started them.
pub struct Etcd {
    members: Vec<EtcdMember>,
    /// Flags of every member.
    flags: Vec<String>,
    files: Option<EtcdFiles>,
    dir: TempDir,
    /// Members that were ever made, so that none has the name of an earlier one.
    made: usize,
    /// Who the commands are run as.
    user: Option<String>,
}

struct EtcdMember {
    name: String,
    data: PathBuf,
    client_port: u16,
    peer_port: u16,
    /// Whether it begins the cluster or joins it, and with whom.
    cluster: [String; 2],
    process: Option<Child>,
}

impl Etcd {
    /// Starts a cluster of `count` members, and waits until it has a leader.
    pub fn start(count: usize) -> Self {
        Self::start_with(count, &[])
    }

    /// As [`Etcd::start`], with `flags` such as `--quota-backend-bytes=16777216` for every member.
    pub fn start_with(count: usize, flags: &[&str]) -> Self {
        Self::begin(count, flags, None)
    }

    /// As [`Etcd::start_with`], where clients must encrypt and show a certificate that the authority has signed.
    pub fn start_tls(count: usize, flags: &[&str], files: EtcdFiles) -> Self {
        Self::begin(count, flags, Some(files))
    }

    fn begin(count: usize, flags: &[&str], files: Option<EtcdFiles>) -> Self {
        // Another process may take a port in between.
        for _ in 0..20 {
            let mut etcd = Self {
                members: Vec::new(),
                flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
                files: files.clone(),
                dir: tempfile::tempdir().expect("a temporary directory"),
                made: 0,
                user: None,
            };
            etcd.members = (0..count).map(|_| etcd.new_member()).collect();
            let peers: Vec<_> = etcd.members.iter().map(EtcdMember::as_peer).collect();
            for member in &mut etcd.members {
                member.cluster = ["new".to_owned(), peers.join(",")];
            }
            if (0..count).all(|index| etcd.launch(index)) && etcd.is_formed() {
                return etcd;
            }
        }
        panic!("no ports were free, or wrong flags: {flags:?}");
    }

    fn new_member(&mut self) -> EtcdMember {
        self.made += 1;
        let name = format!("e{}", self.made);
        EtcdMember {
            data: self.dir.path().join(&name),
            name,
            client_port: free_port(),
            peer_port: free_port(),
            cluster: Default::default(),
            process: None,
        }
    }

    /// Where the members are, as `replication.hosts` wants it.
    pub fn hosts(&self) -> String {
        let hosts = (0..self.members.len()).map(|index| self.host(index));
        hosts.collect::<Vec<_>>().join(",")
    }

    /// Where the member `index` serves clients.
    pub fn host(&self, index: usize) -> String {
        format!("127.0.0.1:{}", self.members[index].client_port)
    }

    /// The process of the member `index`.
    pub fn id(&self, index: usize) -> u32 {
        self.process(index).id()
    }

    /// The log of the member `index`.
    pub fn log(&self, index: usize) -> String {
        let log = log_file(&self.members[index].data);
        fs::read_to_string(log).unwrap_or_default()
    }

    /// Waits until the members agree on a leader; which one.
    pub fn wait_for_leader(&self) -> usize {
        wait_for("a leader of etcd", || self.leader())
    }

    /// Which member leads, by what the first of those that answer says.
    fn leader(&self) -> Option<usize> {
        let mut ids = Vec::new();
        let mut leader = 0;
        for index in 0..self.members.len() {
            let status = self.status(index);
            let number = |path: &str| status.as_ref()?.pointer(path)?.as_u64();
            ids.push(number("/Status/header/member_id"));
            leader = number("/Status/leader")
                .filter(|_| leader == 0)
                .unwrap_or(leader);
        }
        ids.iter().position(|&id| leader != 0 && id == Some(leader))
    }

    fn status(&self, index: usize) -> Option<Value> {
        let process = self.members[index].process.as_ref()?;
        if is_stopped(process.id()) {
            return None;
        }
        let mut command = self.command(&["endpoint", "status", "-w", "json"], &self.host(index));
        let output = command.arg("--command-timeout=2s").output();
        let answer: Value = serde_json::from_slice(&output.expect("etcdctl runs").stdout).ok()?;
        answer.get(0).cloned()
    }

    /// What `etcdctl` says with these arguments to whichever member answers.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let said = self.try_ctl(arguments);
        said.unwrap_or_else(|error| panic!("etcdctl {arguments:?}: {error}"))
    }

    /// As [`Etcd::ctl`], where that may fail.
    pub fn try_ctl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command(arguments, &self.running()).output();
        result_of(output.expect("etcdctl runs"))
    }

    /// Where the members are that run.
    fn running(&self) -> String {
        let members = self.members.iter().enumerate();
        let running = members.filter(|(_, member)| {
            let process = member.process.as_ref();
            process.is_some_and(|process| !is_stopped(process.id()))
        });
        let hosts: Vec<_> = running.map(|(index, _)| self.host(index)).collect();
        hosts.join(",")
    }

    /// Makes these changes, each a line as `put a 1`, in one transaction.
    pub fn txn(&self, changes: &[&str]) -> String {
        let said = self.try_txn(changes);
        said.unwrap_or_else(|error| panic!("{changes:?}: {error}"))
    }

    /// As [`Etcd::txn`], where that may fail.
    pub fn try_txn(&self, changes: &[&str]) -> Result<String, String> {
        // Without a condition, and with nothing to do otherwise.
        self.try_ctl_with_input(&["txn"], &format!("\n{}\n\n\n", changes.join("\n")))
    }

    /// As [`Etcd::ctl`], where `etcdctl` reads `input`.
    pub fn ctl_with_input(&self, arguments: &[&str], input: &str) -> String {
        let said = self.try_ctl_with_input(arguments, input);
        said.unwrap_or_else(|error| panic!("etcdctl {arguments:?}: {error}"))
    }

    fn try_ctl_with_input(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = self.command(arguments, &self.running());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("etcdctl runs");
        let mut stdin = process.stdin.take().expect("piped");
        // It may not read all of it.
        let _ = writeln!(stdin, "{input}");
        drop(stdin);
        result_of(process.wait_with_output().expect("a child"))
    }

    fn command(&self, arguments: &[&str], hosts: &str) -> Command {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").stdin(Stdio::null());
        command.args(arguments).args(["--endpoints", hosts]);
        if let Some(user) = &self.user {
            command.args(["--user", user]);
        }
        if let Some(files) = &self.files {
            command.arg("--cacert").arg(&files.authority);
            command.arg("--cert").arg(&files.certificate);
            command.arg("--key").arg(&files.key);
        }
        command
    }

    /// Lets commands be run as `user`, as `name:password`.
    pub fn log_in(&mut self, user: &str) {
        self.user = Some(user.to_owned());
    }

    /// Ends the member `index` as a power cut would.
    pub fn kill_9(&mut self, index: usize) {
        self.members[index].end();
    }

    /// Starts the member `index` again, with what is on its disk. Does not wait until it has found the others.
    pub fn restart(&mut self, index: usize) {
        wait_for("the ports of a member", || self.launch(index).then_some(()));
    }

    /// Stops the member `index` where it stands, connections and all.
    pub fn pause(&self, index: usize) {
        send(self.id(index), Signal::STOP);
        wait_for("a pause", || is_stopped(self.id(index)).then_some(()));
    }

    /// Lets it go on.
    pub fn resume(&self, index: usize) {
        send(self.id(index), Signal::CONT);
    }

    /// Kills the member `index` for good, removes it from the cluster and puts a new one with an empty disk in its place.
    pub fn replace(&mut self, index: usize) {
        self.kill_9(index);
        let name = self.members[index].name.clone();
        let list: Value =
            serde_json::from_str(&self.ctl(&["member", "list", "-w", "json"])).expect("JSON");
        let members = list["members"].as_array().expect("a list");
        let gone = members.iter().find(|it| it["name"] == *name);
        let id = gone.expect("a member")["ID"].as_u64().expect("a number");
        wait_for("the removal of a member", || {
            self.try_ctl(&["member", "remove", &format!("{id:x}")]).ok()
        });
        let mut member = self.new_member();
        let added = wait_for("a new member", || {
            let url = member.peer_url();
            self.try_ctl(&["member", "add", &member.name, "--peer-urls", &url])
                .ok()
        });
        let line = added
            .lines()
            .find_map(|it| it.strip_prefix("ETCD_INITIAL_CLUSTER="));
        let peers = line.expect("the members").trim_matches('"');
        member.cluster = ["existing".to_owned(), peers.to_owned()];
        self.members[index] = member;
        assert!(self.launch(index), "{}", self.log(index));
        wait_for("the new member", || {
            self.status(index).filter(has_leader).map(drop)
        });
    }

    fn process(&self, index: usize) -> &Child {
        self.members[index].process.as_ref().expect("it runs")
    }

    /// Starts the member `index`; whether it goes on running until it could listen.
    fn launch(&mut self, index: usize) -> bool {
        let scheme = match self.files {
            Some(_) => "https",
            None => "http",
        };
        let member = &mut self.members[index];
        let client = format!("{scheme}://127.0.0.1:{}", member.client_port);
        let [state, peers] = &member.cluster;
        let log = File::create(log_file(&member.data)).expect("our own directory");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "etcd", "--name", &member.name]);
        command.arg("--data-dir").arg(&member.data);
        command.args([
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
        ]);
        command.args(["--listen-peer-urls", &member.peer_url()]);
        command.args(["--initial-advertise-peer-urls", &member.peer_url()]);
        command.args(["--initial-cluster", peers, "--initial-cluster-state", state]);
        command.args(["--logger", "zap", "--log-outputs", "stderr"]);
        if let Some(files) = &self.files {
            command.arg("--cert-file").arg(&files.certificate);
            command.arg("--key-file").arg(&files.key);
            command.arg("--trusted-ca-file").arg(&files.authority);
            command.arg("--client-cert-auth");
        }
        command.args(&self.flags).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(log);
        let mut process = command.spawn().expect("etcd is installed");
        let deadline = Instant::now() + PATIENCE;
        let ports = [member.client_port, member.peer_port];
        loop {
            if process.try_wait().expect("a child").is_some() {
                return false;
            }
            // The first of several members serves clients only when there are others.
            if ports.iter().any(|&port| is_listening(port)) {
                member.process = Some(process);
                return true;
            }
            if Instant::now() > deadline {
                let _ = process.kill();
                let _ = process.wait();
                panic!("etcd does not get ready: {}", self.log(index));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether all members find each other. One of them ends where a port was taken meanwhile.
    fn is_formed(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let ended = |member: &mut EtcdMember| {
                let process = member.process.as_mut();
                process.is_none_or(|it| it.try_wait().expect("a child").is_some())
            };
            if self.members.iter_mut().any(ended) {
                return false;
            }
            let mut all = 0..self.members.len();
            if all.all(|index| self.status(index).as_ref().is_some_and(has_leader)) {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the members do not find each other: {}", self.log(0));
    }
}

impl EtcdMember {
    fn peer_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.peer_port)
    }

    fn as_peer(&self) -> String {
        format!("{}={}", self.name, self.peer_url())
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for index in 0..self.members.len() {
            self.members[index].end();
            if thread::panicking() {
                let log = self.log(index);
                let lines: Vec<_> = log.lines().rev().take(40).collect();
                eprintln!(
                    "--- the last lines of the log of {}",
                    self.members[index].name
                );
                lines.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

/// Whether a member with this status knows a leader.
fn has_leader(status: &Value) -> bool {
    let leader = status.pointer("/Status/leader").and_then(Value::as_u64);
    leader.is_some_and(|id| id != 0)
}

fn result_of(output: Output) -> Result<String, String> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

fn log_file(data: &Path) -> PathBuf {
    data.with_extension("log")
}

fn is_listening(port: u16) -> bool {
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&addr, Duration::from_secs(1)).is_ok()
}

fn send(id: u32, signal: Signal) {
    let id = i32::try_from(id).expect("a process id");
    kill_process(Pid::from_raw(id).expect("not 0"), signal).expect("it runs");
}

fn is_stopped(id: u32) -> bool {
    let line = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = line
        .rsplit_once(") ")
        .map(|(_, rest)| rest.starts_with('T'));
    state == Some(true)
}
