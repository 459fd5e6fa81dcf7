//! The mailbox of an isolate: what waits for its next turn, and whether a turn is due. A pure structure; whoever has one
//! keeps it under a lock and does what it says.
//!
//! Senders take turns. Each has a line of its own, in which order is kept, and a clock that moves on by the time that
//! its messages took; next is the line whose clock is furthest behind. So a sender whose messages cost much waits
//! longer, and the others do not wait for all that it sent. What an isolate sends to itself, and what comes from
//! outside of all isolates (requests of clients, timers, answers from the network), is one line, [`OUTSIDE`], which has
//! half of the time.
//!
//! While all mail is of one sender there is one queue, and no clock.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use rustc_hash::FxBuildHasher;

/// Who sent a message: the number of a heap.
pub(crate) type Sender = usize;

/// No other isolate.
pub(crate) const OUTSIDE: Sender = 0;

pub(crate) struct Mailbox<M> {
    /// All mail is of this sender, unless there is a crowd.
    sender: Sender,
    queue: VecDeque<M>,
    crowd: Option<Box<Crowd<M>>>,
    /// In a lane's queue, or in a turn.
    scheduled: bool,
    ending: bool,
    closed: bool,
}

impl<M> Default for Mailbox<M> {
    fn default() -> Self {
        Self {
            sender: OUTSIDE,
            queue: VecDeque::new(),
            crowd: None,
            scheduled: false,
            ending: false,
            closed: false,
        }
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
    pub(crate) fn send(&mut self, sender: Sender, message: M) -> Sent<M> {
        if self.closed {
            return Sent::Refused(message);
        }
        match &mut self.crowd {
            Some(crowd) => crowd.add(sender, message),
            None if self.queue.is_empty() || self.sender == sender => {
                self.sender = sender;
                self.queue.push_back(message);
            }
            None => {
                let crowd = Crowd::of(self.sender, std::mem::take(&mut self.queue));
                self.crowd.insert(Box::new(crowd)).add(sender, message);
            }
        }
        Sent::Waits(!std::mem::replace(&mut self.scheduled, true))
    }

    /// The isolate is to end. True, once: the caller tells those who wait, then closes the mailbox.
    pub(crate) fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.ending, true)
    }

    /// Closes it: gives what was waiting, to be dropped without the lock, and whether the isolate is to be put into a
    /// lane's queue for its last turn.
    pub(crate) fn close(&mut self) -> (impl Sized + use<M>, bool) {
        self.closed = true;
        let waiting = (std::mem::take(&mut self.queue), self.crowd.take());
        (waiting, !std::mem::replace(&mut self.scheduled, true))
    }

    #[cfg(test)]
    pub(crate) fn is_scheduled(&self) -> bool {
        self.scheduled
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
            + self.crowd.as_ref().map_or(0, |crowd| crowd.lines.values().map(|l| l.queue.len()).sum())
    }

    /// The last message took so long; told by [`Mailbox::next`], or where a turn ends without that.
    pub(crate) fn spent(&mut self, spent: Duration) {
        if let Some(crowd) = &mut self.crowd {
            crowd.spent(spent);
        }
    }

    /// The next message; the one before it in this turn, if any, took `spent`.
    pub(crate) fn next(&mut self, spent: Duration) -> Next<M> {
        if self.closed {
            return Next::Closed;
        }
        let message = match &mut self.crowd {
            None => self.queue.pop_front(),
            Some(crowd) => {
                let message = crowd.next(spent);
                if message.is_none() {
                    // Nobody waits for anybody: what was spent is forgotten.
                    self.crowd = None;
                }
                message
            }
        };
        match message {
            Some(message) => Next::Message(message),
            None => {
                self.scheduled = false;
                Next::Idle
            }
        }
    }
}

/// Lines of several senders.
struct Crowd<M> {
    lines: HashMap<Sender, Line<M>, FxBuildHasher>,
    /// Lines with mail: their clocks, then in the order in which they came.
    order: BTreeSet<(u64, u64, Sender)>,
    /// The clock of the line that was last: those that come now begin here.
    now: u64,
    turns: u64,
    /// Whose message is being delivered.
    last: Option<Sender>,
}

struct Line<M> {
    queue: VecDeque<M>,
    /// Nanoseconds.
    clock: u64,
    turn: u64,
}

/// What a message counts at least, and how far a line can fall behind: it waits for that much of each other line.
const LEAST: u64 = 1_000;
const MOST: u64 = 1_000_000_000;

/// Lines without mail that are kept for their clocks before they are looked through.
const KEPT: usize = 16;

impl<M> Crowd<M> {
    /// A sender was alone until now: others come before it, once.
    fn of(sender: Sender, queue: VecDeque<M>) -> Self {
        let mut crowd =
            Self { lines: HashMap::default(), order: BTreeSet::new(), now: 0, turns: 1, last: Some(sender) };
        crowd.order.insert((LEAST, 0, sender));
        crowd.lines.insert(sender, Line { queue, clock: LEAST, turn: 0 });
        crowd
    }

    fn add(&mut self, sender: Sender, message: M) {
        let now = self.now;
        let line =
            self.lines.entry(sender).or_insert_with(|| Line { queue: VecDeque::new(), clock: now, turn: 0 });
        if line.queue.is_empty() {
            line.clock = line.clock.max(now);
            self.turns += 1;
            line.turn = self.turns;
            self.order.insert((line.clock, line.turn, sender));
        }
        line.queue.push_back(message);
    }

