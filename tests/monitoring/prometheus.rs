//! A real Prometheus with our configuration, which is gone with the test.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::monitoring::dashboard::{MONITORING, files_in, name_of};
use crate::server::{PATIENCE, Server, wait_for};

/// Intervals of prometheus.yml with the shorter ones of a test.
const QUICKER: [(&str, &str); 4] = [
    ("scrape_interval: 5s", "scrape_interval: 1s"),
    ("scrape_timeout: 4s", "scrape_timeout: 1s"),
    ("evaluation_interval: 5s", "evaluation_interval: 500ms"),
    ("refresh_interval: 30s", "refresh_interval: 1s"),
];

/// A Prometheus that scrapes a server and evaluates our rules.
pub struct Prometheus {
    dir: TempDir,
    child: Child,
    agent: ureq::Agent,
    url: String,
}

impl Prometheus {
    /// Starts one, and waits until it listens.
    pub fn start(server: &Server) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write_configuration(dir.path(), server);
        let log = File::create(dir.path().join("log")).expect("our own directory");
        // It dies with the thread that started it.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "prometheus"])
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv runs");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .build();
        let mut prometheus = Self {
            dir,
            child,
            agent: config.new_agent(),
            url: String::new(),
        };
        let address = wait_for("the address of Prometheus", || prometheus.address());
        prometheus.url = format!("http://{address}/api/v1");
        prometheus
    }

    fn address(&mut self) -> Option<String> {
        let ended = self.child.try_wait().expect("a child");
        assert!(ended.is_none(), "prometheus ended: is it installed?");
        let log = self.log();
        let line = log.lines().find(|line| line.contains("Listening on"))?;
        let (_, address) = line.split_once("address=")?;
        address.split_whitespace().next().map(str::to_owned)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Returns the API's answer to `path`, or its error.
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let request = self.agent.get(format!("{}/{path}", self.url));
        let request = request.query_pairs(parameters.iter().copied());
        let mut answer = request.call().map_err(|error| error.to_string())?;
        let body = answer.body_mut().read_to_string();
        let body = body.map_err(|error| error.to_string())?;
        let mut json: Value = serde_json::from_str(&body).map_err(|_| body)?;
        match json["status"].as_str() {
            Some("success") => Ok(json["data"].take()),
            _ => Err(json["error"].to_string()),
        }
    }

    /// The series that `expression` gives now, without those that are not a number.
    pub fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let mut data = self.get("query", &[("query", expression)])?;
        let is_number = |series: &Value| series["value"][1] != "NaN";
        match data["result"].take() {
            Value::Array(series) => Ok(series.into_iter().filter(is_number).collect()),
            other => Err(format!("no series: {other}")),
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- log of Prometheus\n{}", self.log());
        }
    }
}

/// Our own configuration with the test's server as its target.
fn write_configuration(dir: &Path, server: &Server) {
    let ours = Path::new(MONITORING).join("prometheus");
    let mut text = fs::read_to_string(ours.join("prometheus.yml")).expect("a file");
    for (ours, quicker) in QUICKER {
        assert!(text.contains(ours), "{ours} is not in prometheus.yml");
        text = text.replace(ours, quicker);
    }
    fs::write(dir.join("prometheus.yml"), text).expect("our own directory");
    let targets = fs::read_to_string(ours.join("targets.json")).expect("a file");
    let here = targets.replace("host.docker.internal:8080", &server.addr().to_string());
    assert_ne!(here, targets);
    fs::write(dir.join("targets.json"), here).expect("our own directory");
    fs::create_dir(dir.join("rules")).expect("our own directory");
    for file in files_in("prometheus/rules", "yml") {
        let copy = dir.join("rules").join(name_of(&file));
        fs::copy(file, copy).expect("our own directory");
    }
}
