//! A simulation of a process that is full: named children that are asked for, held and let go of in any order, loads
//! that wait for room, eviction. The pool's decisions and the loaders' cache run as they are, on heaps, threads and a
//! clock that are only numbers.
//!
//! A failure prints its seed; `ATOLL_SEED=n cargo test -p atoll-loader simulation` runs it again.

mod line;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use atoll_isolate::pool::Room;
use atoll_isolate::pool::stock::{PRESSED, Step, Stock};

use crate::loader::{Child, Children, evict_longest_idle};

/// Interleavings of one run of the test, and steps of each before nobody asks any more.
const SEEDS: u64 = 2_000;
const STEPS: usize = 500;

const WAIT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(600);

/// Heaps of children that have ended, before they come back to the pool.
type Ending = Arc<Mutex<VecDeque<Heap>>>;

#[derive(Debug)]
struct Heap;

enum State {
    Loading,
    Live(Heap),
    Failed,
}

struct Inner {
    state: Mutex<State>,
    last_used: AtomicU64,
    ending: Ending,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let State::Live(heap) = std::mem::replace(self.state.get_mut().unwrap(), State::Failed) {
            self.ending.lock().unwrap().push_back(heap);
        }
    }
}

#[derive(Clone)]
struct Simulated(Arc<Inner>);

impl Child for Simulated {
    fn idle_since(&self) -> Option<u64> {
        let idle =
            Arc::strong_count(&self.0) == 1 && !matches!(*self.0.state.lock().unwrap(), State::Loading);
        idle.then(|| self.0.last_used.load(Ordering::Relaxed))
    }

    fn is_live(&self) -> bool {
        matches!(*self.0.state.lock().unwrap(), State::Live(_))
    }
}

/// A load that waits for room.
#[derive(Debug)]
struct Request {
    number: u64,
    asked: Duration,
    child: Weak<Inner>,
}

