//! The end of invocations whose callers are gone.

use std::sync::Arc;

use atoll_isolate::{realm, v8};
use atoll_web::context::{self, ContextId};
use atoll_web::interest;

use super::Invocation;
use super::end::linger;
use crate::answer::Answer;
use crate::usage::Outcome;
use crate::worker::EVENTS_SCRIPT;

/// Once nobody wants the answer any more, the invocation that works on it is cancelled.
pub(super) fn watch(work: &interest::Work, answer: &Arc<Answer>) {
    // Weak: the answer holds the responder, and that what is told here.
    let answer = Arc::downgrade(answer);
    work.on_given_up(move || {
        if let Some(answer) = answer.upgrade() {
            answer.give_up();
        }
    });
}

impl Answer {
    /// The caller waits no more: what works on the answer ends, unless it has promised itself more time.
    fn give_up(&self) {
        drop(self.take());
        // Not begun yet: it will see that the answer is given. On its own account: the signal of its request has listeners.
        if let Some(place) = self.place() {
            place.send(cancel);
        }
    }
}

/// Nobody waits for the answer any more. The handler ends here, unless `waitUntil` or a caller keeps its context.
fn cancel(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    if !context::enter(scope, id) {
        return;
    }
    let number = v8::Integer::new_from_unsigned(scope, id);
    realm::call(scope, EVENTS_SCRIPT, "cancel", &[number.into()]);
    given_up(scope, id);
}

/// Without work that it has promised itself, an invocation whose caller is gone ends with this message.
fn given_up(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let ends = context::is_finished(scope, id);
    if let Some(invocation) = context::data::<Invocation>(scope, id)
        && ends
    {
        invocation.answer.conclude(Outcome::Canceled);
    }
}

/// Whoever called over RPC waits no more.
pub(super) fn caller_gone(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    if let Some(invocation) = context::data::<Invocation>(scope, id) {
        drop(invocation.answer.take());
    }
    given_up(scope, id);
    if !context::is_finished(scope, id) {
        linger(scope, id);
    }
}
