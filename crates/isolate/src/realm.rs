//! The runtime's own objects in a context: the natives, the primordials, the internal `require` with its scripts,
//! and the lazy properties of the global object.

use rustc_hash::FxHashMap;
use v8::ExternalReference;

use crate::error::{MAX_MESSAGE, start_of, string};
use crate::extension::{Source, Startup, source_reference};
use crate::guard;

static PRIMORDIALS: &Source = crate::include_source!("../js/primordials.js");
static REQUIRE: &Source = crate::include_source!("../js/require.js");

/// Index of the holder object among the context's snapshot data.
const HOLDER: usize = 0;

/// The script whose `DOMException` export makes DOM exceptions.
const DOM_EXCEPTION: &str = "web/dom-exception";

/// The runtime's handles in one isolate; lives in the isolate's slot.
pub struct Realm {
    startup: &'static Startup,
    natives: v8::Global<v8::Object>,
    primordials: v8::Global<v8::Object>,
    require: v8::Global<v8::Function>,
    /// Exports by script name, as a JavaScript object so that it survives in the snapshot.
    registry: v8::Global<v8::Object>,
    functions: FxHashMap<(usize, usize), v8::Global<v8::Function>>,
}

/// Addresses of this module's callbacks, for the snapshot.
pub(crate) fn references() -> Vec<ExternalReference> {
    use v8::MapFnTo;
    vec![
        source_reference(PRIMORDIALS),
        source_reference(REQUIRE),
        ExternalReference { function: guard::callback(require) },
        ExternalReference {
            named_getter: {
                // A lazy data property's getter is an accessor callback; its address is all that the list needs.
                let getter: v8::AccessorNameGetterCallback = lazy_global.map_fn_to();
                // SAFETY: both are plain function addresses; V8 only compares and stores them.
                unsafe {
                    std::mem::transmute::<v8::AccessorNameGetterCallback, v8::NamedPropertyGetterCallback>(
                        getter,
                    )
                }
            },
        },
    ]
}

/// Builds the realm from nothing, while the snapshot is made, and runs the eager scripts.
pub(crate) fn build(scope: &mut v8::PinScope<'_, '_>, startup: &'static Startup) -> Result<(), String> {
    let natives = bare_object(scope);
    for extension in startup.extensions {
        for native in (extension.natives)() {
            let function = v8::Function::builder_raw(native.callback)
                .constructor_behavior(v8::ConstructorBehavior::Throw)
                .build(scope)
                .ok_or("a native cannot be made")?;
            let key = string(scope, native.name);
            function.set_name(key);
            natives.create_data_property(scope, key.into(), function.into());
        }
    }
    let primordials = bare_object(scope);
    let registry = bare_object(scope);
    let require = v8::Function::builder_raw(guard::callback(require))
        .constructor_behavior(v8::ConstructorBehavior::Throw)
        .build(scope)
        .ok_or("require")?;
    let context = scope.get_current_context();
    let global = context.global(scope);
    install_shared_array_buffer(scope, global).ok_or("SharedArrayBuffer")?;
    let sources: Vec<&str> =
        startup.extensions.iter().flat_map(|e| e.scripts).map(|s| s.source.as_str()).collect();
    let sources = string(scope, &sources.concat());
    run(
        scope,
        "isolate/primordials",
        PRIMORDIALS,
        None,
        &["primordials", "global", "sources"],
        &[primordials.into(), global.into(), sources.into()],
    )?;

    let made = bare_object(scope);
    run(
        scope,
        "isolate/require",
        REQUIRE,
        None,
        &["registry", "load", "made"],
        &[registry.into(), require.into(), made.into()],
    )?;
    let require = property(scope, made, "require")
        .and_then(|made| v8::Local::<v8::Function>::try_from(made).ok())
        .ok_or("require")?;

    let held = [natives.into(), primordials.into(), registry.into(), require.into()];
    let holder = v8::Array::new_with_elements(scope, &held);
    install(scope, startup, holder.into());
    for extension in startup.extensions {
        for lazy in extension.globals {
            let key = string(scope, lazy.name);
            let data = v8::undefined(scope);
            global.set_lazy_data_property_with_data(
                scope,
                key.into(),
                lazy_global,
                data.into(),
                v8::PropertyAttribute::DONT_ENUM,
                v8::SideEffectType::HasSideEffect,
                v8::SideEffectType::HasSideEffect,
            );
        }
        for script in extension.scripts.iter().filter(|s| s.eager) {
            load(scope, script.name).map_err(|e| format!("{}: {e}", script.name))?;
        }
    }
    scope.add_context_data(context, holder);
    Ok(())
}

