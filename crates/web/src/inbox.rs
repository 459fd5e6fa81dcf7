//! What is on its way to one Worker's isolate: messages that were sent and not read yet, counted and bounded.
//!
//! A sender is refused at once when the Worker has too much waiting, so that nobody takes memory by sending faster than
//! the other side reads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::fetcher::RemoteError;

/// The budget of one Worker for messages on their way to it; another of the same kind is for its bodies.
pub struct Inbox {
    worker: String,
    what: &'static str,
    limits: InboxLimits,
    bytes: AtomicUsize,
    messages: AtomicUsize,
    ended: OnceLock<Arc<str>>,
}

/// How much may be on its way to one Worker.
#[derive(Debug, Clone, Copy)]
pub struct InboxLimits {
    /// Serialised bytes of all messages together.
    pub bytes: usize,
    /// Messages.
    pub messages: usize,
}

/// What a message takes beside its bytes.
const OVERHEAD: usize = 256;

impl Inbox {
    /// An empty inbox of the Worker with this name.
    pub fn new(worker: String, limits: InboxLimits) -> Arc<Self> {
        Self::of("messages to it", worker, limits)
    }

    /// The budget of the Worker with this name for bodies and streams: their bytes that it wrote and nobody has read
    /// yet, and those that it is collecting.
    pub fn of_bodies(worker: String, limits: InboxLimits) -> Arc<Self> {
        Self::of("bodies and streams", worker, limits)
    }

    fn of(what: &'static str, worker: String, limits: InboxLimits) -> Arc<Self> {
        Arc::new(Self {
            worker,
            what,
            limits,
            bytes: AtomicUsize::new(0),
            messages: AtomicUsize::new(0),
            ended: OnceLock::new(),
        })
    }

    /// Counts a message of this many bytes until the charge is dropped.
    ///
    /// # Errors
    /// What the sender gets when the Worker has too much waiting: it names the limit, its value and the Worker.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Result<Charge, RemoteError> {
        let bytes = bytes.saturating_add(OVERHEAD);
        // Counted first and looked at then: two senders at the same time cannot both take the last place.
        let mut charge = Charge { inbox: self.clone(), bytes: 0 };
        let messages = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        charge.grow(bytes)?;
        if messages > self.limits.messages {
            return Err(self.refusal(&format!("{} of them", self.limits.messages)));
        }
        Ok(charge)
    }

    fn refusal(&self, limit: &str) -> RemoteError {
        RemoteError::error(format!(
            "Worker \"{}\" has too many {} under way: at most {limit} may be.",
            self.worker, self.what
        ))
    }

    /// The Worker ended, for this reason: whoever finds it gone is told so. The first reason stays.
    pub fn end(&self, reason: &str) {
        let _ = self.ended.set(reason.into());
    }

    /// Why the Worker ended, where somebody said.
    pub fn ended(&self) -> Option<Arc<str>> {
        self.ended.get().cloned()
    }
}

/// A message that is counted; dropped when it was read, or will never be.
pub struct Charge {
    inbox: Arc<Inbox>,
    bytes: usize,
}

impl Charge {
    /// Counts that many bytes more.
    ///
    /// # Errors
    /// As [`Inbox::take`].
    pub fn grow(&mut self, bytes: usize) -> Result<(), RemoteError> {
        self.bytes += bytes;
        let limit = self.inbox.limits.bytes;
        if self.inbox.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > limit {
            return Err(self.inbox.refusal(&format!("{} MiB", limit >> 20)));
        }
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.inbox.messages.fetch_sub(1, Ordering::Relaxed);
        self.inbox.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> Arc<Inbox> {
        Inbox::new("shop".into(), InboxLimits { bytes: 1 << 20, messages: 3 })
    }

    #[test]
    fn messages_are_counted_until_they_are_read() {
        let inbox = inbox();
        let mut taken: Vec<_> = (0..3).map(|_| inbox.take(10).expect("there is room")).collect();
        let refused = inbox.take(10).err().expect("the fourth is refused");
        assert!(refused.message.contains("Worker \"shop\""), "{}", refused.message);
        assert!(refused.message.contains("at most 3 of them"), "{}", refused.message);
        taken.pop();
        assert!(inbox.take(10).is_ok());
    }

    #[test]
    fn bytes_are_counted_until_they_are_read() {
        let inbox = inbox();
        let taken = inbox.take(1 << 19).expect("there is room");
        let refused = inbox.take(1 << 19).err().expect("both are too much");
        assert!(refused.message.contains("at most 1 MiB may be"), "{}", refused.message);
        drop(taken);
        assert!(inbox.take(1 << 19).is_ok());
        assert_eq!(inbox.bytes.load(Ordering::Relaxed), 0);
    }
}
