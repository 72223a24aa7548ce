//! A real Chromium in a directory of its own, which ends with the test and never leaves this machine.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::{env, thread, time::Duration};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::page::{Look, Page};
use crate::browser::wire::Wire;

/// Names of the browser, in the order in which they are tried.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
];

/// Nothing is asked of the network, nothing is shown on a screen, and no test waits for a first-run page.
const ARGUMENTS: [&str; 16] = [
    "--headless",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP shop.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-features=Translate,MediaRouter,OptimizationHints",
    "--no-first-run",
    "--hide-scrollbars",
    "--password-store=basic",
];

/// The pipes become the file descriptors on which Chromium expects them.
const SHELL: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#;

/// A browser that does not outlive this.
pub struct Browser {
    dir: Option<TempDir>,
    child: Child,
    wire: Arc<Wire>,
}

impl Browser {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("sh");
        command
            .args(["-c", SHELL])
            .arg(binary())
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", dir.path().display()))
            .env("HOME", dir.path())
            .env("TMPDIR", dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        if geteuid().is_root() {
            // Its sandbox takes no root.
            command.arg("--no-sandbox");
        }
        let mut child = command.spawn().expect("a shell");
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let wire = Wire::new(to.expect("piped"), from.expect("piped"));
        Self {
            dir: Some(dir),
            child,
            wire: Arc::new(wire),
        }
    }

    /// Opens `path` of the server at `addr` as somebody who was never there before.
    pub fn open(&self, look: Look, addr: SocketAddr, path: &str) -> Page {
        let context =
            self.call("Target.createBrowserContext", json!({}))["browserContextId"].take();
        self.open_in(&context, look, format!("http://{addr}"), path, false)
    }

    /// Opens the page by a name, `shop.test`: without TLS that is no secure context, as 127.0.0.1 is.
    pub fn open_by_name(&self, look: Look, addr: SocketAddr, path: &str) -> Page {
        let context =
            self.call("Target.createBrowserContext", json!({}))["browserContextId"].take();
        let origin = format!("http://shop.test:{}", addr.port());
        self.open_in(&context, look, origin, path, false)
    }

    /// Opens `path` in another tab of somebody who was there before: of the same window, which shows it instead
    /// of `page`.
    pub fn open_beside(&self, page: &Page, path: &str) -> Page {
        self.open_in(page.context(), page.look(), page.origin(), path, false)
    }

    /// Opens `path` in another window of somebody who was there before: all of them are visible.
    pub fn open_window(&self, page: &Page, path: &str) -> Page {
        self.open_in(page.context(), page.look(), page.origin(), path, true)
    }

    fn open_in(
        &self,
        context: &Value,
        look: Look,
        origin: String,
        path: &str,
        is_window: bool,
    ) -> Page {
        let mut blank = json!({"url": "about:blank", "browserContextId": context});
        if is_window {
            blank["newWindow"] = true.into();
        }
        let target = self.call("Target.createTarget", blank)["targetId"].take();
        let attach = json!({"targetId": target, "flatten": true});
        let session = self.call("Target.attachToTarget", attach)["sessionId"].take();
        let session = session.as_str().expect("a session").to_owned();
        let wire = Arc::clone(&self.wire);
        let page = Page::new(wire, session, context.clone(), origin, look);
        page.go_to(path);
        page
    }

    fn call(&self, method: &str, params: Value) -> Value {
        let result = self.wire.call("", method, params);
        result.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        // The group is the browser's own: all of its processes. An error means that they have ended.
        let _ = kill_process_group(Pid::from_raw(id).expect("not 0"), Signal::KILL);
        let _ = self.child.wait();
        let dir = self.dir.take().expect("taken here only").keep();
        // Processes that are about to end may still write into it.
        for _ in 0..100 {
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    thread::sleep(Duration::from_millis(20));
                }
                _ => break,
            }
        }
    }
}

/// The browser that is installed, or that `CHROMIUM` names.
fn binary() -> PathBuf {
    if let Some(named) = env::var_os("CHROMIUM") {
        return named.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<_> = env::split_paths(&path).collect();
    let mut candidates = NAMES
        .iter()
        .flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    let found = candidates.find(|candidate| candidate.is_file());
    found.expect(
        "chromium is missing: scripts/test installs it; or install Chromium or Chrome yourself, \
         and name its binary in CHROMIUM where it is not in PATH",
    )
}
