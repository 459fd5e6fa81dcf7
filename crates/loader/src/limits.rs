//! The table of limits: everything has one. The README repeats it, and a test here compares the two. Limits that lower
//! layers enforce are constants there; their rows repeat the number.

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
/// JavaScript heap and buffers of one isolate, together.
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
/// How long an invocation may wait for what only another invocation of its isolate can settle.
pub const STALLED: Duration = Duration::from_secs(30);
/// Requests that a Worker may have waiting while it starts.
pub const QUEUED: usize = 10_000;

/// Invocations that may start each other, one because of the other.
pub const DEPTH: u32 = 32;
/// Invocations under way at once in one Worker.
pub const UNDER_WAY: usize = 20_000;
/// Of those, the ones that dynamic Workers led to: the others are for the Worker's own clients, and for those that loaded
/// it.
pub const UNDER_WAY_OF_CHILDREN: usize = UNDER_WAY / 2;
/// Requests that one dynamic Worker may have in flight to others, with all that they lead to: what goes through a gateway
/// of its parent counts as two.
pub const REQUESTS_OF_ONE: usize = 2_000;
/// Serialised bytes of messages on their way to one Worker.
pub const INBOX_BYTES: usize = 256 << 20;
/// Messages on their way to one Worker.
pub const INBOX_MESSAGES: usize = 100_000;
/// Serialised bytes of messages from one dynamic Worker to others, with all that its requests lead to.
pub const MESSAGE_BYTES_OF_ONE: usize = INBOX_BYTES / 4;
/// Messages likewise.
pub const MESSAGES_OF_ONE: usize = INBOX_MESSAGES / 4;
/// How long the callback for a named child's code has for itself, once others wait for the same child.
pub const LOAD_TURN: Duration = Duration::from_secs(5);
/// Bytes of bodies and streams of one dynamic Worker that lie in no heap.
pub const BODY_BYTES: usize = 256 << 20;
/// Handles and exported objects of one invocation.
pub const HANDLES: usize = 50_000;
/// Streams that one invocation writes to others at the same time.
pub const STREAMS: usize = 5_000;

/// Connections of clients that are served at once. `--max-connections` sets another number.
pub const CONNECTIONS: usize = 10_000;
/// A client's connection that has sent no complete head after this long is closed.
pub const HEAD_WAIT: Duration = Duration::from_secs(30);
/// Bytes of a client's request line and header fields.
pub const HEAD_BYTES: usize = 400 << 10;
/// Header fields of a client's request. hyper takes 2 ns for each that a request may have, whether it has it or not.
pub const HEAD_FIELDS: usize = 256;
/// How long a client may send nothing of a body that is being read.
pub const BODY_WAIT: Duration = Duration::from_secs(60);

