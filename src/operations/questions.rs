//! The questions that wait for the observer.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::limits::SPECIAL_QUESTIONS_MAX;

/// What a question is about. Equal questions have one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// One of the few that everybody asks: what, and which kind of it. There is always room for these.
    Usual(&'static str, &'static str),
    /// One of the many that can be thought of. A bounded number of them waits.
    Special(String),
}

/// An answer, in pieces that all who asked share. `None` when it cannot be told.
pub type Told = Option<Vec<Bytes>>;

/// Too many questions wait for their answers, or there are no more answers, or none in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many ask for the server's figures")]
pub struct Busy;

/// How an answer is worked out of what is looked at.
type Work<V> = Box<dyn FnOnce(&V) -> Told + Send>;

/// Questions about a `V`. Whoever asks what is waiting already gets the same answer: it is worked out after
/// they asked, and once for all of them.
pub(super) struct Questions<V>(Mutex<Waiting<V>>, Condvar);

struct Waiting<V> {
    asked: Vec<Asked<V>>,
    ended: bool,
}

/// A question, and everybody who waits for its answer.
pub(super) struct Asked<V> {
    question: Question,
    work: Work<V>,
    askers: Vec<oneshot::Sender<Told>>,
}

impl<V> Default for Questions<V> {
    fn default() -> Self {
        let waiting = Waiting {
            asked: Vec::new(),
            ended: false,
        };
        Self(Mutex::new(waiting), Condvar::new())
    }
}

impl<V> Questions<V> {
    /// Puts a question, which `work` answers.
    ///
    /// # Errors
    /// Too many others wait that are not the same, or there are no more answers.
    pub(super) fn put(
        &self,
        question: Question,
        work: impl FnOnce(&V) -> Told + Send + 'static,
    ) -> Result<oneshot::Receiver<Told>, Busy> {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.0.lock();
        let same = |asked: &&mut Asked<V>| asked.question == question;
        if let Some(asked) = waiting.asked.iter_mut().find(same) {
            // Whoever gave up has made room: there are no more than there are requests.
            if asked.askers.len() == asked.askers.capacity() {
                asked.askers.retain(|asker| !asker.is_closed());
            }
            asked.askers.push(tell);
            return Ok(told);
        }
        if waiting.ended || !waiting.has_room_for(&question) {
            return Err(Busy);
        }
        waiting.asked.push(Asked {
            question,
            work: Box::new(work),
            askers: vec![tell],
        });
        self.1.notify_one();
        Ok(told)
    }

    /// Everything that waits, as soon as there is something or `patience` is over. `None` at the end.
    pub(super) fn take(&self, patience: Duration) -> Option<Vec<Asked<V>>> {
        let mut waiting = self.0.lock();
        let nothing = |waiting: &mut Waiting<V>| waiting.asked.is_empty() && !waiting.ended;
        self.1.wait_while_for(&mut waiting, nothing, patience);
        (!waiting.ended).then(|| std::mem::take(&mut waiting.asked))
    }

    /// Waits for as long as `rest`, whatever is asked meanwhile, or until the end.
    pub(super) fn rest(&self, rest: Duration) {
        let mut waiting = self.0.lock();
        self.1
            .wait_while_for(&mut waiting, |waiting| !waiting.ended, rest);
    }

    /// There are no more answers.
    pub(super) fn end(&self) {
        let mut waiting = self.0.lock();
        waiting.ended = true;
        waiting.asked.clear();
        self.1.notify_all();
    }
}

impl<V> Waiting<V> {
    fn has_room_for(&self, question: &Question) -> bool {
        let is_special = |question: &Question| matches!(question, Question::Special(_));
        let special = self
            .asked
            .iter()
            .filter(|asked| is_special(&asked.question));
        !is_special(question) || special.count() < SPECIAL_QUESTIONS_MAX
    }
}

impl<V> Asked<V> {
    /// Tells everybody who asked and has not left.
    pub(super) fn answer(mut self, view: &V) {
        self.askers.retain(|asker| !asker.is_closed());
        if self.askers.is_empty() {
            return;
        }
        let told = (self.work)(view);
        for asker in self.askers {
            // They may leave at any time.
            let _ = asker.send(told.clone());
        }
    }
}

impl<V> std::fmt::Debug for Questions<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} questions", self.0.lock().asked.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use std::thread;

    use super::*;

    const HEALTH: Question = Question::Usual("health", "10s");

    /// Counts how often it is looked at.
    type Counter = AtomicU64;

    fn count(counter: &Counter) -> Told {
        let number = counter.fetch_add(1, SeqCst);
        Some(vec![number.to_string().into()])
    }

    fn answer_all(questions: &Questions<Counter>, counter: &Counter) {
        let asked = questions.take(Duration::ZERO).expect("not the end");
        asked.into_iter().for_each(|asked| asked.answer(counter));
    }

    #[test]
    fn hundreds_who_ask_the_same_cost_one_computation() {
        let (questions, counter) = (Arc::new(Questions::default()), Counter::default());
        let ask = || {
            let questions = Arc::clone(&questions);
            thread::spawn(move || (0..100).map(|_| questions.put(HEALTH, count)).collect())
        };
        let threads: Vec<_> = (0..8).map(|_| ask()).collect();
        let asked = threads.into_iter().flat_map(|thread| {
            let asked: Vec<_> = thread.join().expect("no panic");
            asked
        });
        let asked: Vec<_> = asked.map(|told| told.expect("room")).collect();
        answer_all(&questions, &counter);
        let told = asked.into_iter().map(|told| told.blocking_recv());
        let first: Told = Some(vec!["0".into()]);
        assert!(told.into_iter().all(|told| told.as_ref() == Ok(&first)));
        assert_eq!(counter.load(SeqCst), 1);
        // What is asked afterwards is worked out afterwards.
        let later = questions.put(HEALTH, count).expect("room");
        answer_all(&questions, &counter);
        assert_eq!(later.blocking_recv(), Ok(Some(vec!["1".into()])));
    }

    #[test]
    fn those_with_special_questions_do_not_crowd_out_the_others() {
        let (questions, counter) = (Questions::default(), Counter::default());
        let special = |number: usize| {
            let question = Question::Special(number.to_string());
            questions.put(question, count)
        };
        let asked: Vec<_> = (0..SPECIAL_QUESTIONS_MAX).map(special).collect();
        assert_eq!(special(SPECIAL_QUESTIONS_MAX).err(), Some(Busy));
        assert!(special(0).is_ok(), "it waits already");
        let usual = questions.put(HEALTH, count).expect("room");
        answer_all(&questions, &counter);
        assert!(usual.blocking_recv().is_ok());
        let told = asked
            .into_iter()
            .map(|told| told.expect("room").blocking_recv());
        assert!(told.into_iter().all(|told| told.is_ok()));
        assert_eq!(counter.load(SeqCst), SPECIAL_QUESTIONS_MAX as u64 + 1);
        assert!(special(SPECIAL_QUESTIONS_MAX).is_ok());
    }

    #[test]
    fn nothing_is_worked_out_for_those_who_left() {
        let (questions, counter) = (Questions::default(), Counter::default());
        drop(questions.put(HEALTH, count));
        answer_all(&questions, &counter);
        assert_eq!(counter.load(SeqCst), 0);
    }

    #[test]
    fn after_the_end_nobody_waits() {
        let questions = Questions::<Counter>::default();
        let told = questions.put(HEALTH, count).expect("room");
        questions.end();
        assert!(told.blocking_recv().is_err());
        assert_eq!(questions.put(HEALTH, count).err(), Some(Busy));
        assert!(questions.take(Duration::MAX).is_none());
    }
}
