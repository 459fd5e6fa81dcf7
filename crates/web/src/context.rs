//! I/O contexts: one for each invocation. A context owns every live object that came from outside: pending
//! operations, timers, bodies, stubs. When it ends they go with it.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustc_hash::FxHashMap;

use atoll_host::clock::Clock;
use atoll_host::log::LogSink;
use atoll_host::random::Random;
use atoll_isolate::metered::metered;
use atoll_isolate::values::Capability;
use atoll_isolate::{Envelope, JsError, Meter, Native, WeakIsolate, arguments, heap, natives, realm, v8};

use crate::depth::Depth;
use crate::fetcher::Fetcher;
use crate::inbox::Inbox;
use crate::lines::Written;
use crate::task::Task;
use crate::timers::Timers;
use crate::usage::{Counter, Counts, Seen};

/// Number of an I/O context in its isolate; 0 is none (module top level).
pub type ContextId = u32;

/// A small integer by which JavaScript names a resource.
pub type Handle = u32;

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
}

/// What the layer above keeps in a context.
pub trait ContextData: Any + Send {
    /// The context has ended; these are its figures.
    fn ended(self: Box<Self>, counts: Counts);
}

pub(crate) struct Context {
    pub(crate) meter: Arc<Meter>,
    pending: FxHashMap<u32, Pending>,
    timers: Timers,
    resources: Vec<Handle>,
    sub_requests: SubRequests,
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
            data.ended(Counts { sub_requests: self.sub_requests.made, ..self.counter.counts() });
        }
    }
}

/// A promise that the outside settles.
struct Pending {
    resolver: v8::Global<v8::PromiseResolver>,
    /// Work for it, which ends when this is dropped.
    work: Option<Box<dyn Any + Send>>,
}

/// Subrequests that an invocation may make.
#[derive(Debug, Clone, Copy, Default)]
pub struct SubRequests {
    /// The most; none: no limit of its own.
    pub limit: Option<u32>,
    /// Made so far.
    pub made: u32,
}

/// What a handle stands for.
struct Resource {
    owner: ContextId,
    capability: Capability,
    /// Memory elsewhere that it keeps, as the isolate's collector was told.
    weight: i64,
}

/// The isolate's contexts and resources; lives in the isolate's slot.
#[derive(Default)]
pub(crate) struct Contexts {
    environment: Option<Environment>,
    pub(crate) current: ContextId,
    entered: Vec<v8::Global<v8::Value>>,
    next_context: ContextId,
    next_operation: u32,
    next_handle: Handle,
    pub(crate) table: FxHashMap<ContextId, Context>,
    pub(crate) memory: Seen,
    resources: FxHashMap<Handle, Resource>,
    done: Vec<ContextId>,
    /// Handles that the isolate itself owns.
    own_handles: usize,
    /// What was logged outside of any context.
    own_written: Written,
}

pub(crate) fn natives() -> Vec<Native> {
    natives!["contextDone" => context_done, "overrides" => overrides, "setOverrides" => set_overrides]
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

pub(crate) fn contexts<'a>(scope: &'a mut v8::PinScope<'_, '_>) -> &'a mut Contexts {
    scope.get_slot_mut::<Contexts>().expect("each isolate gets its contexts when it is made")
}

/// Sets what the Worker knows of the outside.
pub fn set_environment(scope: &mut v8::PinScope<'_, '_>, environment: Environment) {
    contexts(scope).environment = Some(environment);
}

/// What the Worker knows of the outside.
///
/// # Panics
/// Before a Worker has started in the isolate.
pub fn environment<'a>(scope: &'a mut v8::PinScope<'_, '_>) -> &'a Environment {
    contexts(scope).environment.as_ref().expect("guest code runs only in a started Worker")
}

/// The context that the running code belongs to, or 0. V8 carries it along with each continuation: code that waited
/// for a promise which another context resolved goes on in its own.
pub fn current(scope: &mut v8::PinScope<'_, '_>) -> ContextId {
    carried(scope) as ContextId
}

/// `overrides()`: what `setOverrides` carries along with the running code, or undefined.
fn overrides<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let carried = scope.get_continuation_preserved_embedder_data();
    if let Ok(pair) = v8::Local::<v8::Array>::try_from(carried)
        && let Some(value) = pair.get_index(scope, 1)
    {
        rv.set(value);
    }
}

