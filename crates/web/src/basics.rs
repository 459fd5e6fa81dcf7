//! The small natives: console, clock, randomness.

use atoll_host::log::LogLevel;
use atoll_isolate::{JsError, Native, arguments, natives, v8};

use crate::{context, lines};

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "currentContext" => current_context,
        "requireContext" => require_context,
        "log" => log,
        "performanceNow" => performance_now,
        "dateNow" => date_now,
        "randomFill" => random_fill,
        "randomUuid" => random_uuid,
        "queueMicrotask" => queue_microtask,
        "hasFlag" => has_flag,
        "flags" => flags,
    ]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

fn current_context<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, mut rv: Return<'_>) {
    rv.set_uint32(context::current(scope));
}

fn require_context<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, mut rv: Return<'_>) {
    match context::require(scope) {
        Ok(id) => rv.set_uint32(id),
        Err(error) => error.throw(scope),
    }
}

/// Takes the lines that a Worker's console prints, instead of the log sink: for tails and for callers that collect.
pub type LogHook = fn(&mut v8::PinScope<'_, '_>, level: &str, text: &str, args: v8::Local<v8::Value>) -> bool;

struct Hook(LogHook);

/// Sets who sees console lines before the log sink; false from it passes the line on.
pub fn set_log_hook(scope: &mut v8::PinScope<'_, '_>, hook: LogHook) {
    scope.set_slot(Hook(hook));
}

/// Writes a line to the Worker's log, within the limits of its invocation.
pub fn write_log(scope: &mut v8::PinScope<'_, '_>, level: &str, text: &str) {
    let level = match level {
        "debug" => LogLevel::Debug,
        "info" => LogLevel::Info,
        "warn" => LogLevel::Warn,
        "error" => LogLevel::Error,
        _ => LogLevel::Log,
    };
    lines::write(scope, level, text);
}

fn log<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    let level = arguments::text(scope, &args, 0);
    let text = arguments::text(scope, &args, 1);
    let hook = scope.get_slot::<Hook>().map(|h| h.0);
    if !hook.is_some_and(|hook| hook(scope, &level, &text, args.get(2))) {
        write_log(scope, &level, &text);
    }
}

/// Milliseconds since 1970; 0 at module top level.
fn date_now<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, mut rv: Return<'_>) {
    let now = if context::current(scope) == 0 { 0.0 } else { context::environment(scope).clock.now_ms() };
    rv.set_double(now.floor());
}

/// The same clock with fractions: `performance.timeOrigin` is 0.
fn performance_now<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, mut rv: Return<'_>) {
    let now = if context::current(scope) == 0 { 0.0 } else { context::environment(scope).clock.now_ms() };
    rv.set_double(now);
}

fn random_fill<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    if let Err(error) = context::require(scope) {
        return error.throw(scope);
    }
    let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(args.get(0)) else {
        return JsError::type_error("randomFill takes a view of a buffer").throw(scope);
    };
    let length = view.byte_length();
    if length == 0 {
        return;
    }
    let random = context::environment(scope).random.clone();
    let data = view.data();
    if !data.is_null() {
        // SAFETY: V8 gives the address of the view's bytes; nothing else runs while the isolate's lock is held.
        random.fill(unsafe { std::slice::from_raw_parts_mut(data.cast::<u8>(), length) });
    }
}

/// A version 4 UUID (RFC 9562).
fn random_uuid<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, mut rv: Return<'_>) {
    if let Err(error) = context::require(scope) {
        return error.throw(scope);
    }
    let mut bytes = [0_u8; 16];
    context::environment(scope).random.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    rv.set(atoll_isolate::error::string(scope, &text).into());
}

fn queue_microtask<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, _rv: Return<'_>) {
    match v8::Local::<v8::Function>::try_from(args.get(0)) {
        Ok(function) => scope.enqueue_microtask(function),
        Err(_) => JsError::type_error(
            "Failed to execute 'queueMicrotask' on 'ServiceWorkerGlobalScope': parameter 1 is not of type 'function'.",
        )
        .throw(scope),
    }
}

fn has_flag<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let name = arguments::text(scope, &args, 0);
    rv.set_bool(context::has_flag(scope, &name));
}

fn flags<'s>(scope: &mut v8::PinScope<'s, '_>, _args: Args<'s>, mut rv: Return<'_>) {
    let flags = context::environment(scope).flags.clone();
    let flags: Vec<v8::Local<v8::Value>> =
        flags.iter().map(|flag| atoll_isolate::error::string(scope, flag).into()).collect();
    rv.set(v8::Array::new_with_elements(scope, &flags).into());
}
