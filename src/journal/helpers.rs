//! The work beside the appending: by threads; or without them, by the owner of the journal, a step at a time, so that
//! one thread can run a whole server and repeat it exactly.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::Journal;
use super::committer::Committer;
use super::error::{JournalError, JournalFailed};
use super::preallocator::Preallocator;
use super::shared::Work;
use crate::types::Lsn;

/// The helpers that do it.
pub(super) enum Helpers {
    /// Threads.
    Threads(Vec<JoinHandle<()>>),
    /// The owner.
    Steps(Box<Preallocator>),
    /// Nobody: it is over.
    Ended,
}

impl Journal {
    /// Starts the threads.
    pub(super) fn spawn(&self, preallocator: Preallocator) -> Result<(), JournalError> {
        let spawned = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = Builder::new().name(name.into()).spawn(run);
            thread.map_err(JournalError::io("start a thread for", &self.dir))
        };
        let commit = {
            let (committer, shared) = (Arc::clone(&self.committer), Arc::clone(&self.shared));
            move || Committer::run(&committer, &shared)
        };
        let commit = spawned("commit", Box::new(commit))?;
        self.shared
            .committer
            .get_or_init(|| commit.thread().clone());
        let prepare = spawned("prepare", Box::new(move || preallocator.run()))?;
        *self.helpers.lock() = Helpers::Threads(vec![commit, prepare]);
        Ok(())
    }

    /// Has the owner do the work of the threads.
    pub(super) fn step_by_step(&self, preallocator: Preallocator) {
        *self.helpers.lock() = Helpers::Steps(Box::new(preallocator));
    }

    /// Commits what can be committed without waiting for a segment or for room: one turn of the committer's thread. Does
    /// nothing in a journal that has threads.
    pub fn step_commit(&self) {
        if matches!(*self.helpers.lock(), Helpers::Steps(_)) {
            self.committer.lock().commit_ready();
        }
    }

    /// Prepares the next segment if it is missing, and checks the open files: one turn of the preallocator's thread. Does
    /// nothing in a journal that has threads.
    pub fn step_preparation(&self) {
        if let Helpers::Steps(preallocator) = &mut *self.helpers.lock()
            && !self.shared.has_failed()
        {
            preallocator.step(match self.shared.has_prepared() {
                true => Work::CheckFiles,
                false => Work::Preallocate,
            });
        }
    }

    /// Has each thread's work done once, where the owner does it: `None` where there are threads, else whether that changed
    /// anything.
    pub(super) fn step_once(&self) -> Option<bool> {
        if !matches!(*self.helpers.lock(), Helpers::Steps(_)) {
            return None;
        }
        let before = (self.durable(), self.shared.has_prepared());
        self.step_preparation();
        self.step_commit();
        Some((self.durable(), self.shared.has_prepared()) != before)
    }

    /// Makes `lsn` durable, where the owner does the work of the threads: `None` where there are threads.
    pub(super) fn step_until(&self, lsn: Lsn) -> Option<Result<(), JournalFailed>> {
        loop {
            let has_changed = self.step_once()?;
            match self.shared.progress.reached(lsn) {
                // It would wait for ever: for room, or for a write that another has begun.
                None if !has_changed => return Some(Err(JournalFailed)),
                None => {}
                reached => return reached,
            }
        }
    }

    /// Ends the writing, as the threads do when they find the journal closed.
    pub(super) fn end_steps(&self, mut preallocator: Preallocator) {
        if !self.shared.has_prepared() && !self.shared.has_failed() {
            preallocator.step(Work::Preallocate);
        }
        let mut committer = self.committer.lock();
        committer.commit_ready();
        committer.end();
        if !self.shared.has_failed() {
            preallocator.step(Work::Stop);
        }
    }
}
