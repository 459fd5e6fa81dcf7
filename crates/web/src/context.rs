//! I/O contexts: one for each invocation. A context owns every live object that came from outside: pending
//! operations, timers, bodies, stubs. When it ends they go with it.

use std::any::Any;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use atoll_host::clock::Clock;
use atoll_host::log::LogSink;
use atoll_host::random::Random;
use atoll_isolate::metered::metered;
use atoll_isolate::values::Capability;
use atoll_isolate::{Envelope, JsError, Meter, Native, WeakIsolate, arguments, natives, realm, v8};

use crate::fetcher::Fetcher;
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
}

/// What the layer above keeps in a context.
pub trait ContextData: Any + Send {
    /// The context has ended; these are its figures.
    fn ended(self: Box<Self>, counts: Counts);
}

pub(crate) struct Context {
    pub(crate) meter: Arc<Meter>,
    pending: FxHashMap<u32, v8::Global<v8::PromiseResolver>>,
    timers: FxHashMap<u32, tokio::task::AbortHandle>,
    resources: Vec<Handle>,
    sub_requests: SubRequests,
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
    entered: Vec<ContextId>,
    next_context: ContextId,
    next_operation: u32,
    next_handle: Handle,
    pub(crate) table: FxHashMap<ContextId, Context>,
    pub(crate) memory: Seen,
    resources: FxHashMap<Handle, Resource>,
    done: Vec<ContextId>,
}

pub(crate) fn natives() -> Vec<Native> {
    natives!["contextDone" => context_done]
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
    let carried = scope.get_continuation_preserved_embedder_data();
    v8::Local::<v8::Integer>::try_from(carried).map_or(0, |id| id.value() as ContextId)
}

fn carry(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let data = v8::Integer::new_from_unsigned(scope, id);
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
            timers: FxHashMap::default(),
            resources: Vec::new(),
            sub_requests: SubRequests { limit: sub_requests, made: 0 },
            counter: Counter::default(),
            data: Some(data),
        },
    );
    id
}

