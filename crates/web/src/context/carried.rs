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
    let carried = v8::Number::new(scope, to_number(carried));
    let pair = v8::Array::new_with_elements(scope, &[carried.into(), args.get(0)]);
    scope.set_continuation_preserved_embedder_data(pair.into());
}

/// How deep the running code is in calls that led to each other; carried along like the context.
pub fn depth(scope: &mut v8::PinScope<'_, '_>) -> Depth {
    Depth::unpack(carried(scope) >> 32)
}

/// The context's number in the low half, the depth in the high one, as numbers of scripts hold them: see [`to_number`].
fn carried(scope: &mut v8::PinScope<'_, '_>) -> u64 {
    let carried = scope.get_continuation_preserved_embedder_data();
    if let Ok(data) = v8::Local::<v8::Number>::try_from(carried) {
        return from_number(data.value());
    }
    // Inside `withEnv()` and its like: the number, and what they put in place.
    let Ok(pair) = v8::Local::<v8::Array>::try_from(carried) else { return 0 };
    pair.get_index(scope, 0).and_then(|data| data.number_value(scope)).map_or(0, from_number)
}

pub(super) fn carry(scope: &mut v8::PinScope<'_, '_>, data: u64) {
    let data = v8::Number::new(scope, to_number(data));
    scope.set_continuation_preserved_embedder_data(data.into());
}

/// Bits of a small number: a context's number, calls, invocations.
const SMALL_ID: u32 = 20;
const SMALL_DEPTH: u32 = 5;

/// V8 makes no object for integers of 31 bits, and most contexts and depths fit there. Others are below zero.
fn to_number(carried: u64) -> f64 {
    let (id, depth) = (carried & u64::from(u32::MAX), Depth::unpack(carried >> 32));
    let is_small = id < 1 << SMALL_ID && depth.invocations.max(depth.calls) < 1 << SMALL_DEPTH;
    if !is_small {
        return -(carried as f64);
    }
    f64::from((depth.invocations << SMALL_DEPTH | depth.calls) << SMALL_ID | id as u32)
}

fn from_number(number: f64) -> u64 {
    if number < 0.0 {
        return -number as u64;
    }
    let number = number as u64;
    let depth = (number >> SMALL_ID) as u32;
    let depth = Depth { invocations: depth >> SMALL_DEPTH, calls: depth & ((1 << SMALL_DEPTH) - 1) };
    depth.pack() << 32 | number & ((1 << SMALL_ID) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_survives_as_a_number() {
        let depths = [0, 1, 31, 32, 127]
            .map(|invocations| [0, 1, 31, 32, 10_000].map(|calls| Depth { invocations, calls }));
        for depth in depths.into_iter().flatten() {
            for id in [0, 1, (1 << SMALL_ID) - 1, 1 << SMALL_ID, u64::from(u32::MAX)] {
                let carried = depth.pack() << 32 | id;
                assert_eq!(from_number(to_number(carried)), carried);
            }
        }
    }
}
