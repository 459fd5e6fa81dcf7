//! Hostile children, each beside a healthy one that goes on answering: before, while and after the hostile one is at
//! it. What the caller of the hostile child must get is in the tables in `hostile/`.

mod support;

#[path = "hostile/server.rs"]
mod server;

use std::fs;
use std::thread;
use std::time::Duration;

use server::Lent;
use support::{Project, Server};

/// One test for each row: `name: way, child => outcome;`. The way is one of those in `hostile/parent.js`.
macro_rules! hostile {
    ($($(#[$comment:meta])* $name:ident: $way:expr, $child:expr => $outcome:expr;)*) => {
        $(
            $(#[$comment])*
            #[test]
            fn $name() {
                crate::survives($way, &$child, &$outcome);
            }
        )*
    };
}

mod hostile {
    mod crowds;
    mod endings;
    mod floods;
    mod leaks;
    mod lifetimes;
    mod loops;
    mod memory;
    mod messages;
    mod natives;
    mod prototypes;
    mod sources;
    mod stacks;
    mod values;
    mod written_off;
}

const PARENT: &str = include_str!("hostile/parent.js");

/// A hostile Worker.
struct Child {
    code: String,
    cpu_ms: u32,
}

impl Child {
    fn cpu_ms(mut self, cpu_ms: u32) -> Self {
        self.cpu_ms = cpu_ms;
        self
    }
}

/// The code as it is.
fn module(code: &str) -> Child {
    Child { code: code.to_owned(), cpu_ms: 150 }
}

/// A default entrypoint whose method `attack(host)` has this body.
fn attack(body: &str) -> Child {
    with("", body)
}

/// As [`attack`], with declarations before the class.
fn with(declarations: &str, body: &str) -> Child {
    class(declarations, &format!("async attack(host) {{ {body} }}"))
}

/// A default entrypoint with these members, and a method `ping`.
fn class(declarations: &str, members: &str) -> Child {
    module(&format!(
        "import {{ RpcStub, RpcTarget, WorkerEntrypoint }} from 'cloudflare:workers';\n{declarations}\n\
         export default class extends WorkerEntrypoint {{ ping() {{ return 'pong'; }} {members} }}"
    ))
}

/// What the caller must get; texts are parts of what it does get.
enum Outcome {
    Value(&'static str),
    Error(&'static str),
    /// An error, one of these two.
    Either(&'static str, &'static str),
    /// Value or error: what counts is that the call is answered and that everybody else is.
    Answer,
}

use Outcome::{Answer, Either, Error, Value};

const CPU: Outcome = Error("exceeded its CPU time limit");
const MEMORY: Outcome = Error("exceeded its memory limit");
const NO_BUFFER: Outcome = Error("RangeError: Array buffer allocation failed");
/// Of buffers: the one that is too many is refused, or a garbage collection finds that there are.
const FULL: Outcome = Either("exceeded its memory limit", "RangeError: Array buffer allocation failed");
const STACK: Outcome = Error("Maximum call stack size exceeded");

impl Outcome {
    #[track_caller]
    fn check(&self, answer: &serde_json::Value) {
        let (key, parts) = match self {
            Value(part) => ("value", vec![*part]),
            Error(part) => ("error", vec![*part]),
            Either(one, other) => ("error", vec![*one, *other]),
            Answer => return,
        };
        let text = answer[key].as_str().unwrap_or_default();
        let found = answer[key].is_string() && parts.iter().any(|part| text.contains(part));
        assert!(found, "expected the {key} {parts:?}, got {answer}");
    }
}

/// A server with the parent; its healthy child answers already.
#[track_caller]
fn start() -> (Project, Server) {
    let project = Project::loading_worker(PARENT);
    let server = Server::start(project.path());
    assert_eq!(server.get("/healthy").text(), "42", "before");
    (project, server)
}

fn run(server: &Server, way: &str, child: &Child) -> serde_json::Value {
    let request = serde_json::json!({ "code": child.code, "way": way, "limits": { "cpuMs": child.cpu_ms } })
        .to_string();
    let answer = server.connect().send("POST", "/run", &[], Some(request.as_bytes())).expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    support::json(&answer)
}

/// The healthy child, children loaded now and the process have not noticed anything.
#[track_caller]
fn assert_unharmed(server: &Server) {
    assert_eq!(server.get("/healthy").text(), "42", "after");
    assert_eq!(server.get("/fresh").text(), "42", "after, from a new child");
    let stderr = server.stderr();
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// Calls a hostile child, and the healthy one for as long as that takes.
#[track_caller]
fn survives(way: &str, child: &Child, outcome: &Outcome) {
    let lent = Lent::take();
    attacked(&lent, way, child, outcome);
    lent.give_back();
}

#[track_caller]
fn attacked(server: &Server, way: &str, child: &Child, outcome: &Outcome) {
    let answer = thread::scope(|scope| {
        let hostile = scope.spawn(|| run(server, way, child));
        while !hostile.is_finished() {
            assert_eq!(server.get("/healthy").text(), "42", "meanwhile");
            thread::sleep(Duration::from_millis(10));
        }
        hostile.join().expect("the request is answered")
    });
    outcome.check(&answer);
    // What goes on after the answer (`waitUntil`, calls that nobody waits for) gets its chance to do harm.
    for _ in 0..6 {
        assert_eq!(server.get("/healthy").text(), "42", "afterwards");
        thread::sleep(Duration::from_millis(5));
    }
    assert_unharmed(server);
}

/// Threads of the server that run at the lowest priority: those whose turn takes long, or does not end.
fn at_lowest_priority(server: &Server) -> usize {
    let tasks = format!("/proc/{}/task", server.process());
    let threads = fs::read_dir(tasks).expect("list the server's threads").flatten();
    let nice = threads.filter_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        // "id (name) state ... nice ...", the 19th field (proc(5)): the name may contain spaces, so count from its end.
        let (_, after_name) = stat.rsplit_once(')')?;
        after_name.split_whitespace().nth(16)?.parse::<i32>().ok()
    });
    nice.filter(|nice| *nice == 19).count()
}
