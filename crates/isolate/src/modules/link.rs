//! Finding modules, and answering V8 when it links and evaluates them.

use super::registry::Way;
use super::{Kind, builtins, commonjs, compile, map, refuse};
use crate::error::{JsError, string};
use crate::guard;

pub(super) fn register(
    scope: &mut v8::PinScope<'_, '_>,
    name: &str,
    kind: Kind,
    module: v8::Local<v8::Module>,
) -> usize {
    let hash = module.get_identity_hash().get();
    let module = v8::Global::new(scope, module);
    map(scope).add(name, kind, hash, module)
}

pub(super) fn synthetic(scope: &mut v8::PinScope<'_, '_>, name: &str, kind: Kind, exports: &[&str]) -> usize {
    let exports: Vec<_> = exports.iter().map(|e| string(scope, e)).collect();
    let key = string(scope, name);
    let module = v8::Module::create_synthetic_module(scope, key, &exports, evaluate_synthetic);
    register(scope, name, kind, module)
}

/// Index of the module that `specifier` means in `importer`. None: an exception is pending.
pub(super) fn find(
    scope: &mut v8::PinScope<'_, '_>,
    way: Way,
    specifier: &str,
    importer: &str,
) -> Option<usize> {
    let registry = map(scope).registry;
    let node = format!("node:{specifier}");
    let name = if map(scope).bare_node_names && builtins::find(scope, &node).is_some() {
        node
    } else {
        match registry.resolve(way, specifier, importer) {
            Ok(name) => name,
            Err(error) => return refuse(scope, &error),
        }
    };
    let source = registry.source_of(&name);
    let rest = &name[source.len()..];
    let source = map(scope).aliases.get(source).cloned().unwrap_or_else(|| source.to_owned());
    let name = format!("{source}{rest}");
    if let Some(index) = map(scope).by_name.get(&name) {
        return Some(*index);
    }
    if map(scope).sources.contains_key(&source) {
        return compile::instantiate(scope, &name, &source);
    }
    match builtins::find(scope, &name) {
        Some(builtin) => builtins::add(scope, builtin),
        None => refuse(scope, &registry.missing(way, &name, specifier, importer)),
    }
}

/// Like [`find`], for what an `import` says: attributes are (key, value).
pub(super) fn find_with(
    scope: &mut v8::PinScope<'_, '_>,
    way: Way,
    specifier: &str,
    importer: &str,
    attributes: &[(String, String)],
) -> Option<usize> {
    let must_be_json = match map(scope).registry.check_attributes(attributes) {
        Ok(must_be_json) => must_be_json,
        Err(error) => return refuse(scope, &error),
    };
    let index = find(scope, way, specifier, importer)?;
    if must_be_json && !matches!(map(scope).records[index].kind, Kind::Value { is_json: true, .. }) {
        return refuse(
            scope,
            &JsError::type_error(format!("Module \"{specifier}\" is not of type \"json\"")),
        );
    }
    Some(index)
}

/// Import attributes as V8 gives them: key, value, and with declarations (`step` 3) the place.
pub(super) fn attributes_of(
    scope: &mut v8::PinScope<'_, '_>,
    attributes: v8::Local<v8::FixedArray>,
    step: usize,
) -> Vec<(String, String)> {
    let text = |scope: &mut v8::PinScope<'_, '_>, index| {
        let text = attributes.get(scope, index).and_then(|data| v8::Local::<v8::Value>::try_from(data).ok());
        text.map(|text| text.to_rust_string_lossy(scope)).unwrap_or_default()
    };
    (0..attributes.length()).step_by(step).map(|i| (text(scope, i), text(scope, i + 1))).collect()
}

fn import<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    specifier: v8::Local<'s, v8::String>,
    attributes: v8::Local<'s, v8::FixedArray>,
    referrer: v8::Local<'s, v8::Module>,
) -> Option<usize> {
    let importer = name_of(scope, referrer);
    let specifier = specifier.to_rust_string_lossy(scope);
    let attributes = attributes_of(scope, attributes, 3);
    find_with(scope, Way::Static, &specifier, &importer, &attributes)
}

/// Whether the linked module imports, directly or through others that were not evaluated yet, a CommonJS module that is
/// being evaluated: V8 aborts the process if it is to evaluate that once more. Gives the specifier of the import.
pub(super) fn import_of_running(scope: &mut v8::PinScope<'_, '_>, index: usize) -> Option<String> {
    let mut seen = std::collections::HashSet::from([index]);
    let mut waiting = vec![index];
    while let Some(importer) = waiting.pop() {
        for (specifier, imported) in imports_of(scope, importer) {
            let record = &map(scope).records[imported];
            let (module, is_commonjs) = (record.module.clone(), matches!(record.kind, Kind::CommonJs(_)));
            match v8::Local::new(scope, module).get_status() {
                v8::ModuleStatus::Evaluating if is_commonjs => return Some(specifier),
                v8::ModuleStatus::Instantiated if seen.insert(imported) => waiting.push(imported),
                _ => {}
            }
        }
    }
    None
}

