//! The reading end of a streamed body: chunks from a channel of this crate or from any `http_body::Body`.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use super::BodyError;
use super::channel::Receiver;

/// A stream of non-empty chunks with one reader. What it is fed from waits while the reader is slow, and
/// learns that it was dropped. After the end or an error it gives only `None`.
pub struct ByteStream {
    source: Source,
    announced: Option<u64>,
    received: u64,
}

enum Source {
    Channel(Receiver),
    Foreign(Pin<Box<dyn ChunkSource>>),
    Ended,
}

/// What is needed of a foreign body; an own trait because `http_body::Body` in a box would fix its error
/// type.
trait ChunkSource: Send {
    fn poll_chunk(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>>;
    fn is_end(&self) -> bool;
}

impl<B> ChunkSource for B
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn poll_chunk(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let frame = match ready!(self.as_mut().poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::of(error.into())))),
                Some(Ok(frame)) => frame,
            };
            // Trailers are dropped: neither `fetch` nor Workers have a place for them.
            if let Ok(chunk) = frame.into_data()
                && !chunk.is_empty()
            {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }

    fn is_end(&self) -> bool {
        self.is_end_stream()
    }
}

impl ByteStream {
    pub(super) fn from_receiver(receiver: Receiver) -> Self {
        Self { source: Source::Channel(receiver), announced: None, received: 0 }
    }

    /// Wraps a body of another library, such as `hyper::body::Incoming`. Its exact size hint becomes the
    /// known length; its trailers are dropped.
    pub fn from_http_body<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let announced = body.size_hint().exact();
        Self { source: Source::Foreign(Box::pin(body)), announced, received: 0 }
    }

    /// Announces that exactly `length` further bytes will come. More or fewer end the stream with
    /// [`BodyError::WrongLength`], so that what is sent on never contradicts its `Content-Length`.
    pub fn with_length(mut self, length: u64) -> Self {
        self.announced = Some(self.received.saturating_add(length));
        self
    }

    /// How many bytes are still to come, where that is known.
    pub fn length(&self) -> Option<u64> {
        self.announced.map(|announced| announced.saturating_sub(self.received))
    }

    /// Whether it is already known that nothing more will come (`false` may still be followed by `None`).
    pub fn is_end(&self) -> bool {
        self.announced == Some(self.received)
            || match &self.source {
                Source::Channel(_) => false,
                Source::Foreign(body) => body.is_end(),
                Source::Ended => true,
            }
    }

    /// The next chunk; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// [`next`](Self::next) for hand-written futures; the waker may belong to any executor.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let next = match &mut self.source {
            Source::Channel(receiver) => ready!(receiver.poll_chunk(context)),
            Source::Foreign(body) => ready!(body.as_mut().poll_chunk(context)),
            Source::Ended => return Poll::Ready(None),
        };
        let next = self.hold_to_length(next);
        if !matches!(next, Some(Ok(_))) {
            // Lets go of the connection or the sink now, not when the reader happens to be dropped.
            self.source = Source::Ended;
        }
        Poll::Ready(next)
    }

    fn hold_to_length(&mut self, next: Option<Result<Bytes, BodyError>>) -> Option<Result<Bytes, BodyError>> {
        if let Some(Ok(chunk)) = &next {
            self.received = self.received.saturating_add(chunk.len() as u64);
        }
        let Some(announced) = self.announced else { return next };
        let wrong = match &next {
            Some(Ok(_)) => self.received > announced,
            None => self.received < announced,
            Some(Err(_)) => false,
        };
        if wrong { Some(Err(BodyError::WrongLength { announced, received: self.received })) } else { next }
    }

    /// Reads what is left into memory; see [`Body::collect`](super::Body::collect).
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] beyond `limit` bytes, and whatever ended the stream early.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BodyError> {
        if self.length().is_some_and(|length| length > limit as u64) {
            return Err(BodyError::TooLarge { limit });
        }
        // A body of one chunk, the common case, is handed on without a copy.
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            let held = first.len() + whole.len();
            if chunk.len() > limit - held {
                return Err(BodyError::TooLarge { limit });
            }
            if held == 0 {
                first = chunk;
                continue;
            }
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&chunk);
        }
        Ok(if whole.is_empty() { first } else { whole.freeze() })
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Channel(_) => "channel",
            Source::Foreign(_) => "foreign body",
            Source::Ended => "ended",
        };
        formatter
            .debug_struct("ByteStream")
            .field("source", &source)
            .field("received", &self.received)
            .field("announced", &self.announced)
            .finish()
    }
}

