//! A simulation of lanes, mailboxes, watchdog, long turns and budgets: the code that decides runs as it is, on threads and a clock
//! that are only numbers. Each step is what a thread does without others being able to come between; which thread is
//! next, and how much time passes, is the seed's choice.
//!
//! A failure prints its seed; `ATOLL_SEED=n cargo test -p atoll-isolate simulation` runs it again.

mod checks;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use crate::mailbox::{Mailbox, Next, OUTSIDE, Sender, Sent};
use crate::meter::Meter;
use crate::scheduler::lane::{self, Lane, Look};
use crate::scheduler::rota::Rota;
use crate::scheduler::watch::{PERIOD, SLICE, Stop, Watch};

/// As in `actor`: after this much time a turn ends.
const TURN_SLICE: Duration = Duration::from_millis(2);

/// Who waits for a message: told exactly once.
#[derive(Default)]
struct Caller {
    told: AtomicU32,
    over: AtomicU32,
}

struct Invocation {
    meter: Arc<Meter>,
    callers: Arc<Caller>,
}

/// A message: how much CPU time it takes (none: it never ends), and what else there is to know of it.
struct Message {
    invocation: Option<Arc<Invocation>>,
    cpu: Option<Duration>,
    /// In a call of V8 that cannot be stopped.
    deaf: bool,
    sends: Vec<usize>,
    closes: Option<usize>,
    caller: Arc<Caller>,
    sender: Sender,
    number: u64,
}

