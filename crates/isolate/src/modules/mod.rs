//! A Worker's modules: its bundle compiled, linked and evaluated, `import()` while it runs.
//!
//! Names are slash paths. A specifier is resolved against the folder of the importing module, with path arithmetic
//! and nothing else: no extension guessing, no `index.js`, no network. The bundle comes first, then the built-ins
//! that the Worker's compatibility flags give it.

mod commonjs;
mod dynamic;
mod link;
mod resolve;

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{ExceptionReport, JsError, string};

pub use resolve::normalise;

/// What a module is made of.
pub enum ModuleSource {
    /// An ES module's text.
    Esm(String),
    /// An ES module's text in another language: translated first.
    Translated(String, Translate),
    /// As it is, or, should it not compile, translated.
    Either(String, Translate),
    /// A CommonJS module's text; its default export is `module.exports`.
    CommonJs(String),
    /// Text, the default export.
    Text(String),
    /// Bytes, the default export as an `ArrayBuffer`.
    Data(Vec<u8>),
    /// JSON text, parsed; the default export.
    Json(String),
    /// Wasm bytes, compiled here; the default export is the `WebAssembly.Module`.
    Wasm(Vec<u8>),
    /// A Wasm module that was compiled elsewhere in this process.
    CompiledWasm(v8::CompiledWasmModule),
}

/// Translates a module (name, text) to JavaScript; an error is a message with the place.
pub type Translate = fn(&str, &str) -> Result<String, String>;

/// A module that the runtime itself provides.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// Its full specifier, for example `cloudflare:workers`.
    pub specifier: &'static str,
    /// The runtime script whose exports it has.
    pub script: &'static str,
    /// The export of the script that is the default export, and whose members are the named ones; none: the script's
    /// exports are the named ones, and there is no default.
    pub default: Option<&'static str>,
}

/// What a Worker is started from.
pub struct Bundle {
    /// Name of the main module.
    pub main: String,
    /// All modules by name, in the order in which they were given.
    pub modules: Arc<Vec<(String, ModuleSource)>>,
    /// Other names of modules, for projects whose imports leave endings out: (alias, name).
    pub aliases: Vec<(String, String)>,
    /// Built-ins that may be imported.
    pub builtins: Vec<Builtin>,
    /// Whether import attributes are an error (compatibility date 2025-06-16 and later) or ignored.
    pub refuse_attributes: bool,
}

/// Why a Worker did not start.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// The main module is not in the bundle.
    #[error("Main module name is not present in bundle.")]
    NoMain,
    /// The main module is of another kind.
    #[error("Main module must be an ES module.")]
    MainNotEsm,
    /// A module does not compile or link, or its top level threw.
    #[error("{}", .0.to_text())]
    Exception(ExceptionReport),
    /// Top-level `await` on something that only I/O could settle.
    #[error("Top-level await in module is unsettled.")]
    Unsettled,
    /// The heap or CPU limit of start-up was reached.
    #[error("Worker exceeded a limit during start-up.")]
    Terminated,
}

/// One module of the map.
struct Record {
    name: String,
    kind: Kind,
    module: v8::Global<v8::Module>,
}

enum Kind {
    Esm,
    CommonJs {
        source: String,
        object: Option<v8::Global<v8::Object>>,
    },
    /// A value that is the default export: text, data, JSON, Wasm.
    Value(v8::Global<v8::Value>),
    Builtin(Builtin),
}

/// The module map; lives in the isolate's slot.
#[derive(Default)]
pub(crate) struct ModuleMap {
    records: Vec<Record>,
    by_name: HashMap<String, usize>,
    by_hash: HashMap<i32, Vec<usize>>,
    builtins: Vec<Builtin>,
    refuse_attributes: bool,
    around: Option<Around>,
}

/// Called before and after module code is evaluated: the layer above leaves and enters its I/O context.
pub type Around = fn(&mut v8::PinScope<'_, '_>, before: bool);

pub(crate) fn bind(scope: &mut v8::PinScope<'_, '_>) {
    scope.set_slot(ModuleMap::default());
}

/// Whether code may be made from strings (`eval`, `new Function`) and from bytes (Wasm) from now on.
pub fn allow_code_generation(scope: &mut v8::PinScope<'_, '_>, allow: bool) {
    scope.get_current_context().set_allow_generation_from_strings(allow);
}

unsafe extern "C" fn allow_wasm(
    context: v8::Local<'_, v8::Context>,
    _source: v8::Local<'_, v8::String>,
) -> bool {
    context.is_code_generation_from_strings_allowed()
}

