//! What an invocation uses beside CPU time, counted in its context: plain integers, since a context is only ever
//! touched under its isolate's lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_host::body::{BodyError, ByteStream};
use atoll_isolate::{heap, v8};
use bytes::Bytes;

use crate::context::{ContextId, contexts, current};

/// The figures of one invocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests by `fetch()`, and calls and requests to services.
    pub sub_requests: u32,
    /// RPC calls that it made, to services, stubs and answers; reading a property over RPC is one, too.
    pub rpc_calls: u32,
    /// Bytes that reached it: RPC messages, and bodies as far as they were read or passed on; short texts count at once.
    pub bytes_in: u64,
    /// Bytes that it gave: RPC messages, and bodies as far as they were taken.
    pub bytes_out: u64,
    /// The most bytes of heap and buffers that its isolate had at the end of one of its messages, as far as looked at:
    /// see [`message_ended`].
    pub peak_memory: u64,
}

/// The counts of a context while it is open.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) counts: Counts,
    /// Bytes of streams that it passes on as they come: in and out.
    relayed: Option<Arc<AtomicU64>>,
    /// The meter as it stood after the last message.
    charged: Duration,
    look_always: bool,
}

impl Counter {
    fn saw(&mut self, memory: u64) {
        self.counts.peak_memory = self.counts.peak_memory.max(memory);
    }

    /// The figures so far.
    pub(crate) fn counts(&self) -> Counts {
        let relayed = self.relayed.as_ref().map_or(0, |bytes| bytes.load(Ordering::Relaxed));
        let Counts { bytes_in, bytes_out, .. } = self.counts;
        Counts { bytes_in: bytes_in + relayed, bytes_out: bytes_out + relayed, ..self.counts }
    }
}

/// What was last seen of an isolate's memory.
#[derive(Default)]
pub(crate) struct Seen {
    bytes: u64,
    /// CPU time charged since.
    since: Duration,
}

/// Memory is looked at again after this much CPU time: it changes only while something runs. A look takes some 0.2 µs.
const LOOK: Duration = Duration::from_micros(500);

/// The memory of context `id` is looked at after each of its messages, not only after [`LOOK`].
pub fn look_always(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    if let Some(context) = contexts(scope).table.get_mut(id) {
        context.counter.look_always = true;
    }
}

/// A message for context `id` has ended: notes the isolate's memory.
pub fn message_ended(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let all = contexts(scope);
    let Some(context) = all.table.get_mut(id) else { return };
    let charged = context.meter().used();
    let spent = charged.saturating_sub(std::mem::replace(&mut context.counter.charged, charged));
    all.memory.since += spent;
    if !context.counter.look_always && all.memory.bytes != 0 && all.memory.since < LOOK {
        return context.counter.saw(all.memory.bytes);
    }
    let bytes = heap::footprint(scope) as u64;
    let all = contexts(scope);
    all.memory = Seen { bytes, since: Duration::ZERO };
    if let Some(context) = all.table.get_mut(id) {
        context.counter.saw(bytes);
    }
}

fn count(scope: &mut v8::PinScope<'_, '_>, add: impl FnOnce(&mut Counts)) {
    let id = current(scope);
    if let Some(context) = contexts(scope).table.get_mut(id) {
        add(&mut context.counter.counts);
    }
}

/// The context that this message is for was given `bytes`.
pub fn received(scope: &mut v8::PinScope<'_, '_>, bytes: usize) {
    let contexts = contexts(scope);
    if let Some(context) = contexts.table.get_mut(contexts.current) {
        context.counter.counts.bytes_in += bytes as u64;
    }
}

/// The current context has given `bytes`.
pub fn sent(scope: &mut v8::PinScope<'_, '_>, bytes: usize) {
    count(scope, |counts| counts.bytes_out += bytes as u64);
}

/// The current context makes an RPC call with `bytes` of arguments.
pub fn called(scope: &mut v8::PinScope<'_, '_>, bytes: usize) {
    count(scope, |counts| {
        counts.rpc_calls = counts.rpc_calls.saturating_add(1);
        counts.bytes_out += bytes as u64;
    });
}

/// A stream that the current context passes on unread: what flows counts as its bytes, in and out, until it ends.
pub(crate) fn relay(scope: &mut v8::PinScope<'_, '_>, stream: ByteStream) -> ByteStream {
    let id = current(scope);
    let Some(context) = contexts(scope).table.get_mut(id) else { return stream };
    let relayed = context.counter.relayed.get_or_insert_default().clone();
    ByteStream::from_http_body(Relayed { stream, relayed })
}

struct Relayed {
    stream: ByteStream,
    relayed: Arc<AtomicU64>,
}

impl http_body::Body for Relayed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        let polled = self.stream.poll_next(cx);
        if let std::task::Poll::Ready(Some(Ok(chunk))) = &polled {
            self.relayed.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        polled.map(|chunk| chunk.map(|c| c.map(http_body::Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.stream.length().map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
    }
}
