//! Limits of single invocations: how many may be under way, how deep and for how long, and what callers are told at
//! the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_isolate::scheduler::MOST_LONG_TURNS;
use atoll_isolate::{Meter, TASK_CPU, memory};
use atoll_web::context::{self, ContextId};
use atoll_web::depth::Depth;
use atoll_web::fetcher::RemoteError;

use crate::answer::Answer;
use crate::code::CodeLimits;
use crate::limits;
use crate::usage::Outcome;
use crate::worker::{Admission, Worker};

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

/// An invocation's place among those that are under way in its Worker; given back when this is dropped.
pub(crate) struct UnderWay(Worker);

impl UnderWay {
    /// Takes a place for an invocation that is this deep.
    ///
    /// # Errors
    /// When there is none, or the invocation would be too deep; the error names the limit and the Worker.
    pub(crate) fn take(worker: &Worker, depth: Depth) -> Result<Self, RemoteError> {
        if depth.invocations > limits::DEPTH {
            return Err(RemoteError::error(format!(
                "Worker \"{}\" was not called: invocations may start each other {} deep, and this one would be deeper.",
                worker.name(),
                limits::DEPTH
            )));
        }
        let place = Self(worker.clone());
        if worker.under_way().fetch_add(1, Ordering::Relaxed) >= limits::UNDER_WAY {
            return Err(RemoteError::error(format!(
                "Worker \"{}\" has {} requests in flight, which is the most that it may have.",
                worker.name(),
                limits::UNDER_WAY
            )));
        }
        Ok(place)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way().fetch_sub(1, Ordering::Relaxed);
    }
}

fn out_of_wall_time(worker: &Worker, limit: Duration, answer: &Answer, meter: &Meter) {
    let text = wall_text(worker.name(), limit);
    meter.set_reason(&text);
    answer.exceeded(Outcome::ExceededWallTime, RemoteError::error(text));
    meter.stop();
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
    pub(crate) fn start(
        worker: &Worker,
        limit: Duration,
        answer: Arc<Answer>,
        meter: Arc<Meter>,
        id: ContextId,
    ) -> Self {
        let clock = worker.runtime().host.clock.clone();
        let worker = worker.downgrade();
        let task = tokio::spawn(async move {
            clock.sleep(limit).await;
            let Some(worker) = worker.upgrade() else { return };
            // Its code may be running at this moment: the isolate is told by the meter, and closes the context after.
            out_of_wall_time(&worker, limit, &answer, &meter);
            let close = move |admission: Admission<'_, '_, '_>| {
                if let Admission::Inside(scope) = admission {
                    context::close(scope, id);
                }
            };
            worker.deliver(None, Box::new(close));
        });
        Self(task.abort_handle())
    }
}

impl Drop for WallTimer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
