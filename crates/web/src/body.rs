//! Bodies as JavaScript sees them: a handle to bytes that are still on their way.

mod cell;
mod pipe;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use atoll_host::body::{Body, BodyError};
use atoll_isolate::{JsError, arguments, natives, v8};

use crate::coding::{self, Format, Payer};
use crate::context::{self, Handle};
use crate::fetch;
use crate::fetcher::{CONNECTION_LOST, RemoteError};
use crate::held;
use crate::usage;

pub use cell::BodyCell;
use cell::{Next, collect};
pub use pipe::{Demand, demand, fail_pipes, has_open_pipe};

/// A body of at most so many bytes, all of them ASCII, is given to scripts as text at once: most answers of an API are.
const SHORT: usize = 16 * 1024;

/// A read chunk is at most this large: a fast writer must not make one huge array of its whole stream.
const CHUNK_BYTES: usize = 256 * 1024;

/// What readers of a stream that came with a call get where it is cut off.
const CUT_OFF: &str = "ReadableStream received over RPC disconnected prematurely.";

pub(crate) fn natives() -> Vec<atoll_isolate::Native> {
    natives![
        "bodyRead" => body_read,
        "bodyReadAll" => body_read_all,
        "bodyReadText" => body_read_text,
        "bodyCancel" => body_cancel,
        "pipeNew" => pipe::pipe_new,
        "pipeWrite" => pipe::pipe_write,
        "pipeClose" => pipe::pipe_close,
        "pipeAbort" => pipe::pipe_abort,
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

/// The same for the body of a response: what came in a coding and was not read stays in it, which is given, too.
///
/// # Errors
/// When too many bytes of bodies are under way from this Worker.
pub fn response_argument(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<v8::Value>,
) -> Result<(Body, Option<Format>), JsError> {
    let handle = if value.is_uint32() { value.uint32_value(scope).unwrap_or(0) } else { 0 };
    let Some(cell) = context::resource_as::<BodyCell>(scope, handle).filter(|cell| !cell.own) else {
        return Ok((argument(scope, value)?, None));
    };
    context::release(scope, handle);
    let (body, format) = match cell.take_coded() {
        Ok((body, format)) => (Some(body), Some(format)),
        Err(body) => (body, None),
    };
    Ok((relayed(scope, body, false), format))
}

/// Takes the body behind a handle to send it on: nobody here reads it, so its bytes count here.
fn pass_on(scope: &mut v8::PinScope<'_, '_>, handle: Handle) -> Body {
    let Some(cell) = context::resource_as::<BodyCell>(scope, handle) else { return Body::Empty };
    context::release(scope, handle);
    let body = match cell.take_coded() {
        Ok((body, format)) => Some(coding::decoded(body, format, Payer::current(scope))),
        Err(body) => body,
    };
    relayed(scope, body, cell.own)
}

fn relayed(scope: &mut v8::PinScope<'_, '_>, body: Option<Body>, own: bool) -> Body {
    match body {
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
        body => cell_value(scope, BodyCell::new(body)),
    }
}

/// The same for a body in a coding, which is decoded when it is read.
pub fn coded_to_value<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    body: Body,
    format: Format,
) -> v8::Local<'s, v8::Value> {
    if matches!(body, Body::Empty) {
        return v8::null(scope).into();
    }
    let payer = Payer::reader(scope);
    cell_value(scope, BodyCell::new_coded(body, format, payer))
}

fn cell_value<'s>(scope: &mut v8::PinScope<'s, '_>, cell: BodyCell) -> v8::Local<'s, v8::Value> {
    let owner = context::current(scope);
    let handle = context::add_resource(scope, owner, Arc::new(cell));
    v8::Integer::new_from_unsigned(scope, handle).into()
}

