//! The manifests for Kubernetes.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::image::{read, repository};

const MANIFESTS: &str = "docker/kubernetes";
/// Its schema is not one of Kubernetes.
const FOREIGN: &str = "PodMonitor";

/// The objects of all files.
fn objects() -> Vec<Value> {
    let mut objects = Vec::new();
    for name in names() {
        let text = read(&format!("{MANIFESTS}/{name}"));
        for document in text.split("\n---\n") {
            let object = serde_saphyr::from_str(document);
            objects.push(object.unwrap_or_else(|error| panic!("{name}: {error}")));
        }
    }
    objects
}

fn names() -> Vec<String> {
    let files = fs::read_dir(repository().join(MANIFESTS)).expect("a directory");
    let names = files.map(|it| it.expect("an entry").file_name());
    names.map(|it| it.into_string().expect("UTF-8")).collect()
}

fn object(kind: &str, name: &str) -> Value {
    let mut objects = objects().into_iter();
    let found = objects.find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// The containers of a `StatefulSet` or `Deployment`, and what holds for all of them.
fn pod(kind: &str, name: &str) -> Value {
    object(kind, name)["spec"]["template"]["spec"].clone()
}

#[test]
fn manifests_keep_to_the_schemas_of_kubernetes() {
    let mut command = Command::new("kubernetes-validate");
    command.args(["--strict", "--no-warn"]);
    for name in names() {
        let path = repository().join(MANIFESTS).join(name);
        let is_foreign = read(&path.to_string_lossy()).contains(FOREIGN);
        if !is_foreign {
            command.arg(path);
        }
    }
    let output = command.output().expect("scripts/test installs it");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    let passed = format!("{said}{errors}").matches(" passed for ").count();
    let known = objects().iter().filter(|it| it["kind"] != FOREIGN).count();
    assert_eq!(passed, known, "{said}{errors}");
}

#[test]
fn pods_may_do_as_little_as_they_can_and_never_share_a_machine() {
    for (kind, name) in [
        ("StatefulSet", "flashsale"),
        ("Deployment", "flashsale-balancer"),
    ] {
        let pod = pod(kind, name);
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        let own = object(kind, name)["spec"]["selector"]["matchLabels"].clone();
        let apart = &pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            [0];
        assert_eq!(apart["labelSelector"]["matchLabels"], own, "{name}");
        for container in pod["containers"].as_array().expect("a list") {
            let may = &container["securityContext"];
            assert_eq!(may["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(may["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(may["capabilities"]["drop"][0], "ALL", "{name}");
            assert!(
                container["resources"]["limits"]["memory"].is_string(),
                "{name}"
            );
            assert!(container["readinessProbe"].is_object(), "{name}");
            assert!(container["livenessProbe"].is_object(), "{name}");
        }
        let budgets = objects();
        let budget = budgets.iter().find(|it| {
            it["kind"] == "PodDisruptionBudget" && it["spec"]["selector"]["matchLabels"] == own
        });
        assert_eq!(
            budget.expect("a budget")["spec"]["maxUnavailable"],
            1,
            "{name}"
        );
        let policies = objects();
        let policy = policies.iter().find(|it| {
            it["kind"] == "NetworkPolicy" && it["spec"]["podSelector"]["matchLabels"] == own
        });
        assert!(policy.is_some(), "{name} may be reached by all");
    }
}

#[test]
fn the_manifests_are_of_this_version_and_hold_no_secret() {
    let images = [
        ("StatefulSet", "flashsale", "flashsale"),
        ("Deployment", "flashsale-balancer", "flashsale-ha"),
    ];
    for (kind, name, image) in images {
        let image = format!("{image}:{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(pod(kind, name)["containers"][0]["image"], *image);
    }
    let secret = object("Secret", "flashsale");
    let values = secret["stringData"].as_object().expect("a map");
    assert!(values.values().all(|value| value == ""), "{values:?}");
    let end = pod("StatefulSet", "flashsale")["terminationGracePeriodSeconds"].as_u64();
    assert!(end > Some(flashsale::limits::STOP_SECONDS_MAX));
}

/// A standby that is never ready would hold up every rolling update.
#[test]
fn a_standby_is_ready_and_the_balancer_finds_the_one_that_sells() {
    let server = &pod("StatefulSet", "flashsale")["containers"][0];
    let ready = &server["readinessProbe"]["exec"]["command"];
    assert_eq!(*ready, serde_json::json!(["/app/flashsale", "healthcheck"]));
    let balancer = &pod("Deployment", "flashsale-balancer")["containers"][0];
    let environment = balancer["env"].as_array().expect("a list");
    let replicas = object("StatefulSet", "flashsale")["spec"]["replicas"].as_u64();
    for number in 0..replicas.expect("a number") {
        let own = format!("flashsale-{number}.flashsale-servers:8080");
        let name = format!("SERVER_{}", number + 1);
        let found = environment.iter().find(|it| it["name"] == *name);
        assert_eq!(found.expect("a server")["value"], *own);
    }
}
