//! How the containers are put together.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use serde_json::Value;

use crate::image::{read, repository};

/// Services that do one thing and end.
const PASSING: [&str; 2] = ["roles", "migrate"];
const MONITORING: [&str; 2] = ["prometheus", "grafana"];

fn parse(file: &str) -> Value {
    let parsed = serde_saphyr::from_str(&read(file));
    parsed.unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The services of the file, with their names.
fn services(file: &str) -> Vec<(String, Value)> {
    let file = parse(file);
    let services = file["services"].as_object().expect("services");
    services
        .iter()
        .map(|(name, it)| (name.clone(), it.clone()))
        .collect()
}

/// The server, and what it needs.
fn ours() -> Vec<(String, Value)> {
    let all = services("docker/compose.yaml").into_iter();
    all.filter(|(name, _)| !MONITORING.contains(&name.as_str()))
        .collect()
}

fn service(name: &str) -> Value {
    let found = ours().into_iter().find(|(it, _)| it == name);
    found.unwrap_or_else(|| panic!("no {name}")).1
}

#[test]
fn every_container_may_do_as_little_as_it_can() {
    for (name, service) in ours() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(
            service["security_opt"][0], "no-new-privileges:true",
            "{name}"
        );
        assert!(
            service["privileged"].is_null() && service["cap_add"].is_null(),
            "{name}"
        );
        // The user of our own image is that of the Dockerfile.
        let is_ours = service["image"]
            .as_str()
            .is_some_and(|it| it.starts_with("flashsale:"));
        assert!(is_ours || service["user"].is_string(), "{name}");
    }
}

#[test]
fn images_are_pinned() {
    let files = ["docker/compose.yaml", "monitoring/compose.yaml"];
    for (name, service) in files.iter().flat_map(|file| services(file)) {
        let Some(image) = service["image"].as_str() else {
            assert!(service["extends"].is_object(), "{name}");
            continue;
        };
        let (_, tag) = image
            .rsplit_once(':')
            .unwrap_or_else(|| panic!("{name}: {image}"));
        assert!(
            tag.starts_with(|it: char| it.is_ascii_digit() || it == 'v'),
            "{name}: {image}"
        );
    }
    let version = format!("flashsale:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(service("app")["image"], version);
    assert_eq!(service("server1")["image"], version);
    let clustered = version.replace("flashsale:", "flashsale-ha:");
    assert_eq!(service("patroni1")["image"], clustered);
}

#[test]
fn what_stays_is_asked_for_its_health_and_what_passes_is_waited_for() {
    for (name, service) in ours() {
        let is_passing = PASSING.contains(&name.as_str());
        let (restart, disabled) = if is_passing {
            ("no", true)
        } else {
            ("unless-stopped", false)
        };
        assert_eq!(service["restart"], restart, "{name}");
        assert_eq!(
            service["healthcheck"]["disable"] == true,
            disabled,
            "{name}"
        );
        assert_eq!(
            service["healthcheck"]["test"].is_array(),
            !disabled,
            "{name}"
        );
        let needs = service["depends_on"].as_object().into_iter().flatten();
        for (needed, how) in needs {
            let condition = match PASSING.contains(&needed.as_str()) {
                true => "service_completed_successfully",
                false => "service_healthy",
            };
            assert_eq!(how["condition"], condition, "{name} needs {needed}");
        }
    }
    for (name, service) in services("monitoring/compose.yaml") {
        assert!(service["healthcheck"]["test"].is_array(), "{name}");
        assert!(service["mem_limit"].is_string(), "{name}");
    }
}

/// Longer than the server may take to end.
#[test]
fn the_server_is_given_the_time_to_end() {
    use flashsale::limits::STOP_SECONDS_MAX;
    for name in ["app", "server1", "server2"] {
        let grace = service(name)["stop_grace_period"]
            .as_str()
            .expect("a time")
            .to_owned();
        let grace_seconds: u64 = grace.trim_end_matches('s').parse().expect("seconds");
        assert!(grace_seconds > STOP_SECONDS_MAX, "{name}");
    }
}

#[test]
fn only_the_server_can_be_reached_from_outside() {
    let file = parse("docker/compose.yaml");
    assert_eq!(file["networks"]["back"]["internal"], true);
    for (name, service) in ours() {
        let is_door = ["app", "balancer"].contains(&name.as_str());
        assert_eq!(service["ports"].is_array(), is_door, "{name}");
        let networks = service["networks"].as_array().expect("a list");
        let is_inside = networks.len() == 1 && networks[0] == "back";
        // The database that these two use may be one outside.
        let reaches_out = is_door || name == "migrate";
        assert_eq!(is_inside, !reaches_out, "{name}");
    }
    for (name, service) in services("monitoring/compose.yaml") {
        for port in service["ports"].as_array().expect("a list") {
            let port = port.as_str().expect("text");
            assert!(
                port.starts_with("${MONITORING_BIND:-127.0.0.1}:"),
                "{name}: {port}"
            );
        }
    }
}

/// Each text of the file with its key, as deep as it lies.
fn texts<'a>(key: &'a str, value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::String(text) => found.push((key, text)),
        Value::Array(all) => all.iter().for_each(|it| texts(key, it, found)),
        Value::Object(all) => all.iter().for_each(|(key, it)| texts(key, it, found)),
        _ => {}
    }
}

