//! Pipes: what a script writes, somebody else reads as a body.

use std::sync::{Arc, Weak};

use atoll_host::body::{BodyError, ByteSink, TrySendError};
use atoll_isolate::meter::Waiter;
use atoll_isolate::{Envelope, Meter, arguments, realm, v8};
use tokio::sync::Mutex;

use super::{BodyCell, finish};
use crate::context::{self, Counted};
use crate::fetch;
use crate::fetcher::RemoteError;
use crate::held;
use crate::inbox::Inbox;
use crate::usage;

/// Bytes between two isolates, or an isolate and a socket, before the writer has to wait.
const PIPE_BYTES: usize = 256 * 1024;

/// The writing end of a pipe in a resource table. Where the runtime ends the invocation that writes, or its isolate, the
/// reader is told why.
struct SinkCell {
    sink: Mutex<Option<ByteSink>>,
    meter: Option<Arc<Meter>>,
    inbox: Arc<Inbox>,
    #[expect(dead_code, reason = "counts")]
    counted: Option<Counted>,
}

impl SinkCell {
    /// Looks at the pipe, unless it has ended or a write waits for its reader.
    fn with<T>(&self, look: impl FnOnce(&ByteSink) -> T) -> Option<T> {
        self.sink.try_lock().ok().and_then(|sink| sink.as_ref().map(look))
    }
}

impl Waiter for SinkCell {
    fn ended(&self, reason: &str) {
        if let Some(sink) = self.sink.try_lock().ok().and_then(|mut sink| sink.take()) {
            sink.fail(BodyError::Ended(reason.to_owned()));
        }
    }
}

impl Drop for SinkCell {
    fn drop(&mut self) {
        let reason = self.meter.as_ref().and_then(|meter| meter.reason()).or_else(|| self.inbox.ended());
        if let (Some(sink), Some(reason)) = (self.sink.get_mut().take(), reason) {
            sink.fail(BodyError::Ended(reason.to_string()));
        }
    }
}

/// What the readers of a context's pipes want of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// It writes to no reader.
    None,
    /// They have something to read, or do not read now. Once one waits for more, the context is looked at again.
    Later,
    /// One waits for more.
    Now,
}

/// What readers want of a context that waits for nothing itself.
pub fn demand(scope: &mut v8::PinScope<'_, '_>, id: context::ContextId) -> Demand {
    // Reading ends that were never given away: no code will do that now.
    for (handle, cell) in context::owned::<BodyCell>(scope, id) {
        if cell.own {
            context::release(scope, handle);
        }
    }
    let sinks = context::owned::<SinkCell>(scope, id);
    let starved = |sink: &ByteSink| sink.is_starved();
    if sinks.iter().any(|(_, cell)| cell.with(starved).unwrap_or(false)) {
        return Demand::Now;
    }
    let isolate = context::environment(scope).isolate.clone();
    for (_, cell) in &sinks {
        let isolate = isolate.clone();
        cell.with(|sink| {
            sink.on_starved(move || {
                let Some(isolate) = isolate.upgrade() else { return };
                isolate.send(Envelope::without_guest_code(move |scope| {
                    context::enter(scope, id);
                }));
            });
        });
    }
    if sinks.is_empty() { Demand::None } else { Demand::Later }
}

/// Whether a context still writes to a reader.
pub fn has_open_pipe(scope: &mut v8::PinScope<'_, '_>, id: context::ContextId) -> bool {
    context::owns::<SinkCell>(scope, id)
}

pub(super) fn pipe_new<'s>(
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
    let meter = context::meter(scope, owner);
    let environment = context::environment(scope);
    let (isolate, inbox) = (environment.isolate.clone(), environment.inbox.clone());
    let cell = Arc::new(SinkCell { sink: Mutex::new(Some(sink)), meter: meter.clone(), inbox, counted });
    let sink = context::add_resource(scope, owner, cell.clone());
    if let (Some(meter), Ok(guard)) = (meter, cell.sink.try_lock())
        && let Some(end) = guard.as_ref()
    {
        meter.tell_when_ended(Arc::downgrade(&cell) as Weak<dyn Waiter>);
        // Its source is told, also one that waits and would never write again.
        end.on_closed(move || {
            let Some(isolate) = isolate.upgrade() else { return };
            isolate.send(Envelope::new(meter, move |scope| {
                if context::enter(scope, owner) {
                    let sink = v8::Integer::new_from_unsigned(scope, sink);
                    realm::call(scope, "web/pumps", "readerGone", &[sink.into()]);
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
pub(super) fn pipe_write<'s>(
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
    if let Ok(mut guard) = cell.sink.try_lock() {
        match guard.as_mut().map(|sink| sink.try_send(bytes)) {
            Some(Ok(())) => return,
            Some(Err(TrySendError::Full(back))) => bytes = back,
            _ => return rv.set_bool(false),
        }
    }
    let promise = context::spawn(
        scope,
        async move {
            match cell.sink.lock().await.as_mut() {
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
    if let Ok(mut guard) = cell.sink.try_lock() {
        return end(guard.take());
    }
    tokio::spawn(async move { end(cell.sink.lock().await.take()) });
}

pub(super) fn pipe_close<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    end_pipe(scope, &args, None);
}

/// `pipeAbort(sink, error)`: the reader gets the error after what was written; without one, that the body was cut off.
pub(super) fn pipe_abort<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let error = match args.get(1) {
        error if error.is_undefined() => BodyError::Disconnected,
        error => body_error(RemoteError { remote: true, ..fetch::error_of(scope, error) }),
    };
    end_pipe(scope, &args, Some(error));
}

fn body_error(RemoteError { name, message, remote, .. }: RemoteError) -> BodyError {
    if remote { BodyError::Thrown { name, message } } else { BodyError::Failed(message) }
}

/// Ends what a context still writes: its readers get the error. False: it writes nothing.
pub fn fail_pipes(scope: &mut v8::PinScope<'_, '_>, id: context::ContextId, error: &RemoteError) -> bool {
    let pipes = context::owned::<SinkCell>(scope, id);
    let any = !pipes.is_empty();
    for (handle, sink) in pipes {
        context::release(scope, handle);
        if let Some(sink) = sink.sink.try_lock().ok().and_then(|mut sink| sink.take()) {
            sink.fail(body_error(error.clone()));
        }
    }
    any
}
