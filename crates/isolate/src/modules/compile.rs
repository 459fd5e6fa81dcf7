//! Compiling the modules of a bundle into the map, from V8's code cache where their text was compiled before.

use std::sync::Arc;

use super::cache::{self, Claim, Found, Kept, Key};
use super::{Kind, ModuleSource, Translate, commonjs, link, map, origin, refuse};
use crate::arguments;
use crate::buffers;
use crate::error::JsError;

/// What a module can be made of once more, under another name.
pub(super) enum Stored {
    /// It was not compiled yet: its place in the bundle.
    Fresh(Arc<Vec<(String, ModuleSource)>>, usize),
    /// The text of an ES module, which the heap has anyway.
    Esm(v8::Global<v8::String>),
    /// The text of a CommonJS module.
    CommonJs(v8::Global<v8::String>),
    /// A value that all instances share.
    Value(v8::Global<v8::Value>),
}

/// Compiled code that is worth a cache entry once it has run.
pub(super) enum Compiled {
    Module(v8::Global<v8::UnboundModuleScript>),
    Function(v8::Global<v8::Function>),
}

/// Compiles the module `name` of what is stored under `source`. None: an exception is pending, or there is no such
/// source.
pub(super) fn instantiate(scope: &mut v8::PinScope<'_, '_>, name: &str, source: &str) -> Option<usize> {
    let stored = map(scope).sources.remove(source)?;
    let count = map(scope).records.len();
    let stored = again(scope, name, stored);
    map(scope).sources.insert(source.to_owned(), stored);
    (map(scope).records.len() > count).then_some(count)
}

/// Adds the module to the map, unless an exception is thrown; gives what its next instance is made of.
fn again(scope: &mut v8::PinScope<'_, '_>, name: &str, stored: Stored) -> Stored {
    match stored {
        Stored::Fresh(modules, index) => match compile(scope, name, &modules[index].1) {
            Some(Some(stored)) => stored,
            _ => Stored::Fresh(modules, index),
        },
        Stored::Esm(text) => {
            let local = v8::Local::new(scope, &text);
            if let Some(module) = compile_esm(scope, name, local, None) {
                link::register(scope, name, Kind::Esm, module);
            }
            Stored::Esm(text)
        }
        Stored::CommonJs(text) => {
            let local = v8::Local::new(scope, &text);
            add_commonjs(scope, name, local, None);
            Stored::CommonJs(text)
        }
        Stored::Value(value) => {
            let local = v8::Local::new(scope, &value);
            add_value(scope, name, local, false);
            Stored::Value(value)
        }
    }
}

/// Compiles one module of the bundle into the map. None: an exception is pending. The inner option: what its next
/// instance is made of, where that is not the source.
pub(super) fn compile(
    scope: &mut v8::PinScope<'_, '_>,
    name: &str,
    source: &ModuleSource,
) -> Option<Option<Stored>> {
    // V8 does not look between modules, and a bundle may have thousands.
    if buffers::is_stopping(scope) {
        return None;
    }
    Some(match source {
        ModuleSource::Esm(text) => Some(add_esm(scope, name, text)?),
        ModuleSource::Translated(text, translate) => {
            let text = translated(scope, name, text, *translate)?;
            Some(add_esm(scope, name, &text)?)
        }
        ModuleSource::Either(text, translate) => Some(add_either(scope, name, text, *translate)?),
        ModuleSource::CommonJs(text) => {
            let key = Some(cache::key(cache::Kind::Function, "", text.as_bytes()));
            let text = v8::String::new(scope, text)?;
            add_commonjs(scope, name, text, key)?;
            Some(Stored::CommonJs(v8::Global::new(scope, text)))
        }
        ModuleSource::Text(text) => {
            let value = v8::String::new(scope, text)?;
            Some(add_value(scope, name, value.into(), false))
        }
        ModuleSource::Data(bytes) => {
            let value = arguments::array_buffer(scope, bytes);
            Some(add_value(scope, name, value.into(), false))
        }
        ModuleSource::Json(text) => {
            let text = v8::String::new(scope, text)?;
            let value = v8::json::parse(scope, text)?;
            add_value(scope, name, value, true);
            // Each instance has its own value.
            None
        }
        ModuleSource::Wasm(bytes) => {
            let value = compile_wasm(scope, bytes)?;
            Some(add_value(scope, name, value.into(), false))
        }
        ModuleSource::CompiledWasm(compiled) => {
            let value = v8::WasmModuleObject::from_compiled_module(scope, compiled)?;
            Some(add_value(scope, name, value.into(), false))
        }
    })
}

