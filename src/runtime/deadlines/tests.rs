//! Tests of the deadlines, tick by tick.

use std::net::Ipv4Addr;

use super::*;
use crate::limits::IDLE_SECONDS_DEFAULT;

const SOMEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Whether the connection becomes overdue after `seconds`, and not half a second before.
fn due_after(connections: &Connections, progress: &ConnectionProgress, seconds: u32) -> bool {
    for _ in 0..seconds * TICKS_PER_SECOND {
        connections.tick();
        if progress.is_overdue() {
            return false;
        }
    }
    connections.tick();
    progress.is_overdue()
}

#[test]
fn a_silent_connection_is_closed() {
    let connections = Rc::<Connections>::default();
    let open = connections.add(SOMEWHERE);
    let progress = &open.progress;
    assert!(due_after(&connections, progress, FIRST_BYTE_SECONDS_MAX));
}

#[test]
fn bytes_do_not_extend_a_handshake() {
    let connections = Rc::<Connections>::default();
    let open = connections.add(SOMEWHERE);
    let progress = &open.progress;
    progress.handshake_started();
    (0..TICKS_PER_SECOND).for_each(|_| connections.tick());
    progress.read();
    assert!(due_after(&connections, progress, HANDSHAKE_SECONDS_MAX - 1));
    let open = connections.add(SOMEWHERE);
    let progress = &open.progress;
    progress.handshake_started();
    progress.handshake_ended();
    assert!(due_after(&connections, progress, FIRST_BYTE_SECONDS_MAX));
}

#[test]
fn more_bytes_do_not_extend_a_head() {
    let connections = Rc::<Connections>::default();
    let open = connections.add(SOMEWHERE);
    let progress = &open.progress;
    progress.head_started();
    for _ in 0..HEAD_SECONDS_MAX * TICKS_PER_SECOND {
        progress.read();
        progress.read_blocked();
        connections.tick();
        assert!(!progress.is_overdue());
    }
    progress.read();
    connections.tick();
    assert!(progress.is_overdue());
}

#[test]
fn an_answered_connection_may_idle_for_as_long_as_is_configured() {
    for idle_seconds in [1, 60, IDLE_SECONDS_DEFAULT, 620] {
        let connections = Rc::new(Connections::idle_for(idle_seconds));
        let open = connections.add(SOMEWHERE);
        let progress = &open.progress;
        progress.read();
        progress.request_started();
        progress.request_ended();
        progress.read_blocked();
        assert!(due_after(&connections, progress, idle_seconds));
    }
}

#[test]
fn a_connection_becomes_quiet_long_before_it_is_closed() {
    let connections = Rc::<Connections>::default();
    let open = connections.add(SOMEWHERE);
    let progress = &open.progress;
    progress.set_quiet(false);
    let quiet_after = |ticks: u32| {
        (0..ticks).for_each(|_| connections.tick());
        progress.has_become_quiet()
    };
    assert!(
        !quiet_after(2 * QUIET_SECONDS * TICKS_PER_SECOND),
        "nothing was answered"
    );
    progress.read();
    progress.request_started();
    assert!(
        !quiet_after(2 * QUIET_SECONDS * TICKS_PER_SECOND),
        "a request is answered"
    );
    progress.request_ended();
    assert!(!quiet_after(QUIET_SECONDS * TICKS_PER_SECOND - 1));
    assert!(quiet_after(1));
    progress.write_blocked();
    assert!(!progress.has_become_quiet(), "the answer is not taken");
    progress.written();
    assert!(progress.has_become_quiet());
    progress.set_quiet(true);
    assert!(
        !progress.has_become_quiet(),
        "there is nothing to let go of"
    );
}

#[test]
fn only_missing_bytes_make_a_body_late() {
    let connections = Rc::<Connections>::default();
    let (complete, missing) = (connections.add(SOMEWHERE), connections.add(SOMEWHERE));
    let (complete, missing) = (&complete.progress, &missing.progress);
    for progress in [complete, missing] {
        progress.head_started();
        progress.request_started();
    }
    missing.read_blocked();
    assert!(due_after(&connections, missing, BODY_SECONDS_MAX));
    assert!(!complete.is_overdue());
}

#[test]
fn a_long_body_may_be_slow_but_not_stall() {
    let connections = Rc::<Connections>::default();
    let open = connections.add(SOMEWHERE);
    let progress = &open.progress;
    let begin = || {
        progress.head_started();
        progress.request_started();
        progress.peer.set_long_body(true);
        progress.read_blocked();
    };
    begin();
    for _ in 0..ADMIN_BODY_SECONDS_MAX * TICKS_PER_SECOND {
        connections.tick();
        assert!(!progress.is_overdue());
        progress.read();
        progress.read_blocked();
    }
    progress.request_ended();
    assert!(!progress.peer.has_long_body(), "the next one is short");
    begin();
    assert!(due_after(&connections, progress, BODY_SECONDS_MAX));
    let trickling = connections.add(SOMEWHERE);
    let progress = &trickling.progress;
    progress.read();
    progress.request_started();
    progress.peer.set_long_body(true);
    for _ in 0..=ADMIN_BODY_SECONDS_MAX * TICKS_PER_SECOND {
        progress.read();
        progress.read_blocked();
        connections.tick();
    }
    assert!(progress.is_overdue());
}

#[test]
fn a_client_must_take_its_answer() {
    let connections = Rc::<Connections>::default();
    let open = connections.add(SOMEWHERE);
    let progress = &open.progress;
    progress.read();
    progress.request_started();
    progress.write_blocked();
    connections.tick();
    progress.written();
    progress.write_blocked();
    assert!(due_after(&connections, progress, WRITE_SECONDS_MAX));
}

#[test]
fn a_stream_has_no_deadline_while_its_client_takes_bytes() {
    let connections = Rc::<Connections>::default();
    let open = connections.add(SOMEWHERE);
    let progress = &open.progress;
    progress.set_quiet(false);
    progress.read();
    progress.request_started();
    progress.stream_started();
    assert!(progress.head_is_sent());
    for _ in 0..2 * WRITE_SECONDS_MAX * TICKS_PER_SECOND {
        connections.tick();
        assert!(!progress.is_overdue() && !progress.has_become_quiet());
    }
    progress.write_blocked();
    assert!(!progress.head_is_sent());
    assert!(due_after(&connections, progress, WRITE_SECONDS_MAX));
}

#[test]
fn a_connection_idles_behind_its_stream() {
    let connections = Rc::<Connections>::default();
    let open = connections.add(SOMEWHERE);
    let progress = &open.progress;
    progress.read();
    progress.request_started();
    progress.stream_started();
    (0..100).for_each(|_| connections.tick());
    progress.request_ended();
    assert!(due_after(&connections, progress, IDLE_SECONDS_DEFAULT));
}

#[test]
fn ticks_may_wrap() {
    let connections = Rc::<Connections>::default();
    connections.ticks.set(u32::MAX - 3);
    let open = connections.add(SOMEWHERE);
    let progress = &open.progress;
    assert!(due_after(&connections, progress, FIRST_BYTE_SECONDS_MAX));
}

#[tokio::test]
async fn the_last_connection_wakes_the_drain() {
    let connections = Rc::<Connections>::default();
    connections.all_closed().await;
    let open = connections.add(SOMEWHERE);
    assert_eq!(connections.count(), 1);
    drop(open);
    connections.all_closed().await;
}
