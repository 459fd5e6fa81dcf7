//! What the layer above keeps in an isolate. It is asked for many times in each message, so it has a place of its own:
//! slots are found by hashing.

use std::any::TypeId;
use std::ptr::NonNull;

/// V8's embedder slot that the layer is in.
const PLACE: u32 = 0;

#[repr(C)]
struct Layer<T> {
    /// First, so that it can be read before `T` is known.
    kind: TypeId,
    state: T,
}

/// Lives in an ordinary slot: the isolate drops those.
struct Owner<T>(NonNull<Layer<T>>);

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        // SAFETY: made from a box in `set`, by nobody else.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Puts the layer's state into an isolate that has none yet.
///
/// # Panics
/// When it has one.
pub fn set<T: Send + 'static>(isolate: &mut v8::Isolate, state: T) {
    assert!(isolate.get_data(PLACE).is_null(), "an isolate has one layer above");
    let layer = NonNull::from(Box::leak(Box::new(Layer { kind: TypeId::of::<T>(), state })));
    isolate.set_data(PLACE, layer.as_ptr().cast());
    isolate.set_slot(Owner(layer));
}

/// The layer's state.
///
/// # Panics
/// Where [`set`] was not called with this type.
pub fn get<T: 'static>(isolate: &mut v8::Isolate) -> &mut T {
    let layer = isolate.get_data(PLACE).cast::<TypeId>();
    // SAFETY: null, or the start of a `Layer`, which lives as long as the isolate.
    let known = !layer.is_null() && unsafe { *layer } == TypeId::of::<T>();
    assert!(known, "each isolate gets its layer's state when it is made");
    // SAFETY: it is a `Layer<T>`. The isolate is borrowed for as long as its state.
    unsafe { &mut (*layer.cast::<Layer<T>>()).state }
}
