//! The end of each message, and of invocations that are over.

use atoll_isolate::error::ExceptionReport;
use atoll_isolate::{Envelope, realm, v8};
use atoll_web::body::{self, Demand};
use atoll_web::context::{self, ContextId};
use atoll_web::fetcher::RemoteError;
use atoll_web::task::Task;
use atoll_web::usage;

use super::{Invocation, stalled};
use crate::limits;
use crate::usage::Outcome;
use crate::worker::{EVENTS_SCRIPT, HOOKS_SCRIPT};

/// The error of an invocation that can never settle.
const HUNG: &str = "The Workers runtime canceled this request because it detected that your Worker's code had hung and \
would never generate a response. Refer to: https://developers.cloudflare.com/workers/observability/errors/";

/// The end of each message: contexts that are done are closed, invocations that are over end.
pub(super) fn after_message(scope: &mut v8::PinScope<'_, '_>, stopped: bool) {
    if stopped {
        // Runtime scripts may have been stopped half-way, `finally` blocks and all.
        realm::call(scope, "rpc/values", "resetAfterStop", &[]);
    }
    let current = context::leave(scope);
    if current != 0 {
        usage::message_ended(scope, current);
    }
    for id in context::take_done(scope) {
        context::close(scope, id);
    }
    end_if_over(scope, current, true);
    stalled::look_again(scope);
}

/// An invocation past its budget ends; so does one that waits for nothing and has not answered. `may_stall`: unless what
/// others do may be what it waits for.
pub(super) fn end_if_over(scope: &mut v8::PinScope<'_, '_>, id: ContextId, may_stall: bool) {
    match context::is_over(scope, id) {
        Some(true) => context::close(scope, id),
        Some(false) => end_if_settled(scope, id, may_stall),
        None => {}
    }
}

fn end_if_settled(scope: &mut v8::PinScope<'_, '_>, id: ContextId, may_stall: bool) {
    let is_waiting = context::is_waiting(scope, id);
    let Some(invocation) = context::data::<Invocation>(scope, id) else { return };
    if is_waiting {
        match invocation.answer.is_given() && invocation.lingers.is_none() {
            true if is_held(scope, id) => linger(scope, id),
            true => context::close(scope, id),
            false => {}
        }
        return;
    }
    let answer = invocation.answer.clone();
    let answered = v8::Boolean::new(scope, answer.is_given());
    let number = v8::Integer::new_from_unsigned(scope, id);
    let hosts = realm::call(scope, HOOKS_SCRIPT, "isReachable", &[number.into(), answered.into()])
        .is_some_and(|v| v.is_true());
    if hosts {
        return;
    }
    if answer.is_given() {
        match body::demand(scope, id) {
            // What `waitUntil` waits for will never come.
            Demand::None => return context::close(scope, id),
            // A source that is idle, a stream of events for instance: it is told when its reader goes.
            Demand::Later => return linger(scope, id),
            Demand::Now => {}
        }
    } else if may_stall && stalled::stall(scope, id) {
        return;
    }
    hung(scope, id);
    if let Some(invocation) = context::data::<Invocation>(scope, id)
        && invocation.passes_through()
    {
        return pass_through(scope, id);
    }
    body::fail_pipes(scope, id, &RemoteError::error(HUNG));
    answer.end(RemoteError::error(HUNG));
    context::close(scope, id);
}

/// Whether anything keeps it open. A call that was answered at once never took a hold: what it began ends with it.
fn is_held(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    let number = v8::Integer::new_from_unsigned(scope, id);
    realm::call(scope, "web/context", "isHeld", &[number.into()]).is_some_and(|held| held.is_true())
}

fn hung(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let now = context::environment(scope).clock.now_ms();
    let Some(invocation) = context::data::<Invocation>(scope, id) else { return };
    invocation.answer.conclude(Outcome::Exception);
    invocation.traced(|trace| trace.exception(now, "Error", HUNG, &ExceptionReport::default()));
}

/// Sends the request of an invocation that hangs on to where its Worker's requests go; what comes back is the answer.
fn pass_through(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let meter = context::meter(scope, id);
    let isolate = context::environment(scope).isolate.upgrade();
    let (Some(isolate), Some(meter)) = (isolate, meter) else { return };
    isolate.send(Envelope::new(meter, move |scope| {
        if context::enter(scope, id) {
            let number = v8::Integer::new_from_unsigned(scope, id);
            realm::call(scope, EVENTS_SCRIPT, "passThrough", &[number.into()]);
        }
    }));
}

/// After its answer an invocation may go on for a while (`waitUntil`), longer only while others hold its objects or read
/// its streams.
pub(super) fn linger(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let Some(invocation) = context::data::<Invocation>(scope, id) else { return };
    if invocation.lingers.is_some() {
        return;
    }
    // Not by way of the Worker: should it have started again, the number means another context there.
    let isolate = context::environment(scope).isolate.clone();
    let lingers = Task::spawn(async move {
        loop {
            tokio::time::sleep(limits::AFTER_ANSWER).await;
            let Some(isolate) = isolate.upgrade() else { return };
            let (done, ended) = tokio::sync::oneshot::channel();
            isolate.send(Envelope::without_guest_code(move |scope| {
                let number = v8::Integer::new_from_unsigned(scope, id);
                let answered = v8::Boolean::new(scope, true);
                let hosts =
                    realm::call(scope, HOOKS_SCRIPT, "isReachable", &[number.into(), answered.into()]);
                let needed = hosts.is_some_and(|v| v.is_true()) || body::has_open_pipe(scope, id);
                if context::is_open(scope, id) && !needed {
                    context::close(scope, id);
                }
                let _ = done.send(context::is_open(scope, id));
            }));
            drop(isolate);
            if !ended.await.unwrap_or(false) {
                return;
            }
        }
    });
    if let Some(invocation) = context::data::<Invocation>(scope, id) {
        invocation.lingers = Some(lingers);
    }
}