/// All limits.
pub const TABLE: &[Limit] = &[
    row(
        "limits.cpuMs",
        "30,000 ms for each invocation, with those of the same Worker that it leads to",
        LoweredBy::Code,
        "the invocation ends with an error",
    ),
    row(
        "limits.subRequests",
        "none of its own for an invocation, with those of the same Worker that it leads to",
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
        "code of a named child",
        "5 s for each callback of get(), while others wait for the same child",
        LoweredBy::Nobody,
        "the callback of the next one who waits is called, too; the first code is taken",
    ),
    row(
        "the runtime's own work",
        "2,000 ms of CPU at a time in an isolate, on no invocation's account",
        LoweredBy::Nobody,
        "the isolate ends; its next call starts it again, unless its env holds something live",
    ),
    row(
        "finalization callbacks",
        "1,000 ms of CPU in each isolate; 5 % of the time and ten times what its invocations take come back",
        LoweredBy::Nobody,
        "the isolate ends; its next call starts it again, unless its env holds something live",
    ),
    row(
        "limits.memoryMb",
        "128 MiB of heap and buffers together for each isolate, at least 8",
        LoweredBy::Code,
        "the isolate ends; its next call starts it again, unless its env holds something live",
    ),
    row(
        "buffers",
        "what the heap leaves of limits.memoryMb",
        LoweredBy::Nobody,
        "new ArrayBuffer throws a RangeError, or the isolate ends",
    ),
    row(
        "Wasm memory",
        "128 MiB for each, as part of limits.memoryMb",
        LoweredBy::Nobody,
        "it does not grow, or the isolate ends",
    ),
    row(
        "resizable buffers",
        "250 in each isolate, 3,000 in a process; growable shared ones too",
        LoweredBy::Nobody,
        "new ArrayBuffer throws a RangeError",
    ),
    row(
        "process memory",
        "3.5 GiB of heaps; 3/4 of the machine's memory for heaps and buffers",
        LoweredBy::Nobody,
        "from 9/10 of it on idle children go; past it the isolate that takes most is ended, a project's own Worker last",
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
        "another invocation's promise",
        "30 s of waiting for it, without work of its own",
        LoweredBy::Nobody,
        "the invocation fails as hung",
    ),
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
    row(
        "requests in flight",
        "20,000 in each Worker, 10,000 of them from dynamic Workers",
        LoweredBy::Nobody,
        "the next one rejects",
    ),
    row(
        "subrequests in flight",
        "2,000 of each dynamic Worker, with all that they lead to; calls of itself do not count",
        LoweredBy::Nobody,
        "the fetch or the call to a service rejects",
    ),
    row(
        "requests to the network",
        "1,000 under way of one project, 400 to one host; each Worker, as many as it leaves free, alone half of them",
        LoweredBy::Nobody,
        "the next one waits 10 s for its turn, then the fetch rejects; unread answers are cancelled for it",
    ),
    row(
        "requests that wait for the network",
        "10,000 of each Worker",
        LoweredBy::Nobody,
        "the fetch rejects",
    ),
    row(
        "answers read ahead",
        "64 KiB of each response that is not read yet, 8 MiB of each Worker",
        LoweredBy::Nobody,
        "the rest stays on its connection",
    ),
    row("header fields of responses", "1,000 fields and 64 KiB", LoweredBy::Nobody, "the fetch rejects"),
    row(
        "messages under way",
        "256 MiB and 100,000 messages to each Worker; 64 MiB and 25,000 from each dynamic Worker to others, with all that its requests lead to",
        LoweredBy::Nobody,
        "the call that sends one more, or whose result it is, rejects",
    ),
    row(
        "bodies under way",
        "256 MiB of each dynamic Worker that nobody has read yet, or that it is collecting, and of decoders that read for it",
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
        "empty array slots",
        "8,388,608 in one message, and in one clone",
        LoweredBy::Nobody,
        "DataCloneError where it is read",
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
    row(
        "unhandled rejections",
        "1,000 told of in each message",
        LoweredBy::Nobody,
        "the rest are neither events nor lines",
    ),
    row(
        "thrown errors",
        "65,536 characters of name and of message, 1 MiB of other properties; 1,000 errors within one, 32 deep, the last two also for errors that are part of a value",
        LoweredBy::Nobody,
        "texts are cut when they cross, the rest is left out; a value with more is refused",
    ),
    row(
        "performance entries",
        "10,000 marks and measures of a Worker",
        LoweredBy::Nobody,
        "the oldest are dropped",
    ),
    row(
        "client connections",
        "10,000 at once (--max-connections)",
        LoweredBy::Operator,
        "the next one gets 503 and is closed",
    ),
    row(
        "request heads of clients",
        "400 KiB and 256 header fields, of the target 64 KiB; 30 s until one is there",
        LoweredBy::Nobody,
        "431, or 414 for the target; after the time the connection is closed",
    ),
    row(
        "request bodies of clients",
        "60 s without a byte, while the Worker reads",
        LoweredBy::Nobody,
        "the read rejects, the client gets 408 unless it has an answer, and the connection is closed",
    ),
    row(
        "requests and responses",
        "1 MiB of headers, of URL and of cf between Workers; 128 KiB of headers to a network or a client; each header counts 32 bytes more",
        LoweredBy::Nobody,
        "fetch rejects, or the response becomes an error",
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
    row(
        "machine code",
        "448 MiB of all isolates; each that has any takes 256 KiB at least",
        LoweredBy::Nobody,
        "from 9/10 of it on idle children go; past it the isolate that has most is ended, a project's own Worker last, and a load waits 10 s, then fails",
    ),
    row(
        "long turns",
        "as many as there are processors run at a time, of those that took more than 10 ms; 500 in a process",
        LoweredBy::Nobody,
        "the others are paused; the one that took most is ended",
    ),
    row(
        "written-off threads",
        "16 in a process; one that ran out of V8's memory counts as four",
        LoweredBy::Nobody,
        "the process answers what it has, for at most 30 s, and ends with status 75",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../../../README.md");

    impl LoweredBy {
        fn text(self) -> &'static str {
            match self {
                Self::Nobody => "nobody",
                Self::Operator => "the operator",
                Self::Code => "limits",
            }
        }
    }

    #[test]
    fn the_readme_has_this_table() {
        let (_, section) = README.split_once("\n## Limits\n").expect("the README has the section");
        let section = section.split("\n## ").next().unwrap_or_default();
        // After the head of the table and the line below it.
        let rows: Vec<_> = section.lines().filter(|line| line.starts_with('|')).skip(2).collect();
        for (written, limit) in rows.iter().zip(TABLE) {
            let cells = [limit.name, limit.default, limit.lowered_by.text(), limit.at_limit];
            assert_eq!(written.replace('`', ""), format!("| {} |", cells.join(" | ")));
        }
        assert_eq!(rows.len(), TABLE.len(), "each row of either table is in the other");
    }
}
