//! The caller's side: calls on stubs, on services and on answers that are not there yet.

use std::sync::Arc;

use atoll_isolate::values::{self, Capability, Message};
use atoll_isolate::{JsError, Native, arguments, natives, v8};
use atoll_web::context::{self, Completion, Handle};
use atoll_web::fetch;
use atoll_web::fetcher::RemoteError;
use atoll_web::usage;

use crate::call::{Asked, Call, Question, Reply};
use crate::object::{CONTEXT_GONE, ObjectRef};
use crate::server;
use crate::service::ServiceCap;

/// Largest serialised argument list or result.
pub const MAX_MESSAGE_BYTES: usize = 32 << 20;

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "rpcCall" => rpc_call,
        "rpcPipeline" => rpc_pipeline,
        "serviceFetch" => service_fetch,
        "checkTransfer" => check_transfer,
        "dupHandle" => dup_handle,
    ]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

/// Checks a serialised value against the limit.
pub(crate) fn check_size(message: &Message) -> Result<(), JsError> {
    if message.size() > MAX_MESSAGE_BYTES {
        return Err(JsError::error(format!(
            "Serialized RPC arguments or return values are limited to 32MiB, but the size of this value was: {} bytes.",
            message.size()
        )));
    }
    Ok(())
}

/// Writes an argument list; `undefined` reads a property. None: an exception is pending.
fn write_arguments<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Option<Option<Message>> {
    if value.is_undefined() {
        return Some(None);
    }
    let message = values::write_list(scope, value)?;
    match check_size(&message) {
        Ok(()) => Some(Some(message)),
        Err(error) => {
            error.throw(scope);
            None
        }
    }
}

/// `rpcCall(handle, path, arguments)` gives `[promise, question]`.
fn rpc_call<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let Some((_, target)) = context::resource(scope, handle) else {
        return JsError::error("RPC stub used after being disposed.").throw(scope);
    };
    if target.is::<ServiceCap>()
        && let Err(error) = context::count_sub_request(scope)
    {
        return error.throw(scope);
    }
    let path = arguments::texts(scope, args.get(1));
    let Some(arguments) = write_arguments(scope, args.get(2)) else { return };
    let sent = send(scope, path, arguments, |call| dispatch(&target, call), route(&target));
    match sent {
        Ok(value) => rv.set(value),
        Err(error) => error.throw(scope),
    }
}

fn route(target: &Capability) -> crate::call::Route {
    if let Ok(service) = target.clone().downcast::<ServiceCap>() {
        return Box::new(move |work| service.0.follow(work));
    }
    match target.clone().downcast::<ObjectRef>() {
        Ok(object) => Box::new(move |work| object.follow(work)),
        Err(_) => Box::new(|work| work(None)),
    }
}

fn dispatch(target: &Capability, call: Call) {
    if let Some(service) = target.downcast_ref::<ServiceCap>() {
        return service.0.call(call);
    }
    match target.downcast_ref::<ObjectRef>() {
        Some(object) => {
            let export = object.export();
            object.follow(Box::new(move |scope| match scope {
                Some(scope) => server::call_export(scope, export, call),
                None => call.reply.settle(Err(RemoteError::error(CONTEXT_GONE))),
            }));
        }
        None => call.reply.settle(Err(RemoteError::type_error("This object cannot be called over RPC."))),
    }
}

/// `rpcPipeline(question, path, arguments)` gives `[promise, question]`, or undefined when the answer is already on
/// its way here.
fn rpc_pipeline<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let Some(asked) = context::resource_as::<Asked>(scope, handle) else { return };
    let question = asked.0.clone();
    if !question.pipeline() {
        return;
    }
    let path = arguments::texts(scope, args.get(1));
    let Some(arguments) = write_arguments(scope, args.get(2)) else { return };
    let (id, onward) = (question.id(), question.clone());
    let sent = send(
        scope,
        path,
        arguments,
        |call| {
            question.follow(Box::new(move |scope| match scope {
                Some(scope) => server::call_answer(scope, id, call),
                None => call.reply.settle(Err(RemoteError::error(CONTEXT_GONE))),
            }));
        },
        Box::new(move |work| onward.follow(work)),
    );
    match sent {
        Ok(value) => rv.set(value),
        Err(error) => error.throw(scope),
    }
}

fn send<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    path: Vec<String>,
    arguments: Option<Message>,
    dispatch: impl FnOnce(Call),
    route: crate::call::Route,
) -> Result<v8::Local<'s, v8::Value>, JsError> {
    usage::called(scope, arguments.as_ref().map_or(0, Message::size));
    let (promise, completion) = Completion::new(scope)?;
    let question = Question::new(route);
    let owner = context::current(scope);
    let handle = context::add_resource(scope, owner, Arc::new(Asked(question.clone())));
    let reply = Reply::new(move |outcome| settle(completion, handle, outcome));
    dispatch(Call { path, arguments, reply, question });
    let handle = v8::Integer::new_from_unsigned(scope, handle);
    Ok(v8::Array::new_with_elements(scope, &[promise.into(), handle.into()]).into())
}

fn settle(completion: Completion, question: Handle, outcome: Result<Message, RemoteError>) {
    completion.settle(move |scope| {
        drop(context::release(scope, question));
        match outcome {
            Ok(message) => {
                usage::received(scope, message.size());
                v8::tc_scope!(let scope, scope);
                match values::read(scope, message) {
                    Some(value) => Ok(value),
                    None => match scope.exception() {
                        Some(exception) => Err(exception),
                        None => Err(v8::undefined(scope).into()),
                    },
                }
            }
            Err(error) => Err(fetch::error_value(scope, error)),
        }
    });
}

/// `serviceFetch(handle, method, url, headers, body, cf, redirect)`, as `fetch`, to a service.
fn service_fetch<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let Some(service) = context::resource_as::<ServiceCap>(scope, handle) else {
        return JsError::type_error("This object cannot be fetched from.").throw(scope);
    };
    let request = fetch::request_argument(scope, &args, 1);
    let fetcher = service.0.clone().as_fetcher();
    match fetch::start(scope, fetcher.as_ref(), request) {
        Ok(promise) => rv.set(promise.into()),
        Err(error) => error.throw(scope),
    }
}

/// Throws unless the service behind the handle may be given to another Worker.
fn check_transfer<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    if let Some(service) = context::resource_as::<ServiceCap>(scope, handle)
        && let Err(error) = service.0.check_transfer()
    {
        error.throw(scope);
    }
}

/// Another handle to the same capability, owned by the current context.
fn dup_handle<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    if let Some((_, capability)) = context::resource(scope, handle) {
        let owner = context::current(scope);
        rv.set_uint32(context::add_resource(scope, owner, capability));
    }
}
