//! The table of limits: everything has one. The documentation is generated from here.

use std::time::Duration;

/// Who may make a limit smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoweredBy {
    /// Nobody: it is what the process can hold.
    Nobody,
    /// Whoever starts the process, with an option of the command line.
    Operator,
    /// `limits` in the code that is loaded, or of `getEntrypoint()`.
    Code,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Its name, as errors and documentation give it.
    pub name: &'static str,
    /// Its default, with the unit.
    pub default: &'static str,
    /// Who may lower it.
    pub lowered_by: LoweredBy,
    /// What happens when it is reached.
    pub at_limit: &'static str,
}

const fn row(
    name: &'static str,
    default: &'static str,
    lowered_by: LoweredBy,
    at_limit: &'static str,
) -> Limit {
    Limit { name, default, lowered_by, at_limit }
}

/// CPU time of one invocation.
pub const CPU: Duration = Duration::from_secs(30);
/// CPU time of a Worker's start-up.
pub const STARTUP_CPU: Duration = Duration::from_secs(1);
/// JavaScript heap of one isolate.
pub const HEAP_BYTES: usize = 128 << 20;
/// Active timers of one context.
pub const TIMERS: usize = 10_000;
/// Bytes of code of a dynamic Worker.
pub const CODE_BYTES: usize = 64 << 20;
/// Serialised `env` of a dynamic Worker.
pub const ENV_BYTES: usize = 1 << 20;
/// Isolates of a process, blank ones included: each takes some 19 memory mappings, of which Linux gives a process 65,530
/// by default, and V8 aborts a process that has none left. `--max-isolates` sets another number.
pub const ISOLATES: usize = 3_000;
/// How long a load waits for room in a full process.
pub const ROOM_WAIT: Duration = Duration::from_secs(10);
/// A named child that was idle this long is let go of; it loads again on its next call.
pub const IDLE: Duration = Duration::from_secs(600);
/// How long an invocation may go on after its answer, unless others hold its objects or read its streams.
pub const AFTER_ANSWER: Duration = Duration::from_secs(30);
/// Requests that a Worker may have waiting while it starts.
pub const QUEUED: usize = 10_000;

/// Invocations that may start each other, one because of the other.
pub const DEPTH: u32 = 32;
/// Invocations under way at once in one Worker.
pub const UNDER_WAY: usize = 20_000;
/// Serialised bytes of messages on their way to one Worker.
pub const INBOX_BYTES: usize = 256 << 20;
/// Messages on their way to one Worker.
pub const INBOX_MESSAGES: usize = 100_000;
/// Bytes of bodies and streams of one dynamic Worker that lie in no heap.
pub const BODY_BYTES: usize = 256 << 20;
/// Handles and exported objects of one invocation.
pub const HANDLES: usize = 50_000;
/// Streams that one invocation writes to others at the same time.
pub const STREAMS: usize = 5_000;

/// All limits.
pub const TABLE: &[Limit] = &[
    row(
        "limits.cpuMs",
        "30,000 ms for each invocation",
        LoweredBy::Code,
        "the invocation ends with an error",
    ),
    row(
        "limits.subRequests",
        "none of its own",
        LoweredBy::Code,
        "the fetch or the call to a service rejects",
    ),
    row(
        "limits.wallMs",
        "none before the answer, for each invocation",
        LoweredBy::Code,
        "the invocation ends with an error",
    ),
    row("start-up CPU", "1,000 ms", LoweredBy::Nobody, "the Worker does not start"),
    row(
        "finalization callbacks",
        "1,000 ms of CPU in each isolate; 5 % of the time and ten times what its invocations take come back",
        LoweredBy::Nobody,
        "the isolate ends; its next call starts it again, unless its env holds something live",
    ),
    row(
        "limits.memoryMb",
        "128 MiB of heap for each isolate, at least 8",
        LoweredBy::Code,
        "the isolate ends; its next call starts it again, unless its env holds something live",
    ),
    row(
        "buffers",
        "128 MiB for each isolate",
        LoweredBy::Nobody,
        "new ArrayBuffer throws a RangeError, or the isolate ends",
    ),
    row(
        "isolates",
        "3,000 in a process (--max-isolates)",
        LoweredBy::Operator,
        "idle named children are evicted, other idle ones sleep until their next call; a load waits 10 s, then fails",
    ),
    row("idle named child", "600 s", LoweredBy::Nobody, "it is evicted and loads again on its next call"),
    row("after the answer", "30 s (waitUntil)", LoweredBy::Nobody, "the invocation ends"),
    row(
        "timers",
        "10,000 active in one invocation",
        LoweredBy::Nobody,
        "setTimeout throws QuotaExceededError",
    ),
    row("code size", "64 MiB for each Worker", LoweredBy::Nobody, "load() throws"),
    row("env size", "1 MiB serialised", LoweredBy::Nobody, "load() throws"),
    row("RPC message", "32 MiB serialised", LoweredBy::Nobody, "the call rejects"),
    row(
        "body read at once",
        "128 MiB",
        LoweredBy::Nobody,
        "text(), json() and the like reject; streams have no such limit",
    ),
    row(
        "depth",
        "32 invocations that start each other",
        LoweredBy::Nobody,
        "the next call, request or tail event is refused",
    ),
    row(
        "calls in calls",
        "10,000 calls on stubs that lead to each other in one invocation",
        LoweredBy::Nobody,
        "the next call rejects",
    ),
    row("requests in flight", "20,000 in each Worker", LoweredBy::Nobody, "the next one rejects"),
    row(
        "messages under way",
        "256 MiB and 100,000 messages to each Worker",
        LoweredBy::Nobody,
        "the call that sends one more, or whose result it is, rejects",
    ),
    row(
        "bodies under way",
        "256 MiB of each dynamic Worker that nobody has read yet, or that it is collecting",
        LoweredBy::Nobody,
        "what would send or collect more throws or rejects",
    ),
    row(
        "capabilities",
        "10,000 functions, stubs and streams in one message",
        LoweredBy::Nobody,
        "DataCloneError",
    ),
    row(
        "open stubs",
        "50,000 handles in one invocation: stubs, calls, bodies, objects that others hold",
        LoweredBy::Nobody,
        "what would open one more throws or rejects",
    ),
    row(
        "open streams",
        "5,000 that one invocation writes to others",
        LoweredBy::Nobody,
        "what would open one more throws or rejects",
    ),
    row(
        "log volume",
        "1 MiB for each invocation, 16 KiB for each line",
        LoweredBy::Nobody,
        "one line says that the rest is left out; longer lines are cut",
    ),
    row(
        "trace",
        "256 KiB of logs and exceptions for each invocation",
        LoweredBy::Nobody,
        "the rest is left out and truncated is true",
    ),
    row(
        "path length",
        "65,536 characters in one RPC path",
        LoweredBy::Nobody,
        "TypeError when the path is made",
    ),
    row("redirects", "20 for each fetch", LoweredBy::Nobody, "fetch rejects"),
    row("path depth", "64 properties in one RPC path", LoweredBy::Nobody, "TypeError when the path is made"),
    row("requests waiting for a start", "10,000 for each Worker", LoweredBy::Nobody, "the request fails"),
    row(
        "code cache",
        "64 MiB of JavaScript and 64 MiB of Wasm in a process; 4 MiB and 32 MiB an entry",
        LoweredBy::Nobody,
        "the entries that were not used for longest go; larger ones are not kept",
    ),
];
