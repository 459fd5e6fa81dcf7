//! I/O contexts: one for each invocation. A context owns every live object that came from outside: pending
//! operations, timers, bodies, stubs. When it ends they go with it.

mod carried;
mod operations;
mod resources;
mod table;

use std::any::Any;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};

use rustc_hash::FxHashMap;

use atoll_host::clock::Clock;
use atoll_host::log::LogSink;
use atoll_host::network;
use atoll_host::random::Random;
use atoll_isolate::meter::Waiter;
use atoll_isolate::{JsError, Meter, Native, WeakIsolate, arguments, heap, layer, natives, realm, v8};

use crate::account::{Account, Behalf, Origin};
use crate::depth::Depth;
use crate::fetcher::Fetcher;
use crate::inbox::Inbox;
use crate::lines::Written;
use crate::timers::Timers;
use crate::usage::{Counter, Counts, Seen};

use carried::carry;
pub(crate) use carried::{Carried, carried};
pub use carried::{current, depth};
use operations::Pending;
pub(crate) use operations::next_operation;
pub use operations::{Completion, Operation, keep, kept, spawn};
use resources::Resource;
pub use resources::{
    Counted, Handle, add_heavy_resource, add_resource, check_handles, count_object, count_stream, owned,
    owns, release, resource, resource_as,
};
use table::Table;

/// Number of an I/O context in its isolate; 0 is none (module top level).
pub type ContextId = u32;

/// What guests get when they try I/O at module top level.
pub const GLOBAL_SCOPE: &str = "Disallowed operation called within global scope. Asynchronous I/O (ex: fetch() or \
connect()), setting a timeout, and generating random values are not allowed within global scope. To fix this error, \
perform this operation within a handler. https://developers.cloudflare.com/workers/runtime-apis/handlers/";

/// What a Worker's isolate knows of the outside; set when the Worker starts.
pub struct Environment {
    /// The actor, for answers that come later.
    pub isolate: WeakIsolate,
    /// The Worker's name, in logs.
    pub name: String,
    /// Where `fetch()` goes.
    pub outbound: Arc<dyn Fetcher>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Random>,
    /// Where console lines go.
    pub log: Arc<dyn LogSink>,
    /// Compatibility flags that are on, by name.
    pub flags: Arc<Vec<String>>,
    /// Most timers that one context may have active.
    pub max_timers: usize,
    /// Most handles and exported objects that one context may have.
    pub max_handles: usize,
    /// Most streams that one context may be writing to others.
    pub max_streams: usize,
    /// What is on its way to this Worker.
    pub inbox: Arc<Inbox>,
    /// Bytes of its bodies and streams that lie in no heap.
    pub bodies: Arc<Inbox>,
    /// Who it is to the network.
    pub network: network::Sender,
}

/// What the layer above keeps in a context.
pub trait ContextData: Any + Send {
    /// The context has ended; these are its figures.
    fn ended(self: Box<Self>, counts: Counts);
}

pub(crate) struct Context {
    account: Arc<Account>,
    pending: FxHashMap<u32, Pending>,
    timers: Timers,
    resources: Vec<Handle>,
    sub_requests: u32,
    depth: Depth,
    /// Handles in the table that it owns.
    handles: usize,
    objects: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    written: Written,
    /// Signals of others that may still abort.
    signals: u32,
    pub(crate) counter: Counter,
    data: Option<Box<dyn ContextData>>,
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Some(data) = self.data.take() {
            data.ended(Counts { sub_requests: self.sub_requests, ..self.counter.counts() });
        }
    }
}

impl Context {
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        self.account.meter()
    }
}

