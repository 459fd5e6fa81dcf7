//! Values into messages and back: V8's structured clone, with host objects and capabilities beside it.
//!
//! Objects that structured clone does not know (streams, stubs, `Headers`, …) are *host objects*. While a value is
//! written, a runtime script turns each into a plain descriptor, which is written in a further *pass*; while a message
//! is read, the descriptors are read first and turned into objects before the value that refers to them, because V8
//! runs no JavaScript while it reads. Capabilities (what a descriptor refers to by index) travel beside the bytes.

mod format;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::error::{JsError, string};
use crate::{heap, realm};

/// Something live that crosses with a message: a stub, a stream.
pub type Capability = Arc<dyn Any + Send + Sync>;

/// A value on its way from one isolate to another.
#[derive(Default, Clone)]
pub struct Message {
    body: Body,
    caps: Vec<Capability>,
}

#[derive(Clone)]
enum Body {
    /// The value as V8 writes it, then the descriptors of its host objects, then those of theirs.
    Passes(Vec<Arc<[u8]>>),
    /// A primitive, as most results are: no serialiser needed.
    Primitive(Primitive),
    /// A short list of primitives, as most argument lists are.
    List(Vec<Primitive>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Passes(Vec::new())
    }
}

impl Message {
    /// Size of the serialised value in bytes; capabilities do not count.
    pub fn size(&self) -> usize {
        match &self.body {
            Body::Passes(passes) => passes.iter().map(|p| p.len()).sum(),
            Body::Primitive(value) => value.size(),
            Body::List(values) => values.iter().map(Primitive::size).sum(),
        }
    }

    /// Whether there are only primitives in it.
    pub fn is_plain(&self) -> bool {
        !matches!(self.body, Body::Passes(_))
    }

    /// The capabilities that travel with it.
    pub fn capabilities(&self) -> &[Capability] {
        &self.caps
    }

    /// The bytes of each pass; none where the value needed no serialiser. For tests of the reader.
    pub fn passes(&self) -> &[Arc<[u8]>] {
        match &self.body {
            Body::Passes(passes) => passes,
            Body::Primitive(_) | Body::List(_) => &[],
        }
    }

    /// A message made of raw bytes and whatever capabilities, for tests of the reader.
    pub fn from_parts(passes: Vec<Arc<[u8]>>, caps: Vec<Capability>) -> Self {
        Self { body: Body::Passes(passes), caps }
    }
}

/// The runtime script with `encodeHost(object)`, `prepare(value)` and `decodeHost(kind, payload)`.
const SCRIPT: &str = "web/clone";

/// Descriptors may describe host objects themselves (a Request holds a signal); deeper is refused.
const MAX_PASSES: usize = 16;

/// Capabilities that one message may carry. Those who read it make an object for each.
pub const MAX_CAPABILITIES: usize = 10_000;

/// Host objects in one message, whether they are capabilities or not.
const MAX_HOSTS: usize = 100_000;

/// Capabilities collected while a message is written, or waiting while one is read. A stack: writing can nest.
#[derive(Default)]
struct Frames(Vec<Vec<Option<Capability>>>);

fn frames<'a>(scope: &'a mut v8::PinScope<'_, '_>) -> &'a mut Vec<Vec<Option<Capability>>> {
    if scope.get_slot::<Frames>().is_none() {
        scope.set_slot(Frames::default());
    }
    &mut scope.get_slot_mut::<Frames>().expect("set above").0
}

/// Adds a capability to the message that is being written; gives its index in the message, or nothing where none is
/// being written.
///
/// # Errors
/// A `DataCloneError` when the message has [`MAX_CAPABILITIES`].
pub fn attach(scope: &mut v8::PinScope<'_, '_>, capability: Capability) -> Result<Option<u32>, JsError> {
    let Some(frame) = frames(scope).last_mut() else { return Ok(None) };
    if frame.len() >= MAX_CAPABILITIES {
        return Err(too_many_capabilities());
    }
    frame.push(Some(capability));
    Ok(Some(frame.len() as u32 - 1))
}

fn too_many_capabilities() -> JsError {
    JsError::dom(
        "DataCloneError",
        format!(
            "A message can carry at most {MAX_CAPABILITIES} functions, stubs and streams; this one has more of them."
        ),
    )
}

/// Takes a capability of type `T` out of the message that is being read, once.
pub fn adopt<T: Any>(scope: &mut v8::PinScope<'_, '_>, index: u32) -> Option<Capability> {
    let slot = frames(scope).last_mut()?.get_mut(index as usize)?;
    slot.take_if(|capability| capability.is::<T>())
}