    fn spent(&mut self, spent: Duration) {
        if let Some(last) = self.last.take() {
            self.charge(last, spent);
        }
    }

    fn next(&mut self, spent: Duration) -> Option<M> {
        self.spent(spent);
        let (clock, _, sender) = self.order.pop_first()?;
        self.now = clock;
        self.last = Some(sender);
        let line = self.lines.get_mut(&sender)?;
        let message = line.queue.pop_front();
        if !line.queue.is_empty() {
            self.turns += 1;
            line.turn = self.turns;
            self.order.insert((clock, line.turn, sender));
        } else if self.lines.len() > 2 * self.order.len() + KEPT {
            self.lines.retain(|_, line| !line.queue.is_empty() || line.clock > clock);
        }
        message
    }

    /// A message of this sender took `spent`.
    fn charge(&mut self, sender: Sender, spent: Duration) {
        let others = self.order.len() as u64;
        let Some(line) = self.lines.get_mut(&sender) else { return };
        let spent = u64::try_from(spent.as_nanos()).unwrap_or(MOST).max(LEAST);
        // Half of the time for one line, the other half for the others together.
        let share = if sender == OUTSIDE { spent / others.max(1) } else { spent };
        let waits = self.order.remove(&(line.clock, line.turn, sender));
        line.clock = (line.clock + share).min(self.now + MOST);
        if waits {
            self.order.insert((line.clock, line.turn, sender));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Duration = Duration::from_micros(10);
    const HEAVY: Duration = Duration::from_millis(200);

    fn cost(sender: Sender) -> Duration {
        if sender >= 100 { HEAVY } else { CHEAP }
    }

    /// A mailbox that is being worked off; messages are their sender and a number.
    #[derive(Default)]
    struct Post {
        mailbox: Mailbox<(Sender, u32)>,
        spent: Duration,
    }

    impl Post {
        fn send(&mut self, sender: Sender, numbers: std::ops::Range<u32>) {
            for number in numbers {
                let _ = self.mailbox.send(sender, (sender, number));
            }
        }

        fn next(&mut self) -> Option<(Sender, u32)> {
            match self.mailbox.next(self.spent) {
                Next::Message((sender, number)) => {
                    self.spent = cost(sender);
                    Some((sender, number))
                }
                _ => None,
            }
        }

        /// How many of others come before the next of this sender.
        fn before(&mut self, sender: Sender) -> usize {
            std::iter::from_fn(|| self.next()).take_while(|(next, _)| *next != sender).count()
        }
    }

    #[test]
    fn order_is_kept_within_a_sender() {
        let mut post = Post::default();
        let mut random = fastrand::Rng::with_seed(7);
        let (mut sent, mut got) = ([0; 5], [0; 5]);
        for _ in 0..2_000 {
            let sender = random.usize(..5);
            let count = random.u32(..4);
            post.send(sender, sent[sender]..sent[sender] + count);
            sent[sender] += count;
            for _ in 0..random.usize(..10) {
                let Some((sender, number)) = post.next() else { break };
                assert_eq!(number, got[sender]);
                got[sender] += 1;
            }
        }
        while let Some((sender, number)) = post.next() {
            assert_eq!(number, got[sender]);
            got[sender] += 1;
        }
        assert_eq!(sent, got, "nothing is lost");
        assert!(post.mailbox.crowd.is_none());
    }

    #[test]
    fn nobody_waits_for_a_flood() {
        let mut post = Post::default();
        post.send(100, 0..1_000);
        post.next();
        for number in 0..50 {
            // A healthy sender, and a client, come while a heavy message is worked off.
            post.send(1, number..number + 1);
            assert!(post.before(1) <= 1);
            post.send(OUTSIDE, number..number + 1);
            assert!(post.before(OUTSIDE) <= 1);
            post.next();
        }
        assert!(post.mailbox.len() > 800, "the flood goes on meanwhile, and is not lost");
    }

    #[test]
    fn a_hundred_floods_are_waited_for_once() {
        let mut post = Post::default();
        (100..200).for_each(|sender| post.send(sender, 0..10));
        post.send(1, 0..1);
        assert_eq!(post.before(1), 99, "their messages cost nothing so far");
        for number in 1..20 {
            post.send(1, number..number + 1);
            assert!(post.before(1) <= 1);
        }
    }

    #[test]
    fn a_dear_sender_is_not_starved() {
        let mut post = Post::default();
        post.send(100, 0..3);
        post.send(1, 0..200_000);
        assert_eq!(post.before(100), 1);
        // As much time as the dear message took, and no more.
        assert!((10_000..=20_001).contains(&post.before(100)));
    }

    #[test]
    fn what_comes_from_outside_has_half_of_the_time() {
        let mut post = Post::default();
        (1..=50).for_each(|sender| post.send(sender, 0..100));
        post.send(OUTSIDE, 0..1_000);
        let outside = (0..1_000).filter_map(|_| post.next()).filter(|(sender, _)| *sender == OUTSIDE).count();
        assert!((400..=600).contains(&outside), "{outside} of 1,000");
    }

    #[test]
    fn senders_that_are_gone_are_forgotten() {
        let mut post = Post::default();
        post.send(1, 0..100_000);
        for sender in 2..10_000 {
            post.send(sender, 0..1);
            post.next();
        }
        assert!(post.mailbox.crowd.as_ref().unwrap().lines.len() < 100);
    }
}
