//! What the `stack` of an error says: V8's text, without the frames of the runtime's own scripts. To guests these are
//! what the engine's built-ins are, of which a stack shows nothing either.
//!
//! V8 asks when a guest first looks at the property, and then for everything: the guest's `Error.prepareStackTrace` is
//! called from here, too. <https://v8.dev/docs/stack-trace-api>

use crate::error::{OWN_SCRIPTS, start_of, string};
use crate::realm;

type Callback = unsafe extern "C" fn(
    v8::Local<'_, v8::Context>,
    v8::Local<'_, v8::Value>,
    v8::Local<'_, v8::Array>,
) -> *const v8::Value;

unsafe extern "C" {
    /// As the crate's method of this name, whose callback cannot say that the guest's function threw. Null says it.
    fn v8__Isolate__SetPrepareStackTraceCallback(isolate: v8::UnsafeRawIsolatePtr, callback: Callback);
}

pub(crate) fn configure(isolate: &mut v8::Isolate) {
    // SAFETY: the isolate is alive and this thread's; the callback has the signature that V8 calls.
    unsafe { v8__Isolate__SetPrepareStackTraceCallback(isolate.as_raw_isolate_ptr(), prepare) };
}

/// V8 makes the value of a `stack` property. Null: an exception is pending.
unsafe extern "C" fn prepare(
    context: v8::Local<'_, v8::Context>,
    error: v8::Local<'_, v8::Value>,
    sites: v8::Local<'_, v8::Array>,
) -> *const v8::Value {
    // SAFETY: V8 calls this inside the isolate that the context belongs to.
    v8::callback_scope!(unsafe let scope, context);
    match stack(scope, error, sites) {
        Some(value) => &raw const *value,
        None => std::ptr::null(),
    }
}

fn stack<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    error: v8::Local<'s, v8::Value>,
    sites: v8::Local<'s, v8::Array>,
) -> Option<v8::Local<'s, v8::Value>> {
    let own = own_frames(scope, sites)?;
    let class =
        realm::primordial(scope, "Error").and_then(|class| v8::Local::<v8::Object>::try_from(class).ok());
    if let Some(class) = class {
        let key = string(scope, "prepareStackTrace");
        if let Ok(prepare) = v8::Local::<v8::Function>::try_from(class.get(scope, key.into())?) {
            let kept = own.iter().enumerate().filter(|(_, own)| !**own);
            let kept: Option<Vec<_>> = kept.map(|(index, _)| sites.get_index(scope, index as u32)).collect();
            let kept = v8::Array::new_with_elements(scope, &kept?);
            return prepare.call(scope, class.into(), &[error, kept.into()]);
        }
    }
    // Asked while it asks, V8 writes the text itself.
    let key = string(scope, "stack");
    let text = error.to_object(scope)?.get(scope, key.into())?;
    if !own.contains(&true) || !text.is_string() {
        return Some(text);
    }
    let text = without(&text.to_rust_string_lossy(scope), &own);
    Some(string(scope, &text).into())
}

/// The text without the lines of the runtime's own frames. They are the last ones, one for each frame.
fn without(text: &str, own: &[bool]) -> String {
    let mut frames = Vec::with_capacity(own.len());
    let mut rest = text;
    for own in own.iter().rev() {
        let Some(start) = rest.rfind(FRAME) else { break };
        if !own {
            frames.push(&rest[start..]);
        }
        rest = &rest[..start];
    }
    frames.reverse();
    [rest, &frames.concat()].concat()
}

/// What a line of a frame begins with.
const FRAME: &str = "\n    at ";

/// Which frames guests do not see: those of the runtime's scripts, and those of V8's built-ins that these called.
fn own_frames(scope: &mut v8::PinScope<'_, '_>, sites: v8::Local<'_, v8::Array>) -> Option<Vec<bool>> {
    let key = string(scope, "getFileName");
    let mut own = vec![false; sites.length() as usize];
    let mut caller_is_own = false;
    for index in (0..sites.length()).rev() {
        let site = sites.get_index(scope, index)?;
        // Guests can reach the prototype of call sites. Whatever they do to it, they do to their own stacks.
        let name = match v8::Local::<v8::Function>::try_from(site.to_object(scope)?.get(scope, key.into())?) {
            Ok(method) => method.call(scope, site, &[])?,
            Err(_) => v8::undefined(scope).into(),
        };
        caller_is_own = match v8::Local::<v8::String>::try_from(name) {
            Ok(name) => start_of(scope, name, OWN_SCRIPTS.len()).starts_with(OWN_SCRIPTS),
            Err(_) => caller_is_own,
        };
        own[index as usize] = caller_is_own;
    }
    Some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_own_frames_go_and_the_message_stays() {
        let text =
            "Error: at a\n    at message\n    at f (a.js:1:1)\n    at g (atoll:x:1:1)\n    at h (b.js:1:1)";
        let expected = "Error: at a\n    at message\n    at f (a.js:1:1)\n    at h (b.js:1:1)";
        assert_eq!(without(text, &[false, true, false]), expected);
        assert_eq!(without("Error", &[true, false]), "Error");
    }
}
