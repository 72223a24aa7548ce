//! Finding the master through sentinels, or clear words why not; and never a secret in them.

use std::fs;

use flashsale::env::{Secret, SecretFile};
use flashsale::reconcile::Sink;
use flashsale::reconcile::redis::{RedisOptions, RedisServers, SentinelOptions};
use flashsale::types::ServerAddress;

use crate::certificates::Authority;
use crate::redis::fixture::{Place, address, at, run, sink, wait_until_equal};
use crate::redis::story::Story;
use crate::redis_server::RedisServer;

const PASSWORD: &str = "sentinels-4711";

/// A sentinel that has this master.
fn watch(master: &RedisServer, settings: &[&str]) -> RedisServer {
    let port = master.port();
    let mut lines = vec![format!("sentinel monitor shop 127.0.0.1 {port} 1")];
    lines.extend(settings.iter().map(|line| (*line).to_owned()));
    RedisServer::start_sentinel(&lines)
}

fn options(sentinels: &[&RedisServer]) -> (RedisOptions, SentinelOptions) {
    let sentinels = SentinelOptions {
        sentinels: sentinels.iter().copied().map(address).collect(),
        master: "shop".into(),
        user: None,
        password: None,
    };
    (at(RedisServers::Sentinel(sentinels.clone())), sentinels)
}

/// With other settings of the sentinels.
fn with(options: &RedisOptions, sentinels: &SentinelOptions) -> RedisOptions {
    RedisOptions {
        servers: RedisServers::Sentinel(sentinels.clone()),
        ..options.clone()
    }
}

/// Why `options` do not lead in: for the log, and for everybody.
fn refusal(options: &RedisOptions) -> String {
    let error = run(sink(options).open()).expect_err("no way in");
    let shown = error.shown();
    for hidden in ["127.0.0.1", "localhost", "nobody"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    for secret in [PASSWORD, "wrong-password"] {
        let words = format!("{error} {error:?} {options:?}");
        assert!(!words.contains(secret), "{words}");
    }
    error.to_string()
}

fn works(options: &RedisOptions) {
    let place = Place::new();
    let last = Story::new(1).tell(&place.journal, 300);
    let following = place.follow(options);
    following.first_word().expect("a way in");
    wait_until_equal(&place.fold(last), options);
}

#[test]
fn sentinels_that_do_not_help_are_named_with_the_reason() {
    let master = RedisServer::start();
    let mut sentinel = watch(&master, &[]);
    let (options, mut sentinels) = options(&[&sentinel]);
    works(&options);
    let at = |server: &RedisServer| format!("sentinel 127.0.0.1:{}: ", server.port());
    sentinels.master = "nobody".into();
    assert_eq!(
        refusal(&with(&options, &sentinels)),
        format!("{}it knows no master named nobody", at(&sentinel))
    );
    // Any of them is enough, and what is listed may be something else.
    sentinels.sentinels = vec![address(&master)];
    assert_eq!(
        refusal(&with(&options, &sentinels)),
        format!("{}it is no sentinel", at(&master))
    );
    sentinels.master = "shop".into();
    sentinels.sentinels.push(address(&sentinel));
    sentinels.sentinels.push(ServerAddress {
        host: "nowhere.invalid".into(),
        port: 1,
    });
    works(&with(&options, &sentinels));
    sentinel.kill_9();
    let why = refusal(&with(&options, &sentinels));
    for part in [
        format!("{}it is no sentinel", at(&master)),
        format!("{}connection refused", at(&sentinel)),
        "sentinel nowhere.invalid:1: host not found".into(),
    ] {
        assert!(why.contains(&part), "{why}");
    }
}

#[test]
fn a_master_that_is_none_is_not_written_to() {
    let mut master = RedisServer::start();
    let sentinel = watch(&master, &[]);
    let (options, _) = options(&[&sentinel]);
    master.command(&["REPLICAOF", "127.0.0.1", "1"]);
    assert!(refusal(&options).contains("it is a replica, although it was named as the master"));
    master.kill_9();
    let said = format!("master 127.0.0.1:{}: connection refused", master.port());
    assert_eq!(refusal(&options), said);
}

#[test]
fn sentinels_have_users_and_passwords_of_their_own() {
    let documented = include_str!("../../docs/redis.md")
        .lines()
        .find(|line| line.starts_with("user flashsale-finder on"))
        .expect("an example");
    let master = RedisServer::start_with(&["requirepass masters-own"]);
    let own = format!("requirepass {PASSWORD}");
    let auth = "sentinel auth-pass shop masters-own";
    let poor = "user poor on >x -@all +@connection";
    let sentinel = watch(&master, &[auth, &own, documented, poor]);
    let (mut options, mut sentinels) = options(&[&sentinel]);
    options.password = Some("masters-own".into());
    assert!(refusal(&options).ends_with(": it wants a password"));
    sentinels.password = Some("wrong-password".into());
    let rejected = ": the password was rejected";
    assert!(refusal(&with(&options, &sentinels)).ends_with(rejected));
    sentinels.password = Some(PASSWORD.into());
    works(&with(&options, &sentinels));
    sentinels.user = Some("poor".into());
    sentinels.password = Some("x".into());
    assert!(
        refusal(&with(&options, &sentinels))
            .contains("may not use SENTINEL GET-MASTER-ADDR-BY-NAME, which is needed")
    );

    sentinels.user = Some("flashsale-finder".into());
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("password");
    fs::write(&path, "wrong-password").expect("writable");
    let file = SecretFile {
        name: "REDIS_SENTINEL_PASSWORD_FILE",
        path: path.clone(),
        is_allowed: |_| true,
        allowed: String::new,
    };
    sentinels.password = Some(Secret::of_file("wrong-password".into(), file));
    assert!(refusal(&with(&options, &sentinels)).ends_with(rejected));
    fs::write(&path, "password").expect("writable");
    works(&with(&options, &sentinels));
}

#[test]
fn a_user_who_may_not_ask_for_the_role_is_told_so() {
    let master = RedisServer::start_with(&["user shop on >x ~* &* +@all -role"]);
    let sentinel = watch(&master, &[]);
    let (mut options, _) = options(&[&sentinel]);
    options.user = Some("shop".into());
    options.password = Some("x".into());
    assert!(
        refusal(&options).contains("the user may not use ROLE, which is needed, see docs/redis.md")
    );
}

#[test]
fn certificates_of_sentinels_are_checked() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.sign("localhost");
    let master = RedisServer::start_tls(&certificate, &key, &[]);
    let file = |name: &str, text: &str| {
        let path = master.dir().join(name);
        fs::write(&path, text).expect("writable");
        path
    };
    let trusted = file("authority.pem", &authority.pem);
    let sentinel = RedisServer::start_tls_sentinel(
        &certificate,
        &key,
        &[
            "tls-replication yes".into(),
            format!("tls-ca-cert-file {}", trusted.display()),
            "sentinel resolve-hostnames yes".into(),
            "sentinel announce-hostnames yes".into(),
            format!("sentinel monitor shop localhost {} 1", master.port()),
        ],
    );
    let (mut options, mut sentinels) = options(&[&sentinel]);
    sentinels.sentinels[0].host = "localhost".into();
    options = with(&options, &sentinels);
    options.tls = true;
    options.authorities = Some(file("stranger.pem", &stranger.pem));
    assert!(refusal(&options).ends_with("its certificate is not trusted"));
    options.authorities = Some(trusted);
    works(&options);
    sentinels.sentinels[0].host = "127.0.0.1".into();
    assert!(refusal(&with(&options, &sentinels)).ends_with("its certificate is for another host"));
}
