//! Reading: a message into the heap of whoever gets it.

use std::sync::Arc;

use super::{Body, Hosts, MAX_PASSES, Message, SCRIPT, format, frames};
use crate::error::{JsError, string};
use crate::{heap, realm};

/// Reads a message. None: an exception is pending; bytes that are no message give a `DataCloneError`.
pub fn read<'s>(scope: &mut v8::PinScope<'s, '_>, message: Message) -> Option<v8::Local<'s, v8::Value>> {
    let Message { body, caps } = message;
    let passes = match body {
        Body::Passes(passes) => passes,
        Body::Primitive(value) => return value.to_value(scope),
        Body::List(values) => {
            let items: Option<Vec<_>> = values.iter().map(|value| value.to_value(scope)).collect();
            return Some(v8::Array::new_with_elements(scope, &items?).into());
        }
    };
    frames(scope).push(caps.into_iter().map(Some).collect());
    let size = passes.iter().map(|pass| pass.len()).sum();
    let value = if size > LARGE { read_large(scope, &passes, size) } else { read_passes(scope, &passes) };
    frames(scope).pop();
    value
}

/// Larger messages may need more memory than their reader has left: eight million empty objects take 24 MiB on the way
/// and ten times as much in a heap.
const LARGE: usize = 1 << 20;

/// Reads a message of which nobody knows how much memory it takes. The reader did not choose it, so it does not end when
/// that is too much: it gets an error.
fn read_large<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    passes: &[Arc<[u8]>],
    size: usize,
) -> Option<v8::Local<'s, v8::Value>> {
    heap::begin_reading(scope);
    let value = {
        v8::scope!(let scope, scope);
        read_passes(scope, passes).map(|value| v8::Global::new(scope, value))
    };
    if heap::is_overrun(scope) {
        drop(value);
        let limit = heap::end_reading(scope) >> 20;
        JsError::error(format!(
            "A message of {size} bytes takes more memory to read than this Worker has left of its {limit} MiB."
        ))
        .throw(scope);
        return None;
    }
    heap::end_reading(scope);
    value.map(|value| v8::Local::new(scope, value))
}

fn read_passes<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    passes: &[Arc<[u8]>],
) -> Option<v8::Local<'s, v8::Value>> {
    let Some((value, descriptors)) = passes.split_first().filter(|_| passes.len() <= MAX_PASSES) else {
        return refuse(scope);
    };
    let mut hosts = Vec::new();
    for pass in descriptors.iter().rev() {
        let descriptors = deserialize(scope, pass, std::mem::take(&mut hosts))?;
        let Ok(descriptors) = v8::Local::<v8::Array>::try_from(descriptors) else {
            return refuse(scope);
        };
        for index in 0..descriptors.length() {
            let object = decode_host(scope, descriptors, index)?;
            hosts.push(v8::Global::new(scope, object));
        }
    }
    deserialize(scope, value, hosts)
}

/// The object that a descriptor stands for. Whatever is wrong with a descriptor, the reader gets one and the same error.
fn decode_host<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    descriptors: v8::Local<'s, v8::Array>,
    index: u32,
) -> Option<v8::Local<'s, v8::Value>> {
    let decoded = {
        v8::tc_scope!(let scope, scope);
        let object = descriptors
            .get_index(scope, index)
            .and_then(|descriptor| realm::call(scope, SCRIPT, "decodeHost", &[descriptor]));
        if object.is_none() && scope.has_terminated() {
            scope.rethrow();
            return None;
        }
        object
    };
    if decoded.is_none() {
        let limit = scope.get_slot_mut::<Limit>().and_then(|limit| limit.0.take());
        limit.unwrap_or_else(unreadable).throw(scope);
    }
    decoded
}

/// What a reader gets for whatever is wrong with a message.
pub fn unreadable() -> JsError {
    JsError::dom("DataCloneError", "Unable to deserialize cloned data.")
}

/// The limit that a message was found to pass while it is read.
struct Limit(Option<JsError>);

/// The message that is being read is refused for a limit: its reader gets this error, when whoever calls this fails.
pub fn refuse_for(scope: &mut v8::PinScope<'_, '_>, limit: JsError) {
    scope.set_slot(Limit(Some(limit)));
}

fn refuse<T>(scope: &mut v8::PinScope<'_, '_>) -> Option<T> {
    unreadable().throw(scope);
    None
}

fn deserialize<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    bytes: &[u8],
    hosts: Hosts,
) -> Option<v8::Local<'s, v8::Value>> {
    use v8::ValueDeserializerHelper as _;
    match format::check(bytes) {
        Ok(()) => {}
        Err(format::Refusal::Malformed) => return refuse(scope),
        Err(format::Refusal::Holes) => {
            let message =
                format!("The arrays of a value may have {} empty slots together.", format::MAX_HOLES);
            JsError::dom("DataCloneError", message).throw(scope);
            return None;
        }
    }
    let read = {
        v8::tc_scope!(let scope, scope);
        let context = scope.get_current_context();
        let deserializer = v8::ValueDeserializer::new(scope, Box::new(Reader { hosts }), bytes);
        let value = match deserializer.read_header(context) {
            Some(true) => deserializer.read_value(context),
            _ => None,
        };
        if value.is_none() && scope.has_terminated() {
            scope.rethrow();
            return None;
        }
        value
    };
    match read {
        Some(value) => Some(value),
        // V8's own texts speak of bytes and versions; a guest sees one error for all of them.
        None => refuse(scope),
    }
}

struct Reader {
    hosts: Hosts,
}

impl v8::ValueDeserializerImpl for Reader {
    fn read_host_object<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        deserializer: &dyn v8::ValueDeserializerHelper,
    ) -> Option<v8::Local<'s, v8::Object>> {
        let mut index = 0;
        let found = deserializer.read_uint32(&mut index).then(|| self.hosts.get(index as usize)).flatten();
        let object =
            found.map(|h| v8::Local::new(scope, h)).and_then(|v| v8::Local::<v8::Object>::try_from(v).ok());
        if object.is_none() {
            let message = string(scope, "host object");
            let exception = v8::Exception::error(scope, message);
            scope.throw_exception(exception);
        }
        object
    }
}
