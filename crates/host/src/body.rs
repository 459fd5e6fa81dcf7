//! HTTP bodies as one type that every layer passes on: nothing, bytes in memory, or a bounded stream of
//! chunks.

mod channel;
mod patience;
mod stream;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

pub use self::channel::{ByteSink, Closed, TrySendError, channel};
pub use self::stream::ByteStream;

/// The body of a request or a response.
#[derive(Debug, Default)]
pub enum Body {
    /// No body at all.
    #[default]
    Empty,
    /// The whole body, already in memory.
    Bytes(Bytes),
    /// Chunks that arrive as they are read.
    Stream(ByteStream),
}

/// Why a body could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Whoever was sending the body went away before its end: a closed connection, a cancelled request.
    #[error("the body was cut off: its sender disconnected before the end")]
    Disconnected,
    /// The body does not fit into what the reader is ready to hold in memory.
    #[error("the body is larger than {limit} bytes, which is the most that can be read at once here")]
    TooLarge {
        /// The reader's limit in bytes.
        limit: usize,
    },
    /// The body is shorter or longer than its announced length.
    #[error("the body has the wrong length: {announced} bytes were announced, {received} have come")]
    WrongLength {
        /// The length that was announced, in bytes.
        announced: u64,
        /// What had come when the mistake was noticed, in bytes.
        received: u64,
    },
    /// The body is not in the coding that it claims.
    #[error("{0}")]
    Undecodable(String),
    /// The sender of the body gave up, for the reason that it states.
    #[error("the sender of the body failed: {0}")]
    Failed(String),
    /// Whoever reads the body may not hold so much of it, for this reason.
    #[error("{0}")]
    Refused(String),
    /// The runtime ended the code that made the body, for this reason: a limit.
    #[error("the code that made the body was ended: {0}")]
    Ended(String),
    /// The code that made the body threw an error.
    #[error("{name}: {message}")]
    Thrown {
        /// The error's class.
        name: String,
        /// What it says.
        message: String,
    },
    /// The connection that carries the body failed.
    #[error("the connection that carries the body failed: {0}")]
    Transport(String),
}

impl Body {
    /// The length in bytes where it is known before the body is read.
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Stream(stream) => stream.length(),
        }
    }

    /// The same body for a reader that may wait as long as it likes, a client on the network for instance: to the other
    /// end of a pipe it never looks like one that waits ([`ByteSink::is_starved`]).
    pub fn read_patiently(self) -> Self {
        match self {
            Body::Stream(stream) => Body::Stream(ByteStream::from_http_body(patience::Patient(stream))),
            body => body,
        }
    }

    /// Reads the whole body into memory.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] as soon as it is clear that the body has more than `limit` bytes (at once
    /// where its length is known), and whatever ended the stream early.
    pub async fn collect(self, limit: usize) -> Result<Bytes, BodyError> {
        match self {
            Body::Empty => Ok(Bytes::new()),
            Body::Bytes(bytes) if bytes.len() > limit => Err(BodyError::TooLarge { limit }),
            Body::Bytes(bytes) => Ok(bytes),
            Body::Stream(stream) => stream.collect(limit).await,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::Bytes(bytes)
    }
}

impl From<ByteStream> for Body {
    fn from(stream: ByteStream) -> Self {
        Body::Stream(stream)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Body::Empty => Poll::Ready(None),
            Body::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Body::Stream(stream) => {
                stream.poll_next(context).map(|next| next.map(|chunk| chunk.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Bytes(bytes) => bytes.is_empty(),
            Body::Stream(stream) => stream.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    fn poll(body: &mut Body) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn bytes_come_as_one_frame_of_exact_size() {
        let mut body = Body::from(Bytes::from_static(b"hello"));
        assert_eq!(body.size_hint().exact(), Some(5));
        assert!(!body.is_end_stream());
        let Poll::Ready(Some(Ok(frame))) = poll(&mut body) else { panic!("a frame") };
        assert_eq!(frame.into_data().ok(), Some(Bytes::from_static(b"hello")));
        assert!(body.is_end_stream());
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
    }

    #[test]
    fn empty_ends_at_once() {
        let mut body = Body::Empty;
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(body.is_end_stream());
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
    }

    #[test]
    fn stream_has_a_size_only_where_it_was_announced() {
        let (_sink, stream) = channel(10);
        assert_eq!(Body::from(stream).size_hint().exact(), None);
        let (_sink, stream) = channel(10);
        assert_eq!(Body::from(stream.with_length(7)).size_hint().exact(), Some(7));
    }

    #[tokio::test]
    async fn collect_refuses_more_than_the_limit() {
        let error = BodyError::TooLarge { limit: 3 };
        assert_eq!(Body::from(Bytes::from_static(b"four")).collect(3).await, Err(error.clone()));
        assert_eq!(Body::from(Bytes::from_static(b"two")).collect(3).await, Ok(Bytes::from_static(b"two")));

        // The sink says nothing: the announced length alone is enough for a refusal.
        let (_sink, stream) = channel(10);
        assert_eq!(Body::from(stream.with_length(4)).collect(3).await, Err(error));
    }

    /// The types must be fit for hyper (`Send`, `Unpin`) and for another thread.
    #[test]
    fn bodies_can_move_between_threads() {
        fn check<T: Send + Unpin + 'static>() {}
        check::<Body>();
        check::<ByteSink>();
    }
}
