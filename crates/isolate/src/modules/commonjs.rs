//! CommonJS modules: a function around the text, `module.exports` as the result, evaluated when first imported.

use super::cache::Key;
use super::compile::{self, Compiled};
use super::registry::{Registry, Way};
use super::{Kind, link, map, origin, refuse};
use crate::error::{JsError, string};
use crate::guard;

const PARAMETERS: [&str; 5] = ["exports", "require", "module", "__filename", "__dirname"];

/// How far a CommonJS module has come.
pub(super) enum State {
    Compiled(v8::Global<v8::Function>),
    /// It runs, or has run: its `module`.
    Run(v8::Global<v8::Object>),
    /// What it threw; whoever asks again gets the same.
    Failed(v8::Global<v8::Value>),
}

/// Compiles the text to the function around it.
pub(super) fn compile<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    text: v8::Local<'s, v8::String>,
    key: Option<Key>,
) -> Option<v8::Local<'s, v8::Function>> {
    let origin = origin(scope, name, false);
    let parameters = PARAMETERS.map(|p| string(scope, p));
    let (function, claim) = compile::with_cache(text, &origin, key, |source, options| {
        let reason = v8::script_compiler::NoCacheReason::NoReason;
        v8::script_compiler::compile_function(scope, source, &parameters, &[], options, reason)
    });
    let function = function?;
    if let Some(claim) = claim {
        let function = v8::Global::new(scope, function);
        map(scope).to_keep.push((claim, Compiled::Function(function)));
    }
    Some(function)
}

/// `module.exports`; in a cycle, what it is so far.
pub(super) fn exports<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    index: usize,
) -> Option<v8::Local<'s, v8::Value>> {
    let key = string(scope, "exports");
    let Kind::CommonJs(state) = &map(scope).records[index].kind else { return None };
    let function = match state {
        State::Compiled(function) => function.clone(),
        State::Run(module) => {
            let module = module.clone();
            return v8::Local::new(scope, module).get(scope, key.into());
        }
        State::Failed(exception) => {
            let exception = exception.clone();
            let exception = v8::Local::new(scope, exception);
            scope.throw_exception(exception);
            return None;
        }
    };
    let module = v8::Object::new(scope);
    // Kept before it runs, so that a cycle finds it.
    let kept = v8::Global::new(scope, module);
    set_state(scope, index, State::Run(kept));
    let function = v8::Local::new(scope, function);
    match run(scope, index, module, function) {
        Ok(()) => module.get(scope, key.into()),
        Err(exception) => {
            if let Some(exception) = exception {
                let kept = v8::Global::new(scope, exception);
                set_state(scope, index, State::Failed(kept));
                scope.throw_exception(exception);
            }
            None
        }
    }
}

fn set_state(scope: &mut v8::PinScope<'_, '_>, index: usize, state: State) {
    map(scope).records[index].kind = Kind::CommonJs(state);
}

/// Runs the module's function. An error is what it threw; without one, the isolate is being stopped.
fn run<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    index: usize,
    module: v8::Local<'s, v8::Object>,
    function: v8::Local<'s, v8::Function>,
) -> Result<(), Option<v8::Local<'s, v8::Value>>> {
    let (registry, name) = (map(scope).registry, map(scope).records[index].name.clone());
    v8::tc_scope!(let scope, scope);
    let file = registry.file_name(&name);
    let folder = file.rfind('/').map_or("", |end| &file[..end]);
    let exports = v8::Object::new(scope);
    let path = string(scope, &registry.module_path(&name));
    let done = (|| {
        for (key, value) in [("path", path.into()), ("exports", exports.into())] {
            let key: v8::Local<v8::Name> = string(scope, key).into();
            module.create_data_property(scope, key, value)?;
        }
        let data = v8::Integer::new(scope, index as i32);
        let require = v8::Function::builder_raw(guard::callback(require)).data(data.into()).build(scope)?;
        require.set_name(string(scope, "require"));
        let (file, folder) = (string(scope, &file), string(scope, folder));
        let arguments = [exports.into(), require.into(), module.into(), file.into(), folder.into()];
        // `this` is the global object, as in the reference.
        let receiver = v8::undefined(scope);
        function.call(scope, receiver.into(), &arguments)
    })();
    match done {
        Some(_) => Ok(()),
        None if scope.has_terminated() => {
            scope.rethrow();
            Err(None)
        }
        None => Err(scope.exception()),
    }
}

/// `require(specifier)`.
fn require(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    if args.length() == 0 {
        return JsError::type_error(
            "Failed to execute 'require' on 'CommonJsModuleContext': parameter 1 is not of type 'string'.",
        )
        .throw(scope);
    }
    let importer = args.data().uint32_value(scope).unwrap_or(0) as usize;
    let importer = map(scope).records[importer].name.clone();
    let Some(specifier) = args.get(0).to_string(scope) else { return };
    let specifier = specifier.to_rust_string_lossy(scope);
    let found = link::find(scope, Way::Require, &specifier, &importer);
    if let Some(value) = found.and_then(|index| load(scope, index)) {
        rv.set(value);
    }
}

fn load<'s>(scope: &mut v8::PinScope<'s, '_>, index: usize) -> Option<v8::Local<'s, v8::Value>> {
    if !matches!(map(scope).records[index].kind, Kind::Esm | Kind::Builtin(_)) {
        return link::default_export(scope, index);
    }
    let (registry, name) = (map(scope).registry, map(scope).records[index].name.clone());
    let module = map(scope).records[index].module.clone();
    let module = v8::Local::new(scope, module);
    module.instantiate_module2(scope, link::resolve, link::resolve_source)?;
    if module.get_status() == v8::ModuleStatus::Evaluating {
        return refuse(scope, &JsError::error(format!("Circular dependency when resolving module: {name}")));
    }
    if let Some(specifier) = link::import_of_running(scope, index) {
        return refuse(scope, &registry.circular(&name, &specifier));
    }
    let promise = super::evaluate(scope, module)?;
    match promise.state() {
        v8::PromiseState::Rejected => {
            let exception = promise.result(scope);
            scope.throw_exception(exception);
            return None;
        }
        v8::PromiseState::Pending => return refuse(scope, &registry.unsettled_in_require(&name)),
        v8::PromiseState::Fulfilled => {}
    }
    let namespace = v8::Local::<v8::Object>::try_from(module.get_module_namespace()).ok()?;
    required_of(scope, index, registry, namespace)
}

/// What `require()` gives of a module's namespace: what the module itself says, or the default export, or the namespace.
fn required_of<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    index: usize,
    registry: Registry,
    namespace: v8::Local<'s, v8::Object>,
) -> Option<v8::Local<'s, v8::Value>> {
    let own = string(scope, "module.exports");
    if namespace.has(scope, own.into())? {
        return namespace.get(scope, own.into());
    }
    let unwrap = match &map(scope).records[index].kind {
        Kind::Builtin(builtin) => builtin.default.is_some(),
        _ if matches!(registry, Registry::Paths { .. }) => true,
        _ => {
            let wanted = string(scope, "__cjsUnwrapDefault");
            namespace.get(scope, wanted.into())?.boolean_value(scope)
        }
    };
    let default = string(scope, "default");
    if unwrap && namespace.has(scope, default.into())? {
        return namespace.get(scope, default.into());
    }
    Some(namespace.into())
}
