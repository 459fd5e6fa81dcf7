//! `structuredClone()`, and the natives by which host objects' codecs attach and adopt what is live.

use std::any::Any;
use std::sync::Arc;

use atoll_isolate::{JsError, Native, arguments, natives, v8, values};

use crate::body::{self, BodyCell};
use crate::context;

pub(crate) fn natives() -> Vec<Native> {
    natives![
        "structuredClone" => structured_clone,
        "copyMessage" => copy_message,
        "attach" => attach,
        "attachBody" => attach_body,
        "adoptBody" => adopt_body,
    ]
}

type Args<'s> = v8::FunctionCallbackArguments<'s>;
type Return<'a> = v8::ReturnValue<'a, v8::Value>;

fn structured_clone<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let copy = values::write_clone(scope, args.get(0)).and_then(|message| values::read(scope, message));
    let Some(copy) = copy else { return };
    // Transferring means that the sender loses the buffers.
    if let Ok(transfer) = v8::Local::<v8::Array>::try_from(args.get(1)) {
        for index in 0..transfer.length() {
            // None: a getter threw.
            let Some(item) = transfer.get_index(scope, index) else { return };
            match v8::Local::<v8::ArrayBuffer>::try_from(item) {
                Ok(buffer) if buffer.is_detachable() && !buffer.was_detached() => {
                    buffer.detach(None);
                }
                _ => {
                    return JsError::dom(
                        "DataCloneError",
                        "Value in the transfer list cannot be transferred.",
                    )
                    .throw(scope);
                }
            }
        }
    }
    rv.set(copy);
}

/// `copyMessage(value)`: what a reader in this context would get of it.
fn copy_message<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    if let Some(copy) = values::write(scope, args.get(0)).and_then(|message| values::read(scope, message)) {
        rv.set(copy);
    }
}

/// The capability behind a handle joins the message that is being written; gives its index there.
fn attach<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let handle = arguments::integer(scope, &args, 0);
    let Some((_, capability)) = context::resource(scope, handle) else { return };
    attach_capability(scope, capability, &mut rv);
}

/// A body (nothing, text, bytes or a handle) moves into the message that is being written.
fn attach_body<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, mut rv: Return<'_>) {
    let body = match body::argument(scope, args.get(0)) {
        Ok(body) => body,
        Err(error) => return error.throw(scope),
    };
    attach_capability(scope, Arc::new(BodyCell::new(body)), &mut rv);
}

fn attach_capability(scope: &mut v8::PinScope<'_, '_>, capability: values::Capability, rv: &mut Return<'_>) {
    match values::attach(scope, capability) {
        Ok(Some(index)) => rv.set_uint32(index),
        Ok(None) => {}
        Err(error) => error.throw(scope),
    }
}

/// Takes a capability out of the message that is being read, `args[0]` being its index there; gives a handle owned by the
/// current context. Throws where there is none of this type: the bytes of a message can say anything.
pub fn adopt<'s, T: Any + Send + Sync>(
    scope: &mut v8::PinScope<'s, '_>,
    args: &v8::FunctionCallbackArguments<'s>,
    mut rv: v8::ReturnValue<'_, v8::Value>,
) {
    let index =
        v8::Local::<v8::Integer>::try_from(args.get(0)).ok().and_then(|i| u32::try_from(i.value()).ok());
    let owner = context::current(scope);
    if let Err(error) = context::check_handles(scope, owner) {
        values::refuse_for(scope, error);
        return values::unreadable().throw(scope);
    }
    match index.and_then(|index| values::adopt::<T>(scope, index)) {
        Some(capability) => {
            rv.set_uint32(context::add_resource(scope, owner, capability));
        }
        None => values::unreadable().throw(scope),
    }
}

fn adopt_body<'s>(scope: &mut v8::PinScope<'s, '_>, args: Args<'s>, rv: Return<'_>) {
    adopt::<BodyCell>(scope, &args, rv);
}