/// What a reader gets for whatever is wrong with a message.
pub fn unreadable() -> JsError {
    JsError::dom("DataCloneError", "Unable to deserialize cloned data.")
}

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

/// Longest list that is looked at for primitives.
const MAX_LIST: u32 = 8;

/// Longest string that is carried as a primitive, in UTF-16 units.
const MAX_TEXT: usize = 4096;

#[derive(Clone)]
enum Primitive {
    Undefined,
    Null,
    Boolean(bool),
    Number(f64),
    /// Latin-1.
    Narrow(Box<[u8]>),
    /// UTF-16, lone surrogates included.
    Wide(Box<[u16]>),
}

impl Primitive {
    fn of(scope: &mut v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Option<Self> {
        if value.is_undefined() {
            return Some(Self::Undefined);
        }
        if value.is_null() {
            return Some(Self::Null);
        }
        if value.is_boolean() {
            return Some(Self::Boolean(value.is_true()));
        }
        if let Ok(number) = v8::Local::<v8::Number>::try_from(value) {
            return Some(Self::Number(number.value()));
        }
        let text = v8::Local::<v8::String>::try_from(value).ok().filter(|text| text.length() <= MAX_TEXT)?;
        if text.is_onebyte() {
            let mut units = vec![0; text.length()];
            text.write_one_byte_v2(scope, 0, &mut units, v8::WriteFlags::empty());
            return Some(Self::Narrow(units.into()));
        }
        let mut units = vec![0; text.length()];
        text.write_v2(scope, 0, &mut units, v8::WriteFlags::empty());
        Some(Self::Wide(units.into()))
    }

    fn to_value<'s>(&self, scope: &mut v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Value>> {
        Some(match self {
            Self::Undefined => v8::undefined(scope).into(),
            Self::Null => v8::null(scope).into(),
            Self::Boolean(value) => v8::Boolean::new(scope, *value).into(),
            Self::Number(value) => v8::Number::new(scope, *value).into(),
            Self::Narrow(units) => {
                v8::String::new_from_one_byte(scope, units, v8::NewStringType::Normal)?.into()
            }
            Self::Wide(units) => {
                v8::String::new_from_two_byte(scope, units, v8::NewStringType::Normal)?.into()
            }
        })
    }

    fn size(&self) -> usize {
        match self {
            Self::Undefined | Self::Null | Self::Boolean(_) => 1,
            Self::Number(_) => 9,
            Self::Narrow(units) => units.len() + 2,
            Self::Wide(units) => 2 * units.len() + 2,
        }
    }
}

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
            descriptors.push(realm::call(scope, SCRIPT, "encodeHost", &[host])?);
        }
        value = v8::Array::new_with_elements(scope, &descriptors).into();
    }
}

type Hosts = Vec<v8::Global<v8::Value>>;

/// One pass. V8 itself refuses functions and proxies before it asks anybody: a value that has some is copied by the
/// runtime script with stand-ins for them, and written again. So is one that is known to be or have an error, of which V8
/// would write no more than name and message.
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
            Some(bytes) => return Some((bytes, state.hosts.take())),
            None if state.refused.get() && !scope.has_terminated() => {
                scope.reset();
                true
            }
            None => {
                scope.rethrow();
                false
            }
        }
    };
    if !refused {
        return None;
    }
    let prepared = realm::call(scope, SCRIPT, "prepare", &[value])?;
    let writer = Writer::new(instances);
    let state = writer.state.clone();
    let bytes = serialize(scope, writer, prepared)?;
    Some((bytes, state.hosts.take()))
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

#[derive(Default)]
struct WriterState {
    hosts: RefCell<Hosts>,
    refused: Cell<bool>,
}

struct Writer {
    state: std::rc::Rc<WriterState>,
    instances: Instances,
}

impl Writer {
    fn new(instances: Instances) -> Self {
        Self { state: std::rc::Rc::default(), instances }
    }
}

impl v8::ValueSerializerImpl for Writer {
    fn throw_data_clone_error<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        message: v8::Local<'s, v8::String>,
    ) {
        self.state.refused.set(true);
        let message = message.to_rust_string_lossy(scope);
        JsError::dom("DataCloneError", message).throw(scope);
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
        // Plain objects and native errors are V8's own, and nothing else.
        if object.is_native_error() {
            return Some(false);
        }
        let prototype = object.get_prototype(scope)?;
        if is_object_prototype(scope, prototype) {
            return Some(false);
        }
        if self.instances == Instances::Plain {
            return realm::call(scope, SCRIPT, "isHost", &[object.into()]).map(|is| is.is_true());
        }
        Some(true)
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
