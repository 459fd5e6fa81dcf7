//! Messages as the runtime itself writes them, to mutate.

use std::cell::RefCell;

use atoll_isolate::values::{self, Message};
use atoll_isolate::{error, realm, v8};

use crate::reader::Reader;

/// Writes the values that this expression gives as a list, each as the only argument of a call.
pub(crate) fn write(reader: &Reader, expression: &str) -> Vec<Message> {
    reader.inside(|scope| {
        v8::tc_scope!(let scope, scope);
        let source = error::string(scope, expression);
        let list = v8::Script::compile(scope, source, None).and_then(|script| script.run(scope));
        let list = list.and_then(|list| v8::Local::<v8::Array>::try_from(list).ok());
        let list = list.unwrap_or_else(|| panic!("not a list: {expression}"));
        let mut messages = Vec::new();
        for index in 0..list.length() {
            let value = list.get_index(scope, index).expect("an element");
            messages.push(write_argument(scope, value));
        }
        messages
    })
}

thread_local! {
    static WRITTEN: RefCell<Option<Message>> = const { RefCell::new(None) };
}

fn write_argument<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> Message {
    let arguments = v8::Array::new_with_elements(scope, &[value]);
    let write = v8::Function::new(scope, keep_written).expect("a function");
    let done = realm::call(scope, "rpc/values", "encodeArguments", &[arguments.into(), write.into()]);
    match done.and(WRITTEN.take()) {
        Some(message) => message,
        None => panic!("{} cannot be written", value.to_rust_string_lossy(scope)),
    }
}

/// In the place of `natives.rpcCall(handle, path, arguments, context, alone)`. An argument that stands alone is put into
/// a list again: the reader is given bytes.
fn keep_written<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    args: v8::FunctionCallbackArguments<'s>,
    _rv: v8::ReturnValue<'_, v8::Value>,
) {
    let list = match args.get(4).is_true() {
        true => v8::Array::new_with_elements(scope, &[args.get(2)]).into(),
        false => args.get(2),
    };
    WRITTEN.set(values::write(scope, list));
}
