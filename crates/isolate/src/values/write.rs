//! Writing: a value into the passes of a message.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::{Body, Hosts, MAX_PASSES, Message, Primitive, SCRIPT, format, frames};
use crate::error::{JsError, MAX_MESSAGE, start_of};
use crate::{guard, realm};

/// Host objects in one message, whether they are capabilities or not.
const MAX_HOSTS: usize = 100_000;

/// What becomes of instances of the guest's own classes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Instances {
    /// A codec decides, or they are refused: in messages.
    Hosts,
    /// They are copied as plain objects: in `structuredClone()`.
    Plain,
}

/// Writes a value. None: an exception is pending (a `DataCloneError`, or what a getter threw).
pub fn write<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> Option<Message> {
    write_with(scope, value, Instances::Hosts, value.is_native_error())
}

/// As [`write`], for `structuredClone()`.
pub fn write_clone<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> Option<Message> {
    write_with(scope, value, Instances::Plain, false)
}

fn write_with<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    instances: Instances,
    has_error: bool,
) -> Option<Message> {
    if let Some(primitive) = Primitive::of(scope, value) {
        return Some(Message { body: Body::Primitive(primitive), caps: Vec::new() });
    }
    frames(scope).push(Vec::new());
    let passes = write_passes(scope, value, instances, has_error);
    let caps = frames(scope).pop().unwrap_or_default();
    Some(Message { body: Body::Passes(passes?), caps: caps.into_iter().flatten().collect() })
}

/// As [`write`], for a list that the runtime itself made: an array without holes, getters or other properties.
pub fn write_list<'s>(scope: &mut v8::PinScope<'s, '_>, list: v8::Local<'s, v8::Value>) -> Option<Message> {
    if let Ok(array) = v8::Local::<v8::Array>::try_from(list)
        && array.length() <= MAX_LIST
    {
        let mut values = Vec::with_capacity(array.length() as usize);
        for index in 0..array.length() {
            let item = array.get_index(scope, index)?;
            match Primitive::of(scope, item) {
                Some(primitive) => values.push(primitive),
                None => {
                    let rest = (index..array.length()).filter_map(|index| array.get_index(scope, index));
                    let has_error = rest.into_iter().any(|item| item.is_native_error());
                    return write_with(scope, list, Instances::Hosts, has_error);
                }
            }
        }
        return Some(Message { body: Body::List(values), caps: Vec::new() });
    }
    write(scope, list)
}

/// As [`write_list`], for a list of this one value. None: it is no primitive, and nothing has happened.
pub fn write_single(scope: &mut v8::PinScope<'_, '_>, value: v8::Local<'_, v8::Value>) -> Option<Message> {
    let value = Primitive::of(scope, value)?;
    Some(Message { body: Body::List(vec![value]), caps: Vec::new() })
}

/// Longest list that is looked at for primitives.
const MAX_LIST: u32 = 8;

fn write_passes<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    instances: Instances,
    has_error: bool,
) -> Option<Vec<Arc<[u8]>>> {
    let mut passes = Vec::with_capacity(1);
    let mut value = value;
    loop {
        let (bytes, hosts) = write_pass(scope, value, instances, has_error && passes.is_empty())?;
        passes.push(bytes.into());
        if hosts.is_empty() {
            return Some(passes);
        }
        // Described only now: V8 may have refused the value half-way, and describing takes things from their owners.
        if passes.len() == MAX_PASSES {
            JsError::dom("DataCloneError", "The value is nested too deeply to be cloned.").throw(scope);
            return None;
        }
        let mut descriptors = Vec::with_capacity(hosts.len());
        for host in hosts {
            let host = v8::Local::new(scope, host);
            let cloning = v8::Boolean::new(scope, instances == Instances::Plain);
            descriptors.push(realm::call(scope, SCRIPT, "encodeHost", &[host, cloning.into()])?);
        }
        value = v8::Array::new_with_elements(scope, &descriptors).into();
    }
}

/// One pass. V8 itself refuses functions and proxies before it asks anybody: a value that has some is copied by the
/// runtime script with stand-ins for them, and written again. So is one that is or has an error, where errors cross
/// whole: V8 writes little more than name and message, and asks nobody either.
fn write_pass<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    instances: Instances,
    has_error: bool,
) -> Option<(Vec<u8>, Hosts)> {
    let refused = if has_error {
        true
    } else {
        v8::tc_scope!(let scope, scope);
        let writer = Writer::new(instances);
        let state = writer.state.clone();
        match serialize(scope, writer, value) {
            Some(bytes) if errors_cross_whole(scope) && format::has_error(&bytes) => true,
            Some(bytes) => return Some((bytes, state.hosts.take())),
            None if state.refused.get() && !scope.has_terminated() => {
                scope.reset();
                true
            }
            None => {
                give_up(scope, state.hosts.take());
                false
            }
        }
    };
    if !refused {
        return None;
    }
    let cloning = v8::Boolean::new(scope, instances == Instances::Plain);
    let prepared = realm::call(scope, SCRIPT, "prepare", &[value, cloning.into()])?;
    v8::tc_scope!(let scope, scope);
    let writer = Writer::new(instances);
    let state = writer.state.clone();
    match serialize(scope, writer, prepared) {
        Some(bytes) => Some((bytes, state.hosts.take())),
        None => {
            give_up(scope, state.hosts.take());
            None
        }
    }
}

