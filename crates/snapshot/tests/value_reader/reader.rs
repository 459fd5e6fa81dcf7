//! An isolate with all scripts that reads messages, for the property test here and the fuzz target in `fuzz/`, which
//! includes this file.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use atoll_host::body::Body;
use atoll_host::clock::SystemClock;
use atoll_host::log::TracingSink;
use atoll_host::random::SystemRandom;
use atoll_isolate::actor::Hooks;
use atoll_isolate::pool::Room;
use atoll_isolate::values::{self, Capability, Message};
use atoll_isolate::{Heap, HeapLimits, Isolate, Pool, Scheduler, realm, v8};
use atoll_rpc::budget::Landing;
use atoll_rpc::call::Followup;
use atoll_rpc::{Call, Service, ServiceCap};
use atoll_web::account::{Account, Origin, WorkerId};
use atoll_web::body::BodyCell;
use atoll_web::context::{self, ContextData, Environment};
use atoll_web::depth::Depth;
use atoll_web::fetcher::{FetchRequest, Fetcher, NoOutbound, Responder};
use atoll_web::inbox::{Inbox, InboxLimits};
use atoll_web::usage::Counts;

const LIMITS: HeapLimits = HeapLimits { heap_bytes: 128 << 20 };
const ROOM: Room = Room { heaps: 8, wait: Duration::from_secs(10) };

/// Flags by which more can cross.
const FLAGS: [&str; 2] = ["enable_abortsignal_rpc", "enhanced_error_serialization"];

/// What came of reading a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Value,
    DataCloneError,
    /// Anything else is a defect.
    Other(String),
}

/// An isolate, with one I/O context open.
pub(crate) struct Reader {
    heap: Heap,
    runtime: tokio::runtime::Runtime,
    context: u32,
    /// The actor that answers would go to; it never runs a turn.
    _actor: Isolate,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self::with_handles(1 << 20)
    }

    /// One that may have so many handles.
    pub(crate) fn with_handles(handles: usize) -> Self {
        atoll_isolate::engine::initialize_unprotected("");
        let startup = atoll_snapshot::startup();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let scheduler = Scheduler::start(1).expect("a scheduler");
        let pool = Pool::new(startup, LIMITS, 0, ROOM);
        let hooks = Hooks { rejected: |_, _| {}, after_message: |_, _| {}, uncaught: |_, _| {} };
        let actor = Isolate::new(Heap::new(startup, LIMITS), hooks, scheduler, pool, 0);
        let inbox = Inbox::new("reader".into(), None, InboxLimits { bytes: 1 << 30, messages: 1 << 20 });
        let environment = Environment {
            isolate: actor.downgrade(),
            name: "reader".into(),
            outbound: Arc::new(NoOutbound),
            clock: Arc::new(SystemClock::new(runtime.handle().clone())),
            random: Arc::new(SystemRandom),
            log: Arc::new(TracingSink),
            flags: Arc::new(FLAGS.map(String::from).to_vec()),
            max_timers: 100,
            max_handles: handles,
            max_streams: 100,
            inbox: inbox.clone(),
            network: Default::default(),
            bodies: inbox,
        };
        let heap = Heap::new(startup, LIMITS);
        let context = heap.enter(|scope| {
            context::set_environment(scope, environment);
            open(scope)
        });
        Self { heap, runtime, context, _actor: actor }
    }

    /// Reads a message. A value is written once more: whatever came out of the bytes must be fit for use.
    pub(crate) fn read(&self, message: Message) -> Outcome {
        let outcome = self.inside(|scope| {
            v8::tc_scope!(let scope, scope);
            let outcome = match values::read(scope, message) {
                Some(value) => {
                    use_value(scope, value);
                    Outcome::Value
                }
                None => refusal(scope),
            };
            scope.reset();
            scope.perform_microtask_checkpoint();
            outcome
        });
        if self.heap.state().is_over_memory() {
            return Outcome::Other("the heap is over its limit".into());
        }
        outcome
    }

    /// Drops what the messages so far have left in the context.
    pub(crate) fn clear(&mut self) {
        self.context = self.heap.enter(|scope| {
            context::close(scope, self.context);
            open(scope)
        });
    }

    /// Does something inside the isolate and its context.
    pub(crate) fn inside<R>(&self, body: impl FnOnce(&mut v8::PinScope<'_, '_>) -> R) -> R {
        let _entered = self.runtime.enter();
        self.heap.enter(|scope| {
            context::enter(scope, self.context);
            body(scope)
        })
    }
}

/// There is no invocation behind the context.
struct Nothing;

impl ContextData for Nothing {
    fn ended(self: Box<Self>, _counts: Counts) {}
}

fn open(scope: &mut v8::PinScope<'_, '_>) -> u32 {
    let account = Account::open(&Origin::default(), WorkerId::new(true), None, Duration::MAX);
    context::open(scope, account, Depth::default(), Box::new(Nothing))
}

fn use_value<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) {
    v8::tc_scope!(let scope, scope);
    if realm::call(scope, "web/inspect", "inspect", &[value]).is_some() {
        let _ = values::write(scope, value);
    }
}

fn refusal(scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, '_, v8::HandleScope<'_>>>) -> Outcome {
    if scope.has_terminated() {
        return Outcome::Other("terminated".into());
    }
    match scope.exception().map(|exception| exception.to_rust_string_lossy(scope)) {
        Some(text) if text.starts_with("DataCloneError: ") => Outcome::DataCloneError,
        Some(text) => Outcome::Other(text),
        None => Outcome::Other("no exception".into()),
    }
}

/// Capabilities of every kind, and some that nobody knows.
pub(crate) fn capability(kind: u8) -> Capability {
    match kind % 4 {
        0 => Arc::new(BodyCell::new(Body::Bytes("body".into()))),
        1 => Arc::new(ServiceCap(Arc::new(Nobody))),
        2 => Arc::new(BodyCell::new(Body::Empty)),
        _ => Arc::new("unknown") as Arc<dyn Any + Send + Sync>,
    }
}

/// A service at which nobody is.
struct Nobody;

impl Fetcher for Nobody {
    fn fetch(&self, _request: FetchRequest, respond: Responder) {
        drop(respond);
    }
}

impl Service for Nobody {
    fn call(&self, call: Call) {
        drop(call);
    }

    fn follow(&self, _landing: Option<&Landing>, work: Followup) {
        work(None);
    }

    fn tail(&self, _events: Arc<str>, _origin: Origin) {}

    fn check_transfer(&self) -> Result<(), atoll_isolate::JsError> {
        Ok(())
    }

    fn as_fetcher(self: Arc<Self>) -> Arc<dyn Fetcher> {
        self
    }
}

/// A message out of fuzzed bytes: the kinds of its capabilities (a count, then one byte each), then its passes, each
/// with its length in two bytes before it; the rest is the last pass.
pub(crate) fn message_of(data: &[u8]) -> Message {
    let (count, mut rest) =
        data.split_first().map_or((0, data), |(count, rest)| (usize::from(*count % 8), rest));
    let caps = rest.iter().take(count).map(|kind| capability(*kind)).collect();
    rest = &rest[count.min(rest.len())..];
    let mut passes: Vec<Arc<[u8]>> = Vec::new();
    while let [low, high, more @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        passes.push(more[..length].into());
        rest = &more[length..];
    }
    Message::from_parts(passes, caps)
}