/// V8 gives each context that is to run its own `SharedArrayBuffer`, and a context in the making none. So scripts get it
/// from here, and put another in the place of its prototype's constructor.
fn install_shared_array_buffer(
    scope: &mut v8::PinScope<'_, '_>,
    global: v8::Local<'_, v8::Object>,
) -> Option<bool> {
    let buffer = v8::SharedArrayBuffer::new(scope, 0)?;
    let constructor = property(scope, buffer.into(), "constructor")?;
    let name = string(scope, SHARED_ARRAY_BUFFER);
    global.define_own_property(scope, name.into(), constructor, v8::PropertyAttribute::DONT_ENUM)
}

/// Puts that constructor onto the global object of a context made from the snapshot.
fn restore_shared_array_buffer(scope: &mut v8::PinScope<'_, '_>) -> Option<bool> {
    let global = scope.get_current_context().global(scope);
    let original = property(scope, global, SHARED_ARRAY_BUFFER)?;
    let prototype = property(scope, original.to_object(scope)?, "prototype")?;
    let constructor = property(scope, prototype.to_object(scope)?, "constructor")?;
    let name = string(scope, SHARED_ARRAY_BUFFER);
    global.define_own_property(scope, name.into(), constructor, v8::PropertyAttribute::DONT_ENUM)
}

const SHARED_ARRAY_BUFFER: &str = "SharedArrayBuffer";

/// An object without a prototype, for the runtime's own: what guests put on `Object.prototype` is neither found on it nor
/// called when a script adds to it. Unlike one of `Object.create(null)` it is no dictionary: its properties are as quick to
/// read as those of any object.
fn bare_object<'s>(scope: &mut v8::PinScope<'s, '_>) -> v8::Local<'s, v8::Object> {
    let object = v8::Object::new(scope);
    let null = v8::null(scope);
    object.set_prototype(scope, null.into());
    object
}

fn property<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'_, v8::Object>,
    name: &str,
) -> Option<v8::Local<'s, v8::Value>> {
    let name = string(scope, name);
    object.get(scope, name.into())
}

/// Finds the realm in a context made from the snapshot.
pub(crate) fn restore(scope: &mut v8::PinScope<'_, '_>, startup: &'static Startup) {
    let holder = scope
        .get_context_data_from_snapshot_once::<v8::Array>(HOLDER)
        .expect("the startup blob holds the realm: it was made by this crate");
    install(scope, startup, holder.into());
    restore_shared_array_buffer(scope).expect("V8 has SharedArrayBuffer");
}

fn install(scope: &mut v8::PinScope<'_, '_>, startup: &'static Startup, holder: v8::Local<v8::Object>) {
    let object = |index| {
        let value = holder.get_index(scope, index).expect("the holder has four elements");
        let object = v8::Local::<v8::Object>::try_from(value).expect("each element is an object");
        v8::Global::new(scope, object)
    };
    let (natives, primordials, registry) = (object(0), object(1), object(2));
    let require = holder.get_index(scope, 3).expect("the holder has four elements");
    let require = v8::Local::<v8::Function>::try_from(require).expect("the last element is a function");
    let require = v8::Global::new(scope, require);
    scope.set_slot(Realm {
        startup,
        natives,
        primordials,
        require,
        registry,
        functions: FxHashMap::default(),
    });
}

/// Loads a runtime script, unless it is loaded, and gives its exports.
pub fn load<'s>(scope: &mut v8::PinScope<'s, '_>, name: &str) -> Result<v8::Local<'s, v8::Object>, String> {
    let realm = scope.get_slot::<Realm>().expect("the realm is set up before any script is loaded");
    let (startup, registry) = (realm.startup, realm.registry.clone());
    let arguments = (realm.require.clone(), realm.natives.clone(), realm.primordials.clone());
    let registry = v8::Local::new(scope, registry);
    let key = string(scope, name);
    if let Some(found) =
        registry.get(scope, key.into()).and_then(|v| v8::Local::<v8::Object>::try_from(v).ok())
    {
        return Ok(found);
    }
    let script = startup.script(name).ok_or_else(|| format!("there is no runtime script named {name}"))?;
    let exports = bare_object(scope);
    // Registered before it runs, so that scripts can require each other.
    registry.create_data_property(scope, key.into(), exports.into());
    let require = v8::Local::new(scope, arguments.0);
    let natives = v8::Local::new(scope, arguments.1);
    let primordials = v8::Local::new(scope, arguments.2);
    let ran = run(
        scope,
        name,
        script.source,
        startup.cache_of(name),
        &["exports", "require", "natives", "primordials"],
        &[exports.into(), require.into(), natives.into(), primordials.into()],
    );
    if let Err(error) = ran {
        // Stopped half-way, by a limit or at the edge of the stack: the next touch loads it anew.
        registry.delete(scope, key.into());
        return Err(error);
    }
    Ok(exports)
}

