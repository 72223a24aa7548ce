//! The signal to stop.

use tokio::sync::watch;

/// Tells every worker to drain and end. Clones are the same signal; it is given once and for all, and may
/// become more urgent.
#[derive(Clone, Debug)]
pub struct Shutdown {
    urgency: watch::Sender<Urgency>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    GoOn,
    Drain,
    Cut,
}

impl Shutdown {
    /// A signal that has not been given.
    #[must_use]
    pub fn new() -> Self {
        Self {
            urgency: watch::Sender::new(Urgency::GoOn),
        }
    }

    /// Gives the signal.
    pub fn begin(&self) {
        self.raise(Urgency::Drain);
    }

    /// Gives the signal, and lets the drain wait for no connection any more.
    pub fn hurry(&self) {
        self.raise(Urgency::Cut);
    }

    fn raise(&self, to: Urgency) {
        self.urgency.send_if_modified(|urgency| {
            let is_raised = *urgency < to;
            *urgency = to.max(*urgency);
            is_raised
        });
    }

    /// Whether it has been given.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.urgency.borrow() >= Urgency::Drain
    }

    /// Waits until it is given.
    pub async fn begun(&self) {
        self.reached(Urgency::Drain).await;
    }

    /// Waits until no connection is to be waited for.
    pub async fn hurried(&self) {
        self.reached(Urgency::Cut).await;
    }

    async fn reached(&self, wanted: Urgency) {
        let mut urgency = self.urgency.subscribe();
        // `self` holds a sender, so that the channel cannot close meanwhile.
        let _ = urgency.wait_for(|&urgency| urgency >= wanted).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_hears_it_also_afterwards() {
        let shutdown = Shutdown::new();
        let clone = shutdown.clone();
        let waiting = tokio::spawn(async move { clone.begun().await });
        assert!(!shutdown.has_begun());
        shutdown.begin();
        waiting.await.expect("no panic");
        shutdown.begun().await;
        assert!(shutdown.has_begun());
    }

    #[tokio::test]
    async fn it_becomes_more_urgent_and_never_less() {
        let shutdown = Shutdown::new();
        shutdown.hurry();
        shutdown.begin();
        shutdown.begun().await;
        shutdown.hurried().await;
    }
}