#[test]
fn there_is_no_default_for_a_secret_and_make_env_has_them_all() {
    let made = read("scripts/make-env");
    let mut wanted = BTreeSet::new();
    for file in ["docker/compose.yaml", "monitoring/compose.yaml"] {
        let file = parse(file);
        let mut found = Vec::new();
        texts("", &file, &mut found);
        for (key, text) in found {
            let is_secret = ["PASSWORD", "TOKEN", "REDISCLI_AUTH"]
                .iter()
                .any(|it| key.ends_with(it));
            if is_secret {
                let inner = text.strip_prefix("${").and_then(|it| it.split_once(":?"));
                let (name, message) = inner.unwrap_or_else(|| panic!("{key}: {text}"));
                assert!(message.len() > 1, "{key}: no message");
                wanted.insert(name.to_owned());
            }
            // Arguments can be seen by everybody on the machine.
            let is_argument = ["command", "entrypoint", "test"].contains(&key);
            assert!(!is_argument || !text.contains("PASSWORD"), "{key}: {text}");
        }
    }
    assert_eq!(wanted.len(), 11, "{wanted:?}");
    for name in wanted {
        assert!(
            made.contains(&name),
            "scripts/make-env does not write {name}"
        );
    }
}

/// `docker compose up` stops what it will replace before it starts anything: so not before the schema is
/// right.
#[test]
fn the_server_is_replaced_when_all_before_it_has_succeeded() {
    let makefile = read("Makefile");
    let (_, recipe) = makefile
        .split_once("docker-run: needs-compose .env\n")
        .expect("a target");
    let lines = recipe.lines().take_while(|line| line.starts_with('\t'));
    let steps: Vec<_> = lines
        .map(|it| it.trim_start_matches("\t$(compose) "))
        .collect();
    let expected = [
        "build",
        "up --detach --wait postgres redis",
        "run --rm --no-deps roles",
        "run --rm --no-deps migrate",
        "up --detach --wait",
    ];
    assert_eq!(steps, expected);
}

