//! What is on its way to one Worker's isolate: messages that were sent and not read yet, counted and bounded.
//!
//! A sender is refused at once when the Worker has too much waiting, so that nobody takes memory by sending faster than
//! the other side reads.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use atoll_host::network::Account;

use crate::fetcher::RemoteError;
use crate::sender::Sender;

/// The budget of one Worker for messages on their way to it; another of the same kind is for its bodies.
pub struct Inbox {
    worker: String,
    /// As what the Worker itself counts: what comes from there is its own business.
    own: Option<Arc<Sender>>,
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
    /// An empty inbox of the Worker with this name, which counts as `own`.
    pub fn new(worker: String, own: Option<Arc<Sender>>, limits: InboxLimits) -> Arc<Self> {
        Self::of("messages to it", worker, own, limits)
    }

    /// The budget of the Worker with this name for bodies and streams: their bytes that it wrote and nobody has read
    /// yet, and those that it is collecting.
    pub fn of_bodies(worker: String, limits: InboxLimits) -> Arc<Self> {
        Self::of("bodies and streams", worker, None, limits)
    }

    fn of(what: &'static str, worker: String, own: Option<Arc<Sender>>, limits: InboxLimits) -> Arc<Self> {
        Arc::new(Self {
            worker,
            own,
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
        let mut charge = Charge { inbox: self.clone(), bytes: 0, sender: None };
        let messages = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        charge.grow(bytes)?;
        if messages > self.limits.messages {
            return Err(self.refusal(&format!("{} of them", self.limits.messages)));
        }
        Ok(charge)
    }

    /// As [`Inbox::take`], for a message that counts for `sender`, too.
    ///
    /// # Errors
    /// When either has too much under way.
    pub fn take_from(
        self: &Arc<Self>,
        sender: Option<&Arc<Sender>>,
        bytes: usize,
    ) -> Result<Charge, RemoteError> {
        let mut charge = self.take(bytes)?;
        let is_own = |sender: &&Arc<Sender>| self.own.as_ref().is_some_and(|own| Arc::ptr_eq(own, sender));
        if let Some(sender) = sender.filter(|sender| !is_own(sender)) {
            charge.sender = Some(sender.clone());
            sender.sent(charge.bytes)?;
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

impl Account for Inbox {
    fn charge(self: Arc<Self>, bytes: usize) -> Option<Box<dyn Any + Send + Sync>> {
        self.take(bytes).ok().map(|charge| Box::new(charge) as _)
    }
}

/// A message that is counted; dropped when it was read, or will never be.
pub struct Charge {
    inbox: Arc<Inbox>,
    bytes: usize,
    /// Whose share it is part of. Such a charge does not grow.
    sender: Option<Arc<Sender>>,
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
        if let Some(sender) = &self.sender {
            sender.read(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::Shares;

    fn inbox() -> Arc<Inbox> {
        Inbox::new("shop".into(), None, InboxLimits { bytes: 1 << 20, messages: 3 })
    }

    #[test]
    fn one_sender_has_a_share() {
        let shares = Shares { requests: 0, bytes: 1 << 20, messages: 2 };
        let (one, other) = (Sender::new("one".into(), shares), Sender::new("other".into(), shares));
        let limits = InboxLimits { bytes: 4 << 20, messages: 100 };
        let inbox = Inbox::new("shop".into(), Some(other.clone()), limits);
        let first = inbox.take_from(Some(&one), 1 << 19).expect("there is room");
        let refused = inbox.take_from(Some(&one), 1 << 19).err().expect("both are too much");
        assert!(refused.message.contains("Worker \"one\""), "{}", refused.message);
        assert!(refused.message.contains("at most 1 MiB of one Worker may be"), "{}", refused.message);
        assert!(inbox.take_from(None, 1 << 20).is_ok(), "others go on");
        let _own = inbox.take_from(Some(&other), 2 << 20).expect("its own messages are no share of others'");
        let second = inbox.take_from(Some(&one), 10).expect("there is room");
        let refused = inbox.take_from(Some(&one), 10).err().expect("the third is one too many");
        assert!(refused.message.contains("at most 2 of them of one Worker may be"), "{}", refused.message);
        drop((first, second));
        assert_eq!([&one.bytes, &one.messages].map(|count| count.load(Ordering::Relaxed)), [0, 0]);
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
