//! Traces: what an invocation of a child logged and threw, and how it ended, delivered to its tail Workers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use atoll_isolate::Meter;
use atoll_isolate::error::ExceptionReport;
use atoll_rpc::Service;
use atoll_web::depth::Depth;
use serde_json::{Value, json};

/// A trace holds this much of logs and exceptions; what comes after is counted as truncated.
const BUDGET: usize = 256 * 1024;

/// The trace of one invocation; given to the tails when it is dropped, which is when the invocation has ended.
pub(crate) struct Trace {
    tails: Vec<Arc<dyn Service>>,
    meter: Arc<Meter>,
    started: Instant,
    started_ms: f64,
    entrypoint: Option<String>,
    depth: Depth,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    event: Value,
    logs: Vec<Value>,
    exceptions: Vec<Value>,
    outcome: Option<&'static str>,
    size: usize,
    truncated: bool,
}

impl Trace {
    pub(crate) fn new(
        tails: Vec<Arc<dyn Service>>,
        meter: Arc<Meter>,
        started_ms: f64,
        entrypoint: Option<String>,
        event: Value,
        depth: Depth,
    ) -> Arc<Self> {
        let state = Mutex::new(State { event, ..State::default() });
        Arc::new(Self { tails, meter, started: Instant::now(), started_ms, entrypoint, depth, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A console line; `message` is the list of its arguments as JSON.
    pub(crate) fn log(&self, now: f64, level: &str, message: &str) {
        let mut state = self.state();
        state.size += message.len();
        if state.size > BUDGET {
            state.truncated = true;
            return;
        }
        let message: Value = serde_json::from_str(message).unwrap_or_else(|_| json!([]));
        state.logs.push(json!({ "timestamp": now, "level": level, "message": message }));
    }

    /// An exception that nobody in the child caught.
    pub(crate) fn exception(&self, now: f64, name: &str, message: &str, report: &ExceptionReport) {
        let mut state = self.state();
        state.outcome.get_or_insert("exception");
        state.size += message.len() + report.stack.as_ref().map_or(0, String::len);
        if state.size > BUDGET {
            state.truncated = true;
            return;
        }
        state.exceptions.push(json!({
            "timestamp": now,
            "name": name,
            "message": message,
            "stack": report.stack,
            "sourceLine": report.source_line,
        }));
    }

    /// How it ended, unless that is known.
    pub(crate) fn outcome(&self, outcome: &'static str) {
        self.state().outcome.get_or_insert(outcome);
    }

    /// The response's status, for `fetch` events.
    pub(crate) fn responded(&self, status: u16) {
        self.state().event["response"] = json!({ "status": status });
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let state = std::mem::take(self.state.get_mut().unwrap_or_else(PoisonError::into_inner));
        let item = json!({
            "event": state.event,
            "eventTimestamp": self.started_ms,
            "logs": state.logs,
            "exceptions": state.exceptions,
            "diagnosticsChannelEvents": [],
            "scriptName": null,
            "entrypoint": self.entrypoint,
            "outcome": state.outcome.unwrap_or("ok"),
            "executionModel": "stateless",
            "truncated": state.truncated,
            "cpuTime": self.meter.used().as_secs_f64() * 1000.0,
            "wallTime": self.started.elapsed().as_secs_f64() * 1000.0,
        });
        let events: Arc<str> = Value::Array(vec![item]).to_string().into();
        // What a tail does is because of what it hears of: traced Workers that tails call do not go round for ever.
        let depth = Depth { invocations: self.depth.invocations + 1, calls: 0 };
        for tail in &self.tails {
            tail.clone().tail(events.clone(), depth);
        }
    }
}
