//! Invocations that wait for nothing of their own, but for a promise that another invocation of their isolate may settle:
//! a value that is made once and awaited by all, for instance.

use std::sync::Arc;
use std::time::Duration;

use atoll_isolate::{Envelope, Meter, v8};
use atoll_rpc::call::Asked;
use atoll_web::context::{self, ContextId};
use atoll_web::interest::{Interest, Work};
use atoll_web::task::Task;

use super::Invocation;
use super::end::end_if_over;

/// Longest wait for others. Needed where these wait for it in turn, by ways that lead through other Workers.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether the invocation may go on waiting: somebody else is at work who does not wait for it.
pub(super) fn stall(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    if !context::stalled(scope).contains(&id) {
        context::stalled(scope).push(id);
    }
    if !others_work(scope) {
        context::stalled(scope).retain(|stalled| *stalled != id);
        return false;
    }
    let isolate = context::environment(scope).isolate.clone();
    if let Some(invocation) = context::data::<Invocation>(scope, id)
        && invocation.stalls.is_none()
    {
        invocation.stalls = Some(Task::spawn(async move {
            tokio::time::sleep(LONGEST).await;
            let Some(isolate) = isolate.upgrade() else { return };
            isolate.send(Envelope::unmetered(move |scope| {
                if let Some(at) = context::stalled(scope).iter().position(|stalled| *stalled == id) {
                    context::stalled(scope).swap_remove(at);
                    end_if_over(scope, id, false);
                }
            }));
        }));
    }
    true
}

/// After a message, which may have settled what they wait for, or ended those who could have.
pub(super) fn look_again(scope: &mut v8::PinScope<'_, '_>) {
    if context::stalled(scope).is_empty() {
        return;
    }
    for id in context::stalled(scope).clone() {
        if !is_stalled(scope, id) {
            context::stalled(scope).retain(|stalled| *stalled != id);
            if let Some(invocation) = context::data::<Invocation>(scope, id) {
                invocation.stalls = None;
                end_if_over(scope, id, true);
            }
        }
    }
    if !others_work(scope) {
        for id in std::mem::take(context::stalled(scope)) {
            end_if_over(scope, id, false);
        }
    }
}

fn is_stalled(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    !context::is_waiting(scope, id)
        && context::data::<Invocation>(scope, id).is_some_and(|invocation| !invocation.answer.is_given())
}

/// Whether anybody in the isolate waits for more than answers of those that are stalled.
fn others_work(scope: &mut v8::PinScope<'_, '_>) -> bool {
    let mut meters: Vec<*const Meter> = Vec::new();
    let mut works: Vec<Work> = Vec::new();
    for id in context::stalled(scope).clone() {
        let Some(invocation) = context::data::<Invocation>(scope, id) else { continue };
        meters.push(Arc::as_ptr(&invocation.meter));
        works.extend(invocation.answer.work());
    }
    context::others_wait(scope, |work| {
        if let Some(Asked(question)) = work.downcast_ref::<Asked>() {
            return question.landing().is_some_and(|landing| meters.contains(&Arc::as_ptr(&landing.meter)));
        }
        work.downcast_ref::<Interest>().is_some_and(|interest| works.iter().any(|work| interest.is_in(work)))
    })
}
