//! The callee's side: a call that arrived goes to the dispatch script, its outcome back into the reply.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use atoll_isolate::meter::Waiter;
use atoll_isolate::values::Message;
use atoll_isolate::{Native, arguments, natives, realm, v8, values};
use atoll_web::account::Behalf;
use atoll_web::context::{self, ContextId};
use atoll_web::fetch;
use atoll_web::fetcher::RemoteError;
use atoll_web::inbox::Inbox;
use atoll_web::usage;

use crate::call::{Call, Question, Reply};
use crate::client::check_size;
use crate::paths;

const SCRIPT: &str = "rpc/dispatch";

/// A call that a script is working on. Should the invocation or the Worker end first, the caller is told why.
struct Pending {
    reply: Mutex<Option<Reply>>,
    question: Arc<Question>,
    inbox: Arc<Inbox>,
    #[expect(dead_code, reason = "the call runs in its caller's place while this is kept")]
    behalf: Option<Arc<Behalf>>,
}

impl Pending {
    fn take(&self) -> Option<Reply> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Waiter for Pending {
    fn ended(&self, reason: &str) {
        if let Some(reply) = self.take() {
            reply.settle(Err(RemoteError::error(reason)));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(reason) = self.inbox.ended() {
            self.ended(&reason);
        }
    }
}

pub(crate) fn natives() -> Vec<Native> {
    natives!["rpcReply" => rpc_reply, "rpcReject" => rpc_reject, "rpcTakeReply" => rpc_take_reply]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

/// A call on an exported object, in its context.
pub fn call_export(scope: &mut v8::PinScope<'_, '_>, export: u32, call: Call) {
    let target = v8::Integer::new_from_unsigned(scope, export);
    let id = context::current(scope);
    let behalf = context::enter_for(scope, id, &call.origin).flatten();
    let arrival = Arrival { script: SCRIPT, entry: "callExport", target: target.into(), behalf };
    run(scope, arrival, call);
}

/// A call on the result of an earlier call, in whatever context that runs in.
pub fn call_answer(scope: &mut v8::PinScope<'_, '_>, question: &Question, call: Call) {
    let target = v8::Number::new(scope, question.id() as f64);
    let context =
        realm::call(scope, SCRIPT, "answerContext", &[target.into()]).and_then(|c| c.uint32_value(scope));
    match context.and_then(|id| context::enter_for(scope, id, &call.origin)) {
        Some(behalf) => {
            let arrival = Arrival { script: SCRIPT, entry: "callAnswer", target: target.into(), behalf };
            run(scope, arrival, call);
        }
        None => call.reply.settle(Err(question.gone())),
    }
}

/// What a call meets where it arrives.
pub struct Arrival<'s> {
    /// The script, and its function `(target, path, arguments or undefined, question)`. It gives a primitive, which is
    /// the result, or an object: then it has taken the reply.
    pub script: &'static str,
    /// The function's name.
    pub entry: &'static str,
    /// What is called.
    pub target: v8::Local<'s, v8::Value>,
    /// In whose place it runs, where that is not its own.
    pub behalf: Option<Arc<Behalf>>,
}

/// A call that arrived, in the current context.
pub fn run<'s>(scope: &mut v8::PinScope<'s, '_>, arrival: Arrival<'s>, call: Call) {
    let Arrival { script, entry, target, behalf } = arrival;
    let Call { path, arguments, reply, question, origin: _, charge } = call;
    v8::tc_scope!(let scope, scope);
    let path = paths::to_array(scope, &path);
    let owner = context::current(scope);
    if let Err(error) = context::check_handles(scope, owner) {
        return reply.settle(Err(RemoteError::error(error.message)));
    }
    let id = v8::Number::new(scope, question.id() as f64);
    let inbox = context::environment(scope).inbox.clone();
    let pending = Arc::new(Pending { reply: Mutex::new(Some(reply)), question, inbox, behalf });
    context::tell_when_ended(scope, owner, Arc::downgrade(&pending) as Weak<dyn Waiter>);
    let arguments = read_arguments(scope, arguments);
    drop(charge);
    let done = arguments.and_then(|arguments| {
        set_arrived(scope, owner, pending.clone());
        let done = realm::call(scope, script, entry, &[target, path.into(), arguments, id.into()]);
        drop(take_arrived(scope));
        done
    });
    match done {
        // It took the reply.
        Some(result) if result.is_object() => {}
        Some(result) => reply_now(scope, &pending, result),
        // Whoever stopped it tells the caller why, before the context is dropped.
        None if scope.has_terminated() => drop(context::add_resource(scope, owner, pending)),
        None => {
            if let Some(reply) = pending.take() {
                let error = caught(scope);
                reply.settle(Err(error));
            }
        }
    }
}

/// The argument list. Stubs in it belong to the call: the script notes them while they are read.
fn read_arguments<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    arguments: Option<Message>,
) -> Option<v8::Local<'s, v8::Value>> {
    let Some(message) = arguments else { return Some(v8::undefined(scope).into()) };
    usage::received(scope, message.size());
    if message.is_plain() {
        return values::read(scope, message);
    }
    realm::call(scope, SCRIPT, "beginArguments", &[])?;
    values::read(scope, message)
}

