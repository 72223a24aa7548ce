//! `docs/integration.md`, run as it is written, and the programs that belong to it, with clients that generators made.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::clients::{compile, generate_fetch, generate_python, python, run, typescript};
use super::lossy::LossyProxy;
use crate::receiver::{self, SECRET};
use crate::server::{Server, wait_for};

const ADMIN_TOKEN: &str = "of-this-test-alone-0123456789abcdef";
const SHOP_TOKEN: &str = "another-one-0123456789abcdef";
/// Printed behind the output of each command.
const MARK: &str = "====";

/// Most seconds for all commands of the page, which wait for what happens by itself.
const PATIENCE: &str = "240";

/// A server as the page expects it, with these `webhooks`.
fn server(webhooks: &str) -> Server {
    Server::start(&[
        ("SALE_TOTAL_ITEMS", "10"),
        ("ADMIN_TOKEN", ADMIN_TOKEN),
        ("SHOP_TOKEN", SHOP_TOKEN),
        ("WEBHOOKS", webhooks),
    ])
}

/// The page's receiver of webhooks.
struct Hook {
    process: Child,
    port: String,
}

impl Hook {
    /// Starts it in `place`, where it makes its notes.
    fn start(place: &Path) -> Self {
        let mut process = Command::new(receiver::python())
            .arg(program("hook.py"))
            .args(["0", SECRET, "told.txt"])
            .current_dir(place)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut port = String::new();
        let out = process.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut port).expect("a line");
        let port = port.trim().to_owned();
        Self { process, port }
    }

    /// It as the page configures it.
    fn webhooks(&self) -> String {
        let url = format!("http://localhost:{}/", self.port);
        let types = ["purchase.completed", "purchase.cancelled"];
        json!([{"url": url, "secret": SECRET, "types": types, "allow_private": true}]).to_string()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The commands of the page, each with what it prints.
fn steps() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/integration.md");
    let page = fs::read_to_string(page).expect("a page");
    let mut steps: Vec<(String, String)> = Vec::new();
    for block in page.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push((command.to_owned(), String::new()));
                continue;
            }
            let (command, output) = steps.last_mut().expect("a command comes first");
            let (text, more) = match line.strip_prefix("> ") {
                Some(more) => (command, more),
                None => (output, line),
            };
            text.push('\n');
            text.push_str(more);
        }
    }
    steps
}

/// The text without what is another each time: secrets of codes, times, and the names of journals.
fn comparable(text: &str) -> String {
    let (text, mut shown) = (text.replace('\r', ""), String::new());
    for word in text.trim().split_inclusive(['"', ',', ' ', '\n']) {
        let (word, end) =
            word.split_at(word.len() - usize::from(word.ends_with(['"', ',', ' ', '\n'])));
        let is_time = word.parse::<jiff::Timestamp>().is_ok();
        let is_drawn = word.len() > 32
            && word[word.len() - 32..]
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit());
        shown.push_str(match word {
            _ if is_time => "TIME",
            word if is_drawn => &word[..word.len() - 32],
            word => word,
        });
        shown.push_str(end);
    }
    shown
}

#[test]
fn the_page_runs_as_it_is_written() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let hook = Hook::start(place.path());
    let server = server(&hook.webhooks());
    wait_for("the webhook", || {
        let health = server.client().get("/health").ok().json();
        health["webhooks"][0]["applied_lsn"].is_u64().then_some(())
    });
    let steps = steps();
    assert!(steps.len() > 50, "{}", steps.len());
    let commands = steps
        .iter()
        .map(|(command, _)| format!("{command}\nprintf '\\n{MARK}\\n'\n"));
    let script: String = commands.collect();
    let output = Command::new("timeout")
        .args([PATIENCE, "bash", "-c", &script])
        .env("SHOP", format!("http://{}", server.addr()))
        .env("ADMIN_TOKEN", ADMIN_TOKEN)
        .env("SHOP_TOKEN", SHOP_TOKEN)
        .current_dir(place.path())
        .output()
        .expect("bash runs");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let mark = format!("\n{MARK}\n");
    let mut printed = printed.split(&mark);
    for (command, expected) in &steps {
        let found = printed.next().expect("an output of each");
        assert_eq!(
            comparable(found),
            comparable(expected),
            "{command}\n{found}"
        );
    }
}

/// A program that is shown beside the page.
fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/examples")
        .join(name)
}

/// Runs a program of a shop that loses the first answers to its confirmations.
fn run_program(place: &Path, command: &mut Command) {
    let mut server = server("[]");
    let proxy = LossyProxy::start(server.addr());
    let address = format!("http://{}", proxy.addr());
    run(place, command.args([&address, ADMIN_TOKEN, SHOP_TOKEN]));
    assert!(proxy.has_lost(), "confirmations are asked for again");
    assert!(server.terminate().success(), "a clean end");
}

#[test]
fn the_python_program_sells_and_sends_out() {
    let place = tempfile::tempdir().expect("a temporary directory");
    generate_python(place.path());
    run_program(place.path(), python(place.path()).arg(program("sell.py")));
}

#[test]
fn the_typescript_program_sells_and_sends_out() {
    let place = typescript(&program("sell.ts"));
    generate_fetch(place.path());
    compile(place.path());
    run_program(place.path(), Command::new("node").arg("built/sell.js"));
}
