//! Traces: what an invocation of a child logged and threw, and how it ended, delivered to its tail Workers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atoll_isolate::error::ExceptionReport;
use atoll_isolate::{realm, v8};
use atoll_rpc::Service;
use atoll_web::account::{Account, Origin};
use atoll_web::depth::Depth;
use atoll_web::fetcher::FetchRequest;
use atoll_web::{context, fetch};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::invocation::trace_of;
use crate::redaction::{REDACTED, is_secret_header, redact_url};
use crate::usage::{Usage, milliseconds};

/// A trace holds this much of logs and exceptions; what comes after is counted as truncated.
const BUDGET: usize = 256 * 1024;

/// Arguments of one console line that are looked at for errors.
const MAX_ARGUMENTS: u32 = 10_000;

/// What an entry of a trace counts for beside its text, in bytes; the reference's.
const ENTRY: usize = 80;

/// The last line of a trace whose budget is used up; the reference's text.
const TOO_MUCH: &str = "Log size limit exceeded: More than 256KB of data (across console.log statements, exception, \
    request metadata and headers) was logged during a single request. Subsequent data for this request will not be \
    recorded in logs, appear when tailing this Worker's logs, or in Tail Workers.";

/// The trace of one invocation; given to the tails when it has ended.
pub(crate) struct Trace {
    tails: Vec<Arc<dyn Service>>,
    started_ms: f64,
    depth: Depth,
    account: Arc<Account>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    event: Value,
    /// Entries as JSON texts: what guests log may have what `Value` cannot, lone surrogates.
    logs: Vec<String>,
    exceptions: Vec<Value>,
    size: usize,
    truncated: bool,
}

impl State {
    /// Takes the room for an entry. False: the budget is used up, and stays so; the last line of the logs says it.
    fn take(&mut self, now: f64, size: usize) -> bool {
        if self.truncated {
            return false;
        }
        self.size += ENTRY + size;
        self.truncated = self.size > BUDGET;
        if self.truncated {
            self.logs.push(log_entry(now, "warn", &json!([TOO_MUCH]).to_string(), None));
        }
        !self.truncated
    }
}