/// The imports of a linked module: specifiers, and the modules that they mean.
fn imports_of(scope: &mut v8::PinScope<'_, '_>, index: usize) -> Vec<(String, usize)> {
    let (module, importer) =
        (map(scope).records[index].module.clone(), map(scope).records[index].name.clone());
    let requests = v8::Local::new(scope, module).get_module_requests();
    let mut imports = Vec::with_capacity(requests.length());
    for request in 0..requests.length() {
        let Some(request) = requests.get(scope, request) else { continue };
        let Ok(request) = v8::Local::<v8::ModuleRequest>::try_from(request) else { continue };
        let specifier = request.get_specifier().to_rust_string_lossy(scope);
        if let Some(imported) = find(scope, Way::Static, &specifier, &importer) {
            imports.push((specifier, imported));
        }
    }
    imports
}

fn name_of(scope: &mut v8::PinScope<'_, '_>, module: v8::Local<v8::Module>) -> String {
    record_of(scope, module).map(|i| map(scope).records[i].name.clone()).unwrap_or_default()
}

pub(super) fn record_of(scope: &mut v8::PinScope<'_, '_>, module: v8::Local<v8::Module>) -> Option<usize> {
    let candidates = map(scope).by_hash.get(&module.get_identity_hash().get())?.clone();
    candidates.into_iter().find(|index| {
        let candidate = map(scope).records[*index].module.clone();
        v8::Local::new(scope, candidate) == module
    })
}

/// V8 asks which module an `import` means.
pub(super) fn resolve<'s>(
    context: v8::Local<'s, v8::Context>,
    specifier: v8::Local<'s, v8::String>,
    attributes: v8::Local<'s, v8::FixedArray>,
    referrer: v8::Local<'s, v8::Module>,
) -> Option<v8::Local<'s, v8::Module>> {
    // SAFETY: V8 calls this inside the isolate that the context belongs to.
    v8::callback_scope!(unsafe let scope, context);
    guard::guarded(scope, |scope| {
        let index = import(scope, specifier, attributes, referrer)?;
        let module = map(scope).records[index].module.clone();
        Some(v8::Local::new(scope, module))
    })
}

/// V8 asks for the source object of an `import source`: only Wasm modules have one.
pub(super) fn resolve_source<'s>(
    context: v8::Local<'s, v8::Context>,
    specifier: v8::Local<'s, v8::String>,
    attributes: v8::Local<'s, v8::FixedArray>,
    referrer: v8::Local<'s, v8::Module>,
) -> Option<v8::Local<'s, v8::Object>> {
    // SAFETY: V8 calls this inside the isolate that the context belongs to.
    v8::callback_scope!(unsafe let scope, context);
    guard::guarded(scope, |scope| {
        let index = import(scope, specifier, attributes, referrer)?;
        if let Some(object) = source_object(scope, index) {
            return Some(object);
        }
        let (registry, name) = (map(scope).registry, map(scope).records[index].name.clone());
        let specifier = specifier.to_rust_string_lossy(scope);
        let importer = name_of(scope, referrer);
        refuse(scope, &registry.no_source(&name, &specifier, &importer))
    })
}

/// The module object of a Wasm module.
pub(super) fn source_object<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    index: usize,
) -> Option<v8::Local<'s, v8::Object>> {
    let Kind::Value { value, .. } = &map(scope).records[index].kind else { return None };
    let value = value.clone();
    let value = Some(v8::Local::new(scope, value)).filter(|v| v.is_wasm_module_object())?;
    v8::Local::<v8::Object>::try_from(value).ok()
}

/// V8 evaluates a synthetic module: its exports get their values.
fn evaluate_synthetic<'s>(
    context: v8::Local<'s, v8::Context>,
    module: v8::Local<'s, v8::Module>,
) -> Option<v8::Local<'s, v8::Value>> {
    // SAFETY: V8 calls this inside the isolate that the context belongs to.
    v8::callback_scope!(unsafe let scope, context);
    guard::guarded(scope, |scope| evaluate_synthetic_in(scope, module))
}

fn evaluate_synthetic_in<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    module: v8::Local<'s, v8::Module>,
) -> Option<v8::Local<'s, v8::Value>> {
    let index = record_of(scope, module)?;
    let builtin = match &map(scope).records[index].kind {
        Kind::Builtin(builtin) => Some(*builtin),
        _ => None,
    };
    match builtin {
        Some(builtin) => builtins::export_all(scope, module, builtin)?,
        None => {
            let value = default_export(scope, index)?;
            export(scope, module, "default", value)?;
        }
    }
    let resolver = v8::PromiseResolver::new(scope)?;
    let undefined = v8::undefined(scope);
    resolver.resolve(scope, undefined.into());
    Some(resolver.get_promise(scope).into())
}

pub(super) fn export<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    module: v8::Local<'s, v8::Module>,
    name: &str,
    value: v8::Local<'s, v8::Value>,
) -> Option<bool> {
    let name = string(scope, name);
    module.set_synthetic_module_export(scope, name, value)
}

/// The default export of a value or CommonJS module; evaluates the latter on first use.
pub(super) fn default_export<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    index: usize,
) -> Option<v8::Local<'s, v8::Value>> {
    if let Kind::Value { value, .. } = &map(scope).records[index].kind {
        let value = value.clone();
        return Some(v8::Local::new(scope, value));
    }
    commonjs::exports(scope, index)
}
