//! A Worker's modules: its bundle compiled, linked and evaluated, `import()` while it runs.
//!
//! There are two registries, which differ in how modules are named: by paths or by URLs ([`Registry`]). In both there is
//! no extension guessing, no `index.js`, no network. The bundle comes first, then the built-ins that the Worker's
//! compatibility flags give it. A text that was compiled before in this process compiles from [`cache`].

pub mod cache;

mod builtins;
mod commonjs;
mod compile;
mod dynamic;
mod link;
mod paths;
mod registry;
mod urls;

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{ExceptionReport, JsError, string};
use crate::guard;

pub use builtins::Builtin;
pub use compile::{has_code_to_keep, keep_code};
pub(crate) use dynamic::refuse_unsettled;
pub use paths::normalise;
pub use registry::Registry;

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

impl ModuleSource {
    fn is_esm(&self) -> bool {
        matches!(self, Self::Esm(_) | Self::Translated(..) | Self::Either(..))
    }
}

/// Translates a module (name, text) to JavaScript; an error is a message with the place.
pub type Translate = fn(&str, &str) -> Result<String, String>;

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
    /// Whether `node:` may be left out.
    pub bare_node_names: bool,
    /// How modules are named.
    pub registry: Registry,
}

/// Why a Worker did not start.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// The bundle itself is wrong: no main module, one of another kind, a name that is there twice.
    #[error("{}: {}", .0.class.name(), .0.message)]
    Refused(JsError),
    /// A module does not compile or link, or its top level threw.
    #[error("{}", .0.to_text_with_class())]
    Exception(Box<ExceptionReport>),
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
    CommonJs(commonjs::State),
    /// A value that is the default export: text, data, JSON, Wasm.
    Value {
        value: v8::Global<v8::Value>,
        is_json: bool,
    },
    Builtin(Builtin),
}

/// The module map; lives in the isolate's slot.
pub(crate) struct ModuleMap {
    records: Vec<Record>,
    by_name: HashMap<String, usize>,
    by_hash: HashMap<i32, Vec<usize>>,
    /// What is compiled when it is first imported, by name.
    sources: HashMap<String, compile::Stored>,
    aliases: HashMap<String, String>,
    builtins: Vec<Builtin>,
    bare_node_names: bool,
    registry: Registry,
    main: String,
    /// Compiled code whose cache entries are to be made.
    to_keep: Vec<(cache::Claim, compile::Compiled)>,
    /// Imports of modules with top-level `await`, until the microtasks of the turn are done.
    unsettled: Vec<(v8::Global<v8::PromiseResolver>, v8::Global<v8::Promise>)>,
    started: bool,
    around: Option<Around>,
}

impl Default for ModuleMap {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            by_name: HashMap::new(),
            by_hash: HashMap::new(),
            sources: HashMap::new(),
            aliases: HashMap::new(),
            builtins: Vec::new(),
            bare_node_names: false,
            registry: Registry::Paths { refuse_attributes: true },
            main: String::new(),
            to_keep: Vec::new(),
            unsettled: Vec::new(),
            started: false,
            around: None,
        }
    }
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
    isolate.set_host_initialize_import_meta_object_callback(fill_meta);
}

