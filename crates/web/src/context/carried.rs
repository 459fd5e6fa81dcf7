//! What V8 carries along with each continuation: the context, how deep calls are in each other, in whose place it runs,
//! overrides of `env`.

use atoll_isolate::v8;

use super::ContextId;
use crate::depth::Depth;

/// The context that code belongs to, how deep it is, and in whose place it runs: the number of a `Behalf`, or 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) id: ContextId,
    pub(crate) depth: Depth,
    pub(crate) behalf: u64,
}

/// The context that the running code belongs to, or 0. V8 carries it along with each continuation: code that waited
/// for a promise which another context resolved goes on in its own.
pub fn current(scope: &mut v8::PinScope<'_, '_>) -> ContextId {
    carried(scope).id
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
    let carried = carried.to_value(scope);
    let pair = v8::Array::new_with_elements(scope, &[carried, args.get(0)]);
    scope.set_continuation_preserved_embedder_data(pair.into());
}

/// How deep the running code is in calls that led to each other; carried along like the context.
pub fn depth(scope: &mut v8::PinScope<'_, '_>) -> Depth {
    carried(scope).depth
}

/// What the running code carries along.
pub(crate) fn carried(scope: &mut v8::PinScope<'_, '_>) -> Carried {
    let carried = scope.get_continuation_preserved_embedder_data();
    if let Some(carried) = Carried::from_value(carried) {
        return carried;
    }
    // Inside `withEnv()` and its like: the number, and what they put in place.
    let Ok(pair) = v8::Local::<v8::Array>::try_from(carried) else { return Carried::default() };
    pair.get_index(scope, 0).and_then(Carried::from_value).unwrap_or_default()
}

pub(super) fn carry(scope: &mut v8::PinScope<'_, '_>, carried: Carried) {
    let data = carried.to_value(scope);
    scope.set_continuation_preserved_embedder_data(data);
}

/// Bits of a small number: a context's number, calls, invocations.
const SMALL_ID: u32 = 20;
const SMALL_DEPTH: u32 = 5;

impl Carried {
    /// A number; with the one in whose place it runs, a large integer of two words.
    fn to_value<'s>(self, scope: &mut v8::PinScope<'s, '_>) -> v8::Local<'s, v8::Value> {
        let number = self.to_number();
        if self.behalf != 0
            && let Some(pair) = v8::BigInt::new_from_words(scope, false, &[number.to_bits(), self.behalf])
        {
            return pair.into();
        }
        v8::Number::new(scope, number).into()
    }

    fn from_value(value: v8::Local<v8::Value>) -> Option<Self> {
        if let Ok(data) = v8::Local::<v8::Number>::try_from(value) {
            return Some(Self::from_number(data.value()));
        }
        let data = v8::Local::<v8::BigInt>::try_from(value).ok()?;
        let mut words = [0; 2];
        data.to_words_array(&mut words);
        Some(Self { behalf: words[1], ..Self::from_number(f64::from_bits(words[0])) })
    }

    /// V8 makes no object for integers of 31 bits, and most contexts and depths fit there. Others are below zero.
    fn to_number(self) -> f64 {
        let Self { id, depth, .. } = self;
        if id < 1 << SMALL_ID && depth.invocations.max(depth.calls) < 1 << SMALL_DEPTH {
            return f64::from((depth.invocations << SMALL_DEPTH | depth.calls) << SMALL_ID | id);
        }
        -((depth.pack() << 32 | u64::from(id)) as f64)
    }

    fn from_number(number: f64) -> Self {
        if number < 0.0 {
            let large = -number as u64;
            return Self { id: large as ContextId, depth: Depth::unpack(large >> 32), behalf: 0 };
        }
        let small = number as u32;
        let depth = small >> SMALL_ID;
        let depth = Depth { invocations: depth >> SMALL_DEPTH, calls: depth & ((1 << SMALL_DEPTH) - 1) };
        Self { id: small & ((1 << SMALL_ID) - 1), depth, behalf: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_survives_as_a_number() {
        let depths = [0, 1, 31, 32, 127]
            .map(|invocations| [0, 1, 31, 32, 10_000].map(|calls| Depth { invocations, calls }));
        for depth in depths.into_iter().flatten() {
            for id in [0, 1, (1 << SMALL_ID) - 1, 1 << SMALL_ID, ContextId::MAX] {
                let carried = Carried { id, depth, behalf: 0 };
                assert_eq!(Carried::from_number(carried.to_number()), carried);
            }
        }
    }
}
