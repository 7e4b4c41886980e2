//! Take a body into memory, within its limit, its time, and the memory that all bodies share.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

use crate::call::MAX_BODY;

/// Bytes of memory that are reserved at a time.
const CHUNK: usize = 16 << 10;

/// A body, and its share of the memory for bodies.
pub(super) struct Buffered {
    pub(super) bytes: Vec<u8>,
    /// The memory is free again when this is dropped.
    _share: Vec<OwnedSemaphorePermit>,
}

/// Why a body was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    TooLarge,
    TooSlow,
    NoMemory,
    Broken,
}

/// The memory for bodies, in chunks.
pub(super) struct Memory(Arc<Semaphore>);

impl Memory {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / CHUNK).min(Semaphore::MAX_PERMITS))))
    }

    /// Reads all of `body`, in at most `time`.
    pub(super) async fn read(&self, body: Body, limit: Duration) -> Result<Buffered, BodyFault> {
        if body.size_hint().lower() > MAX_BODY as u64 {
            return Err(BodyFault::TooLarge);
        }
        time::timeout(limit, self.collect(body)).await.map_err(|_| BodyFault::TooSlow)?
    }

    async fn collect(&self, mut body: Body) -> Result<Buffered, BodyFault> {
        let mut read = Buffered { bytes: Vec::new(), _share: Vec::new() };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyFault::Broken)?;
            let Some(data) = frame.data_ref() else { continue };
            let length = read.bytes.len() + data.len();
            if length > MAX_BODY {
                return Err(BodyFault::TooLarge);
            }
            while read._share.len() * CHUNK < length {
                let share = self.0.clone().try_acquire_owned();
                read._share.push(share.map_err(|_| BodyFault::NoMemory)?);
                read.bytes.reserve_exact(CHUNK);
            }
            read.bytes.extend_from_slice(data);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;

    const TIME: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_body_is_taken_up_to_its_limit() {
        let memory = Memory::new(MAX_BODY);
        let read = memory.read(Body::from(vec![1; MAX_BODY]), TIME).await;
        assert_eq!(read.map(|read| read.bytes.len()).ok(), Some(MAX_BODY));
        let read = memory.read(Body::from(vec![1; MAX_BODY + 1]), TIME).await;
        assert_eq!(read.err(), Some(BodyFault::TooLarge));
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_is_stopped_at_the_limit() {
        let chunks =
            futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![1; 4096])));
        let read = Memory::new(MAX_BODY).read(Body::from_stream(chunks), TIME).await;
        assert_eq!(read.err(), Some(BodyFault::TooLarge));
    }

    #[tokio::test]
    async fn all_bodies_share_one_memory_and_give_it_back() {
        let memory = Memory::new(2 * CHUNK);
        let first = memory.read(Body::from(vec![1; 2 * CHUNK]), TIME).await.ok();
        assert!(first.is_some());
        let second = memory.read(Body::from(vec![1; 1]), TIME).await;
        assert_eq!(second.err(), Some(BodyFault::NoMemory));
        drop(first);
        assert!(memory.read(Body::from(vec![1; 1]), TIME).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_byte_by_byte_runs_out_of_time() {
        let drops = futures::stream::unfold((), |()| async {
            time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        });
        let read = Memory::new(MAX_BODY).read(Body::from_stream(drops), TIME).await;
        assert_eq!(read.err(), Some(BodyFault::TooSlow));
    }
}
