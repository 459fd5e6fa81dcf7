//! Bodies as JavaScript sees them: a handle to bytes that are still on their way.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use atoll_host::body::{Body, BodyError, ByteSink, ByteStream, TrySendError};
use atoll_isolate::{Envelope, JsError, arguments, natives, realm, v8};
use bytes::Bytes;

use crate::context::{self, Counted, Handle};
use crate::fetch;
use crate::fetcher::{CONNECTION_LOST, RemoteError};
use crate::held;
use crate::inbox::{Charge, Inbox};
use crate::usage;

/// A body of at most so many bytes, all of them ASCII, is given to scripts as text at once: most answers of an API are.
const SHORT: usize = 16 * 1024;

/// Bytes between two isolates, or an isolate and a socket, before the writer has to wait.
const PIPE_BYTES: usize = 256 * 1024;

/// A read chunk is at most this large: a fast writer must not make one huge array of its whole stream.
const CHUNK_BYTES: usize = 256 * 1024;

/// A body in a resource table. Taken once: by whoever sends it on, or by a cancel, which also ends a read under way.
pub struct BodyCell {
    slot: Mutex<Slot>,
    /// The reading end of a pipe whose writer is in the same isolate: its bytes count where they are written.
    own: bool,
}

enum Slot {
    Body(Body),
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

