//! Modules that the runtime itself provides.

use super::{Kind, link, map, refuse};
use crate::error::{JsError, string};
use crate::{arguments, realm};

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

/// The built-in of this specifier, if this Worker may import it.
pub(super) fn find(scope: &mut v8::PinScope<'_, '_>, specifier: &str) -> Option<Builtin> {
    map(scope).builtins.iter().find(|b| b.specifier == specifier).copied()
}

/// Adds a built-in to the map. None: an exception is pending.
pub(super) fn add(scope: &mut v8::PinScope<'_, '_>, builtin: Builtin) -> Option<usize> {
    let exports = load(scope, builtin)?;
    let mut names = own_names(scope, exports);
    if builtin.default.is_some() && !names.iter().any(|n| n == "default") {
        names.push("default".into());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Some(link::synthetic(scope, builtin.specifier, Kind::Builtin(builtin), &names))
}

/// Gives the exports of a built-in's module their values.
pub(super) fn export_all<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    module: v8::Local<'s, v8::Module>,
    builtin: Builtin,
) -> Option<()> {
    let exports = load(scope, builtin)?;
    let names = own_names(scope, exports);
    if builtin.default.is_some() {
        link::export(scope, module, "default", exports.into())?;
    }
    for name in names.into_iter().filter(|n| n != "default" || builtin.default.is_none()) {
        let key = string(scope, &name);
        let value = exports.get(scope, key.into())?;
        link::export(scope, module, &name, value)?;
    }
    Some(())
}

fn load<'s>(scope: &mut v8::PinScope<'s, '_>, builtin: Builtin) -> Option<v8::Local<'s, v8::Object>> {
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