fn add_esm(scope: &mut v8::PinScope<'_, '_>, name: &str, text: &str) -> Option<Stored> {
    let key = Some(cache::key(cache::Kind::Module, "", text.as_bytes()));
    let text = v8::String::new(scope, text)?;
    let module = compile_esm(scope, name, text, key)?;
    link::register(scope, name, Kind::Esm, module);
    Some(Stored::Esm(v8::Global::new(scope, text)))
}

/// As it is, or translated, should it not compile; a text whose translation is known did not.
fn add_either(
    scope: &mut v8::PinScope<'_, '_>,
    name: &str,
    text: &str,
    translate: Translate,
) -> Option<Stored> {
    if let Some(Kept::Text(text)) = cache::peek(translation_key(name, text)) {
        return add_esm(scope, name, &text);
    }
    let plain = {
        v8::tc_scope!(let scope, scope);
        add_esm(scope, name, text)
    };
    match plain {
        Some(stored) => Some(stored),
        None => {
            let text = translated(scope, name, text, translate)?;
            add_esm(scope, name, &text)
        }
    }
}

fn add_commonjs<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    text: v8::Local<'s, v8::String>,
    key: Option<Key>,
) -> Option<usize> {
    let function = commonjs::compile(scope, name, text, key)?;
    let state = commonjs::State::Compiled(v8::Global::new(scope, function));
    Some(link::synthetic(scope, name, Kind::CommonJs(state), &["default"]))
}

fn add_value(
    scope: &mut v8::PinScope<'_, '_>,
    name: &str,
    value: v8::Local<v8::Value>,
    is_json: bool,
) -> Stored {
    let value = v8::Global::new(scope, value);
    link::synthetic(scope, name, Kind::Value { value: value.clone(), is_json }, &["default"]);
    Stored::Value(value)
}

fn compile_esm<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    text: v8::Local<'s, v8::String>,
    key: Option<Key>,
) -> Option<v8::Local<'s, v8::Module>> {
    let origin = origin(scope, name, true);
    let (module, claim) = with_cache(text, &origin, key, |source, options| {
        let reason = v8::script_compiler::NoCacheReason::NoReason;
        v8::script_compiler::compile_module2(scope, source, options, reason)
    });
    let module = module?;
    if let Some(claim) = claim {
        let script = module.get_unbound_module_script(scope);
        let script = v8::Global::new(scope, script);
        map(scope).to_keep.push((claim, Compiled::Module(script)));
    }
    Some(module)
}

/// Lets `compile` compile a text, from the code cache where there is one. The claim: the entry is to be made.
pub(super) fn with_cache<T>(
    text: v8::Local<v8::String>,
    origin: &v8::ScriptOrigin,
    key: Option<Key>,
    compile: impl FnOnce(&mut v8::script_compiler::Source, v8::script_compiler::CompileOptions) -> Option<T>,
) -> (Option<T>, Option<Claim>) {
    use v8::script_compiler::{CachedData, CompileOptions, Source};
    let (code, claim) = match key.map_or(Found::New, cache::look) {
        Found::Kept(Kept::Code(code)) => (Some(code), None),
        Found::Again(claim) => (None, Some(claim)),
        Found::Kept(_) | Found::New => (None, None),
    };
    let (mut source, options) = match &code {
        Some(code) => {
            let source = Source::new_with_cached_data(text, Some(origin), CachedData::new(code));
            (source, CompileOptions::ConsumeCodeCache)
        }
        None => (Source::new(text, Some(origin)), CompileOptions::NoCompileOptions),
    };
    let compiled = compile(&mut source, options);
    let rejected = source.get_cached_data().is_some_and(CachedData::rejected);
    if let Some(key) = key.filter(|_| code.is_some() && rejected) {
        cache::reject(key);
    }
    (compiled, claim)
}