/// The isolate's contexts and resources: what this layer keeps in an isolate.
#[derive(Default)]
pub(crate) struct Contexts {
    environment: Option<Environment>,
    pub(crate) current: ContextId,
    entered: Vec<v8::Global<v8::Value>>,
    next_context: ContextId,
    next_operation: u32,
    next_handle: Handle,
    pub(crate) table: Table<Context>,
    pub(crate) memory: Seen,
    resources: FxHashMap<Handle, Resource>,
    done: Vec<ContextId>,
    /// In whose place code of the isolate may run, by number; those that are gone are swept when the map has doubled.
    behalves: FxHashMap<u64, Weak<Behalf>>,
    recent_behalf: Weak<Behalf>,
    /// Handles that the isolate itself owns.
    own_handles: usize,
    /// What was logged outside of any context.
    own_written: Written,
}

pub(crate) fn natives() -> Vec<Native> {
    natives!["contextDone" => context_done, "overrides" => carried::overrides, "setOverrides" => carried::set_overrides]
}

fn context_done<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let id = arguments::integer(scope, &args, 0);
    finish(scope, id);
}

/// Nothing keeps the context open any more: it is closed at the end of the message.
pub fn finish(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    contexts(scope).done.push(id);
}

/// Whether [`finish`] named a context in this message.
pub fn is_finished(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    contexts(scope).done.contains(&id)
}

/// Contexts that [`finish`] named since the last call.
pub fn take_done(scope: &mut v8::PinScope<'_, '_>) -> Vec<ContextId> {
    std::mem::take(&mut contexts(scope).done)
}

/// Whether any context waits for anything but operations whose work (see [`keep`]) `known` recognises.
pub fn others_wait(scope: &mut v8::PinScope<'_, '_>, known: impl Fn(&(dyn Any + Send)) -> bool) -> bool {
    contexts(scope).table.values().any(|context| {
        !context.timers.is_empty()
            || context.signals > 0
            || context.pending.values().any(|pending| !pending.work().is_some_and(&known))
    })
}

pub(crate) fn contexts<'a>(scope: &'a mut v8::PinScope<'_, '_>) -> &'a mut Contexts {
    layer::get(scope)
}

/// Sets what the Worker knows of the outside.
pub fn set_environment(scope: &mut v8::PinScope<'_, '_>, environment: Environment) {
    crate::manifest::remove_globals(scope, &environment.flags);
    if environment.flags.iter().any(|flag| flag == "enhanced_error_serialization") {
        atoll_isolate::values::write_errors_whole(scope);
    }
    contexts(scope).environment = Some(environment);
}

/// What the Worker knows of the outside.
///
/// # Panics
/// Before a Worker has started in the isolate.
pub fn environment<'a>(scope: &'a mut v8::PinScope<'_, '_>) -> &'a Environment {
    contexts(scope).environment.as_ref().expect("guest code runs only in a started Worker")
}

/// Whether a compatibility flag is on. None is before a Worker has started.
pub fn has_flag(scope: &mut v8::PinScope<'_, '_>, name: &str) -> bool {
    contexts(scope)
        .environment
        .as_ref()
        .is_some_and(|environment| environment.flags.iter().any(|flag| flag == name))
}

/// The current context.
///
/// # Errors
/// At module top level: the error that guests see.
pub fn require(scope: &mut v8::PinScope<'_, '_>) -> Result<ContextId, JsError> {
    match current(scope) {
        0 => Err(JsError::error(GLOBAL_SCOPE)),
        id => Ok(id),
    }
}

/// Opens a context on this account. `data` belongs to the layer that made the invocation.
pub fn open(
    scope: &mut v8::PinScope<'_, '_>,
    account: Arc<Account>,
    depth: Depth,
    data: Box<dyn ContextData>,
) -> ContextId {
    let contexts = contexts(scope);
    let id = loop {
        contexts.next_context = contexts.next_context.wrapping_add(1).max(1);
        if !contexts.table.contains(contexts.next_context) {
            break contexts.next_context;
        }
    };
    contexts.table.insert(
        id,
        Context {
            account,
            pending: FxHashMap::default(),
            timers: Timers::default(),
            resources: Vec::new(),
            sub_requests: 0,
            depth,
            handles: 0,
            objects: Arc::default(),
            streams: Arc::default(),
            written: Written::default(),
            signals: 0,
            counter: Counter::default(),
            data: Some(data),
        },
    );
    id
}

