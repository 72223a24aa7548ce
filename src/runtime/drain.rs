//! Leaving without dropping a request.

use std::ops::AddAssign;
use std::time::Duration;

use tokio::time::timeout;

use super::deadlines::Connections;
use crate::limits::DRAIN_SECONDS_MAX;

/// How the drain went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections that were open when the drain began.
    pub open: usize,
    /// Those of them that had not ended when the time was up, and were cut.
    pub cut: usize,
}

impl AddAssign for DrainReport {
    fn add_assign(&mut self, other: Self) {
        self.open += other.open;
        self.cut += other.cut;
    }
}

/// Ends every connection with its current request, or at once when it has none. After
/// [`DRAIN_SECONDS_MAX`] those that are left are cut.
pub(super) async fn drain(connections: &Connections) -> DrainReport {
    let open = connections.count();
    connections.start_draining();
    let patience = Duration::from_secs(u64::from(DRAIN_SECONDS_MAX));
    let in_time = timeout(patience, connections.all_closed()).await;
    let cut = if in_time.is_ok() {
        0
    } else {
        connections.count()
    };
    DrainReport { open, cut }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const SOMEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let connections = Connections::default();
        assert_eq!(drain(&connections).await, DrainReport::default());
        let _stays = connections.add(SOMEWHERE);
        assert_eq!(drain(&connections).await, DrainReport { open: 1, cut: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_connection_ends_the_drain() {
        let connections = Connections::default();
        let open = connections.add(SOMEWHERE);
        let leave = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(open);
        };
        let (report, ()) = tokio::join!(drain(&connections), leave);
        assert_eq!(report, DrainReport { open: 1, cut: 0 });
    }
}