fn log_entry(now: f64, level: &str, message: &str, errors: Option<&str>) -> String {
    let errors = errors.map(|errors| format!(r#","errorInfo":{errors}"#)).unwrap_or_default();
    format!(r#"{{"timestamp":{},"level":{},"message":{message}{errors}}}"#, now.floor(), json!(level))
}

impl Trace {
    /// A trace of an event that began at `started_ms`, in milliseconds since 1970, is this deep and on this account.
    pub(crate) fn new(
        tails: Vec<Arc<dyn Service>>,
        started_ms: f64,
        event: Value,
        depth: Depth,
        account: Arc<Account>,
    ) -> Arc<Self> {
        let state = Mutex::new(State { event, ..State::default() });
        Arc::new(Self { tails, started_ms: started_ms.floor(), depth, account, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A console line; `message` is the list of its arguments as JSON, `errors` says what those are that are errors.
    pub(crate) fn log(&self, now: f64, level: &str, message: &str, errors: Option<Value>) {
        // It was written inside the child, and the tails' items are made of it as it is.
        let message = if serde_json::from_str::<&RawValue>(message).is_ok() { message } else { "[]" };
        let errors = errors.map(|errors| errors.to_string());
        let mut state = self.state();
        if state.take(now, message.len() + errors.as_ref().map_or(0, String::len)) {
            state.logs.push(log_entry(now, level, message, errors.as_deref()));
        }
    }

    /// An exception that nobody in the child caught.
    pub(crate) fn exception(&self, now: f64, name: &str, message: &str, report: &ExceptionReport) {
        let stack = frames(report);
        let mut state = self.state();
        if !state.take(now, name.len() + message.len() + stack.as_ref().map_or(0, String::len)) {
            return;
        }
        let mut entry = json!({ "timestamp": now.floor(), "name": name, "message": message });
        entry["stack"] = stack.into();
        entry["sourceLine"] = report.source_line.clone().into();
        // What there is none of is left out, as in the reference.
        if let Value::Object(entry) = &mut entry {
            entry.retain(|_, value| !value.is_null());
        }
        state.exceptions.push(entry);
    }

    /// The response's status, for `fetch` events.
    pub(crate) fn responded(&self, status: u16) {
        self.state().event["response"] = json!({ "status": status });
    }

    /// The body of the response failed: as in the reference there is no response to tell of.
    pub(crate) fn response_failed(&self) {
        if let Some(event) = self.state().event.as_object_mut() {
            event.remove("response");
        }
    }

    /// The invocation is over: the tails get its item, in their order. Called once.
    pub(crate) fn deliver(&self, entrypoint: Option<&str>, usage: &Usage) {
        let state = std::mem::take(&mut *self.state());
        let mut item = json!({
            "event": state.event,
            "eventTimestamp": self.started_ms,
            "exceptions": state.exceptions,
            "diagnosticsChannelEvents": [],
            "scriptName": null,
            "outcome": usage.outcome.name(),
            "executionModel": "stateless",
            "truncated": state.truncated,
            "cpuTime": milliseconds(usage.cpu),
            "wallTime": milliseconds(usage.wall),
            "peakMemory": usage.counts.peak_memory,
            "subRequests": usage.counts.sub_requests,
            "rpcCalls": usage.counts.rpc_calls,
            "bytesIn": usage.counts.bytes_in,
            "bytesOut": usage.counts.bytes_out,
        });
        if let Some(entrypoint) = entrypoint {
            item["entrypoint"] = entrypoint.into();
        }
        let (logs, item) = (state.logs.join(","), item.to_string());
        let events: Arc<str> = format!(r#"[{{"logs":[{logs}],{}]"#, &item[1..]).into();
        // What a tail does is because of what it hears of: traced Workers that tails call do not go round for ever.
        let depth = Depth { invocations: self.depth.invocations + 1, calls: 0 };
        let origin = Origin::of_notice(depth, self.account.sender().cloned());
        for tail in &self.tails {
            tail.clone().tail(events.clone(), origin.clone());
        }
    }
}

/// The guest's frames, without the line that says what was thrown, as the reference gives a stack.
pub(crate) fn frames(report: &ExceptionReport) -> Option<String> {
    let lines = report.stack.as_deref()?.lines();
    let own =
        |line: &&str| line.starts_with("    at ") && !line.contains("(atoll:") && !line.contains(" atoll:");
    let frames: Vec<&str> = lines.filter(own).collect();
    (!frames.is_empty()).then(|| frames.join("\n"))
}

/// What tails see of a request. `unredacted` is what `getUnredacted()` gives.
pub(crate) fn describe_request(request: &FetchRequest) -> Value {
    let url = request.url.as_str();
    let shown = |name: &str, value: &str| {
        Value::from(if is_secret_header(name) { REDACTED.to_owned() } else { value.to_owned() })
    };
    let headers: Map<_, _> = request.headers.pairs().map(|(n, v)| (n.to_owned(), shown(n, v))).collect();
    let mut described = json!({
        "url": redact_url(url),
        "method": request.method.as_str(),
        "headers": headers,
    });
    let raw: Map<_, _> = request.headers.pairs().map(|(n, v)| (n.to_owned(), Value::from(v))).collect();
    described["unredacted"] = json!({ "url": url, "headers": raw });
    if let Some(cf) = request.cf.as_ref().and_then(|cf| serde_json::from_str(cf.as_str()).ok()) {
        described["cf"] = cf;
    }
    json!({ "request": described })
}

/// Puts an exception that nobody caught into the trace of the current invocation.
pub(crate) fn on_exception(scope: &mut v8::PinScope<'_, '_>, exception: v8::Local<v8::Value>) {
    let Some(trace) = trace_of(scope) else { return };
    let now = context::environment(scope).clock.now_ms();
    let report = ExceptionReport::read(scope, exception, None);
    let error = fetch::error_of(scope, exception);
    trace.exception(now, &error.name, &error.message, &report);
}

/// What `console.log()` and its like for other levels print goes into the trace of a Worker with tails, and nowhere else.
/// As in the reference, tables, groups, counts and the rest do not: they are lines for people, in the log.
pub(crate) fn on_log(
    scope: &mut v8::PinScope<'_, '_>,
    level: &str,
    _text: &str,
    arguments: v8::Local<v8::Value>,
) -> bool {
    if !arguments.is_array() {
        return false;
    }
    let Some(trace) = trace_of(scope) else { return true };
    let now = context::environment(scope).clock.now_ms();
    let message = realm::call(scope, "loader/trace", "argumentsText", &[arguments]);
    match message.and_then(|message| v8::Local::<v8::String>::try_from(message).ok()) {
        // Not copied before it is found to be too long.
        Some(message) if message.length() > BUDGET => {
            trace.state().take(now, message.length());
        }
        Some(message) => {
            let errors = describe_errors(scope, arguments);
            trace.log(now, level, &message.to_rust_string_lossy(scope), errors);
        }
        None => {}
    }
    true
}

/// For a console line with errors among its arguments: what each is, null for what is none.
fn describe_errors(scope: &mut v8::PinScope<'_, '_>, arguments: v8::Local<v8::Value>) -> Option<Value> {
    let list = v8::Local::<v8::Array>::try_from(arguments).ok()?;
    let mut described = Vec::new();
    // A list can say that it has four billion elements.
    for index in 0..list.length().min(MAX_ARGUMENTS) {
        let argument = list.get_index(scope, index)?;
        described.push(if argument.is_native_error() {
            let error = fetch::error_of(scope, argument);
            let report = ExceptionReport::read(scope, argument, None);
            json!({ "name": error.name, "message": error.message, "stack": frames(&report) })
        } else {
            Value::Null
        });
    }
    described.iter().any(|entry| !entry.is_null()).then_some(Value::Array(described))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use atoll_web::account::WorkerId;

    use super::*;

    fn logged(messages: &[&str]) -> Vec<Value> {
        let origin = Origin::default();
        let account = Account::open(&origin, WorkerId::new(true), None, Duration::MAX);
        let trace = Trace::new(Vec::new(), 0.0, Value::Null, Depth::default(), account);
        for message in messages {
            trace.log(1.5, "log", message, None);
        }
        let logs = std::mem::take(&mut trace.state().logs);
        logs.iter().map(|entry| serde_json::from_str(entry).unwrap()).collect()
    }

    #[test]
    fn a_log_entry_holds_one_value_whatever_the_child_writes() {
        let logs = logged(&["[1,{\"a\":null}]", "[1]},{\"forged\":[2]", "", "[1"]);
        let messages: Vec<_> = logs.iter().map(|entry| entry["message"].clone()).collect();
        assert_eq!(messages, [json!([1, { "a": null }]), json!([]), json!([]), json!([])]);
        assert_eq!(logs[0]["timestamp"], json!(1));
    }

    #[test]
    fn what_is_over_the_budget_is_left_out_and_the_last_line_says_so() {
        let long = json!(["x".repeat(BUDGET / 2)]).to_string();
        let logs = logged(&["[1]", &long, &long, "[2]", "[3]"]);
        assert_eq!(logs.len(), 3);
        assert_eq!(logs[2]["message"], json!([TOO_MUCH]));
        assert_eq!(logs[2]["level"], json!("warn"));
    }
}
