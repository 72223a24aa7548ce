//! Reading the bodies of administration, which may be large: a bounded number at a time.

use std::sync::Arc;

use hyper::body::{Body, Bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::Peer;
use crate::http::body::next_piece;
use crate::http::problem::Problem;
use crate::limits::{ADMIN_BODY_BYTES_MAX, ADMIN_SMALL_BODIES_MAX, ADMIN_SMALL_BODY_BYTES_MAX};
use crate::sale::Unavailable;

/// Room for the bodies that are taken at the same time: some small ones and one large one.
#[derive(Debug)]
pub(super) struct BodyRoom {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// A body that takes up its room for as long as this lives.
#[derive(Debug)]
pub(super) struct LongBody {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl LongBody {
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Default for BodyRoom {
    fn default() -> Self {
        Self {
            small: Arc::new(Semaphore::new(ADMIN_SMALL_BODIES_MAX)),
            large: Arc::new(Semaphore::new(1)),
        }
    }
}

impl BodyRoom {
    /// The whole of `body`, for which `peer` may take their time.
    pub(super) async fn read<B>(&self, mut body: B, peer: &Peer) -> Result<LongBody, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let announced = body.size_hint();
        if announced.lower() > ADMIN_BODY_BYTES_MAX as u64 {
            return Err(Problem::payload_too_large());
        }
        let mut length_max = room_for(announced.lower());
        let mut room = self.take(length_max)?;
        peer.set_long_body(true);
        let length = announced.exact().unwrap_or(0);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        while let Some(piece) = next_piece(&mut body).await? {
            if bytes.len() + piece.len() > length_max {
                if length_max == ADMIN_BODY_BYTES_MAX {
                    return Err(Problem::payload_too_large());
                }
                length_max = ADMIN_BODY_BYTES_MAX;
                room = self.take(length_max)?;
                // In one go, so that nothing is copied later. What is not written to costs nothing.
                bytes.reserve_exact(length_max - bytes.len());
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(LongBody { bytes, _room: room })
    }

    fn take(&self, length_max: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let room = if length_max > ADMIN_SMALL_BODY_BYTES_MAX {
            &self.large
        } else {
            &self.small
        };
        let taken = Arc::clone(room).try_acquire_owned();
        taken.map_err(|_| Unavailable::Overloaded.into())
    }
}

/// How long a body may be that takes up the room for one of `length` bytes.
fn room_for(length: u64) -> usize {
    if length > ADMIN_SMALL_BODY_BYTES_MAX as u64 {
        ADMIN_BODY_BYTES_MAX
    } else {
        ADMIN_SMALL_BODY_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http_body_util::Full;

    use super::*;
    use crate::http::problem::Format;

    async fn read(room: &BodyRoom, length: usize) -> Result<LongBody, u16> {
        let peer = Peer::new(Ipv4Addr::LOCALHOST.into());
        let body = room
            .read(Full::new(Bytes::from(vec![b'x'; length])), &peer)
            .await;
        assert_eq!(peer.has_long_body(), body.is_ok());
        let status = |problem: Problem| problem.into_answer(Format::Plain).response.status();
        body.map_err(|problem| status(problem).as_u16())
    }

    #[tokio::test]
    async fn few_bodies_are_taken_at_the_same_time() {
        let room = BodyRoom::default();
        let mut taken = Vec::new();
        for _ in 0..ADMIN_SMALL_BODIES_MAX {
            let mut body = read(&room, ADMIN_SMALL_BODY_BYTES_MAX).await.expect("room");
            assert_eq!(body.bytes().len(), ADMIN_SMALL_BODY_BYTES_MAX);
            taken.push(body);
        }
        assert_eq!(read(&room, 1).await.err(), Some(503));
        taken.pop();
        let small = read(&room, 1).await.expect("room again");
        let large = read(&room, ADMIN_SMALL_BODY_BYTES_MAX + 1).await;
        let large = large.expect("room for a large one, too");
        let another = read(&room, ADMIN_SMALL_BODY_BYTES_MAX + 1).await;
        assert_eq!(another.err(), Some(503));
        drop((large, small));
        let large = read(&room, ADMIN_SMALL_BODY_BYTES_MAX + 1).await;
        large.expect("room again");
    }

    #[tokio::test]
    async fn the_length_is_bounded() {
        let room = BodyRoom::default();
        let over = read(&room, ADMIN_BODY_BYTES_MAX + 1).await;
        assert_eq!(over.err(), Some(413));
    }
}