/// The value was refused after these host objects: the script says what becomes of them. The exception stays pending.
fn give_up(scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, '_, v8::HandleScope<'_>>>, hosts: Hosts) {
    let Some(exception) = scope.exception().filter(|_| !scope.has_terminated()) else {
        scope.rethrow();
        return;
    };
    scope.reset();
    if !hosts.is_empty() {
        let hosts: Vec<_> = hosts.iter().map(|host| v8::Local::new(scope, host)).collect();
        let hosts = v8::Array::new_with_elements(scope, &hosts);
        realm::call(scope, SCRIPT, "encodeRefused", &[hosts.into()]);
    }
    if !scope.has_terminated() {
        scope.throw_exception(exception);
    }
    scope.rethrow();
}

fn serialize(
    scope: &mut v8::PinScope<'_, '_>,
    writer: Writer,
    value: v8::Local<v8::Value>,
) -> Option<Vec<u8>> {
    use v8::ValueSerializerHelper as _;
    let context = scope.get_current_context();
    let serializer = v8::ValueSerializer::new(scope, Box::new(writer));
    serializer.write_header();
    serializer.write_value(context, value)?.then(|| serializer.release())
}

/// Whether errors cross with all that is theirs; see [`write_errors_whole`].
struct WholeErrors;

/// From now on errors within values are written by the runtime script, with all their properties, and not by V8.
pub fn write_errors_whole(scope: &mut v8::PinScope<'_, '_>) {
    scope.set_slot(WholeErrors);
}

fn errors_cross_whole(scope: &v8::PinScope<'_, '_>) -> bool {
    scope.get_slot::<WholeErrors>().is_some()
}

#[derive(Default)]
struct WriterState {
    hosts: RefCell<Hosts>,
    refused: Cell<bool>,
}

struct Writer {
    state: Rc<WriterState>,
    instances: Instances,
}

impl Writer {
    fn new(instances: Instances) -> Self {
        Self { state: Rc::default(), instances }
    }
}

impl v8::ValueSerializerImpl for Writer {
    fn throw_data_clone_error<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        message: v8::Local<'s, v8::String>,
    ) {
        self.state.refused.set(true);
        guard::guarded(scope, |scope| {
            // It can have the whole source of a function in it.
            let message = start_of(scope, message, MAX_MESSAGE);
            JsError::dom("DataCloneError", message).throw(scope);
            Some(())
        });
    }

    fn get_shared_array_buffer_id<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        _buffer: v8::Local<'s, v8::SharedArrayBuffer>,
    ) -> Option<u32> {
        JsError::dom("DataCloneError", "#<SharedArrayBuffer> could not be cloned.").throw(scope);
        None
    }

    fn has_custom_host_object(&self, _isolate: &v8::Isolate) -> bool {
        true
    }

    fn is_host_object<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        object: v8::Local<'s, v8::Object>,
    ) -> Option<bool> {
        guard::guarded(scope, |scope| {
            // Plain objects and native errors are V8's own, and nothing else.
            if object.is_native_error() {
                return Some(false);
            }
            let prototype = object.get_prototype(scope)?;
            // Without a prototype it is plain, too: what `Object.groupBy()` gives, and a match's groups.
            if prototype.is_null() || is_object_prototype(scope, prototype) {
                return Some(false);
            }
            if self.instances == Instances::Plain {
                return realm::call(scope, SCRIPT, "isHost", &[object.into()]).map(|is| is.is_true());
            }
            Some(true)
        })
    }

    fn write_host_object<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        object: v8::Local<'s, v8::Object>,
        serializer: &dyn v8::ValueSerializerHelper,
    ) -> Option<bool> {
        let object: v8::Local<v8::Value> = object.into();
        let mut hosts = self.state.hosts.borrow_mut();
        if hosts.len() >= MAX_HOSTS {
            let text = format!("A message can hold at most {MAX_HOSTS} objects that are not plain data.");
            JsError::dom("DataCloneError", text).throw(scope);
            return None;
        }
        serializer.write_uint32(hosts.len() as u32);
        hosts.push(v8::Global::new(scope, object));
        Some(true)
    }
}

struct ObjectPrototype(v8::Global<v8::Value>);

fn is_object_prototype(scope: &mut v8::PinScope<'_, '_>, prototype: v8::Local<v8::Value>) -> bool {
    if let Some(known) = scope.get_slot::<ObjectPrototype>() {
        return known.0 == prototype;
    }
    let plain = v8::Object::new(scope);
    let Some(value) = plain.get_prototype(scope) else { return false };
    let same = value == prototype;
    let value = v8::Global::new(scope, value);
    scope.set_slot(ObjectPrototype(value));
    same
}
