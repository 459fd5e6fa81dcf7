//! Timers: each is a task of the lane's tokio runtime that sends a message to its isolate when it is due.

use std::time::Duration;

use atoll_isolate::{Envelope, JsError, Native, arguments, natives, realm, v8};
use rustc_hash::FxHashMap;

use crate::context::{self, Carried};
use crate::depth::Depth;
use crate::task::Task;

/// A repeating timer waits at least this long.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// The longest delay, in seconds: about a hundred years.
const LONGEST_DELAY: f64 = 3.2e9;

/// The active timers of one context. They stop when it is dropped, also with an isolate that ends without closing it.
#[derive(Default)]
pub(crate) struct Timers(FxHashMap<u32, Task>);

impl Timers {
    /// Whether none is active.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(crate) fn natives() -> Vec<Native> {
    natives!["timerStart" => timer_start, "timerStop" => timer_stop]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

/// `timerStart(delay in ms, whether it repeats)` gives the number of a timer of the current context.
fn timer_start<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let delay = arguments::number(scope, &args, 0);
    let repeat = args.get(1).is_true();
    match start(scope, delay, repeat) {
        Ok(id) => rv.set_uint32(id),
        Err(error) => error.throw(scope),
    }
}

fn timer_stop<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let timer = arguments::integer(scope, &args, 0);
    let current = context::current(scope);
    drop(context::timers(scope, current).and_then(|timers| timers.0.remove(&timer)));
}

fn start(scope: &mut v8::PinScope<'_, '_>, delay_ms: f64, repeat: bool) -> Result<u32, JsError> {
    let id = context::require(scope)?;
    let timer = context::next_operation(scope);
    // A timer is no call within a call, but what it starts was led to by the same invocations.
    let carried = context::carried(scope);
    let carried = Carried { depth: Depth { calls: 0, ..carried.depth }, ..carried };
    let outside = || JsError::error(context::GLOBAL_SCOPE);
    let meter = context::meter(scope, id).ok_or_else(outside)?;
    let environment = context::environment(scope);
    let (isolate, clock, limit) =
        (environment.isolate.clone(), environment.clock.clone(), environment.max_timers);
    let timers = context::timers(scope, id).ok_or_else(outside)?;
    if timers.0.len() >= limit {
        return Err(JsError::dom(
            "QuotaExceededError",
            format!("You have exceeded the number of active timeouts you may set. The limit is {limit}."),
        ));
    }
    let delay = Duration::from_secs_f64((delay_ms.max(0.0) / 1000.0).min(LONGEST_DELAY));
    let delay = if repeat { delay.max(SHORTEST_INTERVAL) } else { delay };
    let task = Task::spawn(async move {
        loop {
            clock.sleep(delay).await;
            let Some(isolate) = isolate.upgrade() else { return };
            // A repeating timer waits for its own turn, so that a busy isolate does not pile them up.
            let (done, turn) = tokio::sync::oneshot::channel::<()>();
            isolate.send(Envelope::new(meter.clone(), move |scope| {
                fire(scope, carried, timer, repeat);
                drop(done);
            }));
            if !repeat {
                return;
            }
            let _ = turn.await;
        }
    });
    timers.0.insert(timer, task);
    Ok(timer)
}

fn fire(scope: &mut v8::PinScope<'_, '_>, carried: Carried, timer: u32, repeat: bool) {
    if !context::enter_as(scope, carried) {
        return;
    }
    let Some(timers) = context::timers(scope, carried.id) else { return };
    let active = if repeat { timers.0.contains_key(&timer) } else { timers.0.remove(&timer).is_some() };
    if active {
        let timer = v8::Integer::new_from_unsigned(scope, timer);
        realm::call(scope, "web/timers", "fireTimer", &[timer.into()]);
    }
}