pub(crate) fn configure(isolate: &mut v8::Isolate) {
    isolate.set_allow_wasm_code_generation_callback(allow_wasm);
    isolate.set_host_import_module_dynamically_callback(dynamic::import);
    isolate.set_host_import_module_with_phase_dynamically_callback(dynamic::import_phase);
}

/// Sets what happens around the evaluation of module code.
pub fn set_around_evaluation(scope: &mut v8::PinScope<'_, '_>, around: Around) {
    map(scope).around = Some(around);
}

fn map<'a>(scope: &'a mut v8::PinScope<'_, '_>) -> &'a mut ModuleMap {
    scope.get_slot_mut::<ModuleMap>().expect("each isolate has a module map from its creation")
}

impl ModuleMap {
    fn add(&mut self, name: &str, kind: Kind, hash: i32, module: v8::Global<v8::Module>) -> usize {
        let index = self.records.len();
        self.records.push(Record { name: name.to_owned(), kind, module });
        self.by_name.insert(name.to_owned(), index);
        self.by_hash.entry(hash).or_default().push(index);
        index
    }
}

/// Starts a Worker: compiles every module of the bundle (an error in an unused one counts), links and evaluates the
/// main module. Gives the main module's namespace.
///
/// # Errors
/// [`StartError`], with the guest's own source position where there is one.
pub fn start<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    bundle: Bundle,
) -> Result<v8::Local<'s, v8::Object>, StartError> {
    let main = normalise(&bundle.main);
    {
        let map = map(scope);
        map.builtins = bundle.builtins;
        map.refuse_attributes = bundle.refuse_attributes;
    }
    let found = bundle.modules.iter().find(|(name, _)| normalise(name) == main);
    match found {
        None => return Err(StartError::NoMain),
        Some((_, ModuleSource::Esm(_) | ModuleSource::Translated(..) | ModuleSource::Either(..))) => {}
        Some(_) => return Err(StartError::MainNotEsm),
    }
    v8::tc_scope!(let scope, scope);
    for (name, source) in bundle.modules.iter() {
        if link::compile(scope, &normalise(name), source).is_none() {
            return Err(caught(scope));
        }
    }
    for (alias, name) in bundle.aliases {
        let map = map(scope);
        if let Some(index) = map.by_name.get(&normalise(&name)).copied() {
            map.by_name.entry(normalise(&alias)).or_insert(index);
        }
    }
    let index = map(scope).by_name[&main];
    let module = map(scope).records[index].module.clone();
    let module = v8::Local::new(scope, module);
    if module.instantiate_module2(scope, link::resolve, link::resolve_source).is_none() {
        return Err(caught(scope));
    }
    let Some(promise) = evaluate(scope, module) else { return Err(caught(scope)) };
    scope.perform_microtask_checkpoint();
    if scope.is_execution_terminating() || scope.has_terminated() {
        return Err(StartError::Terminated);
    }
    match promise.state() {
        v8::PromiseState::Fulfilled => {}
        v8::PromiseState::Pending => return Err(StartError::Unsettled),
        v8::PromiseState::Rejected => {
            let exception = promise.result(scope);
            return Err(StartError::Exception(ExceptionReport::read(scope, exception, None)));
        }
    }
    v8::Local::<v8::Object>::try_from(module.get_module_namespace()).map_err(|_| StartError::Unsettled)
}

/// Evaluates a linked module outside of any I/O context.
fn evaluate<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    module: v8::Local<'s, v8::Module>,
) -> Option<v8::Local<'s, v8::Promise>> {
    let around = map(scope).around;
    if let Some(around) = around {
        around(scope, true);
    }
    let value = module.evaluate(scope);
    if let Some(around) = around {
        around(scope, false);
    }
    let promise = v8::Local::<v8::Promise>::try_from(value?).ok()?;
    promise.mark_as_handled();
    Some(promise)
}

fn caught<'s, 'i>(scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, '_, v8::HandleScope<'i>>>) -> StartError
where
    'i: 's,
{
    if scope.has_terminated() {
        return StartError::Terminated;
    }
    match scope.exception() {
        Some(exception) => {
            let message = scope.message();
            StartError::Exception(ExceptionReport::read(scope, exception, message))
        }
        None => StartError::Terminated,
    }
}

/// Throws and gives nothing, for callbacks.
fn refuse<T>(scope: &mut v8::PinScope<'_, '_>, error: &JsError) -> Option<T> {
    error.throw(scope);
    None
}

/// The origin that guest modules are compiled with: their own name, so that stacks and messages show it.
fn origin<'s>(scope: &mut v8::PinScope<'s, '_>, name: &str, module: bool) -> v8::ScriptOrigin<'s> {
    let resource = string(scope, name);
    v8::ScriptOrigin::new(scope, resource.into(), 0, 0, false, -1, None, false, false, module, None)
}
