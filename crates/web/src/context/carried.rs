//! What V8 carries along with each continuation: the context, how deep calls are in each other, overrides of `env`.

use atoll_isolate::v8;

use super::ContextId;
use crate::depth::Depth;

/// The context that the running code belongs to, or 0. V8 carries it along with each continuation: code that waited
/// for a promise which another context resolved goes on in its own.
pub fn current(scope: &mut v8::PinScope<'_, '_>) -> ContextId {
    carried(scope) as ContextId
}

/// `overrides()`: what `setOverrides` carries along with the running code, or undefined.
pub(super) fn overrides<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    _args: v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let carried = scope.get_continuation_preserved_embedder_data();
    if let Ok(pair) = v8::Local::<v8::Array>::try_from(carried)
        && let Some(value) = pair.get_index(scope, 1)
    {
        rv.set(value);
    }
}

/// `setOverrides(value)`: an object that code started from here carries along, or undefined.
pub(super) fn set_overrides<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let carried = carried(scope);
    if args.get(0).is_undefined() {
        return carry(scope, carried);
    }
    let carried = v8::Number::new(scope, carried as f64);
    let pair = v8::Array::new_with_elements(scope, &[carried.into(), args.get(0)]);
    scope.set_continuation_preserved_embedder_data(pair.into());
}

/// How deep the running code is in calls that led to each other; carried along like the context.
pub fn depth(scope: &mut v8::PinScope<'_, '_>) -> Depth {
    Depth::unpack(carried(scope) >> 32)
}

/// The context's number in the low half, the depth in the high one.
fn carried(scope: &mut v8::PinScope<'_, '_>) -> u64 {
    let carried = scope.get_continuation_preserved_embedder_data();
    if let Ok(data) = v8::Local::<v8::Number>::try_from(carried) {
        return data.value() as u64;
    }
    // Inside `withEnv()` and its like: the number, and what they put in place.
    let Ok(pair) = v8::Local::<v8::Array>::try_from(carried) else { return 0 };
    pair.get_index(scope, 0).and_then(|data| data.number_value(scope)).map_or(0, |data| data as u64)
}

pub(super) fn carry(scope: &mut v8::PinScope<'_, '_>, data: u64) {
    let data = v8::Number::new(scope, data as f64);
    scope.set_continuation_preserved_embedder_data(data.into());
}
