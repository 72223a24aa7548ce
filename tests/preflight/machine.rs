//! Findings on a machine without sinks.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::preflight::report::preflight;
use crate::server::{Place, Server};

#[test]
fn a_new_place_is_fit_and_stays_as_it_was() {
    let place = Place::new(&[]);
    let report = preflight(&place, &[]);
    assert_eq!(report.code, 0, "{}", report.text);
    report.has("ok", "configuration", "fingerprint");
    report.has("ok", "durability", "fsync");
    report.has("ok", "journal", "can be made");
    report.has("ok", "address", "is free");
    report.has("ok", "postgres", "off");
    report.has("ok", "redis", "off");
    report.has("warn", "backup", "--backup");
    assert_eq!(report.of("sync").len(), 1, "{}", report.text);
    let left: Vec<_> = fs::read_dir(place.path()).expect("readable").collect();
    assert!(left.is_empty(), "{left:?}");

    let said = place.report(&["preflight"]);
    assert!(
        said.contains("What no machine can check:\n  [ ] "),
        "{said}"
    );
    assert!(said.contains("0 failed"), "{said}");
}

#[test]
fn dangerous_settings_are_told_without_the_secrets() {
    let place = Place::new(&[
        ("SERVER_HOST", "0.0.0.0"),
        ("JOURNAL_DURABILITY", "os"),
        ("LOG_FORMAT", "human"),
        ("ADMIN_TOKEN", "sesame-sesame-16"),
        ("DB_HOST", "db.invalid"),
        ("DB_PASSWORD", "changeme"),
        ("REDIS_HOST", "redis.invalid"),
        ("REDIS_PASSWORD", "q9w8e7"),
    ]);
    let report = preflight(&place, &[]);
    assert_eq!(report.code, 1, "the sinks cannot be reached");
    report.has("warn", "durability", "set journal.durability to fsync");
    report.has("warn", "log", "LOG_FORMAT=json");
    report.has("warn", "admin token", "short");
    report.has("warn", "db settings", "tried first");
    report.has("warn", "db settings", "sslmode is disable");
    report.has("warn", "redis settings", "is short");
    report.has("warn", "redis settings", "TLS is off");
    report.has("fail", "postgres", "host not found");
    report.has("fail", "redis", "host not found");
    for secret in ["sesame", "changeme", "q9w8e7"] {
        assert!(!report.text.contains(secret), "{}", report.text);
    }
    let place = Place::new(&[("SERVER_HOST", "0.0.0.0")]);
    preflight(&place, &[]).has("ok", "admin token", "admin.token");
}

#[test]
fn a_wrong_configuration_has_its_own_exit_code() {
    let place = Place::new(&[("SERVER_PORT", "many")]);
    let (code, said) = place.failure(&["preflight"]);
    assert_eq!(code, Some(78));
    assert!(said.contains("server.port"), "{said}");
}

#[test]
fn a_directory_that_cannot_be_is_told() {
    let place = Place::new(&[("JOURNAL_DIR", "file/journal")]);
    fs::write(place.path().join("file"), "").expect("a file");
    let report = preflight(&place, &[]);
    report.has("fail", "journal", "journal.dir");
    report.fails_only_in("journal");
}

#[test]
fn a_port_that_somebody_else_has_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener
        .local_addr()
        .expect("it is bound")
        .port()
        .to_string();
    // It takes connections, and drops them.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let report = preflight(&Place::new(&[("SERVER_PORT", &port)]), &[]);
    report.has("fail", "address", "is taken");
    report.has("warn", "sync", "not measured, a server may be using it");
    report.fails_only_in("address");
}

