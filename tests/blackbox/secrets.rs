//! Secrets from files, which stay there.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::admin::{JSON, household};
use crate::server::{Place, Server, wait_for};

const TOKEN: &str = "secret-token-from-a-file";

/// A place with a file of this content, which is that of the administration's token.
fn place(content: &[u8]) -> (Place, PathBuf) {
    let mut place = Place::new(&[("LOG_LEVEL", "debug")]);
    let file = place.path().join("token");
    fs::write(&file, content).expect("it can be written");
    place.set("ADMIN_TOKEN_FILE", file.to_str().expect("UTF-8"));
    (place, file)
}

#[test]
fn a_token_is_read_from_its_file_and_never_shown() {
    let (place, _) = place(format!("{TOKEN}\n").as_bytes());
    let mut server = Server::start_in(place);
    let mut client = server.client();
    let body = household().to_string();
    let without = client.send("POST", "/admin/sales", &[JSON], body.as_bytes());
    assert_eq!(without.status, 401, "{}", without.text());
    let bearer = ("Authorization", &*format!("Bearer {TOKEN}"));
    let with = client.send("POST", "/admin/sales", &[JSON, bearer], body.as_bytes());
    assert_eq!(with.status, 201, "{}", with.text());
    drop(client);
    assert!(server.terminate().success());
    let log = server.log();
    assert!(!log.contains(TOKEN), "{log}");
    assert!(log.contains("admin.token=set"), "{log}");
}

