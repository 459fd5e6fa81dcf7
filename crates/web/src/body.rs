//! Bodies as JavaScript sees them: a handle to bytes that are still on their way.

use std::sync::{Arc, Mutex, PoisonError};

use atoll_host::body::{Body, BodyError, ByteSink, ByteStream, TrySendError};
use atoll_isolate::{JsError, arguments, natives, v8};
use bytes::Bytes;

use crate::context::{self, Handle};
use crate::usage;

/// Bytes between two isolates, or an isolate and a socket, before the writer has to wait.
const PIPE_BYTES: usize = 256 * 1024;

/// A read chunk is at most this large: a fast writer must not make one huge array of its whole stream.
const CHUNK_BYTES: usize = 256 * 1024;

/// A body in a resource table. Taken once: by a reader, or by whoever sends it on.
pub struct BodyCell {
    slot: Mutex<Slot>,
    /// The reading end of a pipe whose writer is in the same isolate: its bytes count where they are written.
    own: bool,
}

enum Slot {
    Body(Body),
    /// A stream, and what is left of the chunk that was read last.
    Stream(ByteStream, Bytes),
    Busy,
    Taken,
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

    fn slot(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the whole body out.
    pub fn take(&self) -> Option<Body> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Body(body) => Some(body),
            Slot::Stream(stream, rest) if rest.is_empty() => Some(Body::Stream(stream)),
            Slot::Stream(stream, rest) => {
                let rest = Some(rest).filter(|rest| !rest.is_empty());
                Some(Body::Stream(ByteStream::from_http_body(Prefixed { rest, stream })))
            }
            Slot::Busy | Slot::Taken => None,
        }
    }

    fn begin_read(&self) -> Option<(ByteStream, Bytes)> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Busy) {
            Slot::Body(Body::Stream(stream)) => Some((stream, Bytes::new())),
            Slot::Stream(stream, rest) => Some((stream, rest)),
            Slot::Body(body) => Some((ByteStream::from_http_body(body), Bytes::new())),
            other => {
                *slot = other;
                None
            }
        }
    }

    fn end_read(&self, stream: ByteStream, rest: Bytes) {
        let mut slot = self.slot();
        // Cancelled in the meantime: the stream is dropped here.
        if matches!(*slot, Slot::Busy) {
            *slot = Slot::Stream(stream, rest);
        }
    }
}

/// The writing end of a pipe in a resource table.
pub struct SinkCell(tokio::sync::Mutex<Option<ByteSink>>);

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
pub fn argument(scope: &mut v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Body {
    if value.is_uint32() {
        let handle = value.uint32_value(scope).unwrap_or(0);
        return pass_on(scope, handle);
    }
    let bytes = match v8::Local::<v8::String>::try_from(value) {
        Ok(text) => text.to_rust_string_lossy(scope).into_bytes(),
        Err(_) => match arguments::bytes_of(value) {
            Some(bytes) => bytes,
            None => return Body::Empty,
        },
    };
    usage::sent(scope, bytes.len());
    Body::Bytes(Bytes::from(bytes))
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
        body => {
            let owner = context::current(scope);
            let handle = context::add_resource(scope, owner, Arc::new(BodyCell::new(body)));
            v8::Integer::new_from_unsigned(scope, handle).into()
        }
    }
}

fn lost(error: &BodyError) -> JsError {
    match error {
        BodyError::Disconnected => JsError::error(crate::fetcher::CONNECTION_LOST),
        other => JsError::error(other.to_string()),
    }
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
    let own = cell.as_ref().is_some_and(|cell| cell.own);
    let promise = context::spawn(
        scope,
        async move {
            let Some(cell) = cell else { return Ok(None) };
            let Some((mut stream, mut rest)) = cell.begin_read() else { return Ok(None) };
            if rest.is_empty() {
                match stream.next().await.transpose().map_err(|e| lost(&e))? {
                    Some(chunk) => rest = chunk,
                    None => return Ok(None),
                }
            }
            let first = rest.split_to(rest.len().min(CHUNK_BYTES));
            cell.end_read(stream, rest);
            Ok(Some(first))
        },
        move |scope, chunk: Option<Bytes>| match chunk {
            Some(chunk) => {
                count_read(scope, own, &chunk);
                arguments::uint8_array(scope, &chunk)
            }
            None => v8::null(scope).into(),
        },
    );
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

async fn collect(cell: Option<Arc<BodyCell>>) -> Result<Bytes, JsError> {
    match cell.and_then(|c| c.take()) {
        Some(body) => body.collect(MAX_COLLECTED).await.map_err(|e| lost(&e)),
        None => Ok(Bytes::new()),
    }
}

fn body_read_all<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    rv: v8::ReturnValue<'_, v8::Value>,
) {
    let cell = cell(scope, &args);
    let own = cell.as_ref().is_some_and(|cell| cell.own);
    let promise = context::spawn(scope, collect(cell), move |scope, bytes| {
        count_read(scope, own, &bytes);
        arguments::uint8_array(scope, &bytes)
    });
    finish(scope, rv, promise);
}

fn body_read_text<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    rv: v8::ReturnValue<'_, v8::Value>,
) {
    let cell = cell(scope, &args);
    let own = cell.as_ref().is_some_and(|cell| cell.own);
    let promise = context::spawn(scope, collect(cell), move |scope, bytes| {
        count_read(scope, own, &bytes);
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        match v8::String::new_from_utf8(scope, bytes, v8::NewStringType::Normal) {
            Some(text) => text.into(),
            None => v8::String::empty(scope).into(),
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
    let (sink, stream) = atoll_host::body::channel(PIPE_BYTES);
    let length = arguments::number(scope, &args, 0);
    let stream = if length >= 0.0 { stream.with_length(length as u64) } else { stream };
    let owner = context::current(scope);
    let sink = context::add_resource(scope, owner, Arc::new(SinkCell(tokio::sync::Mutex::new(Some(sink)))));
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
    usage::sent(scope, bytes.len());
    let mut bytes = Bytes::from(bytes);
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
                Some(sink) => Ok(sink.send(bytes).await.is_ok()),
                None => Ok(false),
            }
        },
        |scope, taken| v8::Boolean::new(scope, taken).into(),
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

fn pipe_abort<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    end_pipe(scope, &args, Some(BodyError::Disconnected));
}

fn release<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let handle = arguments::integer(scope, &args, 0);
    drop(context::release(scope, handle));
}