/// With another name the members would not find each other, and with the profile's others the shop would listen twice.
#[test]
fn the_clustered_services_are_complete_and_on_demand() {
    let all = ours().into_iter();
    let clustered: Vec<_> = all
        .filter(|(_, it)| it["profiles"] == serde_json::json!(["ha"]))
        .collect();
    assert_eq!(clustered.len(), 9);
    for (name, service) in &clustered {
        let environment = &service["environment"];
        let own = match name.trim_end_matches(|it: char| it.is_ascii_digit()) {
            "etcd" => ("ETCD_NAME", name.clone()),
            "patroni" => ("PATRONI_NAME", name.clone()),
            "server" => ("SERVER_ADVERTISE", format!("{name}:8080")),
            _ => continue,
        };
        assert_eq!(environment[own.0], *own.1);
        let needed = service["depends_on"].as_object().into_iter().flatten();
        for (needed, _) in needed {
            assert!(clustered.iter().any(|(it, _)| it == needed), "{needed}");
        }
    }
    let named = |variable: &str, service: &str| {
        let value = self::service(service)["environment"][variable].clone();
        value.as_str().expect("text").to_owned()
    };
    for number in 1..=3 {
        let members = named("ETCD_INITIAL_CLUSTER", "etcd1");
        assert!(members.contains(&format!("etcd{number}=http://etcd{number}:2380")));
        assert!(named("PATRONI_ETCD3_HOSTS", "patroni1").contains(&format!("etcd{number}:2379")));
        assert!(named("REPLICATION_HOSTS", "server1").contains(&format!("patroni{number}:5432")));
    }
}

#[test]
fn a_docker_without_compose_is_told_in_a_sentence() {
    let tools = tempfile::tempdir().expect("a temporary directory");
    let docker = tools.path().join("docker");
    let stub = "#!/bin/sh\necho \"docker: 'compose' is not a docker command\" >&2\nexit 1\n";
    fs::write(&docker, stub).expect("our own");
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).expect("our own");
    let path = format!("{}:/usr/bin:/bin", tools.path().display());
    for target in ["run-monitoring", "docker-run"] {
        let mut make = Command::new("make");
        make.arg(target).env("PATH", &path);
        let output = make.current_dir(repository()).output().expect("make");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{said}");
        assert!(
            said.contains("docker here has no plugin compose: install it"),
            "{said}"
        );
        assert!(!said.contains("not a docker command"), "{said}");
    }
}

#[test]
fn secrets_that_are_missing_are_added_and_the_others_stay() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("env");
    let make = || {
        let mut command = Command::new(repository().join("scripts/make-env"));
        let output = command.arg(&file).output().expect("bash runs");
        assert!(output.status.success(), "{output:?}");
        let mode = fs::metadata(&file).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::read_to_string(&file).expect("our own file")
    };
    let made = make();
    assert_eq!(made.lines().count(), 12, "{made}");
    assert_eq!(make(), made, "nothing is missing");
    let (first, rest) = made.split_once("ADMIN_TOKEN=").expect("it has them all");
    let (token, rest) = rest.split_once('\n').expect("more follows");
    let shorter = format!("{first}{}", rest.trim_end());
    fs::write(&file, &shorter).expect("our own file");
    let again = make();
    let added = again.strip_prefix(&shorter).expect("the others stay");
    let added = added
        .strip_prefix("\nADMIN_TOKEN=")
        .expect("it was missing");
    assert!(
        added.len() == token.len() + 1 && added.trim_end() != token,
        "{added}"
    );
}

/// The variables of the document that this server keeps to.
#[test]
fn known_variables_reach_the_server() {
    let app = service("app");
    let environment = app["environment"].as_object().expect("a map");
    for name in [
        "DB_HOST",
        "DB_PORT",
        "DB_USER",
        "DB_PASSWORD",
        "DB_NAME",
        "DB_SCHEMA",
        "DB_SSLMODE",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_PASSWORD",
        "REDIS_DB",
    ] {
        let value = environment[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}"));
        assert!(value.starts_with(&format!("${{{name}:")), "{name}: {value}");
    }
    let port = app["ports"][0].as_str().expect("text");
    assert_eq!(port, "${SERVER_HOST:-0.0.0.0}:${SERVER_PORT:-8080}:8080");
}
