//! Operations: promises of a context that something outside settles.

use std::any::Any;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use atoll_isolate::metered::metered;
use atoll_isolate::{Envelope, JsError, Meter, WeakIsolate, v8};

use super::{ContextId, GLOBAL_SCOPE, close, contexts, current, enter, require};
use crate::task::Task;

/// A promise that the outside settles.
pub(super) struct Pending {
    resolver: v8::Global<v8::PromiseResolver>,
    /// Work for it, which ends when this is dropped.
    work: Option<Box<dyn Any + Send>>,
}

impl Pending {
    pub(super) fn work(&self) -> Option<&(dyn Any + Send)> {
        self.work.as_deref()
    }
}

/// The numbers from here on are for operations that scripts number themselves.
const NUMBERED: u32 = 1 << 31;

/// A number for a new operation or timer.
pub(crate) fn next_operation(scope: &mut v8::PinScope<'_, '_>) -> u32 {
    let contexts = contexts(scope);
    contexts.next_operation = (contexts.next_operation + 1) % NUMBERED;
    contexts.next_operation
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
        let operation = next_operation(scope);
        Self::with(scope, operation)
    }

    /// As [`Completion::new`], with a number below 2 ** 31 that a script has chosen, for [`kept`].
    ///
    /// # Errors
    /// At module top level, and when another operation of the context has this number.
    pub fn numbered<'s>(
        scope: &mut v8::PinScope<'s, '_>,
        number: u32,
    ) -> Result<(v8::Local<'s, v8::Promise>, Self), JsError> {
        Self::with(scope, number | NUMBERED)
    }

    fn with<'s>(
        scope: &mut v8::PinScope<'s, '_>,
        operation: u32,
    ) -> Result<(v8::Local<'s, v8::Promise>, Self), JsError> {
        let id = require(scope)?;
        let resolver =
            v8::PromiseResolver::new(scope).ok_or_else(|| JsError::error("Execution is ending."))?;
        let promise = resolver.get_promise(scope);
        let resolver = v8::Global::new(scope, resolver);
        let contexts = contexts(scope);
        let isolate = contexts.environment.as_ref().map(|e| e.isolate.clone());
        let (Some(isolate), Some(context)) = (isolate, contexts.table.get_mut(id)) else {
            return Err(JsError::error(GLOBAL_SCOPE));
        };
        let Entry::Vacant(place) = context.pending.entry(operation) else {
            return Err(JsError::error("Too many calls are under way."));
        };
        place.insert(Pending { resolver, work: None });
        let completion = Self { isolate, meter: context.meter().clone(), context: id, operation };
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
            let resolver = contexts(scope).table.get_mut(context).and_then(|c| c.pending.remove(&operation));
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
            isolate.send(Envelope::without_guest_code(move |scope| close(scope, context)));
        }
    }
}

/// A promise of a context that is not settled yet.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    context: ContextId,
    number: u32,
}

/// What was given to [`keep`] for a [numbered](Completion::numbered) operation of the current context that is not settled
/// yet.
pub fn kept<'a, T: 'static>(scope: &'a mut v8::PinScope<'_, '_>, number: u32) -> Option<&'a T> {
    let id = current(scope);
    contexts(scope).table.get(id)?.pending.get(&(number | NUMBERED))?.work.as_ref()?.downcast_ref()
}

/// Keeps `work` until the operation's promise is settled or its context ends. Dropping it must stop the work.
pub fn keep(scope: &mut v8::PinScope<'_, '_>, operation: Operation, work: impl Send + 'static) {
    let context = contexts(scope).table.get_mut(operation.context);
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