/// Whether a runtime script is loaded. Where it is not, nothing of it is in use.
pub fn is_loaded(scope: &mut v8::PinScope<'_, '_>, name: &str) -> bool {
    let Some(registry) = scope.get_slot::<Realm>().map(|realm| realm.registry.clone()) else { return false };
    let registry = v8::Local::new(scope, registry);
    let key = string(scope, name);
    registry.has_own_property(scope, key.into()) == Some(true)
}

/// Compiles a script with all its functions, for the code cache.
pub(crate) fn compile_eagerly<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    source: &'static Source,
    parameters: &[&str],
) -> Option<v8::Local<'s, v8::Function>> {
    compile(scope, name, source, None, parameters, v8::script_compiler::CompileOptions::EagerCompile)
}

/// Compiles a script as the body of a function, from the code cache where there is one.
fn compile<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    source: &'static Source,
    cache: Option<&'static [u8]>,
    parameters: &[&str],
    otherwise: v8::script_compiler::CompileOptions,
) -> Option<v8::Local<'s, v8::Function>> {
    let text = v8::String::new_from_onebyte_const(scope, source)?;
    let resource = string(scope, &format!("atoll:{name}"));
    let undefined = v8::undefined(scope);
    let origin = v8::ScriptOrigin::new(
        scope,
        resource.into(),
        0,
        0,
        false,
        -1,
        Some(undefined.into()),
        false,
        false,
        false,
        None,
    );
    let parameters: Vec<_> = parameters.iter().map(|p| string(scope, p)).collect();
    let (mut source, options) = match cache {
        Some(bytes) => (
            v8::script_compiler::Source::new_with_cached_data(
                text,
                Some(&origin),
                v8::script_compiler::CachedData::new(bytes),
            ),
            v8::script_compiler::CompileOptions::ConsumeCodeCache,
        ),
        None => (v8::script_compiler::Source::new(text, Some(&origin)), otherwise),
    };
    let function = v8::script_compiler::compile_function(
        scope,
        &mut source,
        &parameters,
        &[],
        options,
        v8::script_compiler::NoCacheReason::NoReason,
    );
    if cache.is_some() && source.get_cached_data().is_some_and(|c| c.rejected()) {
        // The cache was made under other V8 flags: slower, and no more than that.
        tracing::debug!(script = name, "code cache rejected");
    }
    function
}

fn run(
    scope: &mut v8::PinScope<'_, '_>,
    name: &str,
    source: &'static Source,
    cache: Option<&'static [u8]>,
    parameters: &[&str],
    arguments: &[v8::Local<v8::Value>],
) -> Result<(), String> {
    v8::tc_scope!(let scope, scope);
    let receiver = v8::undefined(scope);
    // In the snapshot every function carries its bytecode: a child must not parse the runtime's sources again.
    let options = v8::script_compiler::CompileOptions::EagerCompile;
    let done = compile(scope, name, source, cache, parameters, options)
        .and_then(|function| function.call(scope, receiver.into(), arguments));
    match done {
        Some(_) => Ok(()),
        None => Err(match scope.exception() {
            Some(exception) => {
                let message = scope.message();
                crate::error::ExceptionReport::read(scope, exception, message).to_text()
            }
            None => "terminated".into(),
        }),
    }
}

/// One of the primordials.
pub(crate) fn primordial<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
) -> Option<v8::Local<'s, v8::Value>> {
    let primordials = scope.get_slot::<Realm>()?.primordials.clone();
    let primordials = v8::Local::new(scope, primordials);
    let key = string(scope, name);
    primordials.get(scope, key.into())
}

/// A function that a runtime script exports, kept for quick calls.
pub fn function<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    script: &'static str,
    name: &'static str,
) -> Option<v8::Local<'s, v8::Function>> {
    // By address: equal literals in two places make two entries, and nothing is hashed byte by byte.
    let key = (script.as_ptr() as usize, name.as_ptr() as usize);
    if let Some(known) = scope.get_slot::<Realm>().and_then(|realm| realm.functions.get(&key)) {
        return Some(v8::Local::new(scope, known));
    }
    let exports = match load(scope, script) {
        Ok(exports) => exports,
        Err(error) => {
            tracing::warn!(script, error, "a runtime script could not be loaded");
            return None;
        }
    };
    let Some(function) =
        property(scope, exports, name).and_then(|v| v8::Local::<v8::Function>::try_from(v).ok())
    else {
        tracing::error!(script, name, "a defect of the runtime: its script exports no such function");
        return None;
    };
    let global = v8::Global::new(scope, function);
    if let Some(realm) = scope.get_slot_mut::<Realm>() {
        realm.functions.insert(key, global);
    }
    Some(function)
}