#[test]
fn a_file_that_does_not_do_stops_the_start() {
    for (content, token, why) in [
        (&b"\n"[..], None, "the file is empty"),
        (&b"\xff\xfe"[..], None, "the file is not UTF-8"),
        (
            TOKEN.as_bytes(),
            Some("another-secret-token"),
            "ADMIN_TOKEN is set, too",
        ),
    ] {
        let (mut place, _) = place(content);
        if let Some(token) = token {
            place.set("ADMIN_TOKEN", token);
        }
        let (code, said) = place.failure(&["serve"]);
        assert_eq!(code, Some(78), "{said}");
        assert!(
            said.contains("ADMIN_TOKEN_FILE: ") && said.contains(why),
            "{said}"
        );
        assert!(!said.contains("secret-token"), "{said}");
        assert!(!place.journal_dir().exists());
    }
    let (place, file) = place(b"");
    fs::remove_file(file).expect("it was there");
    let (code, said) = place.failure(&["serve"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("No such file"), "{said}");
}

#[test]
fn a_token_that_cannot_be_read_stops_no_command_that_has_no_use_for_it() {
    let mut place = Server::start(&[]).stop();
    for content in [None, Some("\n"), Some("short"), Some("\u{fffd}")] {
        let file = place.path().join("token");
        let _ = fs::remove_file(&file);
        if let Some(content) = content {
            fs::write(&file, content).expect("our own");
        }
        let file = file.to_str().expect("UTF-8").to_owned();
        place.set("ADMIN_TOKEN_FILE", &file);
        place.set("DB_PASSWORD_FILE", &file);
        for command in [&["journal", "verify"][..], &["journal", "inspect"]] {
            place.report(command);
        }
        let (code, said) = place.failure(&["healthcheck"]);
        assert_eq!(code, Some(1), "nobody listens: {said}");
        place.set("DB_PASSWORD_FILE", "");
        place.report(&["verify"]);
        for command in ["serve", "preflight"] {
            let (code, said) = place.failure(&[command]);
            assert_eq!(code, Some(78), "{command}: {said}");
        }
    }
}

/// The status of administration for whoever shows `token`.
fn status(server: &Server, token: &str) -> u16 {
    let bearer = ("Authorization", &*format!("Bearer {token}"));
    let mut client = server.client();
    let answer = client.send("GET", "/admin/checkouts/CHK-1-0", &[bearer], b"");
    answer.status
}

#[test]
fn a_token_that_is_replaced_needs_no_restart() {
    const NEW: &str = "another-secret-token-from-a-file";
    let (place, file) = place(TOKEN.as_bytes());
    let server = Server::start_in(place);
    assert_ne!(status(&server, TOKEN), 401);
    assert_eq!(status(&server, NEW), 401);
    fs::write(&file, NEW).expect("our own");
    server.signal(Signal::HUP);
    server.wait_for_log("SIGHUP: the token of administration was read anew");
    wait_for("the new token", || {
        (status(&server, NEW) != 401).then_some(())
    });
    assert_eq!(
        status(&server, TOKEN),
        401,
        "the old one is nobody's any more"
    );

    // What cannot be a token, or is not there, keeps the one that is in force.
    fs::write(&file, "short").expect("our own");
    server.signal(Signal::HUP);
    server.wait_for_log(&format!(
        "SIGHUP: ADMIN_TOKEN_FILE: {}: the text in it cannot be this secret, which must be 16 to 256 visible ASCII \
         characters; the secret stays as it was",
        file.display()
    ));
    fs::remove_file(&file).expect("our own");
    server.signal(Signal::HUP);
    server.wait_for_log("No such file");
    assert_ne!(status(&server, NEW), 401);
    let log = server.log();
    assert!(!log.contains(TOKEN) && !log.contains(NEW), "{log}");
}

/// Makes a file one that holds no token.
type Break = fn(&Path);

#[test]
fn a_drawn_token_is_exchanged_without_a_restart() {
    const NEW: &str = "another-secret-token-beside-the-journal";
    let server = Server::start(&[]);
    let drawn = server.token().expect("a token that was drawn");
    let file = server.place().journal_dir().join("admin.token");
    assert_ne!(status(&server, &drawn), 401);
    server.signal(Signal::HUP);
    server.wait_for_log("SIGHUP: the token of administration is the same as before");
    fs::write(&file, NEW.to_owned() + "\n").expect("our own");
    assert_eq!(status(&server, NEW), 401, "before SIGHUP");
    server.signal(Signal::HUP);
    server.wait_for_log("SIGHUP: the token of administration was read anew");
    assert_ne!(status(&server, NEW), 401);
    assert_eq!(status(&server, &drawn), 401, "the old one is nobody's");

    // What cannot be a token, or is not there, keeps the one that is in force.
    let breaks: [(Break, &str); 4] = [
        (
            |file| fs::write(file, "short").expect("our own"),
            "admin.token: the text in it cannot be this secret, which must be 16 to 256 visible ASCII characters; the \
             secret stays as it was",
        ),
        (
            |file| fs::write(file, "\n").expect("our own"),
            "the file is empty",
        ),
        (
            |file| fs::remove_file(file).expect("our own"),
            "No such file",
        ),
        (
            |file| fs::create_dir(file).expect("our own"),
            "must be a regular file",
        ),
    ];
    for (break_file, why) in breaks {
        break_file(&file);
        server.signal(Signal::HUP);
        server.wait_for_log(why);
        assert_ne!(status(&server, NEW), 401, "{why}");
    }
    let log = server.log();
    let kept = log
        .lines()
        .filter(|it| it.contains("SIGHUP: admin.token: ") && it.contains("stays as it was"));
    assert_eq!(kept.count(), breaks.len(), "{log}");
    assert!(!log.contains(&drawn) && !log.contains(NEW), "{log}");
}

#[test]
fn a_file_without_a_token_is_mended_without_a_restart() {
    let place = Place::new(&[]);
    fs::create_dir(place.journal_dir()).expect("a directory");
    let file = place.journal_dir().join("admin.token");
    fs::write(&file, "").expect("our own");
    let server = Server::start_in(place);
    server.wait_for_log("/admin is closed");
    assert_eq!(status(&server, TOKEN), 401);
    fs::write(&file, TOKEN).expect("our own");
    server.signal(Signal::HUP);
    server.wait_for_log("SIGHUP: the token of administration was read anew");
    assert_ne!(status(&server, TOKEN), 401);
}
