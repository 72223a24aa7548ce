//! A real nginx or HAProxy on a free port, in front of a server.
//!
//! Shared by several test crates with `#[path]`.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::server::wait_for;

/// A proxy that does not outlive this.
pub struct HttpProxy {
    _dir: TempDir,
    addr: SocketAddr,
    child: Child,
}

impl HttpProxy {
    /// Starts an nginx with these `location`s.
    pub fn nginx(locations: &str) -> Self {
        Self::nginx_that_listens("", locations)
    }

    /// Starts an nginx with these `location`s, whose port has these options.
    pub fn nginx_that_listens(options: &str, locations: &str) -> Self {
        Self::start("nginx", |dir, addr| {
            let place = dir.display();
            let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("{kind}_temp_path {place}/{kind};"))
                .concat();
            // One process, which needs no rights.
            format!(
                "daemon off; master_process off; pid {place}/pid; error_log {place}/log;
                 events {{}}
                 http {{
                     access_log off; {temporary}
                     server {{
                         listen {addr} {options};
                         {locations}
                     }}
                 }}\n"
            )
        })
    }

    /// Starts an HAProxy that passes everything on to `server`, and says of nobody where they come from.
    pub fn haproxy(server: SocketAddr) -> Self {
        Self::haproxy_with("", "mode http", &format!("{server}"))
    }

    /// Starts an HAProxy whose port has the options `bind`, with these settings and one `server`, behind whose address its
    /// options may stand.
    pub fn haproxy_with(bind: &str, settings: &str, server: &str) -> Self {
        Self::start("haproxy", |_, addr| {
            format!(
                "defaults\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n\
                 listen all\n bind {addr} {bind}\n {settings}\n server only {server}\n"
            )
        })
    }

    /// Starts the HAProxy of `docker/ha`, which sends everybody to whichever of these servers leads. It takes a leader for gone so late that it goes on
    /// asking one that refuses everything.
    pub fn to_leader(servers: [SocketAddr; 2]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/ha/haproxy.cfg");
        let text = fs::read_to_string(file).expect("a file of docker/ha");
        assert!(text.contains(" fall 10 "), "{text}");
        let text = text.replace(" fall 10 ", " fall 1000 ");
        let [one, two] = servers.map(|server| server.to_string());
        Self::start("haproxy", |_, addr| {
            text.replace("${SHOP_ADDRESS}", &addr.to_string())
                .replace("${SERVER_1}", &one)
                .replace("${SERVER_2}", &two)
        })
    }

    fn start(program: &str, settings: impl Fn(&Path, SocketAddr) -> String) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("settings");
        // Another process may take the port in between.
        for _ in 0..20 {
            let addr = free_address();
            fs::write(&file, settings(dir.path(), addr)).expect("our own directory");
            let mut child = spawn(program, dir.path(), &file);
            let is_up = wait_for(program, || {
                let ended = child.try_wait().expect("a child").is_some();
                let answers = TcpStream::connect(addr).is_ok();
                (ended || answers).then_some(!ended)
            });
            if is_up {
                return Self {
                    _dir: dir,
                    addr,
                    child,
                };
            }
        }
        let log = fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        panic!("no {program}:\n{log}");
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

fn spawn(program: &str, dir: &Path, file: &Path) -> Child {
    let log = fs::File::create(dir.join("log")).expect("our own directory");
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.env("PATH", path).current_dir(dir);
    match program {
        "nginx" => command.arg("-p").arg(dir).arg("-c").arg(file),
        // In the foreground.
        _ => command.arg("-db").arg("-f").arg(file),
    };
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(log).spawn();
    child.unwrap_or_else(|error| panic!("{program}: {error}: scripts/test installs it"))
}
