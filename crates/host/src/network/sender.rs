//! Who sends requests: each sender has a share of a network's places, and pays for what is read ahead for it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;

/// Most bytes of one answer that are taken from its connection before its reader asks for them.
pub const READ_AHEAD: usize = 64 * 1024;

/// Most bytes that are read ahead for one sender, all its answers together. Beyond it they stay on their connections.
pub const READ_AHEAD_IN_ALL: usize = 8 * 1024 * 1024;

/// Where the memory of answers that were read ahead is counted.
pub trait Account: Send + Sync {
    /// Counts so many bytes until what it gives is dropped; `None` if there is no room for them.
    fn charge(self: Arc<Self>, bytes: usize) -> Option<Box<dyn Any + Send + Sync>>;
}

/// One who sends requests. Clones are the same sender; each that was made by itself is another.
#[derive(Clone)]
pub struct Sender(Arc<Inner>);

struct Inner {
    id: u64,
    account: Option<Arc<dyn Account>>,
    ahead: AtomicUsize,
}

/// Tells senders apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SenderId(pub(super) u64);

impl Sender {
    /// A new sender that pays with this account.
    pub fn new(account: Arc<dyn Account>) -> Self {
        Self::with(Some(account))
    }

    fn with(account: Option<Arc<dyn Account>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Inner { id, account, ahead: AtomicUsize::new(0) }))
    }

    pub(super) fn id(&self) -> SenderId {
        SenderId(self.0.id)
    }

    /// Whether more may be read ahead for it.
    pub(super) fn may_read_ahead(&self) -> bool {
        self.0.ahead.load(Ordering::Relaxed) < READ_AHEAD_IN_ALL
    }

    /// Counts bytes that were read ahead until they are dropped; as an error, those that its account has no room for.
    pub(super) fn keep(&self, bytes: Bytes) -> Result<Bytes, Bytes> {
        let charge = match &self.0.account {
            None => None,
            Some(account) => match account.clone().charge(bytes.len()) {
                Some(charge) => Some(charge),
                None => return Err(bytes),
            },
        };
        self.0.ahead.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(Bytes::from_owner(Kept { bytes, sender: self.clone(), _charge: charge }))
    }
}

impl Default for Sender {
    /// A new sender without an account.
    fn default() -> Self {
        Self::with(None)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sender({})", self.0.id)
    }
}

struct Kept {
    bytes: Bytes,
    sender: Sender,
    _charge: Option<Box<dyn Any + Send + Sync>>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.sender.0.ahead.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has room for ten bytes at a time.
    struct Ten(Arc<AtomicUsize>);

    struct Back(Arc<AtomicUsize>, usize);

    impl Drop for Back {
        fn drop(&mut self) {
            self.0.fetch_sub(self.1, Ordering::Relaxed);
        }
    }

    impl Account for Ten {
        fn charge(self: Arc<Self>, bytes: usize) -> Option<Box<dyn Any + Send + Sync>> {
            if self.0.load(Ordering::Relaxed) + bytes > 10 {
                return None;
            }
            self.0.fetch_add(bytes, Ordering::Relaxed);
            Some(Box::new(Back(self.0.clone(), bytes)))
        }
    }

    #[test]
    fn what_is_kept_is_counted_until_it_is_dropped() {
        let used = Arc::new(AtomicUsize::new(0));
        let sender = Sender::new(Arc::new(Ten(used.clone())));
        let kept = sender.keep(Bytes::from_static(b"sixsix")).expect("there is room");
        assert_eq!(sender.keep(Bytes::from_static(b"fives")), Err(Bytes::from_static(b"fives")));
        assert_eq!([used.load(Ordering::Relaxed), sender.0.ahead.load(Ordering::Relaxed)], [6, 6]);
        drop(kept);
        assert_eq!([used.load(Ordering::Relaxed), sender.0.ahead.load(Ordering::Relaxed)], [0, 0]);
    }

    #[test]
    fn senders_differ_and_clones_do_not() {
        let sender = Sender::default();
        assert_eq!(sender.id(), sender.clone().id());
        assert_ne!(sender.id(), Sender::default().id());
    }
}
