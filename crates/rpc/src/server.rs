//! The callee's side: a call that arrived goes to the dispatch script, its outcome back into the reply.

use std::sync::{Arc, Mutex, PoisonError};

use atoll_isolate::{Native, arguments, error::string, natives, realm, v8, values};
use atoll_web::context;
use atoll_web::fetch;
use atoll_web::fetcher::RemoteError;
use atoll_web::usage;

use crate::call::{Call, Question, Reply};
use crate::client::check_size;

const SCRIPT: &str = "rpc/dispatch";

/// A call that a script is working on.
struct Pending(Mutex<Option<Reply>>, Arc<Question>);

impl Pending {
    fn take(&self) -> Option<Reply> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

pub(crate) fn natives() -> Vec<Native> {
    natives!["rpcReply" => rpc_reply, "rpcReject" => rpc_reject]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

/// A call on an exported object, in its context.
pub fn call_export(scope: &mut v8::PinScope<'_, '_>, export: u32, call: Call) {
    let target = v8::Integer::new_from_unsigned(scope, export);
    run(scope, "callExport", target.into(), call);
}

/// A call on the result of an earlier call, in whatever context that runs in.
pub fn call_answer(scope: &mut v8::PinScope<'_, '_>, question: u64, call: Call) {
    let target = v8::Number::new(scope, question as f64);
    let context =
        realm::call(scope, SCRIPT, "answerContext", &[target.into()]).and_then(|c| c.uint32_value(scope));
    match context {
        Some(id) if id != 0 && context::enter(scope, id) => run(scope, "callAnswer", target.into(), call),
        _ => call.reply.settle(Err(RemoteError::error(crate::object::CONTEXT_GONE))),
    }
}

/// A call on whatever `target` is, in the current context; `entry` is a function of the dispatch script
/// `(target, path, arguments or undefined, reply, question)`.
pub fn run<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    entry: &'static str,
    target: v8::Local<'s, v8::Value>,
    call: Call,
) {
    run_in(scope, SCRIPT, entry, target, call);
}

/// As [`run`], with a function of another script.
pub fn run_in<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    script: &'static str,
    entry: &'static str,
    target: v8::Local<'s, v8::Value>,
    call: Call,
) {
    let Call { path, arguments, reply, question } = call;
    v8::tc_scope!(let scope, scope);
    let path: Vec<v8::Local<v8::Value>> = path.iter().map(|p| string(scope, p).into()).collect();
    let path = v8::Array::new_with_elements(scope, &path);
    let begun = realm::call(scope, SCRIPT, "beginArguments", &[]).is_some();
    let arguments = match arguments {
        Some(message) if begun => {
            usage::received(scope, message.size());
            values::read(scope, message)
        }
        _ => Some(v8::undefined(scope).into()),
    };
    let Some(arguments) = arguments else {
        let error = caught(scope);
        return reply.settle(Err(error));
    };
    let id = v8::Number::new(scope, question.id() as f64);
    let pending = Arc::new(Pending(Mutex::new(Some(reply)), question));
    let owner = context::current(scope);
    let handle = context::add_resource(scope, owner, pending.clone());
    let handle = v8::Integer::new_from_unsigned(scope, handle);
    let done = realm::call(scope, script, entry, &[target, path.into(), arguments, handle.into(), id.into()]);
    if done.is_none()
        && !scope.has_terminated()
        && let Some(reply) = pending.take()
    {
        let error = caught(scope);
        reply.settle(Err(error));
    }
}

fn caught(scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, '_, v8::HandleScope<'_>>>) -> RemoteError {
    match scope.exception() {
        Some(exception) => {
            scope.reset();
            fetch::error_of(scope, exception)
        }
        None => RemoteError::error("The call was stopped."),
    }
}

fn pending(scope: &mut v8::PinScope<'_, '_>, args: &Args<'_>) -> Option<Arc<Pending>> {
    let handle = arguments::integer(scope, args, 0);
    let pending = context::resource_as::<Pending>(scope, handle);
    context::release(scope, handle);
    pending
}

/// `rpcReply(reply, value)`: true when the result must be kept for calls on it that are under way. Throws when the
/// value cannot be serialised; the reply is then still open.
fn rpc_reply<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let Some(message) = values::write(scope, args.get(1)) else { return };
    if let Err(error) = check_size(&message) {
        return error.throw(scope);
    }
    let Some(pending) = pending(scope, &args) else { return };
    usage::sent(scope, message.size());
    let keep = pending.1.replied();
    if let Some(reply) = pending.take() {
        reply.settle(Ok(message));
    }
    rv.set_bool(keep);
}

/// `rpcReject(reply, exception)`.
fn rpc_reject<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let Some(pending) = pending(scope, &args) else { return };
    let keep = pending.1.replied();
    if let Some(reply) = pending.take() {
        let error = fetch::error_of(scope, args.get(1));
        reply.settle(Err(error));
    }
    rv.set_bool(keep);
}

/// Forgets the result of a call that was kept for pipelining.
pub(crate) fn forget_answer(scope: &mut v8::PinScope<'_, '_>, question: u64) {
    let question = v8::Number::new(scope, question as f64);
    realm::call(scope, SCRIPT, "forgetAnswer", &[question.into()]);
}
