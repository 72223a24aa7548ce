//! The signal to stop.

use tokio::sync::watch;

/// The signal for every worker to drain and end. Clones are the same signal. It is given once, and may become urgent.
#[derive(Clone, Debug)]
pub struct Shutdown {
    urgency: watch::Sender<Urgency>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    None,
    Drain,
    Cut,
}

impl Shutdown {
    /// Creates a signal that is not given.
    #[must_use]
    pub fn new() -> Self {
        Self {
            urgency: watch::Sender::new(Urgency::None),
        }
    }

    /// Gives the signal.
    pub fn begin(&self) {
        self.raise(Urgency::Drain);
    }

    /// Gives the signal, and lets the drain cut all connections.
    pub fn make_urgent(&self) {
        self.raise(Urgency::Cut);
    }

    fn raise(&self, to: Urgency) {
        self.urgency.send_if_modified(|urgency| {
            let is_raised = *urgency < to;
            *urgency = to.max(*urgency);
            is_raised
        });
    }

    /// Whether the signal is given.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.urgency.borrow() >= Urgency::Drain
    }

    /// Suspends until the signal is given.
    pub async fn begun(&self) {
        self.reached(Urgency::Drain).await;
    }

    /// Suspends until the signal is urgent.
    pub async fn urgent(&self) {
        self.reached(Urgency::Cut).await;
    }

    async fn reached(&self, urgency_min: Urgency) {
        let mut urgency = self.urgency.subscribe();
        // `self` holds a sender, so that the channel cannot close meanwhile.
        let _ = urgency.wait_for(|&urgency| urgency >= urgency_min).await;
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
    async fn every_clone_gets_the_signal_also_later() {
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
    async fn urgency_is_never_lowered() {
        let shutdown = Shutdown::new();
        shutdown.make_urgent();
        shutdown.begin();
        shutdown.begun().await;
        shutdown.urgent().await;
    }
}