/// Calls a function that a runtime script exports. None: it threw, or was terminated; the exception is pending in the
/// caller's `TryCatch`.
pub fn call<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    script: &'static str,
    name: &'static str,
    arguments: &[v8::Local<v8::Value>],
) -> Option<v8::Local<'s, v8::Value>> {
    let function = function(scope, script, name)?;
    let receiver = v8::undefined(scope);
    function.call(scope, receiver.into(), arguments)
}

/// As `Promise.prototype.then`, which V8's own interface would ask guests for: what it gives need not be a promise then.
/// None: an exception is pending.
pub(crate) fn then<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    promise: v8::Local<'s, v8::Promise>,
    fulfilled: v8::Local<'s, v8::Function>,
    rejected: Option<v8::Local<'s, v8::Function>>,
) -> Option<v8::Local<'s, v8::Promise>> {
    let primordials = scope.get_slot::<Realm>()?.primordials.clone();
    let primordials = v8::Local::new(scope, primordials);
    let then = v8::Local::<v8::Function>::try_from(property(scope, primordials, THEN)?).ok()?;
    let receiver: v8::Local<v8::Value> = v8::undefined(scope).into();
    let rejected = rejected.map_or(receiver, Into::into);
    let derived = then.call(scope, receiver, &[promise.into(), fulfilled.into(), rejected])?;
    v8::Local::<v8::Promise>::try_from(derived).ok()
}

/// The primordial that [`then`] calls; `primordials.js` keeps it whether scripts name it or not.
const THEN: &str = "PromisePrototypeThen";

/// The natives of an isolate, for tests of them: no guest ever sees this object.
pub fn natives<'s>(scope: &mut v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Object>> {
    let natives = scope.get_slot::<Realm>()?.natives.clone();
    Some(v8::Local::new(scope, natives))
}

/// Makes a `DOMException`.
pub(crate) fn dom_exception<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    message: v8::Local<'s, v8::String>,
    name: &str,
) -> Option<v8::Local<'s, v8::Value>> {
    v8::tc_scope!(let scope, scope);
    let exports = load(scope, DOM_EXCEPTION).ok()?;
    let class = v8::Local::<v8::Function>::try_from(property(scope, exports, "DOMException")?).ok()?;
    let name = string(scope, name);
    class.new_instance(scope, &[message.into(), name.into()]).map(Into::into)
}

/// What an uncaught `DOMException` says; none: the value is something else. Runs no guest code.
pub(crate) fn describe_dom_exception(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<v8::Value>,
) -> Option<String> {
    if !value.is_object() || value.is_native_error() || value.is_proxy() {
        return None;
    }
    v8::tc_scope!(let scope, scope);
    let text = call(scope, DOM_EXCEPTION, "describe", &[value])?;
    let text = v8::Local::<v8::String>::try_from(text).ok()?;
    Some(start_of(scope, text, MAX_MESSAGE))
}

/// `require(name)` inside runtime scripts.
fn require(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let name = crate::arguments::text(scope, &args, 0);
    match load(scope, &name) {
        Ok(exports) => rv.set(exports.into()),
        Err(message) if scope.is_execution_terminating() => drop(message),
        Err(message) => crate::JsError::error(format!("runtime script {name}: {message}")).throw(scope),
    }
}

/// First touch of a lazy global: loads its script.
fn lazy_global<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    key: v8::Local<'s, v8::Name>,
    _args: v8::PropertyCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    guard::guarded(scope, |scope| load_global(scope, key, &mut rv));
}

fn load_global<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    key: v8::Local<'s, v8::Name>,
    rv: &mut v8::ReturnValue<'_, v8::Value>,
) -> Option<()> {
    let name = key.to_rust_string_lossy(scope);
    let lazy = scope.get_slot::<Realm>().and_then(|r| r.startup.lazy_global(&name))?;
    match load(scope, lazy.script) {
        Ok(exports) => rv.set(exports.get(scope, key.into())?),
        Err(message) if scope.is_execution_terminating() => drop(message),
        Err(message) => {
            crate::JsError::error(format!("runtime script {}: {message}", lazy.script)).throw(scope)
        }
    }
    Some(())
}
