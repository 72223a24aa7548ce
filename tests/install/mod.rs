//! `scripts/install`, into a directory in the place of a machine: what it puts there runs, an upgrade can be
//! taken back, and what was sold outlives the program.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::server::{Place, Server};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install");
const BINARY: &str = env!("CARGO_BIN_EXE_flashsale");

/// A directory in the place of a machine.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn try_script(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(SCRIPT);
        command.args(arguments).env("DESTDIR", self.0.path());
        command.output().expect("bash")
    }

    fn script(&self, arguments: &[&str]) -> String {
        let output = self.try_script(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn install(&self, binary: &str) -> String {
        self.script(&["--binary", binary])
    }

    /// All files, with their modes and contents.
    fn files(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut files = Vec::new();
        collect(self.0.path(), &mut files);
        files.sort();
        files
    }

    /// The installed binary with the installed configuration, but in a journal and at a port of its own.
    fn place(&self) -> Place {
        let mut place = Place::new(&[("SALE_TOTAL_ITEMS", "10")]);
        let journal = self.path("var/lib/flashsale/journal");
        place.set("JOURNAL_DIR", journal.to_str().expect("UTF-8"));
        let config = self.path("etc/flashsale/config.json");
        let config = config.to_str().expect("UTF-8");
        place.use_program(self.path("usr/local/bin/flashsale"), &["--config", config]);
        place
    }
}

fn collect(dir: &Path, files: &mut Vec<(PathBuf, u32, Vec<u8>)>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let mode = fs::metadata(&path).expect("a file").mode();
            files.push((path.clone(), mode, fs::read(&path).expect("a file")));
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

/// Another binary than the one that is built, which does the same.
fn other_binary(dir: &Path) -> String {
    let path = dir.join("other");
    let text = format!("#!/bin/sh\nexec {BINARY} \"$@\"\n");
    fs::write(&path, text).expect("it can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn what_is_installed_sells_is_upgraded_and_rolled_back_and_leaves_its_data() {
    let machine = Machine::new();
    let said = machine.install(BINARY);
    assert!(said.contains("systemctl enable --now flashsale"), "{said}");
    let server = Server::start_in(machine.place());
    let code = server.client().choose("ada", &["ITM-1-0"]);
    server.client().purchase(&code).ok();
    server.stop();

    let tools = tempfile::tempdir().expect("a temporary directory");
    let said = machine.install(&other_binary(tools.path()));
    let program = machine.path("usr/local/bin/flashsale");
    let previous = machine.path("usr/local/bin/flashsale.previous");
    assert!(said.contains("Roll back:"), "{said}");
    assert_eq!(fs::read(&previous).ok(), fs::read(BINARY).ok());
    let server = Server::start_in(machine.place());
    server
        .client()
        .purchase(&code)
        .refused(409, "already_processed", "");
    server.stop();

    fs::rename(&previous, &program).expect("as the script has said");
    let server = Server::start_in(machine.place());
    server
        .client()
        .purchase(&code)
        .refused(409, "already_processed", "");
    server.stop();

    let said = machine.script(&["--uninstall"]);
    assert!(said.contains("var/lib/flashsale"), "{said}");
    assert!(!program.exists());
    assert!(
        !machine
            .path("etc/systemd/system/flashsale.service")
            .exists()
    );
    assert!(!machine.path("usr/local/share/flashsale").exists());
    assert!(machine.path("etc/flashsale/flashsale.env").exists());
    let mut place = Place::new(&[]);
    let journal = machine.path("var/lib/flashsale/journal");
    place.set("JOURNAL_DIR", journal.to_str().expect("UTF-8"));
    let report = place.report(&["journal", "verify"]);
    assert!(report.contains("10 units = 1 sold"), "{report}");
}

#[test]
fn a_binary_is_found_where_the_script_is_called() {
    let machine = Machine::new();
    let tools = tempfile::tempdir().expect("a temporary directory");
    other_binary(tools.path());
    let mut command = Command::new(SCRIPT);
    command.args(["--binary", "other"]);
    command.env("DESTDIR", machine.path(""));
    let output = command.current_dir(tools.path()).output().expect("bash");
    assert!(output.status.success(), "{output:?}");
    assert!(machine.path("usr/local/bin/flashsale").exists());
}

#[test]
fn a_second_run_changes_nothing_and_keeps_what_was_changed() {
    let machine = Machine::new();
    machine.install(BINARY);
    let first = machine.files();
    machine.install(BINARY);
    assert!(
        machine.files() == first,
        "the same files with the same contents"
    );
    let config = machine.path("etc/flashsale/config.json");
    fs::write(&config, "{}").expect("it can be written");
    let said = machine.install(BINARY);
    assert!(said.contains("which was changed"), "{said}");
    assert_eq!(fs::read_to_string(&config).expect("a file"), "{}");
    let default = machine.path("etc/flashsale/config.json.default");
    let default = fs::read_to_string(default).expect("a file");
    assert!(
        default.contains("\"/var/lib/flashsale/journal\""),
        "{default}"
    );
}

/// As a repository of another version would have it.
fn age(path: &Path) {
    fs::write(path, "{\"log\": {}}").expect("it can be written");
}

#[test]
fn an_upgrade_replaces_what_was_not_changed_and_opens_nothing_that_was_closed() {
    let machine = Machine::new();
    machine.install(BINARY);
    let dir = machine.path("etc/flashsale");
    let (config, default) = (dir.join("config.json"), dir.join("config.json.default"));
    let newest = fs::read(&config).expect("a file");
    assert_eq!(mode(&config), 0o644, "in a package it belongs to nobody");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o750)).expect("a directory");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("a file");
    for change in [&[][..], &[&*default], &[&*config, &*default]] {
        change.iter().for_each(|path| age(path));
        machine.install(BINARY);
        assert_eq!(fs::read(&config).expect("a file"), newest);
        assert_eq!(fs::read(&default).expect("a file"), newest);
        assert_eq!((mode(&dir), mode(&config)), (0o750, 0o600));
    }
}

#[test]
fn a_unit_that_was_changed_is_kept() {
    let machine = Machine::new();
    machine.install(BINARY);
    let unit = machine.path("etc/systemd/system/flashsale.service");
    let changed = fs::read_to_string(&unit).expect("a file") + "Nice=-5\n";
    fs::write(&unit, &changed).expect("it can be written");
    let said = machine.install(BINARY);
    assert!(
        said.contains("flashsale.service, which was changed"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&unit).expect("a file"), changed);
}

#[test]
fn the_program_is_found_where_it_was_installed() {
    let machine = Machine::new();
    let output = machine.try_script(&["--uninstall"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("nothing is installed"),
        "{said}"
    );
    machine.script(&["--binary", BINARY, "--prefix", "/opt/flashsale"]);
    machine.install(BINARY);
    assert!(!machine.path("usr/local").exists(), "upgraded in its place");
    machine.script(&["--uninstall"]);
    assert!(!machine.path("opt/flashsale/bin/flashsale").exists());
    machine.install(BINARY);
    fs::remove_file(machine.path("usr/local/bin/flashsale")).expect("a file");
    let said = machine.script(&["--uninstall"]);
    let program = machine.path("usr/local/bin/flashsale");
    let missing = format!("not found: {}", program.display());
    assert!(said.contains(&missing), "{said}");
}

#[test]
fn secrets_are_nobody_elses_and_in_no_package() {
    let machine = Machine::new();
    let said = machine.install(BINARY);
    assert!(said.contains("each machine needs one of its own"), "{said}");
    let path = machine.path("etc/flashsale/flashsale.env");
    assert_eq!(mode(&path), 0o600);
    let text = fs::read_to_string(&path).expect("a file");
    let is_set = |line: &str| !line.is_empty() && !line.starts_with('#');
    assert!(!text.lines().any(is_set), "{text}");
    assert!(text.contains("#ADMIN_TOKEN="), "{text}");
    let changed = text.replace("#ADMIN_TOKEN=", "ADMIN_TOKEN=0123456789abcdef");
    fs::write(&path, &changed).expect("a file");
    machine.install(BINARY);
    assert_eq!(fs::read_to_string(&path).expect("a file"), changed);
}

#[test]
fn another_prefix_is_in_the_unit_and_in_the_configuration() {
    let machine = Machine::new();
    machine.script(&["--binary", BINARY, "--prefix", "/opt/flashsale"]);
    assert!(machine.path("opt/flashsale/bin/flashsale").exists());
    let unit = machine.path("etc/systemd/system/flashsale.service");
    let unit = fs::read_to_string(unit).expect("a file");
    assert!(
        unit.contains("ExecStart=/opt/flashsale/bin/flashsale serve"),
        "{unit}"
    );
    let config = fs::read_to_string(machine.path("etc/flashsale/config.json"));
    let config = config.expect("a file");
    assert!(
        config.contains("\"/opt/flashsale/share/flashsale/migrations\""),
        "{config}"
    );
    assert!(
        machine
            .path("opt/flashsale/share/flashsale/migrations/001_watermark.up.sql")
            .exists()
    );
}

#[test]
fn a_dry_run_does_nothing_and_a_wrong_word_is_named() {
    let machine = Machine::new();
    let said = machine.script(&["--dry-run", "--binary", BINARY]);
    assert!(said.contains("would run: install"), "{said}");
    for file in ["bin/flashsale", "001_watermark.up.sql", "/flashsale.env"] {
        let lines = said.lines().filter(|line| line.contains(file));
        assert_eq!(lines.count(), 1, "{file} is said once: {said}");
    }
    assert!(machine.files().is_empty(), "nothing was written");
    for (arguments, why) in [
        (&["--prefix", "usr"][..], "must be an absolute path"),
        (&["--prefix", "/usr/|a"], "only letters, digits"),
        (&["--binary"], "takes a path"),
        (&["--binary", "/none"], "there is no program"),
        (
            &["--binary", "/bin/ls"],
            "/ls is not flashsale: it calls itself \"ls ",
        ),
        (&["--dry-run", "--binary", "/bin/ls"], "is not flashsale"),
        (&["--upgrade"], "--upgrade is not known"),
        (&["--dry-run", "--uninstall"], "nothing is installed"),
    ] {
        let output = machine.try_script(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains(why), "{said}");
        assert!(machine.files().is_empty(), "nothing was written");
    }
}

impl Machine {
    /// Checks that a dry run changes nothing and says what the run behind it does, in the same words, and that
    /// both succeed or fail alike.
    fn runs_as_a_dry_run_says(&self, arguments: &[&str]) {
        let before = self.files();
        let dry = self.try_script(&[&["--dry-run"], arguments].concat());
        assert!(
            self.files() == before,
            "{arguments:?}: a dry run changes nothing"
        );
        let real = self.try_script(arguments);
        let [dry_said, real_said] = [&dry, &real].map(|it| String::from_utf8_lossy(&it.stdout));
        let (commands, lines): (Vec<_>, Vec<_>) = dry_said
            .lines()
            .partition(|line| line.starts_with("would run: "));
        let foretold: Vec<_> = lines
            .iter()
            .map(|line| line.strip_prefix("would be ").unwrap_or(line))
            .collect();
        // The next steps are behind an empty line.
        let done: Vec<_> = real_said
            .lines()
            .take_while(|line| !line.is_empty())
            .collect();
        assert_eq!(foretold, done, "{arguments:?}");
        assert_eq!(
            (dry.status.code(), &dry.stderr),
            (real.status.code(), &real.stderr),
            "{arguments:?}"
        );
        let here = self.0.path().to_str().expect("UTF-8");
        let is_below = |line: &&str| line.contains(here);
        assert!(
            commands.iter().all(is_below),
            "only below DESTDIR: {commands:?}"
        );
        assert!(!done.iter().any(|line| line.contains(" /etc/")), "{done:?}");
    }
}

#[test]
fn a_dry_run_says_what_the_run_does() {
    let machine = Machine::new();
    let tools = tempfile::tempdir().expect("a temporary directory");
    let other = other_binary(tools.path());
    machine.runs_as_a_dry_run_says(&["--binary", BINARY]);
    machine.runs_as_a_dry_run_says(&["--binary", BINARY]);
    machine.runs_as_a_dry_run_says(&["--binary", &other]);
    let unit = machine.path("etc/systemd/system/flashsale.service");
    let changed = fs::read_to_string(&unit).expect("a file") + "Nice=-5\n";
    fs::write(&unit, changed).expect("it can be written");
    age(&machine.path("etc/flashsale/config.json"));
    machine.runs_as_a_dry_run_says(&["--binary", BINARY]);
    // Refused: the unit that is kept starts a program elsewhere.
    machine.runs_as_a_dry_run_says(&["--binary", BINARY, "--prefix", "/opt/other"]);
    machine.runs_as_a_dry_run_says(&["--uninstall"]);
    machine.runs_as_a_dry_run_says(&["--uninstall"]);
}
