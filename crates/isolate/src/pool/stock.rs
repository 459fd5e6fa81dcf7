//! What a pool has and who waits for it, and what is to be done next about both. A pure structure: times and the number
//! of heaps alive are passed in, so the simulation runs the same code.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Room;

/// Without a request for this long, the pool makes up for what was taken.
const CALM: Duration = Duration::from_millis(4);

/// Ended heaps that may wait for the pool's thread.
pub const MAX_ENDED: usize = 32;

/// How long a full process waits for what was let go of to end; requests time out meanwhile.
pub const PRESSED: Duration = Duration::from_millis(20);

/// Heaps `H` and requests for them `R`.
pub struct Stock<H, R> {
    target: usize,
    room: Room,
    blank: VecDeque<H>,
    waiting: VecDeque<(Instant, R)>,
    ended: Vec<H>,
    last_taken: Option<Instant>,
}

/// What the pool's thread does next, without the lock.
#[derive(Debug)]
pub enum Step<H, R> {
    /// Give this blank heap to this request.
    Give(H, R),
    /// Make a heap for this request.
    Serve(R),
    /// Tell this request that there was no room in time.
    Refuse(R),
    /// Drop this heap.
    Dispose(H),
    /// Make a blank heap and [`Stock::add`] it.
    Fill,
    /// Ask for heaps to be let go of, then wait for at most [`PRESSED`], unless some have ended by then.
    Press,
    /// Nothing for so long, or until something happens.
    Wait(Option<Duration>),
}

impl<H, R> Stock<H, R> {
    /// An empty stock that is to have `target` blank heaps.
    pub fn new(target: usize, room: Room) -> Self {
        Self {
            target,
            room,
            blank: VecDeque::new(),
            waiting: VecDeque::new(),
            ended: Vec::new(),
            last_taken: None,
        }
    }

    /// Takes a blank heap, where there is one.
    pub fn take(&mut self, now: Instant) -> Option<H> {
        self.last_taken = Some(now);
        self.blank.pop_front()
    }

    /// A request that found no blank heap waits, in order.
    pub fn wait(&mut self, now: Instant, request: R) {
        self.waiting.push_back((now + self.room.wait, request));
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a blank heap.
    pub fn add(&mut self, heap: H) {
        self.blank.push_back(heap);
    }

    /// Keeps an ended heap for disposal; gives it back where too many wait already.
    pub fn end(&mut self, heap: H) -> Option<H> {
        if self.ended.len() >= MAX_ENDED {
            return Some(heap);
        }
        self.ended.push(heap);
        None
    }

    /// Whether the pool's thread is wanted: blank heaps are missing, or somebody waits.
    pub fn is_short(&self) -> bool {
        self.blank.len() < self.target || !self.waiting.is_empty()
    }

    /// Blank heaps.
    pub fn ready(&self) -> usize {
        self.blank.len()
    }

    /// Heaps that it has, blank and ended.
    pub fn heaps(&self) -> usize {
        self.blank.len() + self.ended.len()
    }

    /// Whether ended heaps wait.
    pub fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Gives all that is there, to be dropped: no request will be served any more.
    pub fn close(&mut self) -> impl Sized + use<H, R> {
        (std::mem::take(&mut self.blank), std::mem::take(&mut self.waiting), std::mem::take(&mut self.ended))
    }

    /// What to do next, in a process with `live` heaps.
    pub fn next(&mut self, now: Instant, live: usize) -> Step<H, R> {
        // One that was being made when the request came, and that may be the last for which there was room.
        if !self.waiting.is_empty()
            && let Some(heap) = self.blank.pop_front()
            && let Some((_, request)) = self.waiting.pop_front()
        {
            return Step::Give(heap, request);
        }
        // Whoever waits comes first, then the first half of the pool, then disposals, then the rest of the pool.
        let full = live >= self.room.heaps;
        let urgent = self.blank.len() < self.target / 2 && self.ended.len() < MAX_ENDED / 2;
        if full && !self.waiting.is_empty() {
            return self.make_room(now);
        }
        let calm = self.last_taken.is_none_or(|taken| now.saturating_duration_since(taken) > CALM);
        let behind = self.blank.len() < self.target / 2 || self.ended.len() > MAX_ENDED / 2;
        if !calm && !behind && self.waiting.is_empty() {
            // Both kinds of work change the process's memory map, which slows whoever runs: not in the middle of a burst.
            return Step::Wait(Some(CALM));
        }
        if let Some((_, request)) = self.waiting.pop_front() {
            return Step::Serve(request);
        }
        if (!urgent || full)
            && let Some(ended) = self.ended.pop()
        {
            return Step::Dispose(ended);
        }
        if self.blank.len() < self.target && !full { Step::Fill } else { Step::Wait(None) }
    }

    /// The process is full and somebody waits.
    fn make_room(&mut self, now: Instant) -> Step<H, R> {
        if let Some(ended) = self.ended.pop() {
            return Step::Dispose(ended);
        }
        match self.waiting.pop_front_if(|(until, _)| *until <= now) {
            Some((_, request)) => Step::Refuse(request),
            None => Step::Press,
        }
    }
}