#[test]
fn a_running_server_is_asked() {
    let mut place = Place::new(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener
        .local_addr()
        .expect("it is bound")
        .port()
        .to_string();
    drop(listener);
    place.set("SERVER_PORT", &port);
    let server = Server::start_in(place);
    let report = preflight(server.place(), &[]);
    assert_eq!(report.code, 0, "{}", report.text);
    report.has("ok", "address", "is ready");
    report.has("ok", "running", "this configuration");
    report.has("ok", "monitoring", "/metrics");
    // By the server's own count: nobody who buys waits for a probe.
    assert_eq!(report.of("sync").len(), 1, "{}", report.text);
    let mut other = Place::new(&[("SERVER_PORT", &port)]);
    other.set("SALE_TOTAL_ITEMS", "7");
    preflight(&other, &[]).has("warn", "running", "configuration is");
}

#[test]
fn a_journal_that_somebody_has_is_left_alone() {
    // At another port than preflight looks at, as in a container.
    let server = Server::start(&[]);
    let report = preflight(server.place(), &[]);
    report.has("ok", "address", "is free");
    report.has("warn", "sync", "not measured, another process is using it");
    let place = server.stop();
    let report = preflight(&place, &[]);
    assert!(!report.text.contains("not measured"), "{}", report.text);
}

#[test]
fn the_age_of_the_newest_backup_is_told() {
    let place = Server::start(&[]).stop();
    fs::create_dir(place.path().join("backups")).expect("a directory");
    let backups = ["--backup", "backups"];
    preflight(&place, &backups).has("warn", "backup", "none in");
    place.report(&["journal", "backup", "--to", "backups/today"]);
    preflight(&place, &backups).has("ok", "backup", "today, is 0 hours old");
    let report = preflight(&place, &["--backup", "nowhere"]);
    report.has("fail", "backup", "nowhere");
}

#[test]
fn a_backup_that_may_not_be_read_is_not_taken_for_none() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: it takes root to become somebody else");
        return;
    }
    let mut place = Server::start(&[]).stop();
    fs::create_dir(place.path().join("backups")).expect("a directory");
    place.report(&["journal", "backup", "--to", "backups/today"]);
    for path in [place.path().to_owned(), place.path().join("backups")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own");
    }
    let binary = place.path().join("flashsale");
    fs::copy(env!("CARGO_BIN_EXE_flashsale"), &binary).expect("room");
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let arguments = [&nobody[..], &[binary.to_str().expect("UTF-8")]].concat();
    place.use_program("setpriv".into(), &arguments);
    let report = preflight(&place, &["--backup", "backups"]);
    report.has("fail", "backup", "backups/today: Permission denied");
    report.has("warn", "sync", "not measured, ");
}

/// A file system in memory, unmounted with this.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_small_disk_in_memory_is_told() {
    let place = Place::new(&[]);
    let dir = place.journal_dir();
    fs::create_dir(&dir).expect("a directory");
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(&dir);
    if !mount
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
    {
        eprintln!("SKIPPED: file systems cannot be mounted here (it takes root)");
        return;
    }
    let mounted = Mounted(dir);
    let report = preflight(&place, &[]);
    assert_eq!(report.code, 1);
    report.has("fail", "file system", "tmpfs");
    report.has("fail", "room", "a journal begins with");
    fs::write(mounted.0.join("all"), vec![1; 4 << 20]).expect_err("it is full");
    preflight(&place, &[]).has("fail", "sync", "cannot be written");
}

#[test]
fn a_machine_without_proc_and_sys_has_no_silly_figures() {
    let hide = "mount -t tmpfs none /proc && mount -t tmpfs none /sys && exec \"$0\" \"$@\"";
    let can_hide = Command::new("unshare")
        .args(["--mount", "sh", "-c", hide, "true"])
        .stderr(Stdio::null())
        .status();
    if !can_hide.is_ok_and(|it| it.success()) {
        eprintln!("SKIPPED: /proc cannot be hidden here (it takes root)");
        return;
    }
    let place = Place::behind("unshare", &["--mount", "sh", "-c", hide]);
    let report = preflight(&place, &[]);
    report.has(
        "warn",
        "memory",
        "whether a control group bounds it cannot be read",
    );
    let memory = report.of("memory");
    let (found, _) = memory[0].1.split_once(" MiB, ").expect("a figure");
    let mebibytes: u64 = found.parse().expect("a number");
    assert!((1..1 << 30).contains(&mebibytes), "{memory:?}");
    let kernel = report.of("kernel");
    assert!(kernel[0].1.contains(char::is_numeric), "{kernel:?}");
    assert!(!report.text.contains("8796093022207"), "{}", report.text);
}

#[test]
fn few_descriptors_are_told_with_what_is_served() {
    let place = Place::behind("prlimit", &["--nofile=200:200"]);
    let report = preflight(&place, &[]);
    report.has("warn", "open files", "200: room for 2 connections");
    report.has("warn", "open files", "LimitNOFILE");
    // The server raises the limit by itself as far as it may.
    let place = Place::behind("prlimit", &["--nofile=260:1000"]);
    let report = preflight(&place, &[]);
    report.has("warn", "open files", "1000: room for 744 connections");
}

#[test]
fn limits_that_end_a_server_are_told() {
    let place = Place::behind("prlimit", &["--fsize=1000000", "--cpu=3600"]);
    let report = preflight(&place, &[]);
    report.has(
        "fail",
        "file size",
        "1000000 bytes, and a segment of the journal has 4194304",
    );
    report.has("warn", "processor time", "3600 s (RLIMIT_CPU)");
    let place = Place::behind("prlimit", &["--fsize=100000000"]);
    preflight(&place, &[]).has("warn", "file size", "LimitFSIZE=infinity");
}
