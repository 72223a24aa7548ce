//! Leaving without dropping a request.

use std::ops::AddAssign;
use std::time::Duration;

use tokio::time::sleep;

use super::deadlines::Connections;
use super::shutdown::Shutdown;
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
/// [`DRAIN_SECONDS_MAX`], or when `shutdown` hurries, those that are left are cut.
pub(super) async fn drain(connections: &Connections, shutdown: &Shutdown) -> DrainReport {
    let open = connections.count();
    connections.start_draining();
    let patience = Duration::from_secs(u64::from(DRAIN_SECONDS_MAX));
    tokio::select! {
        () = connections.all_closed() => {}
        () = sleep(patience) => {}
        () = shutdown.hurried() => {}
    }
    let cut = connections.count();
    DrainReport { open, cut }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::rc::Rc;

    use super::*;

    const SOMEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let (connections, shutdown) = (Rc::<Connections>::default(), Shutdown::new());
        let report = drain(&connections, &shutdown).await;
        assert_eq!(report, DrainReport::default());
        let _stays = connections.add(SOMEWHERE);
        let report = drain(&connections, &shutdown).await;
        assert_eq!(report, DrainReport { open: 1, cut: 1 });
    }

    #[tokio::test]
    async fn a_hurry_ends_patience() {
        let (connections, shutdown) = (Rc::<Connections>::default(), Shutdown::new());
        let _stays = connections.add(SOMEWHERE);
        let hurry = async { shutdown.hurry() };
        let (report, ()) = tokio::join!(drain(&connections, &shutdown), hurry);
        assert_eq!(report, DrainReport { open: 1, cut: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_connection_ends_the_drain() {
        let connections = Rc::<Connections>::default();
        let open = connections.add(SOMEWHERE);
        let leave = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(open);
        };
        let shutdown = Shutdown::new();
        let (report, ()) = tokio::join!(drain(&connections, &shutdown), leave);
        assert_eq!(report, DrainReport { open: 1, cut: 0 });
    }
}