/// Enters a context for the rest of the message. False: it has ended.
pub fn enter(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    let contexts = contexts(scope);
    let alive = id == 0 || contexts.table.contains_key(&id);
    if alive {
        contexts.current = id;
        carry(scope, id);
    }
    alive
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
        let current = current(scope);
        contexts(scope).entered.push(current);
        carry(scope, 0);
    } else if let Some(previous) = contexts(scope).entered.pop() {
        carry(scope, previous);
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
    let name = contexts.environment.as_ref().map(|e| e.name.clone()).unwrap_or_default();
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

/// The data given to [`open`], where it is of this type.
pub fn data<'a, T: 'static>(scope: &'a mut v8::PinScope<'_, '_>, id: ContextId) -> Option<&'a mut T> {
    let data: &mut dyn Any = contexts(scope).table.get_mut(&id)?.data.as_deref_mut()?;
    data.downcast_mut()
}

/// The meter that a context's work is charged to.
pub fn meter(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> Option<Arc<Meter>> {
    contexts(scope).table.get(&id).map(|c| c.meter.clone())
}

/// The meter of the context that this message entered, where it entered one.
pub fn entered_meter(scope: &mut v8::PinScope<'_, '_>) -> Option<Arc<Meter>> {
    let contexts = contexts(scope);
    contexts.table.get(&contexts.current).map(|c| c.meter.clone())
}

/// Whether a context waits for anything: an answer, a timer. One that does not, and has not settled, never will.
pub fn is_waiting(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> bool {
    contexts(scope).table.get(&id).is_some_and(|c| !c.pending.is_empty() || !c.timers.is_empty())
}

/// Ends a context: its timers stop, its promises never settle, its resources are dropped.
pub fn close(scope: &mut v8::PinScope<'_, '_>, id: ContextId) {
    let contexts = contexts(scope);
    let Some(context) = contexts.table.remove(&id) else { return };
    let resources: Vec<_> = context.resources.iter().filter_map(|h| contexts.resources.remove(h)).collect();
    context.timers.values().for_each(tokio::task::AbortHandle::abort);
    // Dropped without a borrow of the table: a resource's drop may send messages.
    let weight: i64 = resources.iter().map(|resource| resource.weight).sum();
    drop((context, resources));
    weigh(scope, -weight);
    let id = v8::Integer::new_from_unsigned(scope, id);
    realm::call(scope, "web/context", "dropContext", &[id.into()]);
}

/// Puts a capability into the table, owned by context `owner` (0: by the isolate).
pub fn add_resource(scope: &mut v8::PinScope<'_, '_>, owner: ContextId, capability: Capability) -> Handle {
    add_heavy_resource(scope, owner, capability, 0)
}

/// Tells the isolate's collector of memory elsewhere: otherwise an isolate with a small heap collects too late, or never.
fn weigh(scope: &mut v8::PinScope<'_, '_>, bytes: i64) {
    if bytes != 0 {
        scope.adjust_amount_of_external_allocated_memory(bytes);
    }
}

/// As [`add_resource`], for a capability that keeps `weight` bytes elsewhere.
pub fn add_heavy_resource(
    scope: &mut v8::PinScope<'_, '_>,
    owner: ContextId,
    capability: Capability,
    weight: i64,
) -> Handle {
    weigh(scope, weight);
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

/// Lets a handle go.
pub fn release(scope: &mut v8::PinScope<'_, '_>, handle: Handle) -> Option<Capability> {
    let resource = contexts(scope).resources.remove(&handle)?;
    weigh(scope, -resource.weight);
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
        let contexts = contexts(scope);
        contexts.next_operation = contexts.next_operation.wrapping_add(1);
        let operation = contexts.next_operation;
        let isolate = contexts.environment.as_ref().map(|e| e.isolate.clone());
        let (Some(isolate), Some(context)) = (isolate, contexts.table.get_mut(&id)) else {
            return Err(JsError::error(GLOBAL_SCOPE));
        };
        context.pending.insert(operation, resolver);
        let completion = Self { isolate, meter: context.meter.clone(), context: id, operation };
        Ok((promise, completion))
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
            let Some(resolver) = resolver else { return };
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

    /// Settles with what a fallible operation gave, through a conversion.
    pub fn settle_with<T: Send + 'static>(
        self,
        outcome: Result<T, JsError>,
        convert: impl for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>, T) -> v8::Local<'s, v8::Value>
        + Send
        + 'static,
    ) {
        self.settle(move |scope| match outcome {
            Ok(value) => Ok(convert(scope, value)),
            Err(error) => Err(error.to_value(scope)),
        });
    }
}

/// Runs a future on the lane's tokio runtime, on the context's meter; its outcome settles the returned promise.
///
/// # Errors
/// At module top level.
pub fn spawn<'s, T: Send + 'static>(
    scope: &mut v8::PinScope<'s, '_>,
    future: impl Future<Output = Result<T, JsError>> + Send + 'static,
    convert: impl for<'a, 'i> FnOnce(&mut v8::PinScope<'a, 'i>, T) -> v8::Local<'a, v8::Value> + Send + 'static,
) -> Result<v8::Local<'s, v8::Promise>, JsError> {
    let (promise, completion) = Completion::new(scope)?;
    tokio::spawn(async move {
        match metered(completion.meter.clone(), future).await {
            Some(outcome) => completion.settle_with(outcome, convert),
            None => completion.end_context(),
        }
    });
    Ok(promise)
}

/// Starts a timer of the current context.
pub(crate) fn start_timer(
    scope: &mut v8::PinScope<'_, '_>,
    delay_ms: f64,
    repeat: bool,
) -> Result<u32, JsError> {
    let id = require(scope)?;
    let contexts = contexts(scope);
    let environment = contexts.environment.as_ref().ok_or_else(|| JsError::error(GLOBAL_SCOPE))?;
    let (isolate, clock, limit) =
        (environment.isolate.clone(), environment.clock.clone(), environment.max_timers);
    let context = contexts.table.get_mut(&id).ok_or_else(|| JsError::error(GLOBAL_SCOPE))?;
    if context.timers.len() >= limit {
        return Err(JsError::dom(
            "QuotaExceededError",
            format!("You have exceeded the number of active timeouts you may set. The limit is {limit}."),
        ));
    }
    contexts.next_operation = contexts.next_operation.wrapping_add(1);
    let timer = contexts.next_operation;
    let meter = context.meter.clone();
    let delay = std::time::Duration::from_secs_f64((delay_ms.max(0.0) / 1000.0).min(3.2e9));
    let task = tokio::spawn(async move {
        loop {
            clock.sleep(if repeat { delay.max(std::time::Duration::from_millis(1)) } else { delay }).await;
            let Some(isolate) = isolate.upgrade() else { return };
            // A repeating timer waits for its own turn, so that a busy isolate does not pile them up.
            let (done, turn) = tokio::sync::oneshot::channel::<()>();
            isolate.send(Envelope::new(meter.clone(), move |scope| {
                fire_timer(scope, id, timer, repeat);
                drop(done);
            }));
            if !repeat {
                return;
            }
            let _ = turn.await;
        }
    });
    context.timers.insert(timer, task.abort_handle());
    Ok(timer)
}

fn fire_timer(scope: &mut v8::PinScope<'_, '_>, context: ContextId, timer: u32, repeat: bool) {
    if !enter(scope, context) {
        return;
    }
    let Some(owner) = contexts(scope).table.get_mut(&context) else { return };
    let active =
        if repeat { owner.timers.contains_key(&timer) } else { owner.timers.remove(&timer).is_some() };
    if active {
        let timer = v8::Integer::new_from_unsigned(scope, timer);
        realm::call(scope, "web/timers", "fireTimer", &[timer.into()]);
    }
}

/// Stops a timer of the current context.
pub(crate) fn stop_timer(scope: &mut v8::PinScope<'_, '_>, timer: u32) {
    let current = current(scope);
    if let Some(task) = contexts(scope).table.get_mut(&current).and_then(|c| c.timers.remove(&timer)) {
        task.abort();
    }
}
