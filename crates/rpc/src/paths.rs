//! Paths of names that calls go along. The same few are used again and again: a caller keeps those of its stubs in a table
//! and names them by number, a callee keeps the arrays that its scripts read.

use std::sync::Arc;

use atoll_isolate::{JsError, Native, arguments, error::string, natives, v8};
use rustc_hash::FxHashMap;

/// Property names from a target on.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<String>,
    /// Made for many calls, so that it is worth keeping.
    lasting: bool,
}

impl std::ops::Deref for Names {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.names
    }
}

/// Most names of a path, and most bytes of them: what `rpc/js/stubs.js` lets through, which counts UTF-16 units.
const MAX_NAMES: u32 = 65;
const MAX_BYTES: usize = 3 * 65_536;

impl Names {
    /// The names that a script gives.
    fn read(
        scope: &mut v8::PinScope<'_, '_>,
        value: v8::Local<v8::Value>,
        lasting: bool,
    ) -> Result<Self, JsError> {
        let length = v8::Local::<v8::Array>::try_from(value).map_or(0, |array| array.length());
        if length > MAX_NAMES {
            return Err(JsError::type_error("RPC pipelined property path is too deep."));
        }
        let names = arguments::texts(scope, value);
        if names.iter().map(String::len).sum::<usize>() > MAX_BYTES {
            return Err(JsError::type_error("RPC property path is too long."));
        }
        Ok(Self { names, lasting })
    }
}

/// Paths that one isolate keeps in either direction.
const MOST: usize = 256;

/// Lives in the isolate's slot.
#[derive(Default)]
struct Paths {
    own: Vec<Arc<Names>>,
    arrived: FxHashMap<usize, (Arc<Names>, v8::Global<v8::Array>)>,
}

pub(crate) fn natives() -> Vec<Native> {
    natives!["rpcPath" => rpc_path]
}

fn paths<'a>(scope: &'a mut v8::PinScope<'_, '_>) -> &'a mut Paths {
    if scope.get_slot::<Paths>().is_none() {
        scope.set_slot(Paths::default());
    }
    scope.get_slot_mut::<Paths>().expect("set above")
}

/// `rpcPath(names)` gives the number by which calls can name this path from now on, or the names, when there are too many.
fn rpc_path<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let names = match Names::read(scope, args.get(0), true) {
        Ok(names) => names,
        Err(error) => return error.throw(scope),
    };
    let own = &mut paths(scope).own;
    let known = own.iter().position(|known| known.names == names.names);
    match known {
        Some(number) => rv.set_uint32(number as u32),
        None if own.len() < MOST => {
            own.push(Arc::new(names));
            rv.set_uint32(own.len() as u32 - 1);
        }
        None => rv.set(args.get(0)),
    }
}

/// A path as scripts give it: names, or a number that `rpcPath` gave.
///
/// # Errors
/// For one that is too deep or too long.
pub(crate) fn argument(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<v8::Value>,
) -> Result<Arc<Names>, JsError> {
    if let Ok(number) = v8::Local::<v8::Integer>::try_from(value) {
        return Ok(paths(scope).own.get(number.value() as usize).cloned().unwrap_or_default());
    }
    Names::read(scope, value, false).map(Arc::new)
}

/// The names as an array that scripts must not change.
pub(crate) fn to_array<'s>(scope: &mut v8::PinScope<'s, '_>, names: &Arc<Names>) -> v8::Local<'s, v8::Array> {
    let key = Arc::as_ptr(names) as usize;
    if names.lasting
        && let Some((_, array)) = scope.get_slot::<Paths>().and_then(|paths| paths.arrived.get(&key))
    {
        return v8::Local::new(scope, array);
    }
    let elements: Vec<v8::Local<v8::Value>> = names.iter().map(|name| internalized(scope, name)).collect();
    let array = v8::Array::new_with_elements(scope, &elements);
    if names.lasting {
        let kept = v8::Global::new(scope, array);
        let arrived = &mut paths(scope).arrived;
        if arrived.len() >= MOST {
            arrived.clear();
        }
        // The names stay with the array, so that no others get their address.
        arrived.insert(key, (names.clone(), kept));
    }
    array
}

fn internalized<'s>(scope: &mut v8::PinScope<'s, '_>, name: &str) -> v8::Local<'s, v8::Value> {
    match v8::String::new_from_utf8(scope, name.as_bytes(), v8::NewStringType::Internalized) {
        Some(name) => name.into(),
        None => string(scope, name).into(),
    }
}
