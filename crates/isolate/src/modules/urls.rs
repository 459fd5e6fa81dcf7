//! The registry of URLs: names are WHATWG URLs, those of the bundle under `file:///bundle/`. A query or a fragment makes
//! another instance of the same source. Modules are compiled when they are first imported.

use url::Url;

use super::paths;
use crate::error::{JsError, string};
use crate::guard;

/// What the names of the bundle's modules are relative to.
const ROOT: &str = "file:///bundle/";

fn parse(specifier: &str, base: &str) -> Option<Url> {
    match Url::parse(specifier) {
        Ok(url) => Some(url),
        Err(url::ParseError::RelativeUrlWithoutBase) => Url::parse(base).ok()?.join(specifier).ok(),
        Err(_) => None,
    }
}

/// The URL of a module that the bundle calls `name`.
///
/// # Errors
/// A name that is no URL, or one of the runtime's own.
pub(super) fn in_bundle(name: &str) -> Result<String, JsError> {
    let url = match Url::parse(name) {
        Err(url::ParseError::RelativeUrlWithoutBase) => parse(&paths::normalise(name), ROOT),
        parsed => parsed.ok(),
    };
    match url {
        Some(url) if url.scheme() == "cloudflare" => Err(JsError::error(format!(
            "The cloudflare: protocol is reserved and cannot be used in module bundles: \"{name}\"."
        ))),
        Some(url) => Ok(url.into()),
        None => Err(JsError::type_error(format!("Invalid module name: {name}"))),
    }
}

/// What `specifier` means in the module `importer`.
///
/// # Errors
/// The reference's text.
pub(super) fn resolve(specifier: &str, importer: &str) -> Result<String, JsError> {
    parse(specifier, importer)
        .map(String::from)
        .ok_or_else(|| JsError::type_error(format!("Invalid module specifier: {specifier}")))
}

/// The URL of the source that an instance is made of.
pub(super) fn source_of(name: &str) -> &str {
    &name[..name.find(['?', '#']).unwrap_or(name.len())]
}

/// The path of a `file:` URL, percent-encoded as it stands there.
pub(super) fn file_path(name: &str) -> Option<&str> {
    source_of(name).strip_prefix("file://")
}

/// Gives `import.meta` its properties.
pub(super) fn fill_meta(
    scope: &mut v8::PinScope<'_, '_>,
    name: &str,
    main: bool,
    meta: v8::Local<v8::Object>,
) -> Option<()> {
    let url = string(scope, name);
    let main = v8::Boolean::new(scope, main);
    define(scope, meta, "main", main.into())?;
    define(scope, meta, "url", url.into())?;
    if let Some(path) = file_path(name) {
        let folder = string(scope, path.rfind('/').map_or("", |end| &path[..end]));
        let path = string(scope, path);
        define(scope, meta, "filename", path.into())?;
        define(scope, meta, "dirname", folder.into())?;
    }
    let resolve =
        v8::Function::builder_raw(guard::callback(resolve_for_guest)).data(url.into()).build(scope)?;
    define(scope, meta, "resolve", resolve.into())
}

fn define(
    scope: &mut v8::PinScope<'_, '_>,
    object: v8::Local<v8::Object>,
    name: &str,
    value: v8::Local<v8::Value>,
) -> Option<()> {
    let name = string(scope, name);
    object.create_data_property(scope, name.into(), value).map(|_| ())
}

/// `import.meta.resolve(specifier)`: the URL, whether there is such a module or not.
fn resolve_for_guest(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    if args.length() == 0 {
        return JsError::type_error("import.meta.resolve requires a specifier argument").throw(scope);
    }
    let Some(specifier) = args.get(0).to_string(scope) else { return };
    let specifier = specifier.to_rust_string_lossy(scope);
    let importer = args.data().to_rust_string_lossy(scope);
    match resolve(&specifier, &importer) {
        Ok(url) => rv.set(string(scope, &url).into()),
        Err(error) => error.throw(scope),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_bundle_are_urls() {
        let name = |name| in_bundle(name).unwrap();
        assert_eq!(name("main.js"), "file:///bundle/main.js");
        assert_eq!(name("./lib//x/../a b.js"), "file:///bundle/lib/a%20b.js");
        assert_eq!(name("../a.js"), "file:///bundle/a.js");
        assert_eq!(name("/a.js"), "file:///bundle/a.js");
        assert_eq!(name("file:///bundle/a.js"), "file:///bundle/a.js");
        assert_eq!(name("node:assert"), "node:assert");
        assert!(in_bundle("cloudflare:workers").is_err());
        assert!(in_bundle("http://[bad").is_err());
    }

    #[test]
    fn specifiers_are_urls_relative_to_the_importer() {
        let url = |specifier| resolve(specifier, "file:///bundle/lib/a.js?x").unwrap();
        assert_eq!(url("./b.js"), "file:///bundle/lib/b.js");
        assert_eq!(url("b.js?1#2"), "file:///bundle/lib/b.js?1#2");
        assert_eq!(url("../b.js"), "file:///bundle/b.js");
        assert_eq!(url("/b.js"), "file:///b.js");
        assert_eq!(url("node:assert"), "node:assert");
        let error = resolve("http://[bad", "file:///bundle/a.js").unwrap_err();
        assert_eq!(error.message, "Invalid module specifier: http://[bad");
    }

    #[test]
    fn query_and_fragment_do_not_name_the_source() {
        assert_eq!(source_of("file:///bundle/a.js?b#c"), "file:///bundle/a.js");
        assert_eq!(source_of("file:///bundle/a.js#c?d"), "file:///bundle/a.js");
        assert_eq!(file_path("file:///bundle/a.js?b"), Some("/bundle/a.js"));
        assert_eq!(file_path("foo:bar"), None);
    }
}