/// `setOverrides(value)`: an object that code started from here carries along, or undefined.
fn set_overrides<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let carried = carried(scope);
    if args.get(0).is_undefined() {
        return carry(scope, carried);
    }
    let carried = v8::Number::new(scope, carried as f64);
    let pair = v8::Array::new_with_elements(scope, &[carried.into(), args.get(0)]);
    scope.set_continuation_preserved_embedder_data(pair.into());
}

/// How deep the running code is in calls that led to each other; carried along like the context.
pub fn depth(scope: &mut v8::PinScope<'_, '_>) -> Depth {
    Depth::unpack(carried(scope) >> 32)
}

/// The context's number in the low half, the depth in the high one.
fn carried(scope: &mut v8::PinScope<'_, '_>) -> u64 {
    let carried = scope.get_continuation_preserved_embedder_data();
    if let Ok(data) = v8::Local::<v8::Number>::try_from(carried) {
        return data.value() as u64;
    }
    // Inside `withEnv()` and its like: the number, and what they put in place.
    let Ok(pair) = v8::Local::<v8::Array>::try_from(carried) else { return 0 };
    pair.get_index(scope, 0).and_then(|data| data.number_value(scope)).map_or(0, |data| data as u64)
}

fn carry(scope: &mut v8::PinScope<'_, '_>, data: u64) {
    let data = v8::Number::new(scope, data as f64);
    scope.set_continuation_preserved_embedder_data(data.into());
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

/// Opens a context. `data` belongs to the layer that made the invocation.
pub fn open(
    scope: &mut v8::PinScope<'_, '_>,
    meter: Arc<Meter>,
    sub_requests: Option<u32>,
    depth: Depth,
    data: Box<dyn ContextData>,
) -> ContextId {
    let contexts = contexts(scope);
    let id = loop {
        contexts.next_context = contexts.next_context.wrapping_add(1).max(1);
        if !contexts.table.contains_key(&contexts.next_context) {
            break contexts.next_context;
        }
    };
    contexts.table.insert(
        id,
        Context {
            meter,
            pending: FxHashMap::default(),
            timers: Timers::default(),
            resources: Vec::new(),
            sub_requests: SubRequests { limit: sub_requests, made: 0 },
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
    enter_at(scope, id, Depth::default())
}

/// As [`enter`], for code that is at least this deep.
pub fn enter_at(scope: &mut v8::PinScope<'_, '_>, id: ContextId, depth: Depth) -> bool {
    let contexts = contexts(scope);
    let own = match contexts.table.get(&id) {
        Some(context) => context.depth,
        None if id == 0 => Depth::default(),
        None => return false,
    };
    contexts.current = id;
    carry(scope, depth.within(own).pack() << 32 | u64::from(id));
    true
}

/// Leaves the context that the message was for, at the message's end. Gives it.
pub fn leave(scope: &mut v8::PinScope<'_, '_>) -> ContextId {
    carry(scope, 0);
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
        carry(scope, 0);
    } else if let Some(previous) = contexts(scope).entered.pop() {
        let previous = v8::Local::new(scope, previous);
        scope.set_continuation_preserved_embedder_data(previous);
    }
}

/// Whether a context is still open.
pub fn is_open(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    contexts(scope).table.contains_key(&id)
}

/// Counts a subrequest of the current context: a `fetch()`, or a call or request to a service.
///
/// # Errors
/// At module top level, and past the limit, which the error names.
pub fn count_sub_request(scope: &mut v8::PinScope<'_, '_>) -> Result<(), JsError> {
    let id = require(scope)?;
    let contexts = contexts(scope);
    let name = contexts.environment.as_ref().map_or("", |e| &e.name);
    let Some(context) = contexts.table.get_mut(&id) else { return Err(JsError::error(GLOBAL_SCOPE)) };
    let counted = &mut context.sub_requests;
    match counted.limit {
        Some(limit) if counted.made >= limit => Err(JsError::error(format!(
            "Too many subrequests by single Worker invocation: Worker \"{name}\" may make {limit} (limits.subRequests)."
        ))),
        _ => {
            counted.made += 1;
            Ok(())
        }
    }
}

/// What the current context has logged; outside of any, what the isolate has.
pub(crate) fn written<'a>(scope: &'a mut v8::PinScope<'_, '_>) -> &'a mut Written {
    let id = current(scope);
    let contexts = contexts(scope);
    match contexts.table.get_mut(&id) {
        Some(context) => &mut context.written,
        None => &mut contexts.own_written,
    }
}

