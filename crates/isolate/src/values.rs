//! Values into messages and back: V8's structured clone, with host objects and capabilities beside it.
//!
//! Objects that structured clone does not know (streams, stubs, `Headers`, …) are *host objects*. While a value is
//! written, a runtime script turns each into a plain descriptor, which is written in a further *pass*; while a message
//! is read, the descriptors are read first and turned into objects before the value that refers to them, because V8
//! runs no JavaScript while it reads. Capabilities (what a descriptor refers to by index) travel beside the bytes.

mod format;
mod primitive;
mod read;
mod write;

use std::any::Any;
use std::sync::Arc;

use crate::error::JsError;

use primitive::Primitive;
pub use read::{read, refuse_for, unreadable};
pub use write::{write, write_clone, write_errors_whole, write_list, write_single};

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

/// The host objects of one pass, by their index in it.
type Hosts = Vec<v8::Global<v8::Value>>;
