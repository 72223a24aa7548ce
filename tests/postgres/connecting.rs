//! Who is trusted, who is let in, and what is said when nobody is: never an address, never a password.

use std::fs;
use std::path::{Path, PathBuf};

use flashsale::reconcile::postgres::{Encryption, PostgresOptions, PostgresSink};
use flashsale::reconcile::{Sink, SinkError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::postgres::driver::{Driver, options, runtime};
use crate::postgres_server::{DATABASE, PASSWORD, Postgres, USER};

/// Why the sink could not be opened.
fn failure(options: PostgresOptions) -> String {
    let opened = runtime().block_on(PostgresSink::new(options).open());
    let error = opened.expect_err("it cannot be opened");
    for text in [error.to_string(), format!("{error:?}")] {
        for secret in [
            PASSWORD,
            "wrong-password",
            "127.0.0.1",
            "no-such-host",
            "::1",
        ] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    match &error {
        SinkError::Unavailable(_) | SinkError::Refused(_) => {}
        // What is for the log and the terminal alone.
        SinkError::Redacted { public: shown, .. } => assert!(!shown.contains('/'), "{shown}"),
        other => panic!("{other:?}"),
    }
    error.to_string()
}

#[test]
fn what_is_wrong_is_said_clearly() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let good = options(&postgres);
    type Change = fn(&mut PostgresOptions);
    let cases: [(Change, &str); 8] = [
        (
            |it| it.password = Some("wrong-password".into()),
            "password rejected (28P01)",
        ),
        (
            |it| it.password = None,
            "the server asks for a password, but none is configured",
        ),
        (|it| it.user = "nobody".into(), "password rejected (28P01)"),
        (
            |it| it.dbname = "elsewhere".into(),
            "there is no such database (3D000)",
        ),
        (
            |it| it.host = "no-such-host.invalid".into(),
            "host not found",
        ),
        (|it| it.port = 1, "connection refused"),
        (
            |it| it.host = "/no/such/directory".into(),
            "connection refused: there is no such socket",
        ),
        (
            |it| it.encryption = Encryption::Unverified,
            "sslmode asks for encryption, but the server offers none",
        ),
    ];
    for (change, expected) in cases {
        let mut options = good.clone();
        change(&mut options);
        assert_eq!(failure(options), expected);
    }
    assert!(!format!("{good:?}").contains(PASSWORD));
    Driver::open(good);
}

#[test]
fn a_database_that_may_not_be_written_is_no_sink() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    Driver::open(options(&postgres));
    postgres.query(
        DATABASE,
        "CREATE ROLE guest LOGIN PASSWORD 'guest'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest",
    );
    let mut guest = options(&postgres);
    (guest.user, guest.password) = ("guest".into(), Some("guest".into()));
    let mut driver = Driver::open(guest);
    let refused = driver.apply(&[crate::postgres::driver::generated(1, 1)]);
    let refused = refused.expect_err("it may not be written");
    assert!(refused.lasts(), "{refused:?}");
    let why = refused.to_string();
    assert!(
        why.starts_with("the user's rights do not suffice (42501: permission denied for"),
        "{why}"
    );
    assert_eq!(refused.shown(), "the user's rights do not suffice (42501)");
}

#[test]
fn a_unix_socket_needs_neither_encryption_nor_authorities() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let mut local = options(&postgres);
    local.host = postgres.socket_dir().display().to_string();
    (local.password, local.encryption) = (None, Encryption::Host);
    let mut driver = Driver::open(local);
    let records = [crate::postgres::driver::generated(1, 1)];
    driver.apply(&records).expect("a database");
}

#[test]
fn a_database_in_another_encoding_is_refused() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    postgres.query(
        "postgres",
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
    );
    let mut options = options(&postgres);
    options.dbname = "latin".into();
    let said = failure(options);
    assert!(
        said.starts_with("the database's encoding is LATIN1"),
        "{said}"
    );
}

