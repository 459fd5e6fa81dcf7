//! Invocations that wait for nothing of their own, but for a promise that another invocation of their isolate may settle:
//! a value that is made once and awaited by all, for instance.

use std::sync::Arc;
use std::time::Duration;

use atoll_isolate::{Envelope, Meter, v8};
use atoll_rpc::call::Asked;
use atoll_web::context::{self, ContextId};
use atoll_web::interest::{Asker, Interest};
use atoll_web::task::Task;
use rustc_hash::FxHashSet;

use super::Invocation;
use super::end::end_if_over;
use crate::limits;

/// So many are looked at after each message; a crowd, only once in a while.
const CROWD: usize = 32;
const PAUSE: Duration = Duration::from_millis(5);

/// Those of an isolate; lives in the isolate's slot.
#[derive(Default)]
pub(crate) struct Stalled {
    contexts: FxHashSet<ContextId>,
    /// A look at the crowd is on its way.
    soon: Option<Task>,
    /// This message was that look.
    looked: bool,
}

/// The invocation waits for others from now on. Whether there are any is seen at the end of the message.
pub(super) fn stall(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    let Some(stalled) = scope.get_slot_mut::<Stalled>() else { return false };
    stalled.contexts.insert(id);
    let isolate = context::environment(scope).isolate.clone();
    if let Some(invocation) = context::data::<Invocation>(scope, id)
        && invocation.stalls.is_none()
    {
        invocation.stalls = Some(Task::spawn(async move {
            // Needed where others wait for it in turn, by ways that lead through other Workers.
            tokio::time::sleep(limits::STALLED).await;
            let Some(isolate) = isolate.upgrade() else { return };
            isolate.send(Envelope::without_guest_code(move |scope| {
                if forget(scope, id) {
                    end_if_over(scope, id, false);
                }
            }));
        }));
    }
    true
}

/// After a message, which may have settled what they wait for, or ended those who could have.
pub(super) fn look_again(scope: &mut v8::PinScope<'_, '_>) {
    let Some(stalled) = scope.get_slot_mut::<Stalled>() else { return };
    let looked = std::mem::take(&mut stalled.looked);
    match stalled.contexts.len() {
        0 => {}
        1..=CROWD => look(scope),
        _ if looked => {}
        _ => look_soon(scope),
    }
}

fn look_soon(scope: &mut v8::PinScope<'_, '_>) {
    let isolate = context::environment(scope).isolate.clone();
    let Some(stalled) = scope.get_slot_mut::<Stalled>() else { return };
    if stalled.soon.is_some() {
        return;
    }
    stalled.soon = Some(Task::spawn(async move {
        tokio::time::sleep(PAUSE).await;
        let Some(isolate) = isolate.upgrade() else { return };
        isolate.send(Envelope::without_guest_code(|scope| {
            if let Some(stalled) = scope.get_slot_mut::<Stalled>() {
                stalled.soon = None;
                stalled.looked = true;
            }
            look(scope);
        }));
    }));
}

fn look(scope: &mut v8::PinScope<'_, '_>) {
    for id in contexts(scope) {
        if !is_stalled(scope, id) {
            forget(scope, id);
            end_if_over(scope, id, true);
        }
    }
    if !others_work(scope) {
        for id in contexts(scope) {
            forget(scope, id);
            end_if_over(scope, id, false);
        }
    }
}

fn contexts(scope: &mut v8::PinScope<'_, '_>) -> Vec<ContextId> {
    scope.get_slot::<Stalled>().map(|stalled| stalled.contexts.iter().copied().collect()).unwrap_or_default()
}

/// Whether it was one of them.
fn forget(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    if let Some(invocation) = context::data::<Invocation>(scope, id) {
        invocation.stalls = None;
    }
    scope.get_slot_mut::<Stalled>().is_some_and(|stalled| stalled.contexts.remove(&id))
}

fn is_stalled(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    !context::is_waiting(scope, id)
        && context::data::<Invocation>(scope, id).is_some_and(|invocation| !invocation.answer.is_given())
}

/// Whether anybody in the isolate waits for more than answers of those that are stalled.
fn others_work(scope: &mut v8::PinScope<'_, '_>) -> bool {
    let mut meters: FxHashSet<*const Meter> = FxHashSet::default();
    let mut askers: FxHashSet<Asker> = FxHashSet::default();
    for id in contexts(scope) {
        let Some(invocation) = context::data::<Invocation>(scope, id) else { continue };
        meters.insert(Arc::as_ptr(&invocation.meter));
        askers.extend(invocation.answer.work().map(|work| work.asker()));
    }
    context::others_wait(scope, |work| {
        if let Some(Asked(question)) = work.downcast_ref::<Asked>() {
            return question
                .landing()
                .is_some_and(|landing| meters.contains(&Arc::as_ptr(landing.account.meter())));
        }
        work.downcast_ref::<Interest>().is_some_and(|interest| askers.contains(&interest.asker()))
    })
}