/// The data given to [`open`], where it is of this type.
pub fn data<'a, T: 'static>(scope: &'a mut v8::PinScope<'_, '_>, id: ContextId) -> Option<&'a mut T> {
    let data: &mut dyn Any = contexts(scope).table.get_mut(&id)?.data.as_deref_mut()?;
    data.downcast_mut()
}

/// The meter that a context's work is charged to.
pub fn meter(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> Option<Arc<Meter>> {
    contexts(scope).table.get(&id).map(|c| c.meter.clone())
}

/// Whether a context waits for anything: an answer, a timer, a signal. One that does not, and has not settled, never will.
pub fn is_waiting(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    contexts(scope)
        .table
        .get(&id)
        .is_some_and(|c| !c.pending.is_empty() || !c.timers.is_empty() || c.signals > 0)
}

/// A context listens to one signal more, or to one less.
pub(crate) fn listen(scope: &mut v8::PinScope<'_, '_>, id: ContextId, change: i32) {
    if let Some(context) = contexts(scope).table.get_mut(&id) {
        context.signals = context.signals.saturating_add_signed(change);
    }
}

/// The timers of a context, where it is still open.
pub(crate) fn timers<'a>(scope: &'a mut v8::PinScope<'_, '_>, id: ContextId) -> Option<&'a mut Timers> {
    contexts(scope).table.get_mut(&id).map(|context| &mut context.timers)
}

/// A number for a new operation or timer.
pub(crate) fn next_operation(scope: &mut v8::PinScope<'_, '_>) -> u32 {
    let contexts = contexts(scope);
    contexts.next_operation = contexts.next_operation.wrapping_add(1);
    contexts.next_operation
}

/// Ends a context: its timers and operations stop, its promises never settle, its resources are dropped.
pub fn close(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let contexts = contexts(scope);
    let Some(context) = contexts.table.remove(&id) else { return };
    let resources: Vec<_> = context.resources.iter().filter_map(|h| contexts.resources.remove(h)).collect();
    // Dropped without a borrow of the table: a resource's drop may send messages.
    let weight: i64 = resources.iter().map(|resource| resource.weight).sum();
    drop((context, resources));
    heap::weigh(scope, -weight);
    let id = v8::Integer::new_from_unsigned(scope, id);
    realm::call(scope, "web/context", "dropContext", &[id.into()]);
}

/// Something that a context has, counted until this is dropped.
pub struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether context `owner` (0: the isolate) may have one handle more.
///
/// # Errors
/// At the limit, which the error names.
pub fn check_handles(scope: &mut v8::PinScope<'_, '_>, owner: ContextId) -> Result<(), JsError> {
    let contexts = contexts(scope);
    let Some(environment) = &contexts.environment else { return Ok(()) };
    let used = match contexts.table.get(&owner) {
        Some(context) => context.handles + context.pending.len() + context.objects.load(Ordering::Relaxed),
        None => contexts.own_handles,
    };
    if used < environment.max_handles {
        return Ok(());
    }
    Err(JsError::error(format!(
        "Worker \"{}\" has too many stubs open: one invocation may have {} handles (stubs, calls under way, bodies, \
         objects that others hold). Dispose of those that are not needed.",
        environment.name, environment.max_handles
    )))
}

/// Counts an object of the current context that others will hold.
///
/// # Errors
/// At the limit of [`check_handles`].
pub fn count_object(scope: &mut v8::PinScope<'_, '_>) -> Result<Option<Counted>, JsError> {
    let id = current(scope);
    check_handles(scope, id)?;
    Ok(contexts(scope).table.get(&id).map(|context| Counted::new(&context.objects)))
}

