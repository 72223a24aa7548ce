//! A wall clock of one process that tests step, while the machine's own goes on.
//!
//! `libfaketime` is not enough: it stands before the functions of the C library, and the server reads its clocks from the kernel's code in its own
//! memory (the vDSO). A time namespace shifts every clock but this one.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The clock of a process that is started with its settings, and of those that take its place.
pub struct SteppedClock {
    dir: TempDir,
}

impl SteppedClock {
    /// Makes a clock that is right.
    pub fn new() -> Self {
        let clock = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/stepped_clock");
        let map = source.join("image.map").display().to_string();
        // As the kernel's own code is: one piece that can be read and executed.
        let linker =
            format!("-Wl,-znorelro,-znoseparate-code,--hash-style=both,--version-script={map}");
        clock.compile(&source.join("image.c"), &["-O2", "-nostdlib", &linker]);
        clock.compile(&source.join("preload.c"), &["-ldl"]);
        fs::write(clock.path("ahead"), 0_i64.to_ne_bytes()).expect("our own directory");
        clock
    }

    fn compile(&self, source: &Path, arguments: &[&str]) {
        let library = source.with_extension("so");
        let library = library.file_name().expect("a file");
        let mut command = Command::new("cc");
        command
            .args(["-shared", "-fPIC", "-o"])
            .arg(self.dir.path().join(library));
        command.arg(source).args(arguments);
        assert!(command.status().expect("cc runs").success(), "{command:?}");
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The settings of a process that has this clock.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("LD_PRELOAD", self.path("preload.so")),
            ("STEPPED_CLOCK_IMAGE", self.path("image.so")),
            ("STEPPED_CLOCK_AHEAD", self.path("ahead")),
        ]
    }

    /// Lets it be so many seconds ahead of the machine's clock, or behind it.
    pub fn step(&self, ahead: i64) {
        let file = File::options().write(true).open(self.path("ahead"));
        let written = file.and_then(|file| file.write_all_at(&ahead.to_ne_bytes(), 0));
        written.expect("our own file");
    }
}