impl BodyError {
    /// Tells a peer that went away (which readers expect) from a broken protocol (which they want to know about).
    pub(crate) fn of(error: Box<dyn Error + Send + Sync>) -> Self {
        let mut text = error.to_string();
        let mut cause: Option<&(dyn Error + 'static)> = Some(&*error);
        while let Some(current) = cause {
            if let Some(known) = current.downcast_ref::<BodyError>() {
                return known.clone();
            }
            if is_disconnect(current) {
                return BodyError::Disconnected;
            }
            cause = current.source();
            if let Some(deeper) = cause {
                text.push_str(": ");
                text.push_str(&deeper.to_string());
            }
        }
        BodyError::Transport(text)
    }
}

fn is_disconnect(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    }
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        )
    })
}

#[cfg(test)]
mod tests {
    use http_body::Frame;

    use super::super::{Body, channel};
    use super::*;

    /// A foreign body that gives the listed frames, then `end`.
    struct Script(Vec<Frame<Bytes>>, Option<io::Error>);

    impl http_body::Body for Script {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            if self.0.is_empty() {
                return Poll::Ready(self.1.take().map(Err));
            }
            Poll::Ready(Some(Ok(self.0.remove(0))))
        }
    }

    fn data(text: &'static str) -> Frame<Bytes> {
        Frame::data(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn foreign_body_loses_trailers_and_empty_chunks() {
        let frames = vec![data("one"), data(""), Frame::trailers(http::HeaderMap::new()), data("two")];
        let mut stream = ByteStream::from_http_body(Script(frames, None));
        assert_eq!(stream.next().await, Some(Ok(Bytes::from_static(b"one"))));
        assert_eq!(stream.next().await, Some(Ok(Bytes::from_static(b"two"))));
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn errors_of_foreign_bodies_are_told_apart() {
        let broken = |kind| ByteStream::from_http_body(Script(vec![], Some(io::Error::new(kind, "why"))));
        assert_eq!(broken(io::ErrorKind::ConnectionReset).next().await, Some(Err(BodyError::Disconnected)));
        assert_eq!(
            broken(io::ErrorKind::InvalidData).next().await,
            Some(Err(BodyError::Transport("why".into())))
        );

        // An error of this crate's own survives a trip through a foreign library.
        let (sink, stream) = channel(10);
        sink.fail(BodyError::Failed("gave up".into()));
        let mut wrapped = ByteStream::from_http_body(Body::Stream(stream));
        assert_eq!(wrapped.next().await, Some(Err(BodyError::Failed("gave up".into()))));
        assert_eq!(wrapped.next().await, None);
    }

    #[tokio::test]
    async fn announced_length_is_enforced() {
        for (sent, received) in [("abc", 3), ("abcdef", 6)] {
            let (mut sink, stream) = channel(10);
            sink.try_send(Bytes::from_static(sent.as_bytes())).expect("there is room");
            sink.finish();
            let wrong = BodyError::WrongLength { announced: 5, received };
            assert_eq!(stream.with_length(5).collect(10).await, Err(wrong));
        }
        let (mut sink, stream) = channel(10);
        sink.try_send(Bytes::from_static(b"abcde")).expect("there is room");
        sink.finish();
        let mut stream = stream.with_length(5);
        assert_eq!(stream.length(), Some(5));
        assert!(matches!(stream.next().await, Some(Ok(_))));
        assert_eq!(stream.length(), Some(0));
        assert!(stream.is_end());
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn collect_joins_chunks_up_to_the_limit() {
        let frames = || vec![data("one"), data("two"), data("three")];
        let stream = ByteStream::from_http_body(Script(frames(), None));
        assert_eq!(stream.collect(11).await, Ok(Bytes::from_static(b"onetwothree")));
        let stream = ByteStream::from_http_body(Script(frames(), None));
        assert_eq!(stream.collect(10).await, Err(BodyError::TooLarge { limit: 10 }));
        let stream = ByteStream::from_http_body(Script(vec![], None));
        assert_eq!(stream.collect(0).await, Ok(Bytes::new()));
    }
}
