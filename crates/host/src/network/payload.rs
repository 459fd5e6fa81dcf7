//! The body of a request on its way out, kept so that it can be sent once more where that is safe.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::body::{Body, BodyError, ByteStream};

/// A request's body and as many [`Upload`]s of it as there are tries.
pub(super) enum Payload {
    Whole(Bytes),
    Stream(Arc<Slot>),
}

/// A stream, which can be sent again as long as nothing was taken from it.
pub(super) struct Slot {
    stream: Mutex<ByteStream>,
    begun: AtomicBool,
}

/// The body as the connection takes it.
pub(super) enum Upload {
    Whole(Bytes),
    Stream(Arc<Slot>),
}

impl Payload {
    pub(super) fn new(body: Body) -> Self {
        match body {
            Body::Empty => Self::Whole(Bytes::new()),
            Body::Bytes(bytes) => Self::Whole(bytes),
            Body::Stream(stream) => {
                Self::Stream(Arc::new(Slot { stream: Mutex::new(stream), begun: AtomicBool::new(false) }))
            }
        }
    }

    /// Whether all of it can be sent once more.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Stream(slot) => !slot.begun.load(Ordering::Acquire),
        }
    }

    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(slot) => slot.lock().is_end(),
        }
    }

    pub(super) fn upload(&self) -> Upload {
        match self {
            Self::Whole(bytes) => Upload::Whole(bytes.clone()),
            Self::Stream(slot) => Upload::Stream(slot.clone()),
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, ByteStream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Upload::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Upload::Stream(slot) => {
                let next = slot.lock().poll_next(context);
                if next.is_ready() {
                    slot.begun.store(true, Ordering::Release);
                }
                next.map(|next| next.map(|chunk| chunk.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Upload::Whole(bytes) => bytes.is_empty(),
            Upload::Stream(slot) => slot.lock().is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let length = match self {
            Upload::Whole(bytes) => Some(bytes.len() as u64),
            Upload::Stream(slot) => slot.lock().length(),
        };
        length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;
    use crate::body::channel;

    fn poll(upload: &mut Upload) -> bool {
        Pin::new(upload).poll_frame(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn a_stream_can_be_repeated_until_something_was_taken_from_it() {
        let (mut sink, stream) = channel(10);
        let payload = Payload::new(Body::Stream(stream));
        assert!(!poll(&mut payload.upload()) && payload.is_repeatable());
        sink.try_send(Bytes::from_static(b"part")).expect("there is room");
        let mut second = payload.upload();
        assert!(poll(&mut second) && !payload.is_repeatable());
        drop((payload, second));
        assert!(sink.is_closed());
    }

    #[test]
    fn bytes_can_always_be_repeated() {
        let payload = Payload::new(Body::Bytes(Bytes::from_static(b"whole")));
        assert!(poll(&mut payload.upload()) && poll(&mut payload.upload()) && payload.is_repeatable());
        assert_eq!(payload.upload().size_hint().exact(), Some(5));
        assert!(Payload::new(Body::Empty).is_empty() && !payload.is_empty());
    }
}
