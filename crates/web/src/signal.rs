//! Abort signals that crossed to another isolate. The sender holds a link and fires it once; each receiver subscribes.
//! Neither side keeps the other's context open: when the sender's ends, the signal never aborts; when a receiver's does,
//! its subscription goes with it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use atoll_isolate::values::{self, Message};
use atoll_isolate::{Envelope, Meter, Native, WeakIsolate, arguments, natives, realm, v8};

use crate::clone;
use crate::context::{self, ContextId};

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "signalOpen" => signal_open,
        "signalFire" => signal_fire,
        "signalListen" => signal_listen,
        "adoptSignal" => adopt_signal,
    ]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

fn adopt_signal<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, rv: Return<'_>) {
    clone::adopt::<SignalLink>(scope, &args, rv);
}

/// One signal of a context, as the messages that it was sent in carry it.
#[derive(Default)]
struct SignalLink(Mutex<LinkState>);

#[derive(Default)]
struct LinkState {
    /// The reason, once aborted.
    reason: Option<Message>,
    subscribers: Vec<Weak<Subscription>>,
}

/// A receiver's interest in a link: a resource of its context.
struct Subscription {
    isolate: WeakIsolate,
    meter: Arc<Meter>,
    context: ContextId,
    /// Its number in the script.
    id: u32,
}

impl Subscription {
    /// Tells the script, in the receiver's context: the reason, or that no abort can come any more.
    fn tell(&self, reason: Option<Message>) {
        let Some(isolate) = self.isolate.upgrade() else { return };
        let (context, id) = (self.context, self.id);
        isolate.send(Envelope::new(self.meter.clone(), move |scope| {
            if !context::enter(scope, context) {
                return;
            }
            context::listen(scope, context, -1);
            let id = v8::Integer::new_from_unsigned(scope, id);
            let outcome = reason.and_then(|message| values::read(scope, message));
            let (aborted, reason) = match outcome {
                Some(value) => (true, value),
                None => (false, v8::undefined(scope).into()),
            };
            let aborted = v8::Boolean::new(scope, aborted);
            realm::call(scope, "web/abort", "remoteOutcome", &[id.into(), aborted.into(), reason]);
        }));
    }
}

impl SignalLink {
    fn subscribers(&self, reason: Option<Message>) -> Vec<Arc<Subscription>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.reason = reason;
        std::mem::take(&mut state.subscribers).iter().filter_map(Weak::upgrade).collect()
    }
}

impl Drop for SignalLink {
    fn drop(&mut self) {
        // Whoever waits for nothing else waits for ever: its invocation looks at itself again.
        for subscription in self.subscribers(None) {
            subscription.tell(None);
        }
    }
}

/// `signalOpen()`: the handle of a link, owned by the current context.
fn signal_open<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, mut rv: Return<'_>) {
    let owner = context::current(scope);
    rv.set_uint32(context::add_resource(scope, owner, Arc::new(SignalLink::default())));
}

/// `signalFire(handle, reason)`: once. Throws a `DataCloneError` where the reason cannot be cloned.
fn signal_fire<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let Some(link) = context::resource_as::<SignalLink>(scope, handle) else { return };
    let Some(reason) = values::write(scope, args.get(1)) else { return };
    for subscription in link.subscribers(Some(reason.clone())) {
        subscription.tell(Some(reason.clone()));
    }
}

/// `signalListen(handle, id)`: exchanges the handle of a link that arrived for a subscription under `id`.
/// `remoteOutcome(id, aborted, reason)` of the script is called in a later turn, at most once.
fn signal_listen<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let id = arguments::integer(scope, &args, 1);
    let Some(link) = context::resource_as::<SignalLink>(scope, handle) else { return };
    context::release(scope, handle);
    let context = context::current(scope);
    let Some(meter) = context::meter(scope, context) else { return };
    let isolate = context::environment(scope).isolate.clone();
    let subscription = Arc::new(Subscription { isolate, meter, context, id });
    context::add_resource(scope, context, subscription.clone());
    context::listen(scope, context, 1);
    let mut state = link.0.lock().unwrap_or_else(PoisonError::into_inner);
    match &state.reason {
        Some(reason) => subscription.tell(Some(reason.clone())),
        None => {
            // A signal that is sent again and again does not collect receivers that are gone.
            if state.subscribers.len() >= 16 && state.subscribers.len().is_power_of_two() {
                state.subscribers.retain(|known| known.strong_count() > 0);
            }
            state.subscribers.push(Arc::downgrade(&subscription));
        }
    }
}
