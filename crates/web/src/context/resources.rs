//! Handles: what scripts name a context's resources by, and how many of them there may be.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atoll_isolate::values::Capability;
use atoll_isolate::{JsError, heap, v8};

use super::{ContextId, contexts, current};

/// A small integer by which JavaScript names a resource.
pub type Handle = u32;

/// What a handle stands for.
pub(super) struct Resource {
    owner: ContextId,
    capability: Capability,
    /// Memory elsewhere that it keeps, as the isolate's collector was told.
    pub(super) weight: i64,
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
    let used = match contexts.table.get(owner) {
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
    Ok(contexts(scope).table.get(id).map(|context| Counted::new(&context.objects)))
}

/// Counts a stream that the current context writes to somebody.
///
/// # Errors
/// At the limit, which the error names.
pub fn count_stream(scope: &mut v8::PinScope<'_, '_>) -> Result<Option<Counted>, JsError> {
    let id = current(scope);
    let contexts = contexts(scope);
    let (Some(environment), Some(context)) = (&contexts.environment, contexts.table.get(id)) else {
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
    if let Some(context) = contexts.table.get_mut(owner) {
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
    let Some(context) = contexts.table.get(id) else { return false };
    context
        .resources
        .iter()
        .any(|handle| contexts.resources.get(handle).is_some_and(|r| r.capability.is::<T>()))
}

/// The resources of this type that a context owns.
pub fn owned<T: Any + Send + Sync>(scope: &mut v8::PinScope<'_, '_>, id: ContextId) -> Vec<(Handle, Arc<T>)> {
    let contexts = contexts(scope);
    let Some(context) = contexts.table.get(id) else { return Vec::new() };
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
    match contexts.table.get_mut(resource.owner) {
        Some(context) => context.handles -= 1,
        None if resource.owner == 0 => contexts.own_handles -= 1,
        None => {}
    }
    heap::weigh(scope, -resource.weight);
    Some(resource.capability)
}
