//! The body of an answer: read ahead a little while nobody reads it, so that its connection is free soon, and given up
//! where it keeps a connection that others wait for.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::places::{Place, Stalled};
use super::pool::Lease;
use super::sender::{READ_AHEAD, Sender};
use crate::body::{Body, BodyError, ByteStream};

/// What a reader gets whose answer was given up for another request.
fn given_up(host: &str) -> BodyError {
    BodyError::Refused(format!(
        "Response closed due to connection limit: its body, from {host}, was not read while other requests waited for a \
         connection. Read the body of each response, or cancel it with response.body.cancel()."
    ))
}

/// A body that still comes, and what it comes on.
struct Source {
    incoming: Incoming,
    lease: Lease,
    place: Place,
}

impl Source {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match ready!(Pin::new(&mut self.incoming).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::of(error.into())))),
                Some(Ok(frame)) => {
                    // Trailers are dropped: neither `fetch` nor Workers have a place for them.
                    if let Ok(chunk) = frame.into_data()
                        && !chunk.is_empty()
                    {
                        return Poll::Ready(Some(Ok(chunk)));
                    }
                }
            }
        }
    }

    /// It has come to its end.
    fn finish(self) {
        drop(self.incoming);
        self.lease.finish(self.place);
    }
}

/// An answer that nobody has read from yet.
struct Unread {
    host: String,
    sender: Sender,
    state: Mutex<State>,
}

struct State {
    ahead: VecDeque<Bytes>,
    bytes: usize,
    /// No more is read ahead.
    full: bool,
    rest: Rest,
    /// The task that reads ahead.
    reading_ahead: Option<Waker>,
}

/// What follows after the chunks that were read ahead.
enum Rest {
    Comes(Box<Source>),
    Nothing,
    Failed(BodyError),
}

impl State {
    /// Reads what has come, as far as it may be read ahead. Ready: there is nothing more to do.
    fn read_ahead(&mut self, sender: &Sender, context: &mut Context<'_>) -> Poll<()> {
        while let Rest::Comes(source) = &mut self.rest {
            self.full |= self.bytes >= READ_AHEAD || !sender.may_read_ahead();
            if self.full {
                return Poll::Pending;
            }
            match ready!(source.poll_chunk(context)) {
                Some(Ok(chunk)) => {
                    self.bytes += chunk.len();
                    let kept = sender.keep(chunk);
                    self.full |= kept.is_err();
                    self.ahead.push_back(kept.unwrap_or_else(|chunk| chunk));
                    // Often it is known with the last chunk that it was the last.
                    if source.incoming.is_end_stream() {
                        self.end(None);
                    }
                }
                Some(Err(error)) => self.end(Some(error)),
                None => self.end(None),
            }
        }
        Poll::Ready(())
    }

    fn end(&mut self, error: Option<BodyError>) {
        let rest = if let Some(error) = error.clone() { Rest::Failed(error) } else { Rest::Nothing };
        if let Rest::Comes(source) = std::mem::replace(&mut self.rest, rest)
            && error.is_none()
        {
            source.finish();
        }
    }

    fn take(&mut self) -> (VecDeque<Bytes>, Rest, Option<Waker>) {
        let rest = std::mem::replace(&mut self.rest, Rest::Nothing);
        (std::mem::take(&mut self.ahead), rest, self.reading_ahead.take())
    }
}

impl Unread {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out all that there is; whoever reads ahead ends.
    fn take(&self) -> (VecDeque<Bytes>, Rest) {
        let (ahead, rest, reading_ahead) = self.lock().take();
        if let Some(waker) = reading_ahead {
            waker.wake();
        }
        (ahead, rest)
    }

    async fn read_ahead(self: Arc<Self>) {
        poll_fn(|context| {
            let mut state = self.lock();
            let done = state.read_ahead(&self.sender, context);
            let replaced = match done {
                Poll::Ready(()) => state.reading_ahead.take(),
                Poll::Pending => state.reading_ahead.replace(context.waker().clone()),
            };
            drop(state);
            drop(replaced);
            done
        })
        .await;
    }
}

impl Stalled for Unread {
    fn cancel(&self) {
        let mut state = self.lock();
        if !matches!(state.rest, Rest::Comes(_)) {
            return;
        }
        let (ahead, rest, reading_ahead) = state.take();
        state.rest = Rest::Failed(given_up(&self.host));
        drop(state);
        drop((ahead, rest));
        if let Some(waker) = reading_ahead {
            waker.wake();
        }
    }
}

/// The reading end.
struct Reader {
    /// None once reading has begun.
    unread: Option<Arc<Unread>>,
    ahead: VecDeque<Bytes>,
    rest: Rest,
    size: SizeHint,
}

impl Reader {
    fn begin(&mut self) {
        let Some(unread) = self.unread.take() else { return };
        (self.ahead, self.rest) = unread.take();
        if let Rest::Comes(source) = &mut self.rest {
            source.place.reading();
        }
    }
}

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.begin();
        if let Some(chunk) = this.ahead.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let next = match &mut this.rest {
            Rest::Comes(source) => ready!(source.poll_chunk(context)),
            Rest::Nothing => None,
            Rest::Failed(error) => Some(Err(error.clone())),
        };
        let over = !matches!(next, Some(Ok(_)));
        if over
            && let Rest::Comes(source) = std::mem::replace(&mut this.rest, Rest::Nothing)
            && next.is_none()
        {
            source.finish();
        }
        Poll::Ready(next.map(|chunk| chunk.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(unread) = &self.unread {
            drop(unread.take());
        }
    }
}

/// What goes on after the answer was given.
pub(super) type Afterwards = Option<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// The body of an answer that has begun to arrive, and what must be run for it.
pub(super) async fn body(
    incoming: Incoming,
    lease: Lease,
    mut place: Place,
    sender: &Sender,
    host: &str,
) -> (Body, Afterwards) {
    if incoming.is_end_stream() {
        lease.finish(place);
        return (Body::Empty, None);
    }
    let size = incoming.size_hint();
    place.reading();
    let rest = Rest::Comes(Box::new(Source { incoming, lease, place }));
    let mut state = State { ahead: VecDeque::new(), bytes: 0, full: false, rest, reading_ahead: None };
    // Most answers of an API are here already, with their head.
    poll_fn(|context| {
        let _ = state.read_ahead(sender, context);
        Poll::Ready(())
    })
    .await;
    if matches!(state.rest, Rest::Nothing) {
        return (Body::from(joined(state.ahead)), None);
    }
    let unread = Arc::new(Unread { host: host.to_owned(), sender: sender.clone(), state: Mutex::new(state) });
    let stalled: Weak<Unread> = Arc::downgrade(&unread);
    if let Rest::Comes(source) = &mut unread.lock().rest {
        source.place.unread(stalled);
    }
    let reader = Reader { unread: Some(unread.clone()), ahead: VecDeque::new(), rest: Rest::Nothing, size };
    (Body::Stream(ByteStream::from_http_body(reader)), Some(Box::pin(unread.read_ahead())))
}

fn joined(mut chunks: VecDeque<Bytes>) -> Bytes {
    if chunks.len() <= 1 {
        return chunks.pop_front().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        whole.extend_from_slice(&chunk);
    }
    whole.freeze()
}
