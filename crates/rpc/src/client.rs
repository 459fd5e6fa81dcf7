//! The caller's side: calls on stubs, on services and on answers that are not there yet.

use std::sync::Arc;

use atoll_isolate::values::{self, Capability, Message};
use atoll_isolate::{JsError, Native, arguments, natives, realm, v8};
use atoll_web::account::Origin;
use atoll_web::context::{self, Completion};
use atoll_web::depth;
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

/// Writes an argument list; `undefined` reads a property. `alone`: it is the only argument itself. None: an exception is
/// pending.
fn write_arguments<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    alone: bool,
) -> Option<Option<Message>> {
    if alone && let Some(message) = values::write_single(scope, value) {
        return Some(Some(message));
    }
    let list = match alone {
        true => v8::Array::new_with_elements(scope, &[value]).into(),
        false if value.is_undefined() => return Some(None),
        false => value,
    };
    let message = values::write_list(scope, list)?;
    match check_size(&message) {
        Ok(()) => Some(Some(message)),
        Err(error) => {
            error.throw(scope);
            None
        }
    }
}

/// `rpcCall(handle, path, arguments, context, alone, question)` gives a promise, and `false` when the running code is not
/// of that context (0: of any). The path is a list of names, or the number of one that [`rpc_path`] knows. `alone`: in place
/// of the arguments stands the only one of them. `question`: a number for `rpcPipeline`, or 0.
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
    let path = match paths::argument(scope, args.get(1)) {
        Ok(path) => path,
        Err(error) => return error.throw(scope),
    };
    let Some(arguments) = write_arguments(scope, args.get(2), args.get(4).is_true()) else { return };
    let question = arguments::integer(scope, &args, 5);
    let origin =
        if target.is::<ServiceCap>() { Ok(Origin::of_invocation(scope)) } else { origin_of_call(scope) };
    let sent = origin.and_then(|origin| {
        let ask = Ask { path, origin, arguments, number: question };
        send(scope, ask, |call| dispatch(&target, call), route(&target))
    });
    match sent {
        Ok(promise) => rv.set(promise.into()),
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

/// `rpcPipeline(asked, path, arguments, 0, alone, question)`, as `rpcCall` on the answer of question `asked`; undefined when
/// that is already on its way here.
fn rpc_pipeline<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let number = arguments::integer(scope, &args, 0);
    let Some(asked) = context::kept::<Asked>(scope, number).map(|asked| asked.0.clone()) else { return };
    if !asked.pipeline() {
        return;
    }
    let path = match paths::argument(scope, args.get(1)) {
        Ok(path) => path,
        Err(error) => return error.throw(scope),
    };
    let Some(arguments) = write_arguments(scope, args.get(2), args.get(4).is_true()) else { return };
    let number = arguments::integer(scope, &args, 5);
    let onward = asked.clone();
    let origin = match origin_of_call(scope) {
        Ok(origin) => origin,
        Err(error) => return error.throw(scope),
    };
    let sent = send(
        scope,
        Ask { path, origin, arguments, number },
        |mut call| {
            if let Some(landing) = asked.landing() {
                if let Err(error) = landing.charge(&mut call) {
                    return call.reply.settle(Err(error));
                }
                call.question.land(landing.clone());
            }
            let question = asked.clone();
            asked.follow(Box::new(move |scope| match scope {
                Some(scope) => server::call_answer(scope, &question, call),
                None => call.reply.settle(Err(question.gone())),
            }));
        },
        Route::Answer(onward),
    );
    match sent {
        Ok(promise) => rv.set(promise.into()),
        Err(error) => error.throw(scope),
    }
}

fn origin_of_call(scope: &mut v8::PinScope<'_, '_>) -> Result<Origin, JsError> {
    Origin::of_call(scope).ok_or_else(|| {
        JsError::error(format!(
            "Worker \"{}\" has calls on stubs that lead to each other without end: at most {} may.",
            context::environment(scope).name,
            depth::MAX_CALLS
        ))
    })
}

/// What a script asks for.
struct Ask {
    path: Arc<Names>,
    origin: Origin,
    arguments: Option<Message>,
    /// By which the script names the question; 0: it will not.
    number: u32,
}

fn send<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    ask: Ask,
    dispatch: impl FnOnce(Call),
    route: Route,
) -> Result<v8::Local<'s, v8::Promise>, JsError> {
    let Ask { path, origin, arguments, number } = ask;
    let owner = context::current(scope);
    context::check_handles(scope, owner)?;
    usage::called(scope, arguments.as_ref().map_or(0, Message::size));
    let inbox = context::environment(scope).inbox.clone();
    let (promise, completion) = match number {
        0 => Completion::new(scope)?,
        number => Completion::numbered(scope, number)?,
    };
    let question = Question::new(route);
    let operation = completion.operation();
    context::keep(scope, operation, Asked(question.clone()));
    let asked = question.clone();
    let reply = Reply::new(move |outcome| {
        if let Err(error) = &outcome {
            asked.failed(error);
        }
        let outcome = outcome.and_then(|message| {
            let sender = asked.landing().and_then(|landing| landing.account.sender());
            Ok((inbox.take_from(sender, message.size())?, message))
        });
        settle(completion, outcome);
    });
    dispatch(Call { path, arguments, reply, question, origin, charge: None });
    Ok(promise)
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
        Err(error) => {
            let error = fetch::error_value(scope, error);
            // A promise that is rejected a moment later, where V8 can see who waits.
            realm::call(scope, "rpc/stubs", "reject", &[error]).ok_or(error)
        }
    });
}

/// What a caller gets: an object carries a disposer for the stubs in it.
fn take_result<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Option<v8::Local<'s, v8::Value>> {
    if value.is_object() { realm::call(scope, "rpc/values", "takeResult", &[value]) } else { Some(value) }
}

/// `serviceFetch(handle, method, url, headers, body, cf, canceller)`, as `fetch`, to a service.
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
    match fetch::start(scope, fetcher.as_ref(), request, args.get(6)) {
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