/// What a reader gets for a body that ended early.
fn exception<'s>(scope: &mut v8::PinScope<'s, '_>, error: BodyError) -> v8::Local<'s, v8::Value> {
    let error = match error {
        BodyError::Disconnected => RemoteError::error(CONNECTION_LOST),
        BodyError::Failed(message) | BodyError::Ended(message) => RemoteError::error(message),
        BodyError::Undecodable(message) => RemoteError::type_error(message),
        BodyError::Thrown { name, message } => {
            RemoteError { name, message, remote: true, ..RemoteError::default() }
        }
        other => RemoteError::error(other.to_string()),
    };
    fetch::error_value(scope, error)
}

/// The same for a stream that came with a call: why its source failed does not cross, only a limit's reason does, and what
/// is wrong on this side.
fn exception_in_call<'s>(scope: &mut v8::PinScope<'s, '_>, error: BodyError) -> v8::Local<'s, v8::Value> {
    match error {
        BodyError::Ended(_)
        | BodyError::Refused(_)
        | BodyError::TooLarge { .. }
        | BodyError::Undecodable(_) => exception(scope, error),
        _ => fetch::error_value(scope, RemoteError::error(CUT_OFF)),
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

/// What a promise of bytes is resolved with: asked for `then`, bytes would ask a guest's prototype.
fn bytes_value<'s>(scope: &mut v8::PinScope<'s, '_>, bytes: &[u8]) -> v8::Local<'s, v8::Value> {
    let bytes = arguments::uint8_array(scope, bytes);
    arguments::tuple(scope, &[bytes])
}

/// `bodyRead(handle, inCall)`: a promise of `[the next bytes]`, or of null at the end.
fn body_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    rv: v8::ReturnValue<'_, v8::Value>,
) {
    let cell = cell(scope, &args);
    let own = is_own(&cell);
    let in_call = args.get(1).is_true();
    let next = poll_fn(move |context| match &cell {
        Some(cell) => cell.poll_chunk(context, CHUNK_BYTES),
        None => Poll::Ready(Next::Taken),
    });
    let promise = context::spawn(scope, next, move |scope, next| match next {
        Next::Chunk(chunk) => {
            count_read(scope, own, &chunk);
            Ok(bytes_value(scope, &chunk))
        }
        Next::End | Next::Taken => Ok(v8::null(scope).into()),
        Next::Failed(error) if in_call => Err(exception_in_call(scope, error)),
        Next::Failed(error) => Err(exception(scope, error)),
    });
    finish(scope, rv, promise);
}

/// `bodyReadAll(handle, inCall)`: a promise of `[all bytes]`.
fn body_read_all<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    rv: v8::ReturnValue<'_, v8::Value>,
) {
    read_whole(scope, &args, rv, bytes_value);
}

/// `bodyReadText(handle, inCall)`: a promise of the text.
fn body_read_text<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    rv: v8::ReturnValue<'_, v8::Value>,
) {
    read_whole(scope, &args, rv, |scope, bytes| {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        match v8::String::new_from_utf8(scope, bytes, v8::NewStringType::Normal) {
            Some(text) => text.into(),
            None => v8::String::empty(scope).into(),
        }
    });
}

/// Gives a promise of what `convert` makes of the whole body.
fn read_whole<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: &v8::FunctionCallbackArguments<'s>,
    rv: v8::ReturnValue<'_, v8::Value>,
    convert: for<'a, 'i> fn(&mut v8::PinScope<'a, 'i>, &[u8]) -> v8::Local<'a, v8::Value>,
) {
    let cell = cell(scope, args);
    let own = is_own(&cell);
    let in_call = args.get(1).is_true();
    let budget = held::budget(scope);
    let promise = context::spawn(scope, collect(cell, budget), move |scope, bytes| match bytes {
        Ok(bytes) => {
            count_read(scope, own, &bytes);
            Ok(convert(scope, &bytes))
        }
        Err(error) if in_call => Err(exception_in_call(scope, error)),
        Err(error) => Err(exception(scope, error)),
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

fn release<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let handle = arguments::integer(scope, &args, 0);
    drop(context::release(scope, handle));
}
