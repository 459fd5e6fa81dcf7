//! V8's one-time set-up and its platform.
//!
//! V8 posts foreground tasks (asynchronous Wasm compilation, `FinalizationRegistry` callbacks, garbage collection
//! steps) to an isolate from any thread. They must run under that isolate's lock, so they become ordinary messages
//! in its mailbox. Tasks for a heap that no actor has adopted yet wait here.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Mutex, Once, OnceLock, PoisonError};

use crate::abort;
use crate::actor::{Envelope, WeakIsolate};

/// V8 flags that Atoll always sets. A regular expression is compiled to machine code only once it is hot: by default V8
/// does so on the second use, and each isolate that has any machine code takes at least 256 KiB of a range that all
/// isolates of the process share. Without loop unrolling, because with it the optimising compiler also drops the checks
/// by which a loop notices that it is to stop: `for (;;) a.push(new Array(1000).fill(1.5))` then outlives every limit. A
/// Wasm memory has at most 128 MiB, as much as an isolate. Pages of ended heaps, which V8 keeps for the next ones, are
/// looked through every 2 seconds in place of 8: what a burst took is given back within seconds of it.
const FLAGS: &str = "--single-threaded-gc --js-source-phase-imports --regexp-tier-up-ticks=50 \
                     --no-turboshaft-loop-unrolling --wasm-max-mem-pages=2048 --memory-pool-timeout=2";

static INITIALIZED: Once = Once::new();
static REGISTRY: OnceLock<Mutex<HashMap<usize, Tasks>>> = OnceLock::new();

enum Tasks {
    Waiting(Vec<v8::Task>),
    Adopted(WeakIsolate),
}

fn registry() -> std::sync::MutexGuard<'static, HashMap<usize, Tasks>> {
    REGISTRY.get_or_init(Default::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Initialises V8 for the process. Must be called before any other thread exists: on processors with memory
/// protection keys only threads made afterwards may run JavaScript. Later calls do nothing.
///
/// `flags` are additional V8 flags, as on d8's command line (for example `--expose-gc`).
pub fn initialize(flags: &str) {
    start(flags, false);
}

/// As [`initialize`], for processes whose threads exist already (test harnesses): without memory protection keys.
pub fn initialize_unprotected(flags: &str) {
    start(flags, true);
}

fn start(flags: &str, unprotected: bool) {
    INITIALIZED.call_once(|| {
        v8::V8::set_flags_from_string(FLAGS);
        if !flags.is_empty() {
            v8::V8::set_flags_from_string(flags);
        }
        let platform = v8::new_custom_platform(2, false, unprotected, Foreground).make_shared();
        v8::V8::initialize_platform(platform);
        v8::V8::initialize();
        abort::prevent();
    });
}

struct Foreground;

impl v8::PlatformImpl for Foreground {
    fn post_task(&self, isolate: *mut c_void, task: v8::Task) {
        post(isolate as usize, task);
    }

    fn post_non_nestable_task(&self, isolate: *mut c_void, task: v8::Task) {
        post(isolate as usize, task);
    }

    fn post_delayed_task(&self, isolate: *mut c_void, task: v8::Task, seconds: f64) {
        post_later(isolate as usize, task, seconds);
    }

    fn post_non_nestable_delayed_task(&self, isolate: *mut c_void, task: v8::Task, seconds: f64) {
        post_later(isolate as usize, task, seconds);
    }

    fn post_idle_task(&self, _isolate: *mut c_void, _task: v8::IdleTask) {
        // Idle tasks are optional work; the platform says that it does not support them.
    }
}

fn post(isolate: usize, task: v8::Task) {
    let target = match registry().get_mut(&isolate) {
        Some(Tasks::Waiting(tasks)) => {
            tasks.push(task);
            return;
        }
        Some(Tasks::Adopted(isolate)) => isolate.clone(),
        None => return,
    };
    if let Some(isolate) = target.upgrade() {
        isolate.send(Envelope::task(&target, task));
    }
}

fn post_later(isolate: usize, task: v8::Task, seconds: f64) {
    let target = match registry().get(&isolate) {
        Some(Tasks::Adopted(isolate)) => isolate.clone(),
        // A blank heap has nothing that a delayed task (memory reduction) would be good for.
        _ => return,
    };
    let Some(strong) = target.upgrade() else { return };
    let seconds = if seconds.is_finite() { seconds.clamp(0.0, 86_400.0) } else { 0.0 };
    strong.scheduler().spawn(strong.home(), async move {
        tokio::time::sleep(std::time::Duration::from_secs_f64(seconds)).await;
        if let Some(isolate) = target.upgrade() {
            isolate.send(Envelope::task(&target, task));
        }
    });
}

/// Tasks for this V8 isolate are kept until [`adopt`] says who takes them.
pub(crate) fn expect(isolate: usize) {
    registry().insert(isolate, Tasks::Waiting(Vec::new()));
}

/// From now on tasks for this V8 isolate go to `actor`'s mailbox.
pub(crate) fn adopt(isolate: usize, actor: WeakIsolate) {
    let weak = actor.clone();
    let waiting = registry().insert(isolate, Tasks::Adopted(actor.clone()));
    if let (Some(Tasks::Waiting(tasks)), Some(actor)) = (waiting, actor.upgrade()) {
        tasks.into_iter().for_each(|task| actor.send(Envelope::task(&weak, task)));
    }
}

/// Forgets a V8 isolate that is about to be disposed of; tasks that come later are dropped.
pub(crate) fn forget(isolate: usize) {
    let forgotten = registry().remove(&isolate);
    drop(forgotten);
}