/// Enters a context for the rest of the message. False: it has ended.
pub fn enter(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    enter_as(scope, Carried { id, ..Carried::default() })
}

/// As [`enter`], for code that carries this along, and is at least as deep.
pub(crate) fn enter_as(scope: &mut v8::PinScope<'_, '_>, carried: Carried) -> bool {
    let Carried { id, depth, behalf } = carried;
    let contexts = contexts(scope);
    let own = match contexts.table.get(id) {
        Some(context) => context.depth,
        None if id == 0 => Depth::default(),
        None => return false,
    };
    contexts.current = id;
    carry(scope, Carried { id, depth: depth.within(own), behalf });
    true
}

/// Goes on in the context that the message entered, where V8 carries no context along.
pub(crate) fn enter_again(scope: &mut v8::PinScope<'_, '_>) {
    let entered = contexts(scope).current;
    enter(scope, entered);
}

/// As [`enter`], for a call from `origin` to an object of the context: it runs in the caller's place while what is given
/// is kept. None: the context has ended.
pub fn enter_for(
    scope: &mut v8::PinScope<'_, '_>,
    id: ContextId,
    origin: &Origin,
) -> Option<Option<Arc<Behalf>>> {
    let all = contexts(scope);
    let account = &all.table.get(id)?.account;
    let behalf = match all.recent_behalf.upgrade().filter(|recent| recent.is_of(origin)) {
        Some(recent) => Some(recent),
        None => {
            let behalf = Behalf::of(origin, account);
            if let Some(behalf) = &behalf {
                all.know(behalf);
            }
            behalf
        }
    };
    let number = behalf.as_ref().map_or(0, |behalf| behalf.number());
    enter_as(scope, Carried { id, depth: origin.depth, behalf: number });
    Some(behalf)
}

/// The account that the running code is on, and in whose place it runs.
pub(crate) fn accounts(scope: &mut v8::PinScope<'_, '_>) -> (Option<Arc<Account>>, Option<Arc<Behalf>>) {
    let Carried { id, behalf, .. } = carried(scope);
    let contexts = contexts(scope);
    let account = contexts.table.get(id).map(|context| context.account.clone());
    let behalf = if behalf == 0 { None } else { contexts.behalves.get(&behalf).and_then(Weak::upgrade) };
    (account, behalf)
}

impl Contexts {
    fn know(&mut self, behalf: &Arc<Behalf>) {
        if self.behalves.len() >= 16 && self.behalves.len().is_power_of_two() {
            self.behalves.retain(|_, known| known.strong_count() > 0);
        }
        self.behalves.insert(behalf.number(), Arc::downgrade(behalf));
        self.recent_behalf = Arc::downgrade(behalf);
    }
}

/// Leaves the context that the message was for, at the message's end. Gives it.
pub fn leave(scope: &mut v8::PinScope<'_, '_>) -> ContextId {
    carry(scope, Carried::default());
    let contexts = contexts(scope);
    contexts.entered.clear();
    std::mem::take(&mut contexts.current)
}

/// Around the evaluation of module code: it runs in no context.
pub(crate) fn around_evaluation(scope: &mut v8::PinScope<'_, '_>, before: bool) {
    if before {
        let carried = scope.get_continuation_preserved_embedder_data();
        let carried = v8::Global::new(scope, carried);
        contexts(scope).entered.push(carried);
        carry(scope, Carried::default());
    } else if let Some(previous) = contexts(scope).entered.pop() {
        let previous = v8::Local::new(scope, previous);
        scope.set_continuation_preserved_embedder_data(previous);
    }
}

