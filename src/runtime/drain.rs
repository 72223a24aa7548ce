//! The end of a worker without dropping a request.

use std::ops::AddAssign;
use std::time::Duration;

use tokio::time::sleep;

use super::deadlines::Connections;
use super::shutdown::Shutdown;
use crate::limits::DRAIN_SECONDS_MAX;

/// The result of a drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections that were open when the drain began.
    pub open: usize,
    /// Connections that had not ended by the deadline, and were cut.
    pub cut: usize,
}

impl AddAssign for DrainReport {
    fn add_assign(&mut self, other: Self) {
        self.open += other.open;
        self.cut += other.cut;
    }
}

/// Ends every connection with its current request, or at once where there is none. After [`DRAIN_SECONDS_MAX`], or when
/// `shutdown` becomes urgent, the remaining ones are cut.
pub(super) async fn drain(connections: &Connections, shutdown: &Shutdown) -> DrainReport {
    let open = connections.count();
    connections.start_draining();
    let deadline = Duration::from_secs(u64::from(DRAIN_SECONDS_MAX));
    tokio::select! {
        () = connections.all_closed() => {}
        () = sleep(deadline) => {}
        () = shutdown.urgent() => {}
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
    async fn the_drain_has_a_deadline() {
        let (connections, shutdown) = (Rc::<Connections>::default(), Shutdown::new());
        let report = drain(&connections, &shutdown).await;
        assert_eq!(report, DrainReport::default());
        let _stays = connections.add(SOMEWHERE);
        let report = drain(&connections, &shutdown).await;
        assert_eq!(report, DrainReport { open: 1, cut: 1 });
    }

    #[tokio::test]
    async fn an_urgent_shutdown_ends_the_drain() {
        let (connections, shutdown) = (Rc::<Connections>::default(), Shutdown::new());
        let _stays = connections.add(SOMEWHERE);
        let urgent = async { shutdown.make_urgent() };
        let (report, ()) = tokio::join!(drain(&connections, &shutdown), urgent);
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
