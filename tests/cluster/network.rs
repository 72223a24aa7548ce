//! Machines on a switch: network namespaces on a bridge of the test's own, and cuts between them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::postgres_server::other_user;

/// Machines besides the one that the load comes from.
pub const MACHINES: usize = 3;
/// The number of the machine that the load comes from.
pub const OUTSIDE: usize = MACHINES;
/// Every name begins with this, and goes on with the process that made it.
const PREFIX: &str = "fsc";
const NAMESPACES: &str = "/run/netns";

/// The machines. They are gone with this, and what a test that was killed left is removed by the next one.
pub struct Network {
    name: String,
    dir: PathBuf,
    /// Where the thread was that made them.
    home: File,
}

impl Network {
    /// Makes the machines, and moves this thread and all that it starts to the one that the load comes from.
    ///
    /// # Errors
    /// Says why there can be none here.
    pub fn start() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            return Err("only root may make them".into());
        }
        sweep();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}x{number}", id());
        let network = Self {
            dir: std::env::temp_dir().join(&name),
            name,
            home: File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())?,
        };
        let bridge = network.bridge();
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("link set {bridge} up"))?;
        for machine in 0..=OUTSIDE {
            let (space, link) = (network.space(machine), network.link(machine));
            ip(&format!("netns add {space}"))?;
            ip(&format!(
                "link add {link} type veth peer name eth0 netns {space}"
            ))?;
            ip(&format!("link set {link} master {bridge} up"))?;
            let address = address(machine);
            ip(&format!("-n {space} addr add {address}/24 dev eth0"))?;
            ip(&format!("-n {space} link set eth0 up"))?;
            ip(&format!("-n {space} link set lo up"))?;
        }
        network.cut_off(0)?;
        network.heal()?;
        fs::create_dir(&network.dir).map_err(|error| error.to_string())?;
        let space = File::open(Path::new(NAMESPACES).join(network.space(OUTSIDE)));
        enter(&space.map_err(|error| error.to_string())?)?;
        Ok(network)
    }

    /// A directory that all of them see, and every user.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name of a machine's namespace.
    pub fn space(&self, machine: usize) -> String {
        format!("{}n{}", self.name, machine + 1)
    }

    fn bridge(&self) -> String {
        format!("{}b", self.name)
    }

    fn link(&self, machine: usize) -> String {
        format!("{}v{}", self.name, machine + 1)
    }

    /// A program on a machine, as a user who may not do much. It dies with this thread.
    pub fn command(&self, machine: usize, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(machine)]);
        command.args(["setpriv", "--pdeathsig", "KILL", "--clear-groups"]);
        let (user, group) = other_user().expect("this is root");
        command.args(["--reuid", &user.to_string(), "--regid", &group.to_string()]);
        command.arg("--").arg(program).stdin(Stdio::null());
        command
    }

    /// Sends `signal` to the processes on a machine that are called `name`, or to all of them.
    pub fn signal(&self, machine: usize, name: Option<&str>, signal: Signal) {
        for process in processes(&self.space(machine)) {
            let called = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
            if name.is_none_or(|name| called.trim_end() == name) {
                send(process, signal);
            }
        }
    }

    /// Lets nothing arrive on `machine` that `other` sends.
    pub fn deafen(&self, machine: usize, other: usize) {
        let rule = format!("ip saddr {} drop", address(other));
        self.filter(machine, &rule, "").expect("it worked before");
    }

    /// Lets nothing arrive on `machine`, and nothing leave it.
    ///
    /// # Errors
    /// The kernel or `nft` do not do that here.
    pub fn cut_off(&self, machine: usize) -> Result<(), String> {
        self.filter(machine, "iif != lo drop", "oif != lo drop")
    }

    /// Takes all cuts back.
    ///
    /// # Errors
    /// The kernel or `nft` do not do that here.
    pub fn heal(&self) -> Result<(), String> {
        (0..MACHINES).try_for_each(|machine| self.nft(machine, "flush ruleset\n"))
    }

    fn filter(&self, machine: usize, arriving: &str, leaving: &str) -> Result<(), String> {
        let chain = |hook: &str, rule: &str| {
            format!(
                "chain {hook} {{\ntype filter hook {hook} priority 0; policy accept;\n{rule}\n}}\n"
            )
        };
        let (input, output) = (chain("input", arriving), chain("output", leaving));
        self.nft(machine, &format!("table inet cuts {{\n{input}{output}}}\n"))
    }

    fn nft(&self, machine: usize, rules: &str) -> Result<(), String> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(machine), "nft", "-f", "-"]);
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut nft = command.spawn().map_err(|error| error.to_string())?;
        let mut input = nft.stdin.take().expect("piped");
        // An error is in what nft says.
        let _ = input.write_all(rules.as_bytes());
        drop(input);
        let output = nft.wait_with_output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("nft: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = enter(&self.home);
        for machine in 0..=OUTSIDE {
            remove_space(&self.space(machine));
        }
        let _ = ip(&format!("link del {}", self.bridge()));
        match thread::panicking() {
            true => eprintln!(
                "what the machines have written is in {}",
                self.dir.display()
            ),
            false => drop(fs::remove_dir_all(&self.dir)),
        }
    }
}

/// The address of a machine. Each network is one of its own, so that all have the same.
pub fn address(machine: usize) -> Ipv4Addr {
    let last = u8::try_from(machine + 1).expect("few machines");
    Ipv4Addr::new(10, 77, 0, last)
}

fn enter(space: &File) -> Result<(), String> {
    let network = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(space.as_fd(), network).map_err(|error| error.to_string())
}

/// Removes what tests left that were killed.
fn sweep() {
    for space in names_in(Path::new(NAMESPACES)) {
        if is_orphan(&space) {
            remove_space(&space);
        }
    }
    for link in names_in(Path::new("/sys/class/net")) {
        if is_orphan(&link) {
            let _ = ip(&format!("link del {link}"));
        }
    }
    let temporary = std::env::temp_dir();
    for dir in names_in(&temporary) {
        if is_orphan(&dir) {
            let _ = fs::remove_dir_all(temporary.join(dir));
        }
    }
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.collect()
}

/// Whether something has the name of a process that is gone.
fn is_orphan(name: &str) -> bool {
    let maker = name.strip_prefix(PREFIX).and_then(|it| it.split_once('x'));
    let maker = maker.and_then(|(maker, _)| maker.parse::<u32>().ok());
    maker.is_some_and(|maker| !Path::new(&format!("/proc/{maker}")).exists())
}

/// Ends everything in a namespace, and removes it.
fn remove_space(space: &str) {
    // What is killed may just have started something.
    for _ in 0..10 {
        let processes = processes(space);
        if processes.is_empty() {
            break;
        }
        for process in processes {
            send(process, Signal::KILL);
        }
    }
    let _ = ip(&format!("netns del {space}"));
}

/// The processes in a namespace, without the test itself.
fn processes(space: &str) -> Vec<u32> {
    let output = Command::new("ip").args(["netns", "pids", space]).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let all = text.lines().filter_map(|line| line.trim().parse().ok());
    all.filter(|&process| process != id()).collect()
}

fn send(process: u32, signal: Signal) {
    let process = i32::try_from(process).expect("a process id");
    // An error means that it has ended.
    let _ = kill_process(Pid::from_raw(process).expect("not 0"), signal);
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("ip {arguments}: {}", said.trim_end()))
        }
    }
}