/// Whether a context's meter is over; none: the context is closed.
pub fn is_over(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> Option<bool> {
    contexts(scope).table.get(id).map(|context| context.meter().is_over())
}

/// Tells somebody when a context's meter ends its work.
pub fn tell_when_ended(scope: &mut v8::PinScope<'_, '_>, id: ContextId, waiter: Weak<dyn Waiter>) {
    if let Some(context) = contexts(scope).table.get(id) {
        context.meter().tell_when_ended(waiter);
    }
}

/// Whether a context is still open.
pub fn is_open(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    contexts(scope).table.contains(id)
}

/// Counts a subrequest of the current context: a `fetch()`, or a call or request to a service.
///
/// # Errors
/// At module top level, and past the limit, which the error names.
pub fn count_sub_request(scope: &mut v8::PinScope<'_, '_>) -> Result<(), JsError> {
    let id = require(scope)?;
    let contexts = contexts(scope);
    let name = contexts.environment.as_ref().map_or("", |e| &e.name);
    let Some(context) = contexts.table.get_mut(id) else { return Err(JsError::error(GLOBAL_SCOPE)) };
    match context.account.count_sub_request() {
        Ok(()) => {
            context.sub_requests = context.sub_requests.saturating_add(1);
            Ok(())
        }
        Err(limit) => Err(JsError::error(format!(
            "Too many subrequests by single Worker invocation: Worker \"{name}\" may make {limit} (limits.subRequests)."
        ))),
    }
}

/// What the current context has logged; outside of any, what the isolate has.
pub(crate) fn written<'a>(scope: &'a mut v8::PinScope<'_, '_>) -> &'a mut Written {
    let id = current(scope);
    let contexts = contexts(scope);
    match contexts.table.get_mut(id) {
        Some(context) => &mut context.written,
        None => &mut contexts.own_written,
    }
}

/// The data given to [`open`], where it is of this type.
pub fn data<'a, T: 'static>(scope: &'a mut v8::PinScope<'_, '_>, id: ContextId) -> Option<&'a mut T> {
    let data: &mut dyn Any = contexts(scope).table.get_mut(id)?.data.as_deref_mut()?;
    data.downcast_mut()
}

/// The meter that a context's work is charged to.
pub fn meter(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> Option<Arc<Meter>> {
    contexts(scope).table.get(id).map(|c| c.meter().clone())
}

/// The account that a context's work is on.
pub fn account(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> Option<Arc<Account>> {
    contexts(scope).table.get(id).map(|c| c.account.clone())
}

/// Whether a context waits for anything: an answer, a timer, a signal. One that does not, and has not settled, never will.
pub fn is_waiting(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    contexts(scope)
        .table
        .get(id)
        .is_some_and(|c| !c.pending.is_empty() || !c.timers.is_empty() || c.signals > 0)
}

/// A context listens to one signal more, or to one less.
pub(crate) fn listen(scope: &mut v8::PinScope<'_, '_>, id: ContextId, change: i32) {
    if let Some(context) = contexts(scope).table.get_mut(id) {
        context.signals = context.signals.saturating_add_signed(change);
    }
}

/// The timers of a context, where it is still open.
pub(crate) fn timers<'a>(scope: &'a mut v8::PinScope<'_, '_>, id: ContextId) -> Option<&'a mut Timers> {
    contexts(scope).table.get_mut(id).map(|context| &mut context.timers)
}

/// Ends a context: its timers and operations stop, its promises never settle, its resources are dropped.
pub fn close(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let contexts = contexts(scope);
    let Some(context) = contexts.table.remove(id) else { return };
    let resources: Vec<_> = context.resources.iter().filter_map(|h| contexts.resources.remove(h)).collect();
    // Dropped without a borrow of the table: a resource's drop may send messages.
    let weight: i64 = resources.iter().map(|resource| resource.weight).sum();
    drop((context, resources));
    heap::weigh(scope, -weight);
    let id = v8::Integer::new_from_unsigned(scope, id);
    realm::call(scope, "web/context", "dropContext", &[id.into()]);
}