    /// A cell for the reading end of a pipe of this isolate's own.
    fn of_pipe(stream: ByteStream) -> Self {
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
    fn poll_chunk(&self, context: &mut Context<'_>, most: usize) -> Poll<Next> {
        let mut slot = self.slot();
        if let Slot::Body(body) = &mut *slot {
            let stream = match std::mem::take(body) {
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
            Slot::Taken => None,
        }
    }
}

/// What reading from a [`BodyCell`] gave.
enum Next {
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
                Err(error) => Err(BodyError::Failed(error.message)),
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

/// The writing end of a pipe in a resource table.
pub struct SinkCell(
    tokio::sync::Mutex<Option<ByteSink>>,
    #[expect(dead_code, reason = "counts")] Option<Counted>,
);

/// Whether a context still writes to somebody.
pub fn has_open_pipe(scope: &mut v8::PinScope<'_, '_>, id: context::ContextId) -> bool {
    context::owns::<SinkCell>(scope, id)
}

pub(crate) fn natives() -> Vec<atoll_isolate::Native> {
    natives![
        "bodyRead" => body_read,
        "bodyReadAll" => body_read_all,
        "bodyReadText" => body_read_text,
        "bodyCancel" => body_cancel,
        "pipeNew" => pipe_new,
        "pipeWrite" => pipe_write,
        "pipeClose" => pipe_close,
        "pipeAbort" => pipe_abort,
        "release" => release,
    ]
}

/// Reads a body argument: nothing, text, bytes, or a handle whose body moves.
///
/// # Errors
/// When too many bytes of bodies are under way from this Worker.
pub fn argument(scope: &mut v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Result<Body, JsError> {
    if value.is_uint32() {
        let handle = value.uint32_value(scope).unwrap_or(0);
        return Ok(pass_on(scope, handle));
    }
    let bytes = match v8::Local::<v8::String>::try_from(value) {
        Ok(text) => text.to_rust_string_lossy(scope).into_bytes(),
        Err(_) => match arguments::bytes_of(value) {
            Some(bytes) => bytes,
            None => return Ok(Body::Empty),
        },
    };
    let bytes = held::hold(scope, bytes)?;
    usage::sent(scope, bytes.len());
    Ok(Body::Bytes(bytes))
}

/// Takes the body behind a handle to send it on: nobody here reads it, so its bytes count here.
fn pass_on(scope: &mut v8::PinScope<'_, '_>, handle: Handle) -> Body {
    let own = context::resource_as::<BodyCell>(scope, handle).is_some_and(|cell| cell.own);
    match take(scope, handle) {
        Some(Body::Stream(stream)) if !own => Body::Stream(usage::relay(scope, stream)),
        Some(Body::Bytes(bytes)) => {
            usage::received(scope, bytes.len());
            usage::sent(scope, bytes.len());
            Body::Bytes(bytes)
        }
        body => body.unwrap_or(Body::Empty),
    }
}

fn is_own(cell: &Option<Arc<BodyCell>>) -> bool {
    cell.as_ref().is_some_and(|cell| cell.own)
}

/// Counts what was read, unless it was written here.
fn count_read(scope: &mut v8::PinScope<'_, '_>, own: bool, bytes: &[u8]) {
    if !own {
        usage::received(scope, bytes.len());
    }
}

/// Takes the body behind a handle.
pub fn take(scope: &mut v8::PinScope<'_, '_>, handle: Handle) -> Option<Body> {
    let cell = context::resource_as::<BodyCell>(scope, handle)?;
    context::release(scope, handle);
    cell.take()
}

/// Puts a body into the table of the current context; `null` for one that is empty.
pub fn to_value<'s>(scope: &mut v8::PinScope<'s, '_>, body: Body) -> v8::Local<'s, v8::Value> {
    match body {
        Body::Empty => v8::null(scope).into(),
        Body::Bytes(bytes) if bytes.len() <= SHORT && bytes.is_ascii() => {
            usage::received(scope, bytes.len());
            match v8::String::new_from_one_byte(scope, &bytes, v8::NewStringType::Normal) {
                Some(text) => text.into(),
                None => v8::null(scope).into(),
            }
        }
        body => {
            let owner = context::current(scope);
            let handle = context::add_resource(scope, owner, Arc::new(BodyCell::new(body)));
            v8::Integer::new_from_unsigned(scope, handle).into()
        }
    }
}

/// What a reader gets for a body that ended early.
fn exception<'s>(scope: &mut v8::PinScope<'s, '_>, error: BodyError) -> v8::Local<'s, v8::Value> {
    let error = match error {
        BodyError::Disconnected => RemoteError::error(CONNECTION_LOST),
        BodyError::Failed(message) => RemoteError::error(message),
        BodyError::Thrown { name, message } => {
            RemoteError { name, message, remote: true, ..RemoteError::default() }
        }
        other => RemoteError::error(other.to_string()),
    };
    fetch::error_value(scope, error)
}

fn cell(scope: &mut v8::PinScope<'_, '_>, args: &v8::FunctionCallbackArguments<'_>) -> Option<Arc<BodyCell>> {
    let handle = arguments::integer(scope, args, 0);
    context::resource_as::<BodyCell>(scope, handle)
}

fn finish<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
    promise: Result<v8::Local<'s, v8::Promise>, JsError>,
) {
    match promise {
        Ok(promise) => rv.set(promise.into()),
        Err(error) => error.throw(scope),
    }
}

fn body_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    rv: v8::ReturnValue<'_, v8::Value>,
) {
    let cell = cell(scope, &args);
    let own = is_own(&cell);
    let next = poll_fn(move |context| match &cell {
        Some(cell) => cell.poll_chunk(context, CHUNK_BYTES),
        None => Poll::Ready(Next::Taken),
    });
    let promise = context::spawn(scope, next, move |scope, next| match next {
        Next::Chunk(chunk) => {
            count_read(scope, own, &chunk);
            Ok(arguments::uint8_array(scope, &chunk))
        }
        Next::End | Next::Taken => Ok(v8::null(scope).into()),
        Next::Failed(error) => Err(exception(scope, error)),
    });
    finish(scope, rv, promise);
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
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        if let Some(rest) = self.rest.take() {
            return std::task::Poll::Ready(Some(Ok(http_body::Frame::data(rest))));
        }
        self.stream.poll_next(cx).map(|chunk| chunk.map(|c| c.map(http_body::Frame::data)))
    }
}

/// Most bytes that one body may have when it is read as a whole.
const MAX_COLLECTED: usize = 128 << 20;

async fn collect(cell: Option<Arc<BodyCell>>, budget: Arc<Inbox>) -> Result<Bytes, BodyError> {
    let Some(cell) = cell else { return Ok(Bytes::new()) };
    match cell.take_bytes() {
        Some(bytes) => Body::Bytes(bytes).collect(MAX_COLLECTED).await,
        None => {
            let charge = budget.take(0).map_err(|error| BodyError::Failed(error.message))?;
            ByteStream::from_http_body(Whole(cell, charge)).collect(MAX_COLLECTED).await
        }
    }
}

fn body_read_all<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    rv: v8::ReturnValue<'_, v8::Value>,
) {
    let cell = cell(scope, &args);
    let own = is_own(&cell);
    let budget = held::budget(scope);
    let promise = context::spawn(scope, collect(cell, budget), move |scope, bytes| match bytes {
        Ok(bytes) => {
            count_read(scope, own, &bytes);
            Ok(arguments::uint8_array(scope, &bytes))
        }
        Err(error) => Err(exception(scope, error)),
    });
    finish(scope, rv, promise);
}

fn body_read_text<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    rv: v8::ReturnValue<'_, v8::Value>,
) {
    let cell = cell(scope, &args);
    let own = is_own(&cell);
    let budget = held::budget(scope);
    let promise = context::spawn(scope, collect(cell, budget), move |scope, bytes| {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return Err(exception(scope, error)),
        };
        count_read(scope, own, &bytes);
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        match v8::String::new_from_utf8(scope, bytes, v8::NewStringType::Normal) {
            Some(text) => Ok(text.into()),
            None => Ok(v8::String::empty(scope).into()),
        }
    });
    finish(scope, rv, promise);
}

fn body_cancel<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let handle = arguments::integer(scope, &args, 0);
    drop(take(scope, handle));
}

