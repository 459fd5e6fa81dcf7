//! `import()` and `import.source()` while a Worker runs. Module code is evaluated outside of any I/O context, also
//! when a request's handler imports it.

use super::registry::{Registry, Way, no_source};
use super::{evaluate, link, map, refuse};
use crate::{guard, realm};

/// V8's callback for `import(specifier)`.
pub(super) fn import<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _options: v8::Local<'s, v8::Data>,
    resource: v8::Local<'s, v8::Value>,
    specifier: v8::Local<'s, v8::String>,
    attributes: v8::Local<'s, v8::FixedArray>,
) -> Option<v8::Local<'s, v8::Promise>> {
    settle(scope, |scope, resolver| {
        let index = find(scope, resource, specifier, attributes)?;
        // In a microtask of its own: the module may be the one that is being evaluated right now.
        let index = v8::Integer::new(scope, index as i32);
        let data = v8::Array::new_with_elements(scope, &[resolver.into(), index.into()]);
        let task =
            v8::Function::builder_raw(guard::callback(evaluate_later)).data(data.into()).build(scope)?;
        scope.enqueue_microtask(task);
        Some(())
    })
}

fn evaluate_later<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let Ok(data) = v8::Local::<v8::Array>::try_from(args.data()) else { return };
    let (Some(resolver), Some(index)) = (data.get_index(scope, 0), data.get_index(scope, 1)) else { return };
    let resolver = resolver_of(resolver);
    let index = index.uint32_value(scope).unwrap_or(0) as usize;
    settle_with(scope, resolver, |scope, resolver| {
        let module = map(scope).records[index].module.clone();
        let module = v8::Local::new(scope, module);
        module.instantiate_module2(scope, link::resolve, link::resolve_source)?;
        let evaluated = evaluate(scope, module)?;
        let namespace = module.get_module_namespace();
        match evaluated.state() {
            v8::PromiseState::Fulfilled => {
                resolver.resolve(scope, namespace);
            }
            v8::PromiseState::Rejected => {
                let reason = evaluated.result(scope);
                resolver.reject(scope, reason);
            }
            v8::PromiseState::Pending => when_evaluated(scope, resolver, evaluated, namespace)?,
        }
        Some(())
    });
}

/// V8's callback for `import.source(specifier)`.
pub(super) fn import_phase<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    options: v8::Local<'s, v8::Data>,
    resource: v8::Local<'s, v8::Value>,
    specifier: v8::Local<'s, v8::String>,
    phase: v8::ModuleImportPhase,
    attributes: v8::Local<'s, v8::FixedArray>,
) -> Option<v8::Local<'s, v8::Promise>> {
    if phase != v8::ModuleImportPhase::kSource {
        return import(scope, options, resource, specifier, attributes);
    }
    settle(scope, |scope, resolver| {
        let index = find(scope, resource, specifier, attributes)?;
        let Some(object) = link::source_object(scope, index) else {
            let name = map(scope).records[index].name.clone();
            return refuse(scope, &no_source(name));
        };
        resolver.resolve(scope, object.into());
        Some(())
    })
}

fn find(
    scope: &mut v8::PinScope<'_, '_>,
    resource: v8::Local<v8::Value>,
    specifier: v8::Local<v8::String>,
    attributes: v8::Local<v8::FixedArray>,
) -> Option<usize> {
    let importer = resource.to_rust_string_lossy(scope);
    let specifier = specifier.to_rust_string_lossy(scope);
    let attributes = link::attributes_of(scope, attributes, 2);
    link::find_with(scope, Way::Dynamic, &specifier, &importer, &attributes)
}

/// A promise that `body` settles; an exception in it rejects the promise.
fn settle<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    body: impl FnOnce(&mut v8::PinScope<'s, '_>, v8::Local<'s, v8::PromiseResolver>) -> Option<()>,
) -> Option<v8::Local<'s, v8::Promise>> {
    let resolver = v8::PromiseResolver::new(scope)?;
    let promise = resolver.get_promise(scope);
    settle_with(scope, resolver, body).then_some(promise)
}

/// False: the isolate is being stopped.
fn settle_with<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    resolver: v8::Local<'s, v8::PromiseResolver>,
    body: impl FnOnce(&mut v8::PinScope<'s, '_>, v8::Local<'s, v8::PromiseResolver>) -> Option<()>,
) -> bool {
    v8::tc_scope!(let scope, scope);
    if guard::guarded(scope, |scope| body(scope, resolver)).is_none() {
        match scope.exception() {
            Some(exception) if !scope.has_terminated() => {
                scope.reset();
                resolver.reject(scope, exception);
            }
            _ => {
                scope.rethrow();
                return false;
            }
        }
    }
    true
}

/// A module with top-level `await`: the import settles when its evaluation does. In the registry of paths that must be
/// before the turn's microtasks are done ([`refuse_unsettled`]).
fn when_evaluated<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    resolver: v8::Local<'s, v8::PromiseResolver>,
    evaluated: v8::Local<'s, v8::Promise>,
    namespace: v8::Local<'s, v8::Value>,
) -> Option<()> {
    let give_namespace =
        v8::Function::builder_raw(guard::callback(give_data)).data(namespace).build(scope)?;
    let settled = realm::then(scope, evaluated, give_namespace, None)?;
    let resolve =
        v8::Function::builder_raw(guard::callback(resolve_import)).data(resolver.into()).build(scope)?;
    let reject =
        v8::Function::builder_raw(guard::callback(reject_import)).data(resolver.into()).build(scope)?;
    realm::then(scope, settled, resolve, Some(reject))?;
    if matches!(map(scope).registry, Registry::Urls) {
        return Some(());
    }
    let (resolver, settled) = (v8::Global::new(scope, resolver), v8::Global::new(scope, settled));
    map(scope).unsettled.push((resolver, settled));
    Some(())
}

/// Rejects the imports of modules whose top-level `await` did not settle in the microtasks that have just run.
pub(crate) fn refuse_unsettled(scope: &mut v8::PinScope<'_, '_>) {
    while !map(scope).unsettled.is_empty() {
        for (resolver, settled) in std::mem::take(&mut map(scope).unsettled) {
            if v8::Local::new(scope, settled).state() == v8::PromiseState::Pending {
                let error = map(scope).registry.unsettled("").to_value(scope);
                v8::Local::new(scope, resolver).reject(scope, error);
            }
        }
        scope.perform_microtask_checkpoint();
    }
}

fn resolve_import<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    resolver_of(args.data()).resolve(scope, args.get(0));
}

fn reject_import<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    resolver_of(args.data()).reject(scope, args.get(0));
}

/// The resolver that a callback of this file was given as its data.
fn resolver_of(data: v8::Local<'_, v8::Value>) -> v8::Local<'_, v8::PromiseResolver> {
    // SAFETY: V8's resolvers are promises, and the cast is the one that V8's own `PromiseResolver::Cast` makes. Guests
    // cannot reach the data of a function; what this file puts there is a resolver.
    unsafe { v8::Local::<v8::PromiseResolver>::cast_unchecked(data) }
}

fn give_data<'s>(
    _scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    rv.set(args.data());
}
