//! The mailbox of an isolate: what waits for its next turn, and whether a turn is due. A pure structure; whoever has one
//! keeps it under a lock and does what it says.

use std::collections::VecDeque;

pub(crate) struct Mailbox<M> {
    queue: VecDeque<M>,
    /// In a lane's queue, or in a turn.
    scheduled: bool,
    ending: bool,
    closed: bool,
}

impl<M> Default for Mailbox<M> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), scheduled: false, ending: false, closed: false }
    }
}

/// What comes of a message that was sent.
pub(crate) enum Sent<M> {
    /// It waits. True: the isolate is to be put into a lane's queue.
    Waits(bool),
    /// The mailbox is closed: the message is to be dropped, without the lock.
    Refused(M),
}

/// What a turn does next.
pub(crate) enum Next<M> {
    Message(M),
    Idle,
    Closed,
}

impl<M> Mailbox<M> {
    pub(crate) fn send(&mut self, message: M) -> Sent<M> {
        if self.closed {
            return Sent::Refused(message);
        }
        self.queue.push_back(message);
        Sent::Waits(!std::mem::replace(&mut self.scheduled, true))
    }

    /// The isolate is to end. True, once: the caller tells those who wait, then closes the mailbox.
    pub(crate) fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.ending, true)
    }

    /// Closes it: gives what was waiting, to be dropped without the lock, and whether the isolate is to be put into a
    /// lane's queue for its last turn.
    pub(crate) fn close(&mut self) -> (VecDeque<M>, bool) {
        self.closed = true;
        (std::mem::take(&mut self.queue), !std::mem::replace(&mut self.scheduled, true))
    }

    #[cfg(test)]
    pub(crate) fn is_scheduled(&self) -> bool {
        self.scheduled
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn next(&mut self) -> Next<M> {
        if self.closed {
            return Next::Closed;
        }
        match self.queue.pop_front() {
            Some(message) => Next::Message(message),
            None => {
                self.scheduled = false;
                Next::Idle
            }
        }
    }
}
