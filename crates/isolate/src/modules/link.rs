//! Compiling modules and answering V8 when it links them.

use super::{Builtin, Kind, ModuleSource, Translate, commonjs, map, origin, refuse, resolve as path};
use crate::error::{JsError, string};
use crate::{arguments, realm};

/// Compiles one module of the bundle into the map. None: an exception is pending.
pub(super) fn compile(scope: &mut v8::PinScope<'_, '_>, name: &str, source: &ModuleSource) -> Option<()> {
    match source {
        ModuleSource::Esm(text) => {
            let module = compile_esm(scope, name, text)?;
            register(scope, name, Kind::Esm, module);
        }
        ModuleSource::Translated(text, translate) => {
            let text = translated(scope, name, text, *translate)?;
            let module = compile_esm(scope, name, &text)?;
            register(scope, name, Kind::Esm, module);
        }
        ModuleSource::Either(text, translate) => {
            let plain = {
                v8::tc_scope!(let scope, scope);
                compile_esm(scope, name, text)
            };
            let module = match plain {
                Some(module) => module,
                None => {
                    let text = translated(scope, name, text, *translate)?;
                    compile_esm(scope, name, &text)?
                }
            };
            register(scope, name, Kind::Esm, module);
        }
        ModuleSource::CommonJs(source) => {
            commonjs::compile(scope, name, source)?;
            synthetic(scope, name, Kind::CommonJs { source: source.clone(), object: None }, &["default"]);
        }
        ModuleSource::Text(text) => {
            let value = v8::String::new(scope, text)?;
            value_module(scope, name, value.into());
        }
        ModuleSource::Data(bytes) => {
            let value = arguments::array_buffer(scope, bytes);
            value_module(scope, name, value.into());
        }
        ModuleSource::Json(text) => {
            let text = v8::String::new(scope, text)?;
            let value = v8::json::parse(scope, text)?;
            value_module(scope, name, value);
        }
        ModuleSource::Wasm(bytes) => {
            let value = v8::WasmModuleObject::compile(scope, bytes)?;
            value_module(scope, name, value.into());
        }
        ModuleSource::CompiledWasm(compiled) => {
            let value = v8::WasmModuleObject::from_compiled_module(scope, compiled)?;
            value_module(scope, name, value.into());
        }
    }
    Some(())
}

fn compile_esm<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    text: &str,
) -> Option<v8::Local<'s, v8::Module>> {
    let text = v8::String::new(scope, text)?;
    let origin = origin(scope, name, true);
    let mut source = v8::script_compiler::Source::new(text, Some(&origin));
    v8::script_compiler::compile_module(scope, &mut source)
}

fn translated(
    scope: &mut v8::PinScope<'_, '_>,
    name: &str,
    text: &str,
    translate: Translate,
) -> Option<String> {
    match translate(name, text) {
        Ok(text) => Some(text),
        Err(message) => refuse(scope, &JsError { class: crate::ErrorClass::Syntax, message }),
    }
}

fn value_module(scope: &mut v8::PinScope<'_, '_>, name: &str, value: v8::Local<v8::Value>) {
    let value = v8::Global::new(scope, value);
    synthetic(scope, name, Kind::Value(value), &["default"]);
}

fn register(
    scope: &mut v8::PinScope<'_, '_>,
    name: &str,
    kind: Kind,
    module: v8::Local<v8::Module>,
) -> usize {
    let hash = module.get_identity_hash().get();
    let module = v8::Global::new(scope, module);
    map(scope).add(name, kind, hash, module)
}

fn synthetic(scope: &mut v8::PinScope<'_, '_>, name: &str, kind: Kind, exports: &[&str]) -> usize {
    let exports: Vec<_> = exports.iter().map(|e| string(scope, e)).collect();
    let key = string(scope, name);
    let module = v8::Module::create_synthetic_module(scope, key, &exports, evaluate_synthetic);
    register(scope, name, kind, module)
}

/// Index of the module that `specifier` means in `importer`. None: an exception is pending.
pub(super) fn find(scope: &mut v8::PinScope<'_, '_>, specifier: &str, importer: &str) -> Option<usize> {
    let name = path::resolve(specifier, importer);
    if let Some(index) = map(scope).by_name.get(&name) {
        return Some(*index);
    }
    let known = |n: &str, map: &super::ModuleMap| map.builtins.iter().find(|b| b.specifier == n).copied();
    let builtin = {
        let map = map(scope);
        known(&name, map).or_else(|| known(&format!("node:{specifier}"), map))
    };
    match builtin {
        Some(builtin) => match map(scope).by_name.get(builtin.specifier) {
            Some(index) => Some(*index),
            None => add_builtin(scope, builtin),
        },
        None => refuse(
            scope,
            &JsError::error(format!("No such module \"{name}\".\n  imported from \"{importer}\"")),
        ),
    }
}

