//! The caller's side: calls on stubs, on services and on answers that are not there yet.

use std::sync::Arc;

use atoll_isolate::values::{self, Capability, Message};
use atoll_isolate::{JsError, Native, arguments, natives, realm, v8};
use atoll_web::context::{self, Completion};
use atoll_web::depth::{self, Depth};
use atoll_web::fetch;
use atoll_web::fetcher::RemoteError;
use atoll_web::inbox::Charge;
use atoll_web::usage;

use crate::call::{Asked, Call, Question, Reply, Route};
use crate::object::ObjectRef;
use crate::paths::{self, Names};
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

/// `rpcCall(handle, path, arguments, context)` gives `[promise, question]`, and `false` when the running code is not of
/// that context (0: of any). The path is a list of names, or the number of one that [`rpc_path`] knows.
fn rpc_call<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let expected = arguments::integer(scope, &args, 3);
    if expected != 0 && expected != context::current(scope) {
        return rv.set_bool(false);
    }
    let Some((_, target)) = context::resource(scope, handle) else {
        return JsError::error("RPC stub used after being disposed.").throw(scope);
    };
    if target.is::<ServiceCap>()
        && let Err(error) = context::count_sub_request(scope)
    {
        return error.throw(scope);
    }
    let path = paths::argument(scope, args.get(1));
    let Some(arguments) = write_arguments(scope, args.get(2)) else { return };
    let depth =
        if target.is::<ServiceCap>() { Ok(Depth::of_invocation(scope)) } else { depth_of_call(scope) };
    let sent = depth.and_then(|depth| {
        send(scope, Path { names: path, depth }, arguments, |call| dispatch(&target, call), route(&target))
    });
    match sent {
        Ok(value) => rv.set(value),
        Err(error) => error.throw(scope),
    }
}

fn route(target: &Capability) -> Route {
    match target.clone().downcast::<ServiceCap>() {
        Ok(service) => Route::Service(service),
        Err(other) => other.downcast::<ObjectRef>().map_or(Route::Nowhere, Route::Object),
    }
}

fn dispatch(target: &Capability, mut call: Call) {
    if let Some(service) = target.downcast_ref::<ServiceCap>() {
        return service.0.call(call);
    }
    match target.downcast_ref::<ObjectRef>() {
        Some(object) => {
            if let Err(error) = object.landing().charge(&mut call) {
                return call.reply.settle(Err(error));
            }
            call.question.land(object.landing().clone());
            let export = object.export();
            object.send(move |scope| match scope {
                Some(scope) => server::call_export(scope, export, call),
                None => call.reply.settle(Err(call.question.gone())),
            });
        }
        None => call.reply.settle(Err(RemoteError::type_error("This object cannot be called over RPC."))),
    }
}

/// `rpcPipeline(question, path, arguments)` gives `[promise, question]`, or undefined when the answer is already on
/// its way here.
fn rpc_pipeline<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let number = arguments::integer(scope, &args, 0);
    let Some(question) = context::kept::<Asked>(scope, number).map(|asked| asked.0.clone()) else { return };
    if !question.pipeline() {
        return;
    }
    let path = paths::argument(scope, args.get(1));
    let Some(arguments) = write_arguments(scope, args.get(2)) else { return };
    let onward = question.clone();
    let depth = match depth_of_call(scope) {
        Ok(depth) => depth,
        Err(error) => return error.throw(scope),
    };
    let sent = send(
        scope,
        Path { names: path, depth },
        arguments,
        |mut call| {
            if let Some(landing) = question.landing() {
                if let Err(error) = landing.charge(&mut call) {
                    return call.reply.settle(Err(error));
                }
                call.question.land(landing.clone());
            }
            let asked = question.clone();
            question.follow(Box::new(move |scope| match scope {
                Some(scope) => server::call_answer(scope, &asked, call),
                None => call.reply.settle(Err(asked.gone())),
            }));
        },
        Route::Answer(onward),
    );
    match sent {
        Ok(value) => rv.set(value),
        Err(error) => error.throw(scope),
    }
}

fn depth_of_call(scope: &mut v8::PinScope<'_, '_>) -> Result<Depth, JsError> {
    Depth::of_call(scope).ok_or_else(|| {
        JsError::error(format!(
            "Worker \"{}\" has calls on stubs that lead to each other without end: at most {} may.",
            context::environment(scope).name,
            depth::MAX_CALLS
        ))
    })
}

/// What a call is for, from its target on, and how deep it is.
struct Path {
    names: Arc<Names>,
    depth: Depth,
}

fn send<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    path: Path,
    arguments: Option<Message>,
    dispatch: impl FnOnce(Call),
    route: Route,
) -> Result<v8::Local<'s, v8::Value>, JsError> {
    let owner = context::current(scope);
    context::check_handles(scope, owner)?;
    usage::called(scope, arguments.as_ref().map_or(0, Message::size));
    let inbox = context::environment(scope).inbox.clone();
    let (promise, completion) = Completion::new(scope)?;
    let question = Question::new(route);
    let operation = completion.operation();
    context::keep(scope, operation, Asked(question.clone()));
    let asked = question.clone();
    let reply = Reply::new(move |outcome| {
        if let Err(error) = &outcome {
            asked.failed(error);
        }
        let outcome = outcome.and_then(|message| Ok((inbox.take(message.size())?, message)));
        settle(completion, outcome);
    });
    let Path { names, depth } = path;
    dispatch(Call { path: names, arguments, reply, question, depth, charge: None });
    let handle = v8::Integer::new_from_unsigned(scope, operation.number());
    Ok(v8::Array::new_with_elements(scope, &[promise.into(), handle.into()]).into())
}

fn settle(completion: Completion, outcome: Result<(Charge, Message), RemoteError>) {
    completion.settle(move |scope| match outcome {
        Ok((_read_now, message)) => {
            usage::received(scope, message.size());
            v8::tc_scope!(let scope, scope);
            let value = values::read(scope, message).and_then(|value| take_result(scope, value));
            match (value, scope.exception()) {
                (Some(value), _) => Ok(value),
                (None, Some(exception)) => Err(exception),
                (None, None) => Err(v8::undefined(scope).into()),
            }
        }
        Err(error) => Err(fetch::error_value(scope, error)),
    });
}

/// What a caller gets: an object carries a disposer for the stubs in it.
fn take_result<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Option<v8::Local<'s, v8::Value>> {
    if value.is_object() { realm::call(scope, "rpc/values", "takeResult", &[value]) } else { Some(value) }
}

/// `serviceFetch(handle, method, url, headers, body, cf, redirect, canceller)`, as `fetch`, to a service.
fn service_fetch<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let Some(service) = context::resource_as::<ServiceCap>(scope, handle) else {
        return JsError::type_error("This object cannot be fetched from.").throw(scope);
    };
    let request = match fetch::request_argument(scope, &args, 1) {
        Ok(request) => request,
        Err(error) => return error.throw(scope),
    };
    let fetcher = service.0.clone().as_fetcher();
    match fetch::start(scope, fetcher.as_ref(), request, args.get(7)) {
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
        if let Err(error) = context::check_handles(scope, owner) {
            return error.throw(scope);
        }
        rv.set_uint32(context::add_resource(scope, owner, capability));
    }
}
