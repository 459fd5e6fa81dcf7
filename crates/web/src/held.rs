//! Bytes of bodies and streams while they lie in no heap: counted until the last who holds them lets go.

use std::sync::Arc;

use atoll_isolate::{JsError, v8};
use bytes::Bytes;

use crate::context;
use crate::inbox::{Charge, Inbox};

struct Held {
    bytes: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The budget of the running Worker.
pub(crate) fn budget(scope: &mut v8::PinScope<'_, '_>) -> Arc<Inbox> {
    context::environment(scope).bodies.clone()
}

/// Bytes that the running Worker sends.
///
/// # Errors
/// When too many bytes of it are under way; the error names the limit and the Worker.
pub(crate) fn hold(scope: &mut v8::PinScope<'_, '_>, bytes: Vec<u8>) -> Result<Bytes, JsError> {
    match budget(scope).take(bytes.len()) {
        Ok(charge) => Ok(Bytes::from_owner(Held { bytes, _charge: charge })),
        Err(error) => Err(JsError::error(error.message)),
    }
}
