//! Shares: how much one dynamic Worker may have under way, whoever gets it. What an invocation does counts for the dynamic
//! Worker that it began with, so that nobody has more by spreading over others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fetcher::RemoteError;

/// How much one dynamic Worker may have under way, with all that its invocations lead to.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// Requests and calls that have started an invocation which has not ended, and requests to the network.
    pub requests: usize,
    /// Serialised bytes of messages that are not read yet.
    pub bytes: usize,
    /// Messages that are not read yet.
    pub messages: usize,
}

/// A dynamic Worker as a sender: what it has under way.
pub struct Sender {
    worker: String,
    shares: Shares,
    requests: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    pub(crate) messages: AtomicUsize,
}

impl Sender {
    /// Of the Worker with this name.
    pub fn new(worker: String, shares: Shares) -> Arc<Self> {
        let none = || AtomicUsize::new(0);
        Arc::new(Self { worker, shares, requests: none(), bytes: none(), messages: none() })
    }

    /// Counts a request until the place is dropped.
    ///
    /// # Errors
    /// When it has its share of requests under way: the error names the limit, its value and the Worker.
    pub fn request(self: &Arc<Self>) -> Result<Place, RemoteError> {
        let place = Place(self.clone());
        if self.requests.fetch_add(1, Ordering::Relaxed) >= self.shares.requests {
            return Err(RemoteError::error(format!(
                "Worker \"{}\" has {} requests in flight to others, which is the most that one may have with all that \
                 they lead to.",
                self.worker, self.shares.requests
            )));
        }
        Ok(place)
    }

    /// Counts a message of this many bytes; [`Sender::read`] takes it back, also where this is an error.
    pub(crate) fn sent(&self, bytes: usize) -> Result<(), RemoteError> {
        let messages = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let limit = match (bytes > self.shares.bytes, messages > self.shares.messages) {
            (true, _) => format!("{} MiB", self.shares.bytes >> 20),
            (_, true) => format!("{} of them", self.shares.messages),
            _ => return Ok(()),
        };
        Err(RemoteError::error(format!(
            "Worker \"{}\" has too many messages to others under way: at most {limit} of one Worker may be.",
            self.worker
        )))
    }

    /// A message was read, or will never be.
    pub(crate) fn read(&self, bytes: usize) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A request's place in its sender's share.
pub struct Place(Arc<Sender>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_until_they_end() {
        let sender = Sender::new("agent".into(), Shares { requests: 2, bytes: 0, messages: 0 });
        let first = sender.request().expect("there is room");
        let _second = sender.request().expect("there is room");
        let refused = sender.request().err().expect("the third is refused");
        assert!(
            refused.message.starts_with("Worker \"agent\" has 2 requests in flight"),
            "{}",
            refused.message
        );
        drop(first);
        assert!(sender.request().is_ok());
    }
}
