//! CommonJS modules: a function around the text, `module.exports` as the result, evaluated when first imported.

use super::{Kind, link, map, origin};
use crate::error::string;

const PARAMETERS: [&str; 5] = ["exports", "require", "module", "__filename", "__dirname"];

/// Compiles the text, so that a syntax error shows at start-up.
pub(super) fn compile<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    source: &str,
) -> Option<v8::Local<'s, v8::Function>> {
    let text = v8::String::new(scope, source)?;
    let origin = origin(scope, name, false);
    let mut source = v8::script_compiler::Source::new(text, Some(&origin));
    let parameters = PARAMETERS.map(|p| string(scope, p));
    v8::script_compiler::compile_function(
        scope,
        &mut source,
        &parameters,
        &[],
        v8::script_compiler::CompileOptions::NoCompileOptions,
        v8::script_compiler::NoCacheReason::NoReason,
    )
}

/// `module.exports`; in a cycle, what it is so far.
pub(super) fn exports<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    index: usize,
) -> Option<v8::Local<'s, v8::Value>> {
    let record = &map(scope).records[index];
    let Kind::CommonJs { source, object } = &record.kind else { return None };
    let exports_key = "exports";
    if let Some(object) = object.clone() {
        let object = v8::Local::new(scope, object);
        let key = string(scope, exports_key);
        return object.get(scope, key.into());
    }
    let (name, source) = (record.name.clone(), source.clone());
    let module = v8::Object::new(scope);
    let exports = v8::Object::new(scope);
    let key = string(scope, exports_key);
    module.set(scope, key.into(), exports.into());
    // Kept before it runs, so that a cycle finds it.
    let kept = v8::Global::new(scope, module);
    if let Kind::CommonJs { object, .. } = &mut map(scope).records[index].kind {
        *object = Some(kept);
    }
    let function = compile(scope, &name, &source)?;
    let data = v8::Integer::new(scope, index as i32);
    let require = v8::Function::builder(require).data(data.into()).build(scope)?;
    let folder = name.rfind('/').map_or("", |end| &name[..end]);
    let (file, folder) = (string(scope, &format!("/{name}")), string(scope, &format!("/{folder}")));
    let receiver = exports;
    function.call(
        scope,
        receiver.into(),
        &[exports.into(), require.into(), module.into(), file.into(), folder.into()],
    )?;
    module.get(scope, key.into())
}

/// `require(specifier)`: another module's default export, or the namespace of an ES module that has none.
fn require(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let importer = args.data().uint32_value(scope).unwrap_or(0) as usize;
    let importer = map(scope).records[importer].name.clone();
    let Some(specifier) = args.get(0).to_string(scope) else { return };
    let specifier = specifier.to_rust_string_lossy(scope);
    if let Some(value) = link::find(scope, &specifier, &importer).and_then(|index| load(scope, index)) {
        rv.set(value);
    }
}

fn load<'s>(scope: &mut v8::PinScope<'s, '_>, index: usize) -> Option<v8::Local<'s, v8::Value>> {
    if !matches!(map(scope).records[index].kind, Kind::Esm | Kind::Builtin(_)) {
        return link::default_export(scope, index);
    }
    let module = map(scope).records[index].module.clone();
    let module = v8::Local::new(scope, module);
    module.instantiate_module2(scope, link::resolve, link::resolve_source)?;
    if module.get_status() == v8::ModuleStatus::Evaluating {
        return super::refuse(
            scope,
            &crate::JsError::error(
                "require() cannot load an ES module that is being evaluated: it imports this module.",
            ),
        );
    }
    let promise = super::evaluate(scope, module)?;
    match promise.state() {
        v8::PromiseState::Rejected => {
            let exception = promise.result(scope);
            scope.throw_exception(exception);
            return None;
        }
        v8::PromiseState::Pending => {
            return super::refuse(
                scope,
                &crate::JsError::error("require() cannot load an ES module that uses top-level await."),
            );
        }
        v8::PromiseState::Fulfilled => {}
    }
    let namespace = v8::Local::<v8::Object>::try_from(module.get_module_namespace()).ok()?;
    let key = string(scope, "default");
    if namespace.has(scope, key.into())? {
        return namespace.get(scope, key.into());
    }
    Some(namespace.into())
}
