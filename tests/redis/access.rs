//! Getting in, or a clear word why not; and never a secret in it.

use flashsale::reconcile::redis::{RedisOptions, RedisServers, read, reset};
use flashsale::reconcile::{Sink, SinkError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::redis::fixture::{Place, options, run, sink, wait_until_equal};
use crate::redis::story::Story;
use crate::redis_server::RedisServer;

const PASSWORD: &str = "opensesame-4711";

/// Why `options` do not lead in; nothing in it may be of use to a stranger.
fn refusal(options: &RedisOptions) -> String {
    let error = run(sink(options).open()).expect_err("no way in");
    let words = format!("{error} {error:?} {options:?}");
    for secret in [PASSWORD, "wrong-password"] {
        assert!(!words.contains(secret), "{words}");
    }
    let why = error.to_string();
    let RedisServers::Single(server) = &options.servers else {
        panic!("a single server");
    };
    assert!(
        !why.contains("127.0.0.1") && !why.contains(&server.host),
        "{why}"
    );
    assert!(!matches!(error, SinkError::Moved));
    why
}

fn set_host(options: &mut RedisOptions, host: &str) {
    if let RedisServers::Single(server) = &mut options.servers {
        server.host = host.into();
    }
}

fn works(options: &RedisOptions) {
    let place = Place::new();
    let last = Story::new(1).tell(&place.journal, 300);
    let following = place.follow(options);
    following.first_word().expect("a way in");
    wait_until_equal(&place.fold(last), options);
}

#[test]
fn passwords_and_users_are_checked() {
    let user = "user shop on >shop-secret ~{flashsale}* +@all";
    let password = format!("requirepass {PASSWORD}");
    let server = RedisServer::start_with(&[&password, user]);
    let mut options = options(&server);
    assert_eq!(refusal(&options), "it wants a password");
    options.password = Some("wrong-password".into());
    assert_eq!(refusal(&options), "the password was rejected");
    options.password = Some(PASSWORD.into());
    works(&options);
    options.user = Some("shop".into());
    assert_eq!(refusal(&options), "the password was rejected");
    options.password = Some("shop-secret".into());
    options.db = 3;
    works(&options);
    options.db = 300;
    assert_eq!(refusal(&options), "it has no database of that number");
}

#[test]
fn a_server_that_is_not_there_is_reported_as_refused_or_not_found() {
    let mut server = RedisServer::start();
    let mut options = options(&server);
    server.kill_9();
    assert_eq!(refusal(&options), "connection refused");
    set_host(&mut options, "nowhere.invalid");
    assert_eq!(refusal(&options), "host not found");
}

#[test]
fn scripts_stand_in_where_functions_are_not_allowed() {
    let limited = "user limited on >x ~{flashsale}* +@all -function -fcall -fcall_ro";
    let renamed = ["rename-command FCALL \"\"", "rename-command FUNCTION \"\""];
    works(&options(&RedisServer::start_with(&renamed)));
    // The library is there, loaded by somebody who may.
    let server = RedisServer::start_with(&[limited]);
    let mut options = options(&server);
    works(&options);
    server.command(&["FLUSHALL"]);
    options.user = Some("limited".into());
    options.password = Some("x".into());
    works(&options);
}

#[test]
fn functions_that_somebody_removed_are_loaded_again() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let following = place.follow(&options);
    let mut story = Story::new(2);
    following.wait_for(story.tell(&place.journal, 300));
    server.command(&["FUNCTION", "FLUSH"]);
    let last = story.tell(&place.journal, 300);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
}

#[test]
fn the_rights_in_the_documentation_are_enough() {
    let documented = include_str!("../../docs/redis.md")
        .lines()
        .find(|line| line.starts_with("user flashsale on"))
        .expect("an example");
    let server = RedisServer::start_with(&[documented]);
    let mut options = options(&server);
    options.user = Some("flashsale".into());
    options.password = Some("password".into());
    works(&options);
    run(reset(&options)).expect("allowed");
    works(&options);
}

#[test]
fn a_user_who_may_do_too_little_is_told_so() {
    let server = RedisServer::start_with(&["user poor on >x ~{flashsale}* +@read"]);
    let mut options = options(&server);
    options.user = Some("poor".into());
    options.password = Some("x".into());
    let place = Place::new();
    Story::new(1).tell(&place.journal, 10);
    place.follow(&options).wait_for_reason("see docs/redis.md");
    assert!(run(read(&options)).expect("readable").is_none());
}

#[test]
fn servers_of_two_versions_leave_each_other_alone() {
    let server = RedisServer::start();
    let others = ["flashsale", "flashsale_00000001"];
    for (number, library) in (1..).zip(others) {
        let code = format!(
            "#!lua name={library}\nredis.register_function('other_{number}', function() return {number} end)"
        );
        let loaded = server.command(&["FUNCTION", "LOAD", &code]);
        assert_eq!(loaded.text(), library);
    }
    works(&options(&server));
    for number in 1..=2 {
        let answer = server.command(&["FCALL", &format!("other_{number}"), "0"]);
        assert_eq!(answer.text(), number.to_string());
    }
    let listed = server.command(&["FUNCTION", "LIST", "LIBRARYNAME", "flashsale_*"]);
    assert_eq!(listed.list().len(), 2, "ours is another one");
}

/// An authority, and a certificate of `host` with its key that it has signed.
fn certificate(host: &str) -> (String, String, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("a host");
    let signed = params.signed_by(&key, &authority).expect("a certificate");
    (authority.pem(), signed.pem(), key.serialize_pem())
}

#[test]
fn certificates_are_checked() {
    let (authority, signed, key) = certificate("localhost");
    let (stranger, ..) = certificate("localhost");
    let server = RedisServer::start_tls(&signed, &key, &[]);
    let file = |name: &str, pem: &str| {
        let path = server.dir().join(name);
        std::fs::write(&path, pem).expect("writable");
        Some(path)
    };
    let mut options = options(&server);
    assert_ne!(refusal(&options), "", "it speaks TLS and nothing else");
    options.tls = true;
    set_host(&mut options, "localhost");
    assert_eq!(refusal(&options), "its certificate is not trusted");
    options.authorities = file("stranger.pem", &stranger);
    assert_eq!(refusal(&options), "its certificate is not trusted");
    options.authorities = file("authority.pem", &authority);
    works(&options);
    set_host(&mut options, "127.0.0.1");
    assert_eq!(refusal(&options), "its certificate is for another host");
    options.authorities = Some("nowhere.pem".into());
    assert!(refusal(&options).starts_with("nowhere.pem: No such file"));
    options.authorities = file("empty.pem", "");
    assert!(refusal(&options).ends_with("empty.pem: holds no certificate"));
}
