//! The signal to stop.

use tokio::sync::watch;

/// Tells every worker to drain and end. Clones are the same signal; it is given once and for all.
#[derive(Clone, Debug)]
pub struct Shutdown {
    begun: watch::Sender<bool>,
}

impl Shutdown {
    /// A signal that has not been given.
    #[must_use]
    pub fn new() -> Self {
        Self {
            begun: watch::Sender::new(false),
        }
    }

    /// Gives the signal.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    /// Whether it has been given.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Waits until it is given.
    pub async fn begun(&self) {
        // `self` holds a sender, so that the channel cannot close meanwhile.
        let _ = self.begun.subscribe().wait_for(|&begun| begun).await;
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
}