/// Counts a stream that the current context writes to somebody.
///
/// # Errors
/// At the limit, which the error names.
pub fn count_stream(scope: &mut v8::PinScope<'_, '_>) -> Result<Option<Counted>, JsError> {
    let id = current(scope);
    let contexts = contexts(scope);
    let (Some(environment), Some(context)) = (&contexts.environment, contexts.table.get(&id)) else {
        return Ok(None);
    };
    if context.streams.load(Ordering::Relaxed) >= environment.max_streams {
        return Err(JsError::error(format!(
            "Worker \"{}\" has too many streams open: one invocation may write {} to others at the same time.",
            environment.name, environment.max_streams
        )));
    }
    Ok(Some(Counted::new(&context.streams)))
}

/// Puts a capability into the table, owned by context `owner` (0: by the isolate).
pub fn add_resource(scope: &mut v8::PinScope<'_, '_>, owner: ContextId, capability: Capability) -> Handle {
    add_heavy_resource(scope, owner, capability, 0)
}

/// As [`add_resource`], for a capability that keeps `weight` bytes elsewhere.
pub fn add_heavy_resource(
    scope: &mut v8::PinScope<'_, '_>,
    owner: ContextId,
    capability: Capability,
    weight: i64,
) -> Handle {
    heap::weigh(scope, weight);
    let contexts = contexts(scope);
    // Numbers come round again after four thousand million; those in use are passed over.
    let handle = loop {
        contexts.next_handle = contexts.next_handle.wrapping_add(1).max(1);
        if !contexts.resources.contains_key(&contexts.next_handle) {
            break contexts.next_handle;
        }
    };
    contexts.resources.insert(handle, Resource { owner, capability, weight });
    if let Some(context) = contexts.table.get_mut(&owner) {
        // Released handles are swept when they outnumber the live ones.
        if context.resources.len() >= 64 && context.resources.len().is_power_of_two() {
            let live = &contexts.resources;
            context.resources.retain(|h| live.contains_key(h));
        }
        context.resources.push(handle);
        context.handles += 1;
    } else if owner == 0 {
        contexts.own_handles += 1;
    }
    handle
}

/// The capability behind a handle, with the context that owns it.
pub fn resource(scope: &mut v8::PinScope<'_, '_>, handle: Handle) -> Option<(ContextId, Capability)> {
    contexts(scope).resources.get(&handle).map(|resource| (resource.owner, resource.capability.clone()))
}

/// The capability behind a handle, where it is of this type.
pub fn resource_as<T: Any + Send + Sync>(scope: &mut v8::PinScope<'_, '_>, handle: Handle) -> Option<Arc<T>> {
    contexts(scope).resources.get(&handle)?.capability.clone().downcast().ok()
}

/// Whether a context owns a resource of this type.
pub fn owns<T: Any + Send + Sync>(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    let contexts = contexts(scope);
    let Some(context) = contexts.table.get(&id) else { return false };
    context
        .resources
        .iter()
        .any(|handle| contexts.resources.get(handle).is_some_and(|r| r.capability.is::<T>()))
}