struct World {
    random: fastrand::Rng,
    epoch: Instant,
    now: Duration,
    room: usize,
    stock: Stock<Heap, Request>,
    /// Heaps alive, as the process counts them.
    live: usize,
    /// The pool's thread: asleep until then, or until it is woken.
    asleep: Option<Duration>,
    filling: bool,
    loaders: Vec<Arc<Children<Simulated>>>,
    held: Vec<Simulated>,
    ending: Ending,
    asked: u64,
    /// Numbers of those that wait, in order.
    waiting: VecDeque<(u64, Duration)>,
    refused: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let room = random.usize(1..=12);
        let target = random.usize(0..=room.min(5));
        Self {
            epoch: Instant::now(),
            now: Duration::from_secs(3_600),
            room,
            stock: Stock::new(target, Room { heaps: room, wait: WAIT }),
            live: 0,
            asleep: None,
            filling: false,
            loaders: (0..random.usize(1..=3)).map(|_| Arc::default()).collect(),
            held: Vec::new(),
            ending: Ending::default(),
            asked: 0,
            waiting: VecDeque::new(),
            refused: 0,
            random,
        }
    }

    fn instant(&self) -> Instant {
        self.epoch + self.now
    }

    fn micros(&self) -> u64 {
        self.now.as_micros() as u64
    }

    // ---- Those who ask ----

    /// As `loaderGet`: the child of this id, loaded if there is none; whoever asks holds it.
    fn ask(&mut self) {
        let loader = self.random.choice(&self.loaders).unwrap().clone();
        let id = self.random.u8(..10).to_string();
        let known = loader.children().get(&id).cloned();
        // One that failed is forgotten.
        let known = known.filter(|child| !matches!(*child.0.state.lock().unwrap(), State::Failed));
        let fresh = known.is_none();
        let child = known.unwrap_or_else(|| self.child());
        child.0.last_used.store(self.micros(), Ordering::Relaxed);
        if fresh {
            loader.children().insert(id, child.clone());
            self.load(&child);
        }
        self.held.push(child);
    }

    fn child(&self) -> Simulated {
        Simulated(Arc::new(Inner {
            state: Mutex::new(State::Loading),
            last_used: AtomicU64::new(0),
            ending: self.ending.clone(),
        }))
    }

    /// As `Pool::request`.
    fn load(&mut self, child: &Simulated) {
        let now = self.instant();
        match self.stock.take(now) {
            Some(heap) => {
                assert!(self.waiting.is_empty(), "a late load is served before one that waits");
                *child.0.state.lock().unwrap() = State::Live(heap);
            }
            None => {
                self.asked += 1;
                self.waiting.push_back((self.asked, self.now));
                let request =
                    Request { number: self.asked, asked: self.now, child: Arc::downgrade(&child.0) };
                self.stock.wait(now, request);
            }
        }
        if self.stock.is_short() {
            self.asleep = None;
        }
    }

    /// Some child's turn to end is over: as `Pool::dispose`.
    fn end_one(&mut self) {
        let Some(heap) = self.ending.lock().unwrap().pop_front() else { return };
        match self.stock.end(heap) {
            Some(heap) => self.dispose(heap),
            None => self.asleep = None,
        }
    }

    fn dispose(&mut self, heap: Heap) {
        let Heap = heap;
        self.live -= 1;
    }

    // ---- The pool's thread ----

    fn make(&mut self) -> Heap {
        assert!(self.live < self.room, "a heap too many is made");
        self.live += 1;
        Heap
    }

    fn step_pool(&mut self) {
        if std::mem::take(&mut self.filling) {
            let heap = self.make();
            self.stock.add(heap);
        }
        if self.asleep.is_some_and(|until| until > self.now) {
            return;
        }
        self.asleep = None;
        let now = self.instant();
        match self.stock.next(now, self.live) {
            Step::Give(heap, request) => self.serve(request, Some(heap)),
            Step::Serve(request) => {
                let heap = self.make();
                self.serve(request, Some(heap));
            }
            Step::Refuse(request) => {
                assert!(self.now >= request.asked + WAIT, "a load is refused before its time");
                assert!(self.live >= self.room, "a load is refused while there is room");
                self.refused += 1;
                self.serve(request, None);
            }
            Step::Dispose(heap) => self.dispose(heap),
            Step::Fill => self.filling = true,
            Step::Press => self.press(),
            Step::Wait(time) => {
                assert!(self.waiting.is_empty(), "the pool sleeps while a load waits");
                self.asleep = Some(time.map_or(Duration::MAX, |time| self.now + time));
            }
        }
    }

    fn serve(&mut self, request: Request, heap: Option<Heap>) {
        let first = self.waiting.pop_front().map(|(number, _)| number);
        assert_eq!(first, Some(request.number), "loads are not served in order");
        match (request.child.upgrade(), heap) {
            (Some(child), Some(heap)) => *child.state.lock().unwrap() = State::Live(heap),
            (Some(child), None) => *child.state.lock().unwrap() = State::Failed,
            // Nobody wants the child any more: its heap is dropped unused.
            (None, Some(heap)) => self.dispose(heap),
            (None, None) => {}
        }
    }

    /// The process is full, somebody waits: as `Runtime::make_room`.
    fn press(&mut self) {
        let overdue = self.waiting.front().is_some_and(|(_, asked)| *asked + WAIT <= self.now);
        assert!(!overdue, "a load waits beyond its time");
        let most = self.random.usize(1..=3);
        let freed = self.evict(u64::MAX, true, most);
        if freed == 0 || !self.stock.has_ended() {
            self.asleep = Some(self.now + PRESSED);
        }
    }

    /// Evicts, and compares with what should have gone: the longest idle of those that nobody holds.
    fn evict(&mut self, before: u64, live: bool, most: usize) -> usize {
        let (mut idle, mut busy) = (Vec::new(), 0);
        for child in self.cached() {
            // Held by the cache and by this list.
            let (held, loading) =
                (Arc::strong_count(&child.0) > 2, matches!(*child.0.state.lock().unwrap(), State::Loading));
            let since = child.0.last_used.load(Ordering::Relaxed);
            if held || loading {
                busy += 1;
            } else if since < before && (!live || child.is_live()) {
                idle.push(since);
            }
        }
        idle.sort_unstable();
        let count = evict_longest_idle(&self.loaders, before, live, most);
        assert_eq!(count, idle.len().min(most), "not all idle children are evicted, or others");
        let mut left = Vec::new();
        for child in self.cached() {
            let held = Arc::strong_count(&child.0) > 2;
            let loading = matches!(*child.0.state.lock().unwrap(), State::Loading);
            busy -= usize::from(held || loading);
            if !held && !loading && (!live || child.is_live()) {
                left.push(child.0.last_used.load(Ordering::Relaxed));
            }
        }
        assert_eq!(busy, 0, "a child in use is evicted");
        let left = left.into_iter().filter(|since| *since < before).min();
        let last_gone = idle[..count].last();
        assert!(
            last_gone.zip(left).is_none_or(|(gone, left)| *gone <= left),
            "not the longest idle are evicted"
        );
        count
    }

    fn cached(&self) -> Vec<Simulated> {
        self.loaders
            .iter()
            .flat_map(|loader| loader.children().values().cloned().collect::<Vec<_>>())
            .collect()
    }

    // ---- Steps ----

    fn step(&mut self) {
        match self.random.u8(..20) {
            0..=4 => self.ask(),
            5..=8 => self.let_go(),
            9..=11 => self.end_one(),
            12 => self.pass(),
            13 => {
                let before = self.micros().saturating_sub(IDLE.as_micros() as u64);
                self.evict(before, false, usize::MAX);
            }
            14 if self.random.u8(..5) == 0 => {
                // `LOADER.evict(id)`: whoever holds the child goes on with it.
                let loader = self.random.choice(&self.loaders).unwrap().clone();
                let gone = loader.children().remove(&self.random.u8(..10).to_string());
                drop(gone);
            }
            _ => self.step_pool(),
        }
        self.check();
    }

    fn let_go(&mut self) {
        if !self.held.is_empty() {
            let index = self.random.usize(..self.held.len());
            drop(self.held.swap_remove(index));
        }
    }

    fn pass(&mut self) {
        let micros = match self.random.u8(..40) {
            0 => 3_600_000_000,
            1..=4 => self.random.u64(..20_000_000),
            _ => self.random.u64(..30_000),
        };
        self.now += Duration::from_micros(micros);
    }

    /// No heap is lost, none is there twice, and there are never more than there is room for.
    fn check(&self) {
        assert!(self.live <= self.room, "{} heaps in a process with room for {}", self.live, self.room);
        let mut children = self.cached();
        children.extend(self.held.iter().cloned());
        children.sort_by_key(|child| Arc::as_ptr(&child.0));
        children.dedup_by_key(|child| Arc::as_ptr(&child.0));
        let with_heap = children.iter().filter(|child| child.is_live()).count();
        let ending = self.ending.lock().unwrap().len();
        assert_eq!(self.stock.heaps() + with_heap + ending, self.live, "heaps are lost");
    }

    /// Everybody lets go: whoever waits is served, and the pool is full again.
    fn settle(&mut self) {
        while !self.held.is_empty() {
            self.let_go();
        }
        for _ in 0..2_000 {
            self.end_one();
            self.now += Duration::from_millis(25);
            self.step_pool();
            self.check();
        }
        assert!(self.waiting.is_empty(), "a load waits for ever");
        assert!(self.live >= self.room || !self.stock.is_short(), "the pool does not fill itself");
    }
}

/// Says how to run a failure again.
struct Seed(u64);

#[expect(clippy::print_stderr, reason = "a failed test says how to run it again")]
impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the simulation failed: run it again with ATOLL_SEED={}", self.0);
        }
    }
}

/// The seeds of one run of a test: the given one, or some at random.
fn seeds() -> impl Iterator<Item = u64> {
    let given = std::env::var("ATOLL_SEED").ok().map(|text| text.parse().expect("ATOLL_SEED is a number"));
    let first = given.unwrap_or_else(|| fastrand::u64(..));
    (0..if given.is_some() { 1 } else { SEEDS }).map(move |n| first.wrapping_add(n))
}

#[test]
fn a_full_process_holds_in_every_order() {
    let mut refused = 0;
    let all = seeds();
    let many = all.size_hint().0 > 1;
    for seed in all {
        let seed = Seed(seed);
        let mut world = World::new(seed.0);
        (0..STEPS).for_each(|_| world.step());
        world.settle();
        refused += world.refused;
    }
    assert!(refused > 0 || !many, "no load was refused: the simulation reaches too little");
}
