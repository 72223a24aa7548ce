//! The queue of log lines: a thread that logs never waits for a slow reader of the log.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::thread::{self, Builder};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::limits::{LOG_BYTES_MAX, LOG_RESERVED_BYTES};

/// How long to wait for room where writing itself does not wait for it.
const FULL_PAUSE: Duration = Duration::from_millis(5);
/// How long to wait behind an error before it is told that lines were lost.
const LOST_PAUSE: Duration = Duration::from_millis(500);

/// Writes lines from a thread of its own. While nobody reads them, a bounded number of bytes waits; what
/// is over the bound is lost, counted, and told of afterwards. What matters more has room of its own behind
/// what matters less, so that why a process ends is not lost among the lines that filled it.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<WriterState>);

struct WriterState {
    queue: Mutex<LineQueue>,
    changed: Condvar,
}

#[derive(Default)]
struct LineQueue {
    bytes: Vec<u8>,
    lost: u64,
    /// The thread has taken lines, and they are not written yet.
    writing: bool,
}

/// One line.
pub(super) struct Line<'a> {
    inner: &'a WriterState,
    bytes_max: usize,
}

impl LogWriter {
    /// Starts the thread, which writes to `out`.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let inner = Arc::new(WriterState {
            queue: Mutex::default(),
            changed: Condvar::new(),
        });
        let lines = Arc::clone(&inner);
        Builder::new()
            .name("log".into())
            .spawn(move || write_all(&lines, out))?;
        Ok(Self(inner))
    }

    /// Waits until all lines are written, but no longer than `patience`: nobody may ever read them.
    pub(super) fn flush(&self, patience: Duration) {
        let mut queue = self.0.queue.lock();
        let waits = |queue: &mut LineQueue| queue.writing || !queue.bytes.is_empty();
        self.0.changed.wait_while_for(&mut queue, waits, patience);
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            inner: &self.0,
            bytes_max: LOG_BYTES_MAX,
        }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line<'a> {
        let reserved = match *about.level() {
            Level::ERROR => 2 * LOG_RESERVED_BYTES,
            Level::WARN | Level::INFO => LOG_RESERVED_BYTES,
            _ => 0,
        };
        Line {
            inner: &self.0,
            bytes_max: LOG_BYTES_MAX + reserved,
        }
    }
}

impl Write for Line<'_> {
    /// Takes a whole line, or loses it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut queue = self.inner.queue.lock();
        if queue.bytes.len() + line.len() <= self.bytes_max {
            queue.bytes.extend_from_slice(line);
        } else {
            queue.lost += 1;
        }
        self.inner.changed.notify_all();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes whole lines, and says how many of them could not be written.
fn write_lines(out: &mut impl Write, lines: &[u8]) -> u64 {
    let mut rest = lines;
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => break,
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody has made it so that writing does not wait, and has not read.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
            Err(_) => break,
        }
    }
    memchr::memchr_iter(b'\n', rest).count() as u64
}

fn write_all(inner: &WriterState, mut out: impl Write) {
    let mut taken = Vec::new();
    loop {
        {
            let mut queue = inner.queue.lock();
            inner
                .changed
                .wait_while(&mut queue, |queue| queue.bytes.is_empty());
            mem::swap(&mut queue.bytes, &mut taken);
            queue.writing = true;
        }
        let unwritten = write_lines(&mut out, &taken);
        taken.clear();
        if unwritten > 0 {
            // The line that tells of it would not be written, either.
            thread::sleep(LOST_PAUSE);
        }
        let lost = {
            let mut queue = inner.queue.lock();
            queue.lost += unwritten;
            // Said only where there is room to say it.
            match queue.bytes.len() < LOG_BYTES_MAX / 2 {
                true => mem::take(&mut queue.lost),
                false => 0,
            }
        };
        if lost > 0 {
            tracing::warn!(
                lines = lost,
                "{lost} lines of the log were lost: nobody read it"
            );
        }
        inner.queue.lock().writing = false;
        inner.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Writes one piece for each time that it may.
    struct Gate {
        open: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An error says that it stays open.
            let _ = self.open.recv();
            self.written.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (LogWriter, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let ((key, open), written) = (channel(), Arc::default());
        let gate = Gate {
            open,
            written: Arc::clone(&written),
        };
        let writer = LogWriter::start(gate).expect("a thread");
        (writer, key, written)
    }

    #[test]
    fn whoever_writes_never_waits_and_what_is_over_the_bound_is_lost() {
        let (writer, key, written) = gated();
        let line = [b'a'; 1024];
        for _ in 0..3 * LOG_BYTES_MAX / line.len() {
            writer.make_writer().write_all(&line).expect("taken");
        }
        assert!(writer.0.queue.lock().lost > 0);
        writer.flush(Duration::from_millis(1));
        assert!(written.lock().is_empty(), "the gate is shut");
        drop(key);
        writer.flush(PATIENCE);
        let written = written.lock().len();
        // What the thread had taken, and what waited behind it.
        assert!((LOG_BYTES_MAX..=2 * LOG_BYTES_MAX).contains(&written));
        assert_eq!(writer.0.queue.lock().lost, 0, "it has been told");
    }

    #[test]
    fn lines_that_cannot_be_written_count_as_lost() {
        let mut room = [0; 5];
        let mut out = &mut room[..];
        assert_eq!(write_lines(&mut out, b"one\ntwo\nthree\n"), 2);
        assert_eq!(&room, b"one\nt");
    }

    #[test]
    fn a_flush_waits_for_the_last_line() {
        let (writer, key, written) = gated();
        writer.make_writer().write_all(b"last").expect("taken");
        drop(key);
        writer.flush(PATIENCE);
        assert_eq!(*written.lock(), b"last");
    }
}