#[test]
fn the_session_is_as_durable_as_it_must_be() {
    let postgres = Postgres::start_with(&["synchronous_commit=off"]);
    postgres.query(
        DATABASE,
        "CREATE TABLE seen (setting text, application text);
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO seen VALUES (current_setting('synchronous_commit'),
                                      current_setting('application_name'));
             RETURN NULL;
         END $$",
    );
    let mut driver = Driver::open(options(&postgres));
    postgres.query(
        DATABASE,
        "CREATE TRIGGER look AFTER UPDATE ON watermark EXECUTE FUNCTION look()",
    );
    driver
        .apply(&[crate::postgres::driver::generated(1, 1)])
        .expect("a database");
    assert_eq!(
        postgres.query(DATABASE, "SELECT * FROM seen"),
        "on|flashsale"
    );
}

/// An authority, and its certificate in PEM.
fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    (Issuer::new(params, key), certificate)
}

/// A certificate for `name` by the authority, and its key.
fn certificate(name: &str, issuer: &Issuer<'static, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let signed = params.signed_by(&key, issuer).expect("a certificate");
    (signed.pem(), key.serialize_pem())
}

fn file(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text).expect("a new file");
    path
}

fn with(
    options: &PostgresOptions,
    encryption: Encryption,
    authorities: Option<&Path>,
) -> PostgresOptions {
    PostgresOptions {
        encryption,
        authorities: authorities.map(Path::to_owned),
        ..options.clone()
    }
}

#[test]
fn certificates_are_checked_as_far_as_asked() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (issuer, ours) = authority();
    let (_, theirs) = authority();
    let ours = file(&dir, "ours.pem", &ours);
    let theirs = file(&dir, "theirs.pem", &theirs);
    let (of_elsewhere, key) = certificate("elsewhere.example", &issuer);
    let postgres = Postgres::start_tls(&of_elsewhere, &key);
    let options = options(&postgres);
    let untrusted =
        "the server's certificate is not trusted: no trusted authority has signed it (sslrootcert)";

    Driver::open(with(&options, Encryption::Unverified, None));
    Driver::open(with(&options, Encryption::Unverified, Some(&theirs)));
    Driver::open(with(&options, Encryption::Authority, Some(&ours)));
    for encryption in [Encryption::Authority, Encryption::Host] {
        let said = failure(with(&options, encryption, Some(&theirs)));
        assert_eq!(said, untrusted);
        // Nobody whom this system trusts has signed it; or it trusts nobody.
        failure(with(&options, encryption, None));
    }
    let said = failure(with(&options, Encryption::Host, Some(&ours)));
    assert_eq!(
        said,
        "the server's certificate is not trusted: it is for another host name"
    );
    let encrypted = "SELECT count(*) FROM pg_stat_ssl WHERE ssl";
    assert_eq!(postgres.query(DATABASE, encrypted), "0", "all are gone");
}

#[test]
fn the_right_certificate_is_trusted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (issuer, ours) = authority();
    let ours = file(&dir, "ours.pem", &ours);
    let (of_here, key) = certificate("127.0.0.1", &issuer);
    let postgres = Postgres::start_tls(&of_here, &key);
    let options = options(&postgres);
    let mut driver = Driver::open(with(&options, Encryption::Host, Some(&ours)));
    driver.ask().expect("the pool is encrypted, too");
    let encrypted = format!(
        "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND usename = '{USER}'"
    );
    assert_eq!(postgres.query(DATABASE, &encrypted), "2");

    let empty = file(&dir, "empty.pem", "");
    let said = failure(with(&options, Encryption::Host, Some(&empty)));
    assert!(said.ends_with("empty.pem: holds no certificate"), "{said}");
    let missing = dir.path().join("missing.pem");
    let said = failure(with(&options, Encryption::Host, Some(&missing)));
    assert!(said.contains("missing.pem: No such file"), "{said}");
}
