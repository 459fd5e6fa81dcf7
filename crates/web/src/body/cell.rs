//! The cell that a body lies in while scripts have a handle for it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use atoll_host::body::{Body, BodyError, ByteStream};
use bytes::Bytes;

use crate::coding::{Format, Payer, decoded};
use crate::inbox::{Charge, Inbox};

/// A body in a resource table. Taken once: by whoever sends it on, or by a cancel, which also ends a read under way.
pub struct BodyCell {
    slot: Mutex<Slot>,
    /// The reading end of a pipe whose writer is in the same isolate: its bytes count where they are written.
    pub(super) own: bool,
}

enum Slot {
    Body(Body),
    /// A body that is decoded when it is read.
    Coded {
        body: Body,
        format: Format,
        payer: Payer,
    },
    Reading(Reading),
    Taken,
}

/// A stream that is being read here.
struct Reading {
    stream: ByteStream,
    /// What is left of the chunk that was read last.
    rest: Bytes,
    /// The read under way.
    waker: Option<Waker>,
}

impl BodyCell {
    /// A cell that holds a body.
    pub fn new(body: Body) -> Self {
        Self { slot: Mutex::new(Slot::Body(body)), own: false }
    }

    /// A cell that holds a body in a coding: who reads it gets what is in it.
    pub(super) fn new_coded(body: Body, format: Format, payer: Payer) -> Self {
        Self { slot: Mutex::new(Slot::Coded { body, format, payer }), own: false }
    }

    /// Takes a body out that nobody has read, with its coding; `Err` is what [`take`](Self::take) gives otherwise.
    pub(super) fn take_coded(&self) -> Result<(Body, Format), Option<Body>> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Coded { body, format, .. } => Ok((body, format)),
            other => {
                *slot = other;
                drop(slot);
                Err(self.take())
            }
        }
    }

    /// A cell for the reading end of a pipe of this isolate's own.
    pub(super) fn of_pipe(stream: ByteStream) -> Self {
        Self { slot: Mutex::new(Slot::Body(Body::Stream(stream))), own: true }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the whole body out.
    pub fn take(&self) -> Option<Body> {
        let taken = std::mem::replace(&mut *self.slot(), Slot::Taken);
        match taken {
            Slot::Body(body) => Some(body),
            Slot::Coded { body, format, payer } => Some(decoded(body, format, payer)),
            Slot::Reading(Reading { stream, rest, waker }) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
                if rest.is_empty() {
                    return Some(Body::Stream(stream));
                }
                Some(Body::Stream(ByteStream::from_http_body(Prefixed { rest: Some(rest), stream })))
            }
            Slot::Taken => None,
        }
    }

    /// The body where it is in memory already.
    fn take_bytes(&self) -> Option<Bytes> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Body(Body::Bytes(bytes)) => Some(bytes),
            Slot::Body(Body::Empty) | Slot::Taken => Some(Bytes::new()),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// The next chunk, at most this large. The stream stays in the cell meanwhile, so that a cancel reaches it.
    pub(super) fn poll_chunk(&self, context: &mut Context<'_>, most: usize) -> Poll<Next> {
        let mut slot = self.slot();
        let unread = match &mut *slot {
            Slot::Body(body) => Some(std::mem::take(body)),
            Slot::Coded { body, format, payer } => {
                Some(decoded(std::mem::take(body), *format, std::mem::take(payer)))
            }
            Slot::Reading(_) | Slot::Taken => None,
        };
        if let Some(unread) = unread {
            let stream = match unread {
                Body::Stream(stream) => stream,
                body => ByteStream::from_http_body(body),
            };
            *slot = Slot::Reading(Reading { stream, rest: Bytes::new(), waker: None });
        }
        let Slot::Reading(reading) = &mut *slot else { return Poll::Ready(Next::Taken) };
        if reading.rest.is_empty() {
            match reading.stream.poll_next(context) {
                Poll::Pending => {
                    reading.waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(None) => return Poll::Ready(Next::End),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Next::Failed(error)),
                Poll::Ready(Some(Ok(chunk))) => reading.rest = chunk,
            }
        }
        let length = reading.rest.len().min(most);
        Poll::Ready(Next::Chunk(reading.rest.split_to(length)))
    }

    /// How many bytes are still to come, where that is known.
    fn length(&self) -> Option<u64> {
        match &*self.slot() {
            Slot::Body(body) => body.length(),
            Slot::Reading(reading) => {
                reading.stream.length().map(|length| length + reading.rest.len() as u64)
            }
            Slot::Coded { .. } | Slot::Taken => None,
        }
    }
}

/// What reading from a [`BodyCell`] gave.
pub(super) enum Next {
    Chunk(Bytes),
    End,
    Failed(BodyError),
    /// The body was taken or cancelled.
    Taken,
}

/// A body that is read whole while it stays in its cell.
struct Whole(Arc<BodyCell>, Charge);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        let Self(cell, charge) = self.get_mut();
        cell.poll_chunk(context, usize::MAX).map(|next| match next {
            Next::Chunk(chunk) => Some(match charge.grow(chunk.len()) {
                Ok(()) => Ok(http_body::Frame::data(chunk)),
                Err(error) => Err(BodyError::Refused(error.message)),
            }),
            Next::End => None,
            Next::Failed(error) => Some(Err(error)),
            Next::Taken => Some(Err(BodyError::Disconnected)),
        })
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.length().map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
    }
}

/// What was left of a chunk, then the stream it came from.
struct Prefixed {
    rest: Option<Bytes>,
    stream: ByteStream,
}

impl http_body::Body for Prefixed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(Ok(http_body::Frame::data(rest))));
        }
        self.stream.poll_next(cx).map(|chunk| chunk.map(|c| c.map(http_body::Frame::data)))
    }
}

/// Most bytes that one body may have when it is read as a whole.
const MAX_COLLECTED: usize = 128 << 20;

/// The rest of a body as a whole; what is held meanwhile counts against `budget`.
pub(super) async fn collect(cell: Option<Arc<BodyCell>>, budget: Arc<Inbox>) -> Result<Bytes, BodyError> {
    let Some(cell) = cell else { return Ok(Bytes::new()) };
    match cell.take_bytes() {
        Some(bytes) => Body::Bytes(bytes).collect(MAX_COLLECTED).await,
        None => {
            let charge = budget.take(0).map_err(|error| BodyError::Refused(error.message))?;
            ByteStream::from_http_body(Whole(cell, charge)).collect(MAX_COLLECTED).await
        }
    }
}