fn pipe_new<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let owner = context::current(scope);
    let counted = context::check_handles(scope, owner).and_then(|()| context::count_stream(scope));
    let counted = match counted {
        Ok(counted) => counted,
        Err(error) => return error.throw(scope),
    };
    let (sink, stream) = atoll_host::body::channel(PIPE_BYTES);
    let length = arguments::number(scope, &args, 0);
    let stream = if length >= 0.0 { stream.with_length(length as u64) } else { stream };
    let owner = context::current(scope);
    let told = context::meter(scope, owner).map(|meter| (meter, context::environment(scope).isolate.clone()));
    let cell = Arc::new(SinkCell(tokio::sync::Mutex::new(Some(sink)), counted));
    let sink = context::add_resource(scope, owner, cell.clone());
    if let (Some((meter, isolate)), Ok(guard)) = (told, cell.0.try_lock())
        && let Some(end) = guard.as_ref()
    {
        // Its source is told, also one that waits and would never write again.
        end.on_closed(move || {
            let Some(isolate) = isolate.upgrade() else { return };
            isolate.send(Envelope::new(meter, move |scope| {
                if context::enter(scope, owner) {
                    let sink = v8::Integer::new_from_unsigned(scope, sink);
                    realm::call(scope, "web/body", "readerGone", &[sink.into()]);
                }
            }));
        });
    }
    let body = context::add_resource(scope, owner, Arc::new(BodyCell::of_pipe(stream)));
    let handles = [sink, body].map(|h| v8::Integer::new_from_unsigned(scope, h).into());
    rv.set(v8::Array::new_with_elements(scope, &handles).into());
}

fn sink(scope: &mut v8::PinScope<'_, '_>, args: &v8::FunctionCallbackArguments<'_>) -> Option<Arc<SinkCell>> {
    let handle = arguments::integer(scope, args, 0);
    context::resource_as::<SinkCell>(scope, handle)
}

/// Gives undefined when the bytes were taken at once, false when nobody reads any more, or a promise of either.
fn pipe_write<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(bytes) = arguments::bytes(&args, 1) else { return };
    let Some(cell) = sink(scope, &args) else { return rv.set_bool(false) };
    let mut bytes = match held::hold(scope, bytes) {
        Ok(bytes) => bytes,
        Err(error) => return error.throw(scope),
    };
    usage::sent(scope, bytes.len());
    if let Ok(mut guard) = cell.0.try_lock() {
        match guard.as_mut().map(|sink| sink.try_send(bytes)) {
            Some(Ok(())) => return,
            Some(Err(TrySendError::Full(back))) => bytes = back,
            _ => return rv.set_bool(false),
        }
    }
    let promise = context::spawn(
        scope,
        async move {
            match cell.0.lock().await.as_mut() {
                Some(sink) => sink.send(bytes).await.is_ok(),
                None => false,
            }
        },
        |scope, taken| Ok(v8::Boolean::new(scope, taken).into()),
    );
    finish(scope, rv, promise);
}

fn end_pipe(
    scope: &mut v8::PinScope<'_, '_>,
    args: &v8::FunctionCallbackArguments<'_>,
    error: Option<BodyError>,
) {
    let Some(cell) = sink(scope, args) else { return };
    let handle = arguments::integer(scope, args, 0);
    context::release(scope, handle);
    let end = |sink: Option<ByteSink>| match (sink, error) {
        (Some(sink), None) => sink.finish(),
        (Some(sink), Some(error)) => sink.fail(error),
        (None, _) => {}
    };
    if let Ok(mut guard) = cell.0.try_lock() {
        return end(guard.take());
    }
    tokio::spawn(async move { end(cell.0.lock().await.take()) });
}

fn pipe_close<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    end_pipe(scope, &args, None);
}

/// `pipeAbort(sink, error)`: the reader gets the error after what was written; without one, that the body was cut off.
fn pipe_abort<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let error = match args.get(1) {
        error if error.is_undefined() => BodyError::Disconnected,
        error => {
            let RemoteError { name, message, .. } = fetch::error_of(scope, error);
            BodyError::Thrown { name, message }
        }
    };
    end_pipe(scope, &args, Some(error));
}

/// Ends what a context still writes: its readers get an `Error` with this message. False: it writes nothing.
pub fn fail_pipes(scope: &mut v8::PinScope<'_, '_>, id: context::ContextId, message: &str) -> bool {
    let pipes = context::owned::<SinkCell>(scope, id);
    let any = !pipes.is_empty();
    for (handle, sink) in pipes {
        context::release(scope, handle);
        if let Some(sink) = sink.0.try_lock().ok().and_then(|mut sink| sink.take()) {
            sink.fail(BodyError::Failed(message.to_owned()));
        }
    }
    any
}

fn release<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let handle = arguments::integer(scope, &args, 0);
    drop(context::release(scope, handle));
}
