//! Secrets from files, which stay there.

use std::fs;
use std::path::PathBuf;

use crate::admin::{JSON, household};
use crate::server::{Place, Server};

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