/// Whether [`keep_code`] has something to do.
pub fn has_code_to_keep(scope: &mut v8::PinScope<'_, '_>) -> bool {
    !map(scope).to_keep.is_empty()
}

/// Makes the cache entries of what was compiled at start-up for the second time in this process, with the functions that
/// have run since: to be called some time after the start, because it takes V8 about as long as the compilation did.
/// What is compiled later (`import()` in the registry of URLs) gets its entries right after its evaluation.
pub fn keep_code(scope: &mut v8::PinScope<'_, '_>) {
    for (claim, compiled) in std::mem::take(&mut map(scope).to_keep) {
        let code = match compiled {
            Compiled::Module(script) => v8::Local::new(scope, script).create_code_cache(),
            Compiled::Function(function) => v8::Local::new(scope, function).create_code_cache(),
        };
        if let Some(code) = code {
            claim.keep(Kept::Code(Arc::from(&**code)));
        }
    }
}

/// What a translation takes for each byte of its text while it lasts: the tree of a dense one, and the result.
const WORKING_BYTES: usize = 32;

fn translation_key(name: &str, text: &str) -> Key {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    cache::key(cache::Kind::Translated, ending, text.as_bytes())
}

fn translated(
    scope: &mut v8::PinScope<'_, '_>,
    name: &str,
    text: &str,
    translate: Translate,
) -> Option<Arc<str>> {
    let found = cache::look(translation_key(name, text));
    if let Found::Kept(Kept::Text(text)) = found {
        return Some(text);
    }
    let _working = buffers::charge(scope, text.len().saturating_mul(WORKING_BYTES))?;
    match translate(name, text) {
        Ok(text) => {
            let text: Arc<str> = text.into();
            if let Found::Again(claim) = found {
                claim.keep(Kept::Text(text.clone()));
            }
            Some(text)
        }
        Err(message) => refuse(scope, &JsError { class: crate::ErrorClass::Syntax, message }),
    }
}

fn compile_wasm<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    bytes: &[u8],
) -> Option<v8::Local<'s, v8::WasmModuleObject>> {
    match cache::look(cache::key(cache::Kind::Wasm, "", bytes)) {
        Found::Kept(Kept::Wasm(compiled)) => v8::WasmModuleObject::from_compiled_module(scope, &compiled),
        Found::Again(claim) => {
            let module = v8::WasmModuleObject::compile(scope, bytes)?;
            claim.keep(Kept::Wasm(Arc::new(module.get_compiled_module())));
            Some(module)
        }
        Found::Kept(_) | Found::New => v8::WasmModuleObject::compile(scope, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_v8_refuses_is_dropped_and_the_text_compiled() {
        crate::engine::initialize_unprotected("");
        let source = "export const refused = 1;";
        let key = cache::key(cache::Kind::Module, "", source.as_bytes());
        cache::look(key);
        let Found::Again(claim) = cache::look(key) else { panic!("the second sighting") };
        claim.keep(Kept::Code(vec![0xab; 400].into()));
        let mut isolate = v8::Isolate::new(v8::CreateParams::default());
        v8::scope!(let scope, &mut isolate);
        let context = v8::Context::new(scope, v8::ContextOptions::default());
        let scope = &mut v8::ContextScope::new(scope, context);
        let text = v8::String::new(scope, source).unwrap();
        let origin = origin(scope, "main.js", true);
        let (module, claim) = with_cache(text, &origin, Some(key), |source, options| {
            let reason = v8::script_compiler::NoCacheReason::NoReason;
            v8::script_compiler::compile_module2(scope, source, options, reason)
        });
        assert!(module.is_some() && claim.is_none());
        assert_eq!(cache::figures().rejected, 1);
        assert!(cache::peek(key).is_none());
    }
}
