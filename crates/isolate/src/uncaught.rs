//! Errors that no code handles: promises that were rejected, and what microtasks and finalisation callbacks throw, whose
//! text V8 would print to the process's standard output otherwise.

use crate::guard;

/// Sees what a microtask or a finalisation callback threw, with the message that V8 made of it.
pub type ThrownHook =
    fn(&mut v8::PinScope<'_, '_>, exception: v8::Local<v8::Value>, message: v8::Local<v8::Message>);

struct OnThrown(ThrownHook);

/// Sets what sees errors of microtasks and of finalisation callbacks. It runs between two microtasks, on the meter of the
/// message, and may run guest code. Without one they are dropped.
pub fn set_thrown_hook(scope: &mut v8::PinScope<'_, '_>, hook: ThrownHook) {
    scope.set_slot(OnThrown(hook));
}

/// A promise that was rejected while nothing handled it.
pub struct Rejection {
    /// The promise.
    pub promise: v8::Global<v8::Promise>,
    /// What it was rejected with.
    pub reason: v8::Global<v8::Value>,
}

/// What became of promises during a message.
#[derive(Default)]
pub struct Rejections {
    /// Those that are rejected and that nothing handles at the end of the message's microtasks.
    pub unhandled: Vec<Rejection>,
    /// Those that were unhandled at the end of an earlier message, and are handled now.
    pub handled: Vec<v8::Global<v8::Promise>>,
    /// Whether any were given out as unhandled: only then can one be handled late.
    given: bool,
}

impl Rejections {
    /// How many promises it tells of.
    pub(crate) fn len(&self) -> usize {
        self.unhandled.len() + self.handled.len()
    }
}

/// At most this many promises are kept for a message, of those that nothing handles and of those that are handled late; a
/// flood of them must not take memory.
pub(crate) const MAX_REJECTIONS: usize = 1_000;

pub(crate) fn configure(isolate: &mut v8::Isolate) {
    isolate.set_slot(Rejections::default());
    isolate.set_promise_reject_callback(on_reject);
    // With a listener of any level, V8 prints nothing itself, warnings included.
    isolate.add_message_listener(on_message);
}

unsafe extern "C" fn on_message(message: v8::Local<'_, v8::Message>, exception: v8::Local<'_, v8::Value>) {
    // SAFETY: V8 calls this inside the isolate, with its lock held.
    v8::callback_scope!(unsafe let scope, message);
    guard::silently(|| tell(scope, message, exception));
}

fn tell(
    scope: &mut v8::PinScope<'_, '_>,
    message: v8::Local<'_, v8::Message>,
    exception: v8::Local<'_, v8::Value>,
) {
    let Some(hook) = scope.get_slot::<OnThrown>().map(|hook| hook.0) else { return };
    v8::tc_scope!(let scope, scope);
    hook(scope, exception, message);
    if scope.has_terminated() {
        // V8 takes a stop in here for the listener's own and would go on with the next microtask.
        scope.terminate_execution();
    }
}

unsafe extern "C" fn on_reject(message: v8::PromiseRejectMessage<'_>) {
    // SAFETY: V8 calls this inside the isolate, with its lock held.
    v8::callback_scope!(unsafe let scope, &message);
    guard::silently(|| note_rejection(scope, &message));
}

fn note_rejection(scope: &mut v8::PinScope<'_, '_>, message: &v8::PromiseRejectMessage<'_>) {
    let promise = message.get_promise();
    let promise = v8::Global::new(scope, promise);
    let reason = message.get_value().map(|v| v8::Global::new(scope, v));
    let Some(rejections) = scope.get_slot_mut::<Rejections>() else { return };
    match (message.get_event(), reason) {
        (v8::PromiseRejectEvent::PromiseRejectWithNoHandler, Some(reason))
            if rejections.unhandled.len() < MAX_REJECTIONS =>
        {
            rejections.unhandled.push(Rejection { promise, reason });
        }
        (v8::PromiseRejectEvent::PromiseHandlerAddedAfterReject, _) => {
            // The last one, nearly always.
            match rejections.unhandled.iter().rposition(|rejection| rejection.promise == promise) {
                Some(position) => drop(rejections.unhandled.remove(position)),
                None if rejections.given && rejections.handled.len() < MAX_REJECTIONS => {
                    rejections.handled.push(promise);
                }
                None => {}
            }
        }
        _ => {}
    }
}

/// What became of promises since the last call.
pub(crate) fn take_rejections(scope: &mut v8::PinScope<'_, '_>) -> Rejections {
    match scope.get_slot_mut::<Rejections>() {
        Some(rejections) if rejections.len() > 0 => {
            let given = rejections.given || !rejections.unhandled.is_empty();
            std::mem::replace(rejections, Rejections { given, ..Rejections::default() })
        }
        _ => Rejections::default(),
    }
}