fn add_builtin(scope: &mut v8::PinScope<'_, '_>, builtin: Builtin) -> Option<usize> {
    let exports = load_builtin(scope, builtin)?;
    let mut names = own_names(scope, exports);
    if builtin.default.is_some() && !names.iter().any(|n| n == "default") {
        names.push("default".into());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Some(synthetic(scope, builtin.specifier, Kind::Builtin(builtin), &names))
}

fn load_builtin<'s>(scope: &mut v8::PinScope<'s, '_>, builtin: Builtin) -> Option<v8::Local<'s, v8::Object>> {
    let exports = match realm::load(scope, builtin.script) {
        Ok(exports) => exports,
        Err(error) => return refuse(scope, &JsError::error(error)),
    };
    match builtin.default {
        Some(name) => {
            let key = string(scope, name);
            v8::Local::<v8::Object>::try_from(exports.get(scope, key.into())?).ok()
        }
        None => Some(exports),
    }
}

fn own_names(scope: &mut v8::PinScope<'_, '_>, object: v8::Local<v8::Object>) -> Vec<String> {
    let names = object.get_own_property_names(scope, v8::GetPropertyNamesArgs::default());
    names.map(|names| arguments::texts(scope, names.into())).unwrap_or_default()
}

fn import<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    specifier: v8::Local<'s, v8::String>,
    attributes: v8::Local<'s, v8::FixedArray>,
    referrer: v8::Local<'s, v8::Module>,
) -> Option<usize> {
    if attributes.length() > 0 && map(scope).refuse_attributes {
        return refuse(scope, &JsError::error("Unrecognized import attributes specified"));
    }
    let importer = record_of(scope, referrer).map(|i| map(scope).records[i].name.clone()).unwrap_or_default();
    let specifier = specifier.to_rust_string_lossy(scope);
    find(scope, &specifier, &importer)
}

fn record_of(scope: &mut v8::PinScope<'_, '_>, module: v8::Local<v8::Module>) -> Option<usize> {
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
    let index = import(scope, specifier, attributes, referrer)?;
    let module = map(scope).records[index].module.clone();
    Some(v8::Local::new(scope, module))
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
    let index = import(scope, specifier, attributes, referrer)?;
    source_object(scope, index)
}

pub(super) fn source_object<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    index: usize,
) -> Option<v8::Local<'s, v8::Object>> {
    let record = &map(scope).records[index];
    let name = record.name.clone();
    let value = match &record.kind {
        Kind::Value(value) => Some(value.clone()),
        _ => None,
    };
    let value = value.map(|v| v8::Local::new(scope, v)).filter(|v| v.is_wasm_module_object());
    match value.and_then(|v| v8::Local::<v8::Object>::try_from(v).ok()) {
        Some(object) => Some(object),
        None => refuse(
            scope,
            &JsError {
                class: crate::ErrorClass::Syntax,
                message: format!("Source phase import not available for module: {name}"),
            },
        ),
    }
}

/// V8 evaluates a synthetic module: its exports get their values.
fn evaluate_synthetic<'s>(
    context: v8::Local<'s, v8::Context>,
    module: v8::Local<'s, v8::Module>,
) -> Option<v8::Local<'s, v8::Value>> {
    // SAFETY: V8 calls this inside the isolate that the context belongs to.
    v8::callback_scope!(unsafe let scope, context);
    let index = record_of(scope, module)?;
    let builtin = match &map(scope).records[index].kind {
        Kind::Builtin(builtin) => Some(*builtin),
        _ => None,
    };
    match builtin {
        Some(builtin) => {
            let exports = load_builtin(scope, builtin)?;
            let names = own_names(scope, exports);
            if builtin.default.is_some() {
                export(scope, module, "default", exports.into())?;
            }
            for name in names.into_iter().filter(|n| n != "default" || builtin.default.is_none()) {
                let key = string(scope, &name);
                let value = exports.get(scope, key.into())?;
                export(scope, module, &name, value)?;
            }
        }
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

fn export<'s>(
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
    if let Kind::Value(value) = &map(scope).records[index].kind {
        let value = value.clone();
        return Some(v8::Local::new(scope, value));
    }
    commonjs::exports(scope, index)
}
