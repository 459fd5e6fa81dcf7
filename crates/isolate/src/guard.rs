//! Where V8 calls into Rust: a panic stops here. V8's frames cannot be unwound, so it would end the process; it becomes an
//! error in the guest instead, and a line in the log.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::JsError;

static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// How many panics have been caught in this process. Each is a defect of the runtime's.
pub fn caught_panics() -> u64 {
    CAUGHT.load(Ordering::Relaxed)
}

/// A native function as V8 calls it. Should it panic, it throws an `Error`.
pub fn callback<F>(native: F) -> v8::FunctionCallback
where
    F: Copy
        + for<'s, 'i> Fn(
            &mut v8::PinScope<'s, 'i>,
            v8::FunctionCallbackArguments<'s>,
            v8::ReturnValue<'s, v8::Value>,
        ),
{
    mapped(move |scope, args, rv| {
        if contain::<F, ()>(|| native(scope, args, rv)).is_none() {
            throw(scope);
        }
    })
}

/// Tells the compiler what the closure takes, and V8 its address.
fn mapped<F>(native: F) -> v8::FunctionCallback
where
    F: Copy
        + for<'s, 'i> Fn(
            &mut v8::PinScope<'s, 'i>,
            v8::FunctionCallbackArguments<'s>,
            v8::ReturnValue<'s, v8::Value>,
        ),
{
    v8::MapFnTo::map_fn_to(native)
}

/// What another callback of V8's does. None: it panicked, and an `Error` is pending.
pub(crate) fn guarded<'s, 'i, R>(
    scope: &mut v8::PinScope<'s, 'i>,
    body: impl FnOnce(&mut v8::PinScope<'s, 'i>) -> Option<R>,
) -> Option<R> {
    match contain_as(std::any::type_name_of_val(&body), || body(scope)) {
        Some(result) => result,
        None => {
            throw(scope);
            None
        }
    }
}

/// What a callback does that can throw nothing. None: it panicked.
pub(crate) fn silently<R>(body: impl FnOnce() -> R) -> Option<R> {
    contain_as(std::any::type_name_of_val(&body), body)
}

fn contain<F, R>(body: impl FnOnce() -> R) -> Option<R> {
    contain_as(std::any::type_name::<F>(), body)
}

fn contain_as<R>(name: &str, body: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => Some(result),
        Err(_) => {
            CAUGHT.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                function = name,
                "a defect of the runtime: a function that V8 calls has panicked"
            );
            None
        }
    }
}

#[cold]
fn throw(scope: &mut v8::PinScope<'_, '_>) {
    JsError::error("internal error").throw(scope);
}
