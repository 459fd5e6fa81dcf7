//! The pipe under a streamed body: one sink, one receiver, a bound in bytes, and nothing but standard wakers,
//! so that its two ends may live on different executors and threads.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::{BodyError, ByteStream, patience};

/// Chunks that may wait at once, however small: each costs memory beside its bytes.
const MAX_QUEUED_CHUNKS: usize = 1024;

/// Makes a body that is written in one place and read in another.
///
/// At most `capacity_bytes` wait in between; beyond that the sink waits for the reader. A single chunk that
/// is larger still passes, alone, so a capacity of 0 means one chunk at a time. Also no more than 1024 chunks
/// wait.
pub fn channel(capacity_bytes: usize) -> (ByteSink, ByteStream) {
    let shared = Arc::new(Shared { capacity: capacity_bytes, state: Mutex::new(State::default()) });
    let receiver = Receiver { shared: Arc::clone(&shared) };
    (ByteSink { shared }, ByteStream::from_receiver(receiver))
}

/// The reader is gone: what is sent would go nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reader of this body is gone")]
pub struct Closed;

/// Why [`ByteSink::try_send`] did not take a chunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError {
    /// The reader is behind; here is the chunk back.
    #[error("the reader of this body is behind by as much as may wait")]
    Full(Bytes),
    /// The reader is gone.
    #[error("the reader of this body is gone")]
    Closed,
}

/// The writing end. Dropping it without [`finish`](Self::finish) cuts the body off: after what was sent, the
/// reader gets [`BodyError::Disconnected`].
#[derive(Debug)]
pub struct ByteSink {
    shared: Arc<Shared>,
}

/// The reading end, inside a [`ByteStream`].
#[derive(Debug)]
pub(super) struct Receiver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    capacity: usize,
    state: Mutex<State>,
}

/// No waker is called or dropped while this is locked: that can run the code of others, which may come back
/// here.
#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    end: Option<Result<(), BodyError>>,
    receiver_gone: bool,
    waiting_receiver: Option<Waker>,
    waiting_sink: Option<Waker>,
    on_closed: Option<Action>,
    on_starved: Option<Action>,
    /// The reader that waits may do so as long as it likes.
    is_patient: bool,
}

impl State {
    /// Whether the reader waits for more than there is, and not as long as it likes.
    fn is_starved(&self) -> bool {
        let waits = self.waiting_receiver.is_some() && !self.is_patient;
        waits && self.queue.is_empty() && self.end.is_none()
    }
}