impl Drop for Message {
    fn drop(&mut self) {
        self.caller.told.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Actor {
    mailbox: Mailbox<Message>,
    home: usize,
    run_by: Option<usize>,
    terminated: bool,
    disposed: u32,
    /// While it is queued: items before it, and turns of the lane so far.
    queued: Option<(usize, usize, u64)>,
    /// Of each sender, the last message that was delivered.
    delivered: HashMap<Sender, u64>,
}

struct Running {
    actor: usize,
    message: Message,
    watch: Watch,
    started: Duration,
    cpu_at_start: Duration,
}

enum State {
    Look,
    Doze,
    LookAgain,
    Parked,
    /// Has taken an isolate whose heap another thread is about to let go of.
    Locked(usize),
    /// Between two messages of a turn.
    Turn(usize),
    Message,
    /// In a message, until the rota lets it go on.
    Paused,
    /// Its turn is over; what the turn ended with.
    After(usize, End),
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Idle,
    Yield,
    Closed,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Thread {
    lane: usize,
    state: State,
    cpu: Duration,
    last_cpu: Duration,
    turn_started: Duration,
    running: Option<Running>,
    /// What the watchdog keeps of the turn between messages.
    seen: Option<Watch>,
    /// What the last message of the turn took.
    spent: Duration,
    woken: Arc<Woken>,
}

/// What a thread has begun and not finished: others come between.
#[derive(Clone, Copy)]
enum Pending {
    Put(usize, usize),
    Rouse(usize, bool),
}

struct World {
    random: fastrand::Rng,
    now: Duration,
    lanes: Vec<Lane<usize>>,
    /// Turns begun on each lane.
    turns: Vec<u64>,
    orphaned: Vec<usize>,
    rota: Rota<usize>,
    sent: u64,
    actors: Vec<Actor>,
    threads: Vec<Thread>,
    pending: Vec<Pending>,
    callers: Vec<Arc<Caller>>,
    invocations: Vec<Arc<Invocation>>,
    stopped: AtomicBool,
    quiet: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let lanes: Vec<_> = (0..random.usize(1..=4)).map(|_| Lane::default()).collect();
        let actors = (0..random.usize(1..=12)).map(|n| Actor { home: n % lanes.len(), ..Actor::default() });
        let mut world = Self {
            now: Duration::from_secs(1),
            turns: vec![0; lanes.len()],
            orphaned: Vec::new(),
            rota: Rota::new(random.usize(1..=lanes.len())),
            sent: 0,
            actors: actors.collect(),
            threads: Vec::new(),
            pending: Vec::new(),
            callers: Vec::new(),
            invocations: Vec::new(),
            stopped: AtomicBool::new(false),
            quiet: false,
            lanes,
            random,
        };
        (0..world.lanes.len()).for_each(|lane| world.start_thread(lane));
        world
    }

    fn start_thread(&mut self, lane: usize) {
        self.threads.push(Thread {
            lane,
            state: State::Look,
            cpu: Duration::ZERO,
            last_cpu: Duration::ZERO,
            turn_started: Duration::ZERO,
            running: None,
            seen: None,
            spent: Duration::ZERO,
            woken: Arc::default(),
        });
    }

    // ---- Mail ----

    fn message(&mut self, parent: Option<&Arc<Invocation>>) -> Message {
        let invocation = match (parent, self.random.u8(..10)) {
            (Some(parent), 0..5) => Some(parent.clone()),
            (_, 0..9) => Some(self.invocation()),
            _ => None,
        };
        let (actors, quiet) = (self.actors.len(), self.quiet);
        let random = &mut self.random;
        // Without a budget nothing ends an endless message.
        let endless = !quiet && invocation.is_some() && random.u8(..40) == 0;
        let most = [200, 3_000, 30_000][random.usize(..3)];
        let caller = Arc::new(Caller::default());
        self.callers.push(caller.clone());
        self.sent += 1;
        Message {
            sender: OUTSIDE,
            number: self.sent,
            invocation,
            cpu: (!endless).then(|| Duration::from_micros(random.u64(..most))),
            deaf: !endless && random.u8(..30) == 0,
            sends: (0..random.usize(..3)).filter(|_| !quiet).map(|_| random.usize(..actors)).collect(),
            closes: (random.u8(..60) == 0).then(|| random.usize(..actors)),
            caller,
        }
    }

    fn invocation(&mut self) -> Arc<Invocation> {
        let meter = Arc::new(Meter::new(Duration::from_micros(self.random.u64(500..40_000))));
        let callers = Arc::new(Caller::default());
        let told = callers.clone();
        meter.on_over(move |_| {
            told.over.fetch_add(1, Ordering::Relaxed);
        });
        let invocation = Arc::new(Invocation { meter, callers });
        self.invocations.push(invocation.clone());
        invocation
    }

    /// As `Isolate::send` and `Scheduler::enqueue`; `lane`: that of the sending thread.
    fn send(&mut self, to: usize, message: Message, lane: Option<usize>) {
        match self.actors[to].mailbox.send(message.sender, message) {
            Sent::Waits(true) => self.enqueue(to, lane),
            Sent::Waits(false) => {}
            Sent::Refused(message) => drop(message),
        }
    }

    fn enqueue(&mut self, actor: usize, lane: Option<usize>) {
        let home = lane.unwrap_or(self.actors[actor].home);
        self.pending.push(Pending::Put(home, actor));
    }

    /// As `Isolate::close`.
    fn close(&mut self, actor: usize, lane: Option<usize>) {
        let mailbox = &mut self.actors[actor].mailbox;
        if !mailbox.end() {
            return;
        }
        let (waiting, schedule) = mailbox.close();
        drop(waiting);
        if schedule {
            self.enqueue(actor, lane);
        } else {
            self.actors[actor].terminated = true;
        }
    }

    fn go_on(&mut self, pending: Pending) {
        match pending {
            Pending::Put(home, actor) => {
                let before = self.lanes[home].queued().len();
                self.actors[actor].queued = Some((home, before, self.turns[home]));
                let crowded = self.lanes[home].put(actor);
                self.pending.push(Pending::Rouse(home, crowded));
            }
            Pending::Rouse(home, crowded) => lane::rouse(&self.lanes, home, crowded),
        }
    }

    // ---- Threads ----

    fn step_thread(&mut self, index: usize) {
        let thread = &mut self.threads[index];
        let lane = thread.lane;
        match std::mem::replace(&mut thread.state, State::Gone) {
            State::Gone => {}
            State::Look => match self.lanes[lane].look(&self.lanes, &self.stopped) {
                Look::Run(actor) => self.begin_turn(index, actor),
                Look::Io => self.threads[index].state = State::Look,
                Look::Nothing => self.threads[index].state = State::Doze,
                Look::Stop => {}
            },
            State::Doze => {
                thread.woken = Arc::default();
                self.lanes[lane].doze(&Waker::from(thread.woken.clone()));
                thread.state = State::LookAgain;
            }
            State::LookAgain => match self.lanes[lane].look_again(&self.lanes, &self.stopped) {
                Look::Run(actor) => self.begin_turn(index, actor),
                _ => self.threads[index].state = State::Parked,
            },
            State::Parked => {
                let woken = thread.woken.0.load(Ordering::SeqCst);
                thread.state = if woken { State::Look } else { State::Parked };
            }
            State::Locked(actor) => self.lock_heap(index, actor),
            State::Turn(actor) => self.next_message(index, actor),
            State::Message => self.run_on(index),
            State::Paused => {
                thread.state = if self.rota.may_run(&index) { State::Message } else { State::Paused };
            }
            State::After(actor, end) => self.after_turn(index, actor, end),
        }
    }

    fn begin_turn(&mut self, index: usize, actor: usize) {
        let lane = self.threads[index].lane;
        self.actors[actor].home = lane;
        let (home, before, turns) = self.actors[actor].queued.take().expect("only what is queued is run");
        if home == lane {
            let passed = self.turns[lane] - turns;
            assert!(
                passed <= before as u64,
                "isolate {actor} waited for {passed} turns, {before} were before it"
            );
        }
        self.turns[lane] += 1;
        self.lock_heap(index, actor);
    }

    fn lock_heap(&mut self, index: usize, actor: usize) {
        if let Some(other) = self.actors[actor].run_by {
            assert!(self.threads[other].is_leaving(), "isolate {actor} is run by two threads");
            self.threads[index].state = State::Locked(actor);
            return;
        }
        self.actors[actor].run_by = Some(index);
        let thread = &mut self.threads[index];
        thread.turn_started = self.now;
        thread.spent = Duration::ZERO;
        thread.state = State::Turn(actor);
    }

    /// As the loop in `Isolate::run_turn`, up to a message.
    fn next_message(&mut self, index: usize, actor: usize) {
        let thread = &mut self.threads[index];
        let end = match self.actors[actor].mailbox.next(thread.spent) {
            Next::Message(message) => {
                thread.spent = Duration::ZERO;
                let before = self.actors[actor].delivered.insert(message.sender, message.number);
                assert!(before < Some(message.number), "messages of one sender are out of order");
                let meter = message.invocation.as_ref().map(|invocation| invocation.meter.clone());
                if meter.as_ref().is_some_and(|meter| meter.is_over()) {
                    thread.state = State::Turn(actor);
                    return;
                }
                let watch = Watch::begin(thread.seen.take().as_ref(), meter);
                let (started, cpu_at_start) = (self.now, thread.cpu);
                thread.running = Some(Running { actor, message, watch, started, cpu_at_start });
                thread.state = State::Message;
                return;
            }
            Next::Idle => End::Idle,
            Next::Closed => End::Closed,
        };
        thread.state = State::After(actor, end);
    }

    /// A message is at work: it ends when it has had its CPU time, or was stopped.
    fn run_on(&mut self, index: usize) {
        let thread = &mut self.threads[index];
        let lane = thread.lane;
        let Some(running) = &thread.running else { unreachable!("in a message") };
        let done = running.message.cpu.is_some_and(|cpu| thread.cpu - running.cpu_at_start >= cpu);
        let stopped = self.actors[running.actor].terminated && !running.message.deaf;
        if !done && !stopped {
            // As `scheduler::pause`: the code looks for interrupts here.
            let pauses = running.watch.is_detached() && !running.message.deaf && self.rota.pauses(&index);
            thread.state = if pauses { State::Paused } else { State::Message };
            self.admit();
            return;
        }
        let Some(mut running) = thread.running.take() else { unreachable!("in a message") };
        let actor = running.actor;
        self.actors[actor].terminated = false;
        if done && !stopped {
            let Message { sends, closes, invocation, .. } = &running.message;
            let (sends, closes, parent) = (sends.clone(), *closes, invocation.clone());
            for to in sends {
                let mut message = self.message(parent.as_ref());
                let sender = if to == actor { OUTSIDE } else { actor + 1 };
                message.sender = sender;
                self.send(to, message, Some(lane));
            }
            if let Some(actor) = closes {
                self.close(actor, Some(lane));
            }
        }
        self.finish(index, &mut running);
        let thread = &mut self.threads[index];
        thread.seen = Some(running.watch);
        thread.spent = self.now - running.started;
        // The time is looked at after a message.
        let long = self.now - thread.turn_started > TURN_SLICE;
        if long {
            self.actors[actor].mailbox.spent(thread.spent);
        }
        thread.state = if long { State::After(actor, End::Yield) } else { State::Turn(actor) };
    }

    /// As `Watched::finish`.
    fn finish(&mut self, index: usize, running: &mut Running) {
        let thread = &mut self.threads[index];
        let wall = self.now - running.started;
        let finished = running.watch.finish();
        let used = || finished.meter.as_ref().map_or(Duration::ZERO, |meter| meter.used());
        let (before, cpu) = (used(), thread.cpu);
        finished.charge(wall, || cpu - std::mem::replace(&mut thread.last_cpu, cpu));
        assert!(used() - before <= wall, "more is charged than time has passed");
    }

    /// As `Scheduler::turn` and `Isolate::after_turn`.
    fn after_turn(&mut self, index: usize, actor: usize, end: End) {
        let lane = self.threads[index].lane;
        let detached = self.threads[index].seen.take().is_some_and(|watch| watch.is_detached());
        self.actors[actor].run_by = None;
        match end {
            End::Idle => {}
            End::Yield => self.enqueue(actor, Some(lane)),
            End::Closed => self.actors[actor].disposed += 1,
        }
        if detached {
            self.rota.leaves(&index);
            self.admit();
            return;
        }
        // Now and then the turns have lasted long enough for a look at the I/O.
        if self.random.u8(..6) == 0 {
            self.lanes[lane].look_at_io();
            self.threads[index].state = State::Look;
            return;
        }
        match self.lanes[lane].another(&self.lanes) {
            Some(actor) => self.begin_turn(index, actor),
            None => self.threads[index].state = State::Look,
        }
    }

    // ---- The watchdog, and time ----

    fn tick(&mut self) {
        for index in 0..self.threads.len() {
            self.look_at(index);
        }
        let threads = &self.threads;
        self.rota.rotate(|index| threads[*index].cpu);
        self.admit();
        self.rota.check();
        // A thread cannot always be had.
        for lane in std::mem::take(&mut self.orphaned) {
            match self.random.u8(..4) {
                0 if !self.quiet => self.orphaned.push(lane),
                _ => self.start_thread(lane),
            }
        }
    }

    fn look_at(&mut self, index: usize) {
        let thread = &mut self.threads[index];
        let cpu = thread.cpu;
        let Some(running) = &mut thread.running else { return };
        let wall = self.now - running.started;
        let was_detached = running.watch.is_detached();
        let verdict = running.watch.judge(wall, || cpu);
        assert!(!verdict.detach || !was_detached, "a thread loses its lane twice");
        assert!(wall <= SLICE || running.watch.is_detached(), "a long message keeps its lane");
        if let Some(Invocation { meter, .. }) = running.message.invocation.as_deref() {
            let spent = cpu - running.cpu_at_start;
            let late = wall >= PERIOD && meter.used() + spent > meter.limit();
            assert!(!late || verdict.stop.is_some(), "a message past its budget is let go on");
            let early = !meter.is_over() && meter.used() + wall <= meter.limit();
            assert!(!early || verdict.stop.is_none(), "a message within its budget is stopped");
        }
        if let Some(Stop::Budget(meter, spent)) = verdict.stop {
            self.actors[running.actor].terminated = true;
            meter.exceed_with(spent);
        }
        if verdict.detach {
            self.orphaned.push(thread.lane);
            self.rota.joins(index, cpu);
        }
        if matches!(thread.state, State::Paused) && self.actors[running.actor].terminated {
            self.rota.release(&index, cpu);
        }
    }

    fn admit(&mut self) {
        let threads = &self.threads;
        self.rota.admit(|index| threads[*index].cpu);
    }

    /// As `Scheduler::stop` and `Watchdog::end`.
    fn stop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        for running in self.threads.iter().filter_map(|thread| thread.running.as_ref()) {
            self.actors[running.actor].terminated |= running.watch.is_detached();
        }
        self.rota.open();
        self.admit();
    }

    /// Time passes; each message at work has had some of it.
    fn pass(&mut self) {
        let jump = match self.random.u8(..200) {
            0 if !self.quiet => Duration::from_secs(3_600),
            1..=10 => Duration::from_micros(self.random.u64(..20_000)),
            _ => Duration::from_micros(self.random.u64(..500)),
        };
        self.now += jump;
        let at_work =
            |thread: &&mut Thread| thread.running.is_some() && !matches!(thread.state, State::Paused);
        for thread in self.threads.iter_mut().filter(at_work) {
            // Other processes take the rest.
            thread.cpu += jump * self.random.u32(50..=100) / 100;
        }
    }

    fn step(&mut self) {
        match self.random.u8(..16) {
            0 if !self.quiet => {
                let (to, message) = (self.random.usize(..self.actors.len()), self.message(None));
                let lane = self.random.bool().then(|| self.random.usize(..self.lanes.len()));
                self.send(to, message, lane);
            }
            1 | 2 => self.pass(),
            3 => self.tick(),
            4..=7 if !self.pending.is_empty() => {
                let index = self.random.usize(..self.pending.len());
                let pending = self.pending.swap_remove(index);
                self.go_on(pending);
            }
            _ => {
                let index = self.random.usize(..self.threads.len());
                self.step_thread(index);
            }
        }
        self.check();
    }
}
