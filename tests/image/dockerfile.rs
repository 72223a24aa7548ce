//! The recipe of the image.

use crate::image::{read, repository};

/// The instructions, each on a line.
fn instructions() -> Vec<String> {
    let text = read("docker/Dockerfile");
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    joined
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

/// What follows the keyword, wherever it stands.
fn all(keyword: &str) -> Vec<String> {
    let with = |line: &String| {
        line.strip_prefix(keyword)?
            .strip_prefix(' ')
            .map(str::to_owned)
    };
    instructions().iter().filter_map(with).collect()
}

/// What follows the keyword, which must stand there once.
fn only(keyword: &str) -> String {
    let found = all(keyword);
    assert_eq!(found.len(), 1, "{keyword}: {found:?}");
    found[0].trim().to_owned()
}

#[test]
fn bases_are_pinned_and_the_last_one_has_no_shell() {
    let bases = all("FROM");
    assert_eq!(bases.len(), 2);
    for base in &bases {
        let image = base.split(' ').next().expect("an image");
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest"), "{base}");
    }
    let rust = format!("rust:{}-bookworm", env!("CARGO_PKG_RUST_VERSION"));
    assert!(
        bases[0].contains(&rust),
        "{bases:?}: not the Rust of Cargo.toml"
    );
    assert!(
        bases[1].contains("distroless/cc-debian12:nonroot"),
        "{bases:?}"
    );
}

#[test]
fn it_runs_without_rights_and_without_a_shell() {
    let user = only("USER");
    let ids: Vec<u32> = user
        .split(':')
        .map(|id| id.parse().expect("a number"))
        .collect();
    assert!(ids.len() == 2 && ids.iter().all(|&id| id > 0), "{user}");
    assert_eq!(only("ENTRYPOINT"), r#"["/app/flashsale"]"#);
    let health = only("HEALTHCHECK");
    assert!(
        health.ends_with(r#"CMD ["/app/flashsale", "healthcheck"]"#),
        "{health}"
    );
    assert_eq!(only("STOPSIGNAL"), "SIGTERM");
    assert_eq!(only("EXPOSE"), "8080");
    assert_eq!(only("VOLUME"), "/var/lib/flashsale");
    assert!(
        all("ADD").is_empty(),
        "what comes from elsewhere is not checked"
    );
}

#[test]
fn what_is_built_is_what_is_locked_and_says_what_it_is() {
    let builds: Vec<_> = all("RUN")
        .into_iter()
        .filter(|it| it.contains("cargo build"))
        .collect();
    assert!(
        builds.iter().all(|it| it.contains("--release --locked")),
        "{builds:?}"
    );
    let arguments = all("ARG");
    let version = format!("VERSION={}", env!("CARGO_PKG_VERSION"));
    assert!(
        arguments.contains(&version),
        "{arguments:?}: not the version of Cargo.toml"
    );
    let labels = only("LABEL");
    for (name, value) in [
        ("title", env!("CARGO_PKG_NAME")),
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("version", "$VERSION"),
        ("revision", "$FLASHSALE_REVISION"),
        ("source", "$SOURCE"),
    ] {
        let label = format!("org.opencontainers.image.{name}=\"{value}\"");
        assert!(labels.contains(&label), "{label} is missing");
    }
}

/// Whatever is not named stays outside: data, secrets, what git keeps, what was compiled here.
#[test]
fn only_what_is_named_is_sent_to_the_builder() {
    let text = read(".dockerignore");
    let mut lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"));
    for line in lines {
        let path = line.strip_prefix('!').expect("an exception");
        assert!(repository().join(path).exists(), "{path}");
    }
    let copies = all("COPY");
    let from_here = copies.iter().filter(|copy| !copy.starts_with("--from"));
    for source in from_here.flat_map(|copy| copy.split(' ').rev().skip(1)) {
        assert!(
            text.contains(&format!("!{source}\n")),
            "{source} is not sent"
        );
    }
}