/// The resources of this type that a context owns.
pub fn owned<T: Any + Send + Sync>(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> Vec<(Handle, Arc<T>)> {
    let contexts = contexts(scope);
    let Some(context) = contexts.table.get(&id) else { return Vec::new() };
    let found = context.resources.iter().filter_map(|handle| {
        let capability = contexts.resources.get(handle)?.capability.clone();
        Some((*handle, capability.downcast().ok()?))
    });
    found.collect()
}

/// Lets a handle go.
pub fn release(scope: &mut v8::PinScope<'_, '_>, handle: Handle) -> Option<Capability> {
    let contexts = contexts(scope);
    let resource = contexts.resources.remove(&handle)?;
    match contexts.table.get_mut(&resource.owner) {
        Some(context) => context.handles -= 1,
        None if resource.owner == 0 => contexts.own_handles -= 1,
        None => {}
    }
    heap::weigh(scope, -resource.weight);
    Some(resource.capability)
}

/// A promise of the current context that something outside settles, exactly once.
pub struct Completion {
    isolate: WeakIsolate,
    meter: Arc<Meter>,
    context: ContextId,
    operation: u32,
}

impl Completion {
    /// Makes a promise in the current context and the handle that settles it.
    ///
    /// # Errors
    /// At module top level.
    pub fn new<'s>(scope: &mut v8::PinScope<'s, '_>) -> Result<(v8::Local<'s, v8::Promise>, Self), JsError> {
        let id = require(scope)?;
        let resolver =
            v8::PromiseResolver::new(scope).ok_or_else(|| JsError::error("Execution is ending."))?;
        let promise = resolver.get_promise(scope);
        let resolver = v8::Global::new(scope, resolver);
        let operation = next_operation(scope);
        let contexts = contexts(scope);
        let isolate = contexts.environment.as_ref().map(|e| e.isolate.clone());
        let (Some(isolate), Some(context)) = (isolate, contexts.table.get_mut(&id)) else {
            return Err(JsError::error(GLOBAL_SCOPE));
        };
        context.pending.insert(operation, Pending { resolver, work: None });
        let completion = Self { isolate, meter: context.meter.clone(), context: id, operation };
        Ok((promise, completion))
    }

    /// Its number, for [`keep`].
    pub fn operation(&self) -> Operation {
        Operation { context: self.context, number: self.operation }
    }

    /// Settles the promise in a later message: with the value that `make` gives, or the exception.
    pub fn settle(
        self,
        make: impl for<'s, 'i> FnOnce(
            &mut v8::PinScope<'s, 'i>,
        ) -> Result<v8::Local<'s, v8::Value>, v8::Local<'s, v8::Value>>
        + Send
        + 'static,
    ) {
        let Self { isolate, meter, context, operation } = self;
        let Some(isolate) = isolate.upgrade() else { return };
        isolate.send(Envelope::new(meter, move |scope| {
            if !enter(scope, context) {
                return;
            }
            let resolver = contexts(scope).table.get_mut(&context).and_then(|c| c.pending.remove(&operation));
            let Some(Pending { resolver, .. }) = resolver else { return };
            let resolver = v8::Local::new(scope, resolver);
            match make(scope) {
                Ok(value) => resolver.resolve(scope, value),
                Err(exception) => resolver.reject(scope, exception),
            };
        }));
    }

    /// The meter is over: its callers have their error, and no message on it runs any more that would close the context.
    fn end_context(self) {
        let context = self.context;
        if let Some(isolate) = self.isolate.upgrade() {
            isolate.send(Envelope::unmetered(move |scope| close(scope, context)));
        }
    }
}

/// A promise of a context that is not settled yet.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    context: ContextId,
    number: u32,
}

impl Operation {
    /// Its number in its context, for scripts.
    pub fn number(self) -> u32 {
        self.number
    }
}

/// What was given to [`keep`] for an operation of the current context that is not settled yet.
pub fn kept<'a, T: 'static>(scope: &'a mut v8::PinScope<'_, '_>, number: u32) -> Option<&'a T> {
    let id = current(scope);
    contexts(scope).table.get(&id)?.pending.get(&number)?.work.as_ref()?.downcast_ref()
}

/// Keeps `work` until the operation's promise is settled or its context ends. Dropping it must stop the work.
pub fn keep(scope: &mut v8::PinScope<'_, '_>, operation: Operation, work: impl Send + 'static) {
    let context = contexts(scope).table.get_mut(&operation.context);
    if let Some(pending) = context.and_then(|c| c.pending.get_mut(&operation.number)) {
        pending.work = Some(Box::new(work));
    }
}

/// Runs a future on the lane's tokio runtime, on the context's meter; what `convert` makes of its outcome, a value or an
/// exception, settles the returned promise. The future is dropped with the context.
///
/// # Errors
/// At module top level.
pub fn spawn<'s, T: Send + 'static>(
    scope: &mut v8::PinScope<'s, '_>,
    future: impl Future<Output = T> + Send + 'static,
    convert: impl for<'a, 'i> FnOnce(
        &mut v8::PinScope<'a, 'i>,
        T,
    ) -> Result<v8::Local<'a, v8::Value>, v8::Local<'a, v8::Value>>
    + Send
    + 'static,
) -> Result<v8::Local<'s, v8::Promise>, JsError> {
    let (promise, completion) = Completion::new(scope)?;
    let operation = completion.operation();
    let task = Task::spawn(async move {
        match metered(completion.meter.clone(), future).await {
            Some(outcome) => completion.settle(move |scope| convert(scope, outcome)),
            None => completion.end_context(),
        }
    });
    keep(scope, operation, task);
    Ok(promise)
}
