//! Limits of single invocations: how many may be under way, how deep and for how long, and what callers are told at
//! the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atoll_isolate::scheduler::MOST_LONG_TURNS;
use atoll_isolate::{Meter, RUNTIME_CPU, TASK_CPU, memory};
use atoll_web::account::Origin;
use atoll_web::fetcher::RemoteError;
use atoll_web::sender::{self, Sender};

use crate::answer::Answer;
use crate::code::CodeLimits;
use crate::limits;
use crate::usage::Outcome;
use crate::worker::Worker;

/// What callers get whose invocation is past its CPU time.
pub(crate) fn cpu_text(worker: &str, limit: Duration) -> String {
    format!("Worker \"{worker}\" exceeded its CPU time limit of {} ms.", limit.as_millis())
}

/// What callers get whose invocation is ended because too many long ones are under way.
pub(crate) fn crowded_text(worker: &str) -> String {
    format!(
        "Worker \"{worker}\" was ended: {MOST_LONG_TURNS} turns of more than 10 ms are under way in this process, which is the most that may be, and this one took the most time."
    )
}

/// What callers get when the isolate's finalisation callbacks took too much.
pub(crate) fn tasks_text(worker: &str) -> String {
    let limit = TASK_CPU.as_millis();
    format!(
        "Worker \"{worker}\" exceeded the CPU time limit of its finalization callbacks, which is {limit} ms."
    )
}

/// What callers get when what the runtime did in the isolate took too much.
pub(crate) fn runtime_text(worker: &str) -> String {
    let limit = RUNTIME_CPU.as_millis();
    format!(
        "Worker \"{worker}\" was ended: the runtime's own work in it took more than {limit} ms of CPU time."
    )
}

/// What callers get when the isolate is past its memory.
pub(crate) fn memory_text(worker: &str, bytes: usize) -> String {
    format!("Worker \"{worker}\" exceeded its memory limit of {} MiB.", bytes >> 20)
}

/// What callers get when the process is past its memory and this isolate had the most.
pub(crate) fn process_memory_text(worker: &str) -> String {
    let limit = memory::marks().smallest() >> 20;
    format!(
        "Worker \"{worker}\" was ended: the process reached its memory limit of {limit} MiB, and this Worker took the most."
    )
}

/// What callers get when all Workers have too much machine code, and this one has the most.
pub(crate) fn machine_code_text(worker: &str) -> String {
    let limit = memory::marks().code >> 20;
    format!(
        "Worker \"{worker}\" was ended: the process reached its limit of {limit} MiB of machine code, and this Worker had the most."
    )
}

/// What everybody gets who waits for a Worker whose start takes too long.
pub(crate) fn startup_text(worker: &str) -> String {
    let limit = limits::STARTUP_CPU.as_millis();
    format!("Worker \"{worker}\" exceeded its start-up CPU time limit of {limit} ms.")
}

fn wall_text(worker: &str, limit: Duration) -> String {
    format!("Worker \"{worker}\" exceeded its wall time limit of {} ms.", limit.as_millis())
}

/// An invocation's places: among those that are under way in its Worker, and in the share of whom it counts for. Given
/// back when this is dropped.
pub(crate) struct UnderWay {
    worker: Worker,
    of_children: bool,
    #[expect(dead_code, reason = "gives itself back")]
    share: Option<sender::Place>,
}

/// How many invocations of a Worker are under way.
#[derive(Default)]
pub(crate) struct Crowd {
    all: AtomicUsize,
    /// Those that other dynamic Workers led to.
    of_children: AtomicUsize,
}

impl UnderWay {
    /// Takes the places for an invocation from `origin`.
    ///
    /// # Errors
    /// When there is none, or the invocation would be too deep; the error names the limit and the Worker.
    pub(crate) fn take(worker: &Worker, origin: &Origin) -> Result<Self, RemoteError> {
        if origin.depth.invocations > limits::DEPTH {
            return Err(RemoteError::error(format!(
                "Worker \"{}\" was not called: invocations may start each other {} deep, and this one would be deeper.",
                worker.name(),
                limits::DEPTH
            )));
        }
        // What a Worker asks of itself is part of nobody's share but its own.
        let is_own = |sender: &&Arc<Sender>| worker.sender().is_some_and(|own| Arc::ptr_eq(own, sender));
        let sender = origin.sender.as_ref().filter(|sender| !is_own(sender));
        let of_children = sender.is_some();
        let share = sender.filter(|_| !origin.is_notice()).map(Sender::request).transpose()?;
        let place = Self { worker: worker.clone(), of_children, share };
        let crowd = worker.under_way();
        let all = crowd.all.fetch_add(1, Ordering::Relaxed);
        let of_children =
            if place.of_children { crowd.of_children.fetch_add(1, Ordering::Relaxed) } else { 0 };
        if all >= limits::UNDER_WAY {
            return Err(RemoteError::error(format!(
                "Worker \"{}\" has {} requests in flight, which is the most that it may have.",
                worker.name(),
                limits::UNDER_WAY
            )));
        }
        if of_children >= limits::UNDER_WAY_OF_CHILDREN {
            return Err(RemoteError::error(format!(
                "Worker \"{}\" has {} requests in flight from dynamic Workers, which is the most that it may have.",
                worker.name(),
                limits::UNDER_WAY_OF_CHILDREN
            )));
        }
        Ok(place)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let crowd = self.worker.under_way();
        crowd.all.fetch_sub(1, Ordering::Relaxed);
        if self.of_children {
            crowd.of_children.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn out_of_wall_time(worker: &Worker, limit: Duration, answer: &Answer, meter: &Meter) {
    let text = wall_text(worker.name(), limit);
    meter.set_reason(&text);
    answer.exceeded(Outcome::ExceededWallTime, RemoteError::error(text));
    // Its code may be running at this moment: the isolate is told by the meter, and closes the context after.
    meter.stop();
    answer.close_context();
}

/// Ends an invocation that was given no time at all before any of its code runs.
pub(crate) fn end_without_time(worker: &Worker, limits: CodeLimits, answer: &Answer, meter: &Meter) {
    if limits.cpu.is_zero() {
        meter.charge(Duration::from_nanos(1));
    } else if limits.wall.is_some_and(|limit| limit.is_zero()) {
        out_of_wall_time(worker, Duration::ZERO, answer, meter);
    }
}

/// Ends an invocation after its wall time, unless this is dropped before.
pub(crate) struct WallTimer(tokio::task::AbortHandle);

impl WallTimer {
    /// Begins now; called inside the turn that opens the invocation's context.
    pub(crate) fn start(worker: &Worker, limit: Duration, answer: Arc<Answer>, meter: Arc<Meter>) -> Self {
        let clock = worker.runtime().host.clock.clone();
        let worker = worker.downgrade();
        let task = tokio::spawn(async move {
            clock.sleep(limit).await;
            let Some(worker) = worker.upgrade() else { return };
            out_of_wall_time(&worker, limit, &answer, &meter);
        });
        Self(task.abort_handle())
    }
}

impl Drop for WallTimer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
