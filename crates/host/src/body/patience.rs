//! Readers that may wait as long as they like. Whoever writes a body can ask whether its reader waits for more: code that
//! waits for a source which can never go on hangs. A client on the network does not hang, however long it waits.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{BodyError, ByteStream};

thread_local! {
    /// A patient reader polls right now, through whatever is wrapped around the pipe.
    static PATIENT: Cell<bool> = const { Cell::new(false) };
}

/// Whether the reader that polls on this thread is patient.
pub(super) fn is_patient() -> bool {
    PATIENT.get()
}

/// A stream that is read by a patient reader.
pub(super) struct Patient(pub(super) ByteStream);

struct Restored(bool);

impl Drop for Restored {
    fn drop(&mut self) {
        PATIENT.set(self.0);
    }
}

impl http_body::Body for Patient {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let _restored = Restored(PATIENT.replace(true));
        self.0.poll_next(context).map(|next| next.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