struct Action(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Action")
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change of the state, so a poisoned one is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Queues a chunk and gives the reader that has to be woken.
    fn push(&mut self, capacity: usize, chunk: Bytes) -> Result<Option<Waker>, TrySendError> {
        if self.receiver_gone {
            return Err(TrySendError::Closed);
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        let room = capacity.saturating_sub(self.queued_bytes);
        let fits = chunk.len() <= room && self.queue.len() < MAX_QUEUED_CHUNKS;
        if !fits && !self.queue.is_empty() {
            return Err(TrySendError::Full(chunk));
        }
        self.queued_bytes += chunk.len();
        self.queue.push_back(chunk);
        Ok(self.waiting_receiver.take())
    }
}

/// Puts the waker of the current task into `slot` and gives the one that it replaces, to be dropped without
/// the lock.
fn remember(slot: &mut Option<Waker>, context: &Context<'_>) -> Option<Waker> {
    match slot {
        Some(waker) if waker.will_wake(context.waker()) => None,
        _ => slot.replace(context.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl ByteSink {
    /// Sends a chunk, waiting while the reader is behind. Empty chunks are skipped. A chunk is either sent
    /// or, if the future is dropped, not sent at all.
    ///
    /// # Errors
    /// [`Closed`] when the reader is gone, also if it goes while this waits.
    pub async fn send(&mut self, chunk: Bytes) -> Result<(), Closed> {
        let mut unsent = Some(chunk);
        poll_fn(|context| self.poll_send(context, &mut unsent)).await
    }

    /// [`send`](Self::send) for hand-written futures: takes the chunk out of `unsent` when it is ready.
    pub fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        unsent: &mut Option<Bytes>,
    ) -> Poll<Result<(), Closed>> {
        let Some(chunk) = unsent.take() else { return Poll::Ready(Ok(())) };
        let mut state = self.shared.lock();
        match state.push(self.shared.capacity, chunk) {
            Ok(reader) => {
                drop(state);
                wake(reader);
                Poll::Ready(Ok(()))
            }
            Err(TrySendError::Full(chunk)) => {
                *unsent = Some(chunk);
                let replaced = remember(&mut state.waiting_sink, context);
                drop(state);
                drop(replaced);
                Poll::Pending
            }
            Err(TrySendError::Closed) => Poll::Ready(Err(Closed)),
        }
    }

    /// Sends a chunk if there is room for it now.
    ///
    /// # Errors
    /// [`TrySendError::Full`] with the chunk, or [`TrySendError::Closed`].
    pub fn try_send(&mut self, chunk: Bytes) -> Result<(), TrySendError> {
        let reader = self.shared.lock().push(self.shared.capacity, chunk)?;
        wake(reader);
        Ok(())
    }

    /// Whether the reader is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().receiver_gone
    }

    /// Waits until the reader is gone, so that a source that is itself waiting can be cancelled.
    pub async fn closed(&mut self) {
        poll_fn(|context| {
            let mut state = self.shared.lock();
            if state.receiver_gone {
                return Poll::Ready(());
            }
            let replaced = remember(&mut state.waiting_sink, context);
            drop(state);
            drop(replaced);
            Poll::Pending
        })
        .await;
    }

    /// What to do, once, when the reader goes before this end has ended the body; at once if it is gone. Runs on
    /// whatever thread drops the reader and must not block.
    pub fn on_closed(&self, action: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.lock();
        if state.receiver_gone {
            drop(state);
            return action();
        }
        let replaced = state.on_closed.replace(Action(Box::new(action)));
        drop(state);
        drop(replaced);
    }

    /// Whether the reader waits for more than was sent; one that waits as long as it likes
    /// ([`Body::read_patiently`](super::Body::read_patiently)) does not.
    pub fn is_starved(&self) -> bool {
        self.shared.lock().is_starved()
    }

    /// What to do, once, when the reader begins to wait for more than was sent; at once if it does. Runs on the thread
    /// that reads and must not block.
    pub fn on_starved(&self, action: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.lock();
        if state.is_starved() {
            drop(state);
            return action();
        }
        let replaced = state.on_starved.replace(Action(Box::new(action)));
        drop(state);
        drop(replaced);
    }

    /// Ends the body as complete.
    pub fn finish(self) {
        self.end(Ok(()));
    }

    /// Ends the body with an error, which the reader gets after what was sent before.
    pub fn fail(self, error: BodyError) {
        self.end(Err(error));
    }

    fn end(&self, end: Result<(), BodyError>) {
        let mut state = self.shared.lock();
        // `finish` and `fail` are followed by the drop of the sink, which must not overrule them.
        if state.end.is_none() {
            state.end = Some(end);
        }
        let reader = state.waiting_receiver.take();
        let actions = (state.on_closed.take(), state.on_starved.take());
        drop(state);
        drop(actions);
        wake(reader);
    }
}

impl Drop for ByteSink {
    fn drop(&mut self) {
        self.end(Err(BodyError::Disconnected));
    }
}

impl Receiver {
    pub(super) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut state = self.shared.lock();
        if let Some(chunk) = state.queue.pop_front() {
            state.queued_bytes -= chunk.len();
            let sink = state.waiting_sink.take();
            drop(state);
            wake(sink);
            return Poll::Ready(Some(Ok(chunk)));
        }
        match &state.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error.clone()))),
            None => {
                let replaced = remember(&mut state.waiting_receiver, context);
                state.is_patient = patience::is_patient();
                let on_starved = if state.is_patient { None } else { state.on_starved.take() };
                drop(state);
                drop(replaced);
                if let Some(Action(action)) = on_starved {
                    action();
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.receiver_gone = true;
        state.queued_bytes = 0;
        let unread = std::mem::take(&mut state.queue);
        let sink = state.waiting_sink.take();
        let (on_closed, on_starved) = (state.on_closed.take(), state.on_starved.take());
        drop(state);
        drop((unread, on_starved));
        wake(sink);
        if let Some(Action(action)) = on_closed {
            action();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::thread::{self, Thread};

    use super::super::Body;
    use super::*;

    #[derive(Default)]
    struct CountWakes(AtomicUsize);

    impl Wake for CountWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl CountWakes {
        fn count(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// The smallest executor there is: shows that no tokio is needed.
    fn block_on<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    fn chunk(length: usize) -> Bytes {
        Bytes::from(vec![b'x'; length])
    }

    #[test]
    fn the_sink_is_told_once_that_the_reader_waits_for_more() {
        let (mut sink, mut stream) = channel(10);
        let told = Arc::new(CountWakes::default());
        let counter = told.clone();
        sink.try_send(chunk(1)).expect("an empty channel has room");
        sink.on_starved(move || counter.wake_by_ref());
        let mut context = Context::from_waker(Waker::noop());
        assert!(stream.poll_next(&mut context).is_ready());
        assert!(!sink.is_starved());
        assert_eq!(told.count(), 0, "it took what was there");
        assert!(stream.poll_next(&mut context).is_pending());
        assert!(stream.poll_next(&mut context).is_pending());
        assert!(sink.is_starved());
        assert_eq!(told.count(), 1);

        let counter = told.clone();
        sink.on_starved(move || counter.wake_by_ref());
        assert_eq!(told.count(), 2, "it waits already");
        sink.try_send(chunk(1)).expect("an empty channel has room");
        assert!(!sink.is_starved());
    }

    #[test]
    fn a_patient_reader_does_not_starve() {
        let (sink, stream) = channel(10);
        // Something in between changes nothing.
        let between = Body::Stream(ByteStream::from_http_body(Body::Stream(stream)));
        let Body::Stream(mut stream) = between.read_patiently() else { panic!("it is a stream") };
        let told = Arc::new(CountWakes::default());
        let counter = told.clone();
        sink.on_starved(move || counter.wake_by_ref());
        assert!(stream.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!((told.count(), sink.is_starved()), (0, false));
    }

    #[test]
    fn sends_wait_while_the_reader_is_behind() {
        let (mut sink, mut stream) = channel(10);
        sink.try_send(chunk(6)).expect("an empty channel has room");
        sink.try_send(chunk(4)).expect("exactly the capacity fits");
        assert_eq!(sink.try_send(chunk(1)), Err(TrySendError::Full(chunk(1))));

        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        let mut send = pin!(sink.send(chunk(5)));
        assert!(send.as_mut().poll(&mut context).is_pending());
        assert_eq!(wakes.count(), 0);

        assert_eq!(block_on(stream.next()), Some(Ok(chunk(6))));
        assert_eq!(wakes.count(), 1, "reading wakes the sink");
        assert_eq!(send.as_mut().poll(&mut context), Poll::Ready(Ok(())));
        assert_eq!(block_on(stream.next()), Some(Ok(chunk(4))));
        assert_eq!(block_on(stream.next()), Some(Ok(chunk(5))));
    }

    #[test]
    fn chunk_above_the_capacity_passes_alone() {
        let (mut sink, mut stream) = channel(4);
        sink.try_send(chunk(100)).expect("alone it passes");
        assert_eq!(sink.try_send(chunk(1)), Err(TrySendError::Full(chunk(1))));
        assert_eq!(block_on(stream.next()), Some(Ok(chunk(100))));
        sink.try_send(chunk(1)).expect("there is room again");
        assert_eq!(sink.try_send(chunk(100)), Err(TrySendError::Full(chunk(100))));
    }

    #[test]
    fn number_of_chunks_is_bounded_too() {
        let (mut sink, mut stream) = channel(usize::MAX);
        for _ in 0..MAX_QUEUED_CHUNKS {
            sink.try_send(chunk(1)).expect("there is room");
        }
        assert_eq!(sink.try_send(chunk(1)), Err(TrySendError::Full(chunk(1))));
        assert!(matches!(block_on(stream.next()), Some(Ok(_))));
        sink.try_send(chunk(1)).expect("there is room again");
    }

    #[test]
    fn empty_chunks_are_skipped() {
        let (mut sink, mut stream) = channel(4);
        block_on(sink.send(Bytes::new())).expect("the reader is there");
        sink.finish();
        assert_eq!(block_on(stream.next()), None);
    }

    #[test]
    fn reader_is_woken_by_a_chunk_and_by_the_end() {
        let (mut sink, mut stream) = channel(4);
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        assert!(stream.poll_next(&mut context).is_pending());
        sink.try_send(chunk(1)).expect("there is room");
        assert_eq!(wakes.count(), 1);
        assert!(stream.poll_next(&mut context).is_ready());
        assert!(stream.poll_next(&mut context).is_pending());
        sink.finish();
        assert_eq!(wakes.count(), 2);
        assert_eq!(stream.poll_next(&mut context), Poll::Ready(None));
    }

    #[test]
    fn dropped_sink_cuts_the_body_off() {
        let (mut sink, mut stream) = channel(4);
        sink.try_send(chunk(2)).expect("there is room");
        drop(sink);
        assert_eq!(block_on(stream.next()), Some(Ok(chunk(2))));
        assert_eq!(block_on(stream.next()), Some(Err(BodyError::Disconnected)));
        assert_eq!(block_on(stream.next()), None);
    }

    #[test]
    fn failure_comes_after_what_was_sent() {
        let (mut sink, mut stream) = channel(4);
        sink.try_send(chunk(2)).expect("there is room");
        sink.fail(BodyError::Failed("no more".into()));
        assert_eq!(block_on(stream.next()), Some(Ok(chunk(2))));
        assert_eq!(block_on(stream.next()), Some(Err(BodyError::Failed("no more".into()))));
        assert_eq!(block_on(stream.next()), None);
    }

    #[test]
    fn dropped_stream_closes_the_sink_also_while_it_waits() {
        let (mut sink, stream) = channel(4);
        sink.try_send(chunk(4)).expect("there is room");
        assert!(!sink.is_closed());
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        {
            let mut send = pin!(sink.send(chunk(1)));
            assert!(send.as_mut().poll(&mut context).is_pending());
            drop(stream);
            assert_eq!(wakes.count(), 1);
            assert_eq!(send.as_mut().poll(&mut context), Poll::Ready(Err(Closed)));
        }
        assert!(sink.is_closed());
        assert_eq!(sink.try_send(chunk(1)), Err(TrySendError::Closed));
        block_on(sink.closed());
    }

    #[test]
    fn whoever_writes_is_told_when_the_reader_goes() {
        let told = Arc::new(AtomicUsize::new(0));
        let watch = |sink: &ByteSink| {
            let told = Arc::clone(&told);
            sink.on_closed(move || {
                told.fetch_add(1, Ordering::SeqCst);
            });
        };
        let (sink, stream) = channel(4);
        watch(&sink);
        drop(stream);
        assert_eq!(told.load(Ordering::SeqCst), 1, "without a write under way");
        watch(&sink);
        assert_eq!(told.load(Ordering::SeqCst), 2, "also when it has gone before");

        let (sink, stream) = channel(4);
        watch(&sink);
        sink.finish();
        drop(stream);
        assert_eq!(told.load(Ordering::SeqCst), 2, "not after the end");
    }

    #[test]
    fn everything_arrives_in_order_across_threads() {
        let (mut sink, stream) = channel(7);
        let writer = thread::spawn(move || {
            for number in 0u32..5000 {
                block_on(sink.send(Bytes::copy_from_slice(&number.to_be_bytes())))
                    .expect("the reader is there");
            }
            sink.finish();
        });
        let all = block_on(stream.collect(20_000)).expect("a whole body");
        writer.join().expect("the writer ends");
        let expected: Vec<u8> = (0u32..5000).flat_map(u32::to_be_bytes).collect();
        assert_eq!(all, expected);
    }
}