/// The result was there at once, and is a primitive.
fn reply_now<'s>(scope: &mut v8::PinScope<'s, '_>, pending: &Pending, result: v8::Local<'s, v8::Value>) {
    let outcome = {
        v8::tc_scope!(let scope, scope);
        match values::write(scope, result) {
            Some(message) => match check_size(&message) {
                Ok(()) => Ok(message),
                Err(error) => Err(RemoteError::error(error.message)),
            },
            None => Err(caught(scope)),
        }
    };
    if let Ok(message) = &outcome {
        usage::sent(scope, message.size());
    }
    let keep = pending.question.replied();
    if let Some(reply) = pending.take() {
        reply.settle(outcome);
    }
    if keep {
        // Calls on it are under way, and are to be told that there is nothing to call.
        let id = v8::Number::new(scope, pending.question.id() as f64);
        realm::call(scope, SCRIPT, "keepAnswer", &[id.into(), result]);
    }
}

/// The call that arrived just now, in which context; lives in the isolate's slot.
struct Arrived(Option<(ContextId, Arc<Pending>)>);

fn set_arrived(scope: &mut v8::PinScope<'_, '_>, owner: ContextId, pending: Arc<Pending>) {
    let arrived = Some((owner, pending));
    match scope.get_slot_mut::<Arrived>() {
        Some(slot) => slot.0 = arrived,
        None => drop(scope.set_slot(Arrived(arrived))),
    }
}

fn take_arrived(scope: &mut v8::PinScope<'_, '_>) -> Option<(ContextId, Arc<Pending>)> {
    scope.get_slot_mut::<Arrived>().and_then(|arrived| arrived.0.take())
}

/// `rpcTakeReply()`: a handle for the reply to the call that arrived just now.
fn rpc_take_reply<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, mut rv: Return<'_>) {
    let Some((owner, pending)) = take_arrived(scope) else { return };
    rv.set_uint32(context::add_resource(scope, owner, pending));
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
    let keep = pending.question.replied();
    if let Some(reply) = pending.take() {
        reply.settle(Ok(message));
    }
    rv.set_bool(keep);
}

/// `rpcReject(reply, exception)`.
fn rpc_reject<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let Some(pending) = pending(scope, &args) else { return };
    let keep = pending.question.replied();
    if let Some(reply) = pending.take() {
        let error = fetch::error_of(scope, args.get(1));
        reply.settle(Err(error));
    }
    rv.set_bool(keep);
}

/// Fails the calls that context `id` has not answered yet.
pub fn fail_calls(scope: &mut v8::PinScope<'_, '_>, id: ContextId, error: &RemoteError) {
    let arrived = scope.get_slot::<Arrived>().and_then(|arrived| arrived.0.clone());
    if let Some(reply) = arrived.filter(|(owner, _)| *owner == id).and_then(|(_, pending)| pending.take()) {
        reply.settle(Err(error.clone()));
    }
    for (_, pending) in context::owned::<Pending>(scope, id) {
        if let Some(reply) = pending.take() {
            reply.settle(Err(error.clone()));
        }
    }
}

/// Forgets the result of a call that was kept for pipelining.
pub(crate) fn forget_answer(scope: &mut v8::PinScope<'_, '_>, question: u64) {
    let question = v8::Number::new(scope, question as f64);
    realm::call(scope, SCRIPT, "forgetAnswer", &[question.into()]);
}
