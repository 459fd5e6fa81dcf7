//! The record of one invocation: how it ended and what it used. Made once, when its context ends; goes to the metrics,
//! to `tracing` and to the tails.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use atoll_web::usage::Counts;

/// How an invocation ended, in the reference's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// It did what it was to do; a call over RPC also where it threw, for that is an answer.
    Ok,
    /// It threw, or hung.
    Exception,
    /// It used more CPU time than it may.
    ExceededCpu,
    /// Its isolate used more memory than it may.
    ExceededMemory,
    /// It took longer than it may.
    ExceededWallTime,
    /// The process had no room for it.
    LoadShed,
    /// Its Worker ended under it, or nobody waited for it any more.
    Canceled,
    /// A defect of the runtime's.
    InternalError,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Exception,
        Self::ExceededCpu,
        Self::ExceededMemory,
        Self::ExceededWallTime,
        Self::LoadShed,
        Self::Canceled,
        Self::InternalError,
    ];

    /// As tails and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Exception => "exception",
            Self::ExceededCpu => "exceededCpu",
            Self::ExceededMemory => "exceededMemory",
            Self::ExceededWallTime => "exceededWallTime",
            Self::LoadShed => "loadShed",
            Self::Canceled => "canceled",
            Self::InternalError => "internalError",
        }
    }
}

/// An outcome that is known later; what is said first holds.
#[derive(Default)]
pub(crate) struct Verdict(AtomicU8);

impl Verdict {
    pub(crate) fn set(&self, outcome: Outcome) {
        let _ = self.0.compare_exchange(0, outcome as u8 + 1, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(crate) fn get(&self) -> Option<Outcome> {
        let known = self.0.load(Ordering::Acquire);
        Outcome::ALL.get(usize::from(known).checked_sub(1)?).copied()
    }
}

/// What one invocation used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// How it ended.
    pub outcome: Outcome,
    /// CPU time of its messages, and of what it had done outside of turns (reading bodies, compressing), without the start
    /// of its Worker and without the network's own work. Messages and polls that took under 250 µs count with their wall
    /// time.
    pub cpu: Duration,
    /// From its first message to the end of its context, `waitUntil` included.
    pub wall: Duration,
    /// Requests, calls, bytes, memory.
    pub counts: Counts,
}

impl Usage {
    /// An event at level DEBUG, target `atoll::invocation`: `ATOLL_LOG=info,worker=trace,atoll::invocation=debug` shows it.
    /// Times are in milliseconds, memory and traffic in bytes.
    pub(crate) fn trace(&self, worker: &str, entrypoint: Option<&str>, event: &str) {
        let counts = &self.counts;
        tracing::debug!(
            target: "atoll::invocation",
            worker,
            entrypoint = entrypoint.unwrap_or("default"),
            event,
            outcome = self.outcome.name(),
            cpu_ms = milliseconds(self.cpu),
            wall_ms = milliseconds(self.wall),
            peak_memory = counts.peak_memory,
            sub_requests = counts.sub_requests,
            rpc_calls = counts.rpc_calls,
            bytes_in = counts.bytes_in,
            bytes_out = counts.bytes_out,
            "invocation"
        );
    }
}

/// Milliseconds, with fractions.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_verdict_holds() {
        let verdict = Verdict::default();
        assert_eq!(verdict.get(), None);
        verdict.set(Outcome::ExceededCpu);
        verdict.set(Outcome::Canceled);
        assert_eq!(verdict.get(), Some(Outcome::ExceededCpu));
    }

    #[test]
    fn outcomes_are_listed_in_their_order() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
            let verdict = Verdict::default();
            verdict.set(outcome);
            assert_eq!(verdict.get(), Some(outcome));
        }
    }
}