/// V8 makes a module's `import.meta`.
unsafe extern "C" fn fill_meta<'s>(
    context: v8::Local<'s, v8::Context>,
    module: v8::Local<'s, v8::Module>,
    meta: v8::Local<'s, v8::Object>,
) {
    // SAFETY: V8 calls this inside the isolate that the context belongs to.
    v8::callback_scope!(unsafe let scope, context);
    guard::guarded(scope, |scope| {
        if map(scope).registry != Registry::Urls {
            return None;
        }
        let index = link::record_of(scope, module)?;
        let name = map(scope).records[index].name.clone();
        let is_main = name == map(scope).main;
        urls::fill_meta(scope, &name, is_main, meta);
        Some(())
    });
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

/// Starts a Worker: takes its bundle, links and evaluates the main module. Gives the main module's namespace.
///
/// # Errors
/// [`StartError`], with the guest's own source position where there is one.
pub fn start<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    bundle: Bundle,
) -> Result<v8::Local<'s, v8::Object>, StartError> {
    let registry = bundle.registry;
    let modules = bundle.modules.clone();
    let eager = take_bundle(scope, bundle)?;
    v8::tc_scope!(let scope, scope);
    for (name, index) in eager {
        if compile::compile(scope, &name, &modules[index].1).is_none() {
            return Err(caught(scope));
        }
    }
    let main = map(scope).main.clone();
    let source = registry.source_of(&main).to_owned();
    let index = match map(scope).by_name.get(&main).copied() {
        Some(index) => index,
        None => compile::instantiate(scope, &main, &source).ok_or_else(|| caught(scope))?,
    };
    let module = map(scope).records[index].module.clone();
    let module = v8::Local::new(scope, module);
    if module.instantiate_module2(scope, link::resolve, link::resolve_source).is_none() {
        return Err(caught(scope));
    }
    let Some(promise) = evaluate(scope, module) else { return Err(caught(scope)) };
    scope.perform_microtask_checkpoint();
    refuse_unsettled(scope);
    if scope.is_execution_terminating() || scope.has_terminated() {
        return Err(StartError::Terminated);
    }
    let unsettled = || StartError::Refused(registry.unsettled(&main));
    match promise.state() {
        v8::PromiseState::Fulfilled => map(scope).started = true,
        v8::PromiseState::Pending => return Err(unsettled()),
        v8::PromiseState::Rejected => {
            let exception = promise.result(scope);
            return Err(StartError::Exception(ExceptionReport::read(scope, exception, None).into()));
        }
    }
    v8::Local::<v8::Object>::try_from(module.get_module_namespace()).map_err(|_| unsettled())
}

/// Fills the map from a bundle. Gives the modules that are to be compiled now: names, and where they are in the bundle.
fn take_bundle(scope: &mut v8::PinScope<'_, '_>, bundle: Bundle) -> Result<Vec<(String, usize)>, StartError> {
    let registry = bundle.registry;
    let named = |name: &str| registry.in_bundle(name).map_err(StartError::Refused);
    let main = named(&bundle.main)?;
    let mut modules = Vec::with_capacity(bundle.modules.len());
    let mut names = std::collections::HashSet::with_capacity(bundle.modules.len());
    let mut kind_of_main = None;
    for (index, (name, source)) in bundle.modules.iter().enumerate() {
        let name = named(name)?;
        if !names.insert(name.clone()) {
            let message = format!("Module \"{name}\" already added to bundle");
            return Err(StartError::Refused(JsError::error(message)));
        }
        if name == registry.source_of(&main) {
            kind_of_main = Some(source.is_esm());
        }
        modules.push((name, index));
    }
    match kind_of_main {
        None => return Err(StartError::Refused(registry.missing_main(&bundle.main))),
        Some(false) => {
            return Err(StartError::Refused(JsError::type_error("Main module must be an ES module.")));
        }
        Some(true) => {}
    }
    let mut aliases = HashMap::with_capacity(bundle.aliases.len());
    for (alias, name) in bundle.aliases {
        let alias = named(&alias)?;
        if !names.contains(&alias) {
            aliases.entry(alias).or_insert(named(&name)?);
        }
    }
    let map = map(scope);
    (map.builtins, map.bare_node_names) = (bundle.builtins, bundle.bare_node_names);
    (map.registry, map.main, map.aliases) = (registry, main, aliases);
    if registry.is_eager() {
        return Ok(modules);
    }
    let fresh = |index| compile::Stored::Fresh(bundle.modules.clone(), index);
    map.sources = modules.into_iter().map(|(name, index)| (name, fresh(index))).collect();
    Ok(Vec::new())
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
    if map(scope).started {
        keep_code(scope);
    }
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
            StartError::Exception(ExceptionReport::read(scope, exception, message).into())
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
