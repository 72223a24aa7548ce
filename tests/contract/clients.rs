//! Clients that others generate from the description: they are made, compiled and run against the real server,
//! where they buy and meet refusals. The scripts and the generators' versions are in `clients/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::contract::document::resolved;
use crate::contract::routes::operations;
use crate::server::Server;

const TOKEN: &str = "of-this-test-alone-0123456789abcdef";

/// The settings that the scripts expect: twelve items, of which a user may have two, and holds that do not run out.
const SETTINGS: [(&str, &str); 4] = [
    ("SALE_TOTAL_ITEMS", "12"),
    ("SALE_MAX_ITEMS_PER_USER", "2"),
    ("SALE_HOLD_SECONDS", "3600"),
    ("ADMIN_TOKEN", TOKEN),
];

/// Most files that a Python client may have for its models. There were 358, almost all of them one error.
const PYTHON_MODELS_MAX: usize = 120;

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/openapi.json")
}

/// A command of the generators, which `scripts/test` installs.
fn tool(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let tool = target.expect("a parent").join("tools/clients").join(name);
    assert!(
        tool.exists(),
        "{} is missing: scripts/test installs it",
        tool.display()
    );
    tool
}

/// Runs a command in `place`, which must succeed.
pub(super) fn run(place: &Path, command: &mut Command) {
    let output = command.current_dir(place).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}\n{complaint}");
}

/// Runs a client against a server of its own.
fn buy(place: &Path, command: &mut Command) {
    let mut server = Server::start(&SETTINGS);
    let address = format!("http://{}", server.addr());
    run(place, command.args([&address, TOKEN]));
    assert!(server.terminate().success(), "a clean end");
}

fn files_in(directory: &Path) -> usize {
    fs::read_dir(directory).expect("a directory").count()
}

/// The scripts and what they are compiled with.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/clients")
}

/// A directory with a script and what it is compiled with.
pub(super) fn typescript(script: &Path) -> TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    for file in [script, &scripts().join("tsconfig.json")] {
        let name = file.file_name().expect("a file");
        fs::copy(file, place.path().join(name)).expect("a copy");
    }
    symlink(tool("node_modules"), place.path().join("node_modules")).expect("a link");
    place
}

/// Compiles the script, as strictly as the compiler can.
pub(super) fn compile(place: &Path) {
    run(place, &mut Command::new(tool("node_modules/.bin/tsc")));
}

/// Compiles the script and runs it.
fn compile_and_buy(place: &Path, script: &str) {
    compile(place);
    buy(
        place,
        Command::new("node").arg(format!("built/{script}.js")),
    );
}

/// A client that fills in defaults would otherwise send one twice, and be refused.
#[test]
fn a_parameter_has_one_place_and_one_plain_type() {
    for (path, method, operation) in operations() {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().expect("a name");
            let (schema, _) = resolved(&parameter["schema"], String::new());
            let expected = match name {
                "add" | "limit" | "quantity" | "wait" => "integer",
                "available" | "verbose" | "pretty" | "late" | "restock" => "boolean",
                _ => "string",
            };
            assert_eq!(schema["type"], expected, "{method} {path} {name}");
            let words = schema["enum"].as_array().into_iter().flatten();
            let mut empty = words.filter(|word| **word == "");
            assert_eq!(empty.next(), None, "{method} {path} {name}");
        }
        let is_shop = ["/checkout", "/purchase"].contains(&path);
        assert!(
            !is_shop || operation["requestBody"].is_null(),
            "{method} {path}"
        );
    }
}

/// Generates the package `shop` in `place`.
pub(super) fn generate_python(place: &Path) {
    fs::write(place.join("generator.yaml"), "post_hooks: []\n").expect("a file");
    run(
        place,
        Command::new(tool("python/bin/openapi-python-client"))
            .args(["generate", "--meta", "none", "--output-path", "shop"])
            .args(["--config", "generator.yaml"])
            .arg("--path")
            .arg(document()),
    );
}

/// The interpreter with what the package in `place` needs, and that package.
pub(super) fn python(place: &Path) -> Command {
    let mut command = Command::new(tool("python/bin/python3"));
    command
        .env("PYTHONPATH", place)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Generates the types `api.d.ts` in `place`.
pub(super) fn generate_fetch(place: &Path) {
    let generator = tool("node_modules/.bin/openapi-typescript");
    run(
        place,
        Command::new(generator)
            .arg(document())
            .args(["--output", "api.d.ts"]),
    );
}

#[test]
fn a_client_of_openapi_python_client_buys() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let place = place.path();
    generate_python(place);
    for (path, method, operation) in operations() {
        let name = |value: &serde_json::Value| value.as_str().expect("a name").to_owned();
        let (tag, id) = (name(&operation["tags"][0]), name(&operation["operationId"]));
        let module = place.join(format!("shop/api/{tag}/{id}.py"));
        assert!(module.exists(), "{method} {path} is not generated");
    }
    let models = files_in(&place.join("shop/models"));
    assert!(models < PYTHON_MODELS_MAX, "{models}");
    buy(place, python(place).arg(scripts().join("shopper.py")));
}

#[test]
fn a_client_of_openapi_fetch_buys() {
    let place = typescript(&scripts().join("fetch.ts"));
    generate_fetch(place.path());
    compile_and_buy(place.path(), "fetch");
}

#[test]
fn a_client_of_hey_api_buys() {
    let place = typescript(&scripts().join("hey.ts"));
    let generator = tool("node_modules/.bin/openapi-ts");
    run(
        place.path(),
        Command::new(generator)
            .arg("--input")
            .arg(document())
            .args(["--output", "hey", "--client", "@hey-api/client-fetch"]),
    );
    compile_and_buy(place.path(), "hey");
}

/// The schema is that of the specification, in the SDK.
#[test]
fn the_schema_of_cloudevents_takes_every_event() {
    let place = typescript(&scripts().join("events.ts"));
    compile_and_buy(place.path(), "events");
}
