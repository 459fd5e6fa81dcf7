//! How many requests of a project may be under way at once, to one host and in all, and whose turn it is.
//!
//! A sender may hold as many places as are still free: alone half of them, two a third each, and so on, so that there
//! is room for one more whatever the others do. What is over waits. When a place is free, it goes to the sender that
//! holds fewest of those that wait, and among his hosts to each in turn.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::sender::SenderId;

/// Scheme, host and port, as text.
pub(super) type HostKey = Arc<str>;

/// An answer must have been left alone for so long before it may be cancelled for another request.
const GRACE: Duration = Duration::from_millis(250);

/// While requests wait, answers that can be cancelled for them are looked for this often.
const RELIEF: Duration = Duration::from_millis(25);

/// An answer that nobody reads: it can be cancelled where its place is needed.
pub(super) trait Stalled: Send + Sync {
    /// Gives its place up, unless it is being read by now.
    fn cancel(&self);
}

/// Most places at once; the last is for requests of one sender that wait for one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) to_one_host: usize,
    pub(super) in_all: usize,
    pub(super) waiting: usize,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Too many requests of this sender wait already.
    QueueFull,
    /// None became free in time. The sender has so many under way: to the host, and in all.
    TimedOut { to_host: usize, in_all: usize },
}

/// The places of one network.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    most: Most,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    busy: usize,
    /// Places taken at each host.
    hosts: HashMap<HostKey, usize>,
    senders: HashMap<SenderId, Account>,
    next: u64,
    /// Whether a task looks for answers that can be cancelled.
    relieving: bool,
}

/// What one sender has, and what it waits for.
#[derive(Default)]
struct Account {
    held: usize,
    held_at: HashMap<HostKey, usize>,
    waiting: HashMap<HostKey, BTreeMap<u64, oneshot::Sender<()>>>,
    /// The hosts of `waiting`, the next one first.
    turns: VecDeque<HostKey>,
    waiters: usize,
    /// When it was given a place last, in grants of the network.
    served: u64,
    /// Answers that nobody reads, the oldest first.
    unread: BTreeMap<u64, Unread>,
}

struct Unread {
    host: HostKey,
    since: Instant,
    answer: Weak<dyn Stalled>,
}

impl Account {
    fn is_idle(&self) -> bool {
        self.held == 0 && self.waiters == 0
    }

    fn held_at(&self, host: &HostKey) -> usize {
        self.held_at.get(host).copied().unwrap_or(0)
    }

    /// The next of its requests to this host.
    fn pop(&mut self, host: &HostKey) -> Option<oneshot::Sender<()>> {
        let queue = self.waiting.get_mut(host)?;
        let (_, waiter) = queue.pop_first()?;
        self.waiters -= 1;
        if queue.is_empty() {
            self.waiting.remove(host);
        }
        Some(waiter)
    }
}

impl State {
    fn may_take(&self, most: &Most, account: &Account, host: &HostKey) -> bool {
        let busy_there = self.hosts.get(host).copied().unwrap_or(0);
        account.held < most.in_all.saturating_sub(self.busy)
            && account.held_at(host) < most.to_one_host.saturating_sub(busy_there)
    }

    fn occupy(&mut self, sender: SenderId, host: &HostKey) {
        self.next += 1;
        self.busy += 1;
        *self.hosts.entry(host.clone()).or_default() += 1;
        let account = self.senders.entry(sender).or_default();
        account.held += 1;
        account.served = self.next;
        *account.held_at.entry(host.clone()).or_default() += 1;
    }

    fn vacate(&mut self, sender: SenderId, host: &HostKey) {
        self.busy -= 1;
        take_one(&mut self.hosts, host);
        if let Some(account) = self.senders.get_mut(&sender) {
            account.held -= 1;
            take_one(&mut account.held_at, host);
            if account.is_idle() {
                self.senders.remove(&sender);
            }
        }
    }

    /// Gives free places to those that wait. They are told when the state is not locked any more.
    fn serve(&mut self, most: &Most) -> Vec<oneshot::Sender<()>> {
        let mut served = Vec::new();
        while let Some((sender, host)) = self.next_in_turn(most) {
            let Some(account) = self.senders.get_mut(&sender) else { break };
            let Some(waiter) = account.pop(&host) else { break };
            if account.waiting.contains_key(&host) {
                account.turns.push_back(host.clone());
            }
            self.occupy(sender, &host);
            served.push(waiter);
        }
        served
    }

    /// Whose turn it is, and for which host, which is taken out of the sender's `turns`.
    fn next_in_turn(&mut self, most: &Most) -> Option<(SenderId, HostKey)> {
        let free = most.in_all.saturating_sub(self.busy);
        let waiting = self.senders.iter().filter(|(_, a)| a.waiters > 0 && a.held < free);
        let mut order: Vec<_> = waiting.map(|(id, a)| (a.held, a.served, *id)).collect();
        order.sort_unstable();
        for (_, _, sender) in order {
            // Few hosts can be full at a time, so this looks at few.
            let account = &self.senders[&sender];
            let found = account.turns.iter().position(|host| self.may_take(most, account, host));
            let host = found.and_then(|at| self.senders.get_mut(&sender)?.turns.remove(at));
            if let Some(host) = host {
                return Some((sender, host));
            }
        }
        None
    }

    /// Answers to be cancelled so that requests that wait get their places.
    fn stalled(&self, most: &Most, now: Instant) -> Vec<Weak<dyn Stalled>> {
        let mut chosen = Vec::new();
        for (id, account) in
            self.senders.iter().filter(|(_, account)| account.waiters > 0).take(MOST_LOOKED_AT)
        {
            let anywhere = account.held >= most.in_all.saturating_sub(self.busy);
            for (host, queue) in account.waiting.iter().take(MOST_LOOKED_AT) {
                let before = chosen.len();
                let fits =
                    |unread: &&Unread| unread.since + GRACE <= now && (anywhere || unread.host == *host);
                let own = account.unread.values().filter(fits).take(queue.len());
                chosen.extend(own.map(|unread| unread.answer.clone()));
                if chosen.len() == before
                    && let Some(unread) = self.of_larger(*id, account.held, fits)
                {
                    chosen.push(unread.answer.clone());
                }
                if anywhere && chosen.len() > before {
                    break;
                }
            }
        }
        chosen
    }

    /// The oldest of the sender's own answers that can be cancelled for its request to this host.
    fn own_stalled(
        &self,
        most: &Most,
        sender: SenderId,
        host: &HostKey,
        now: Instant,
    ) -> Option<Weak<dyn Stalled>> {
        let account = self.senders.get(&sender)?;
        let anywhere = account.held >= most.in_all.saturating_sub(self.busy);
        let old = account.unread.values().take_while(|unread| unread.since + GRACE <= now);
        old.filter(|unread| anywhere || unread.host == *host).map(|unread| unread.answer.clone()).next()
    }

    /// The oldest answer that fits, of the sender that holds most, if that is more than one place above `held`.
    fn of_larger(&self, sender: SenderId, held: usize, fits: impl Fn(&&Unread) -> bool) -> Option<&Unread> {
        let larger = self.senders.iter().filter(|(id, account)| **id != sender && account.held > held + 1);
        let found =
            larger.filter_map(|(_, account)| Some((account.held, account.unread.values().find(&fits)?)));
        found.max_by_key(|(held, _)| *held).map(|(_, unread)| unread)
    }
}

/// Senders, and hosts of each, for which answers are looked for at a time.
const MOST_LOOKED_AT: usize = 16;

fn take_one(counts: &mut HashMap<HostKey, usize>, host: &HostKey) {
    if let Some(count) = counts.get_mut(host) {
        *count -= 1;
        if *count == 0 {
            counts.remove(host);
        }
    }
}

impl Places {
    pub(super) fn new(most: Most) -> Self {
        Self(Arc::new(Inner { most, state: Mutex::default() }))
    }

    /// Takes a place, waiting for one if need be; on a tokio runtime.
    pub(super) async fn take(
        &self,
        host: &HostKey,
        sender: SenderId,
        patience: Duration,
    ) -> Result<Place, NoPlace> {
        let mut waiter = match self.take_or_queue(host, sender)? {
            Taken::Place(place) => return Ok(place),
            Taken::Waiter(waiter) => waiter,
        };
        self.0.relieve_own(host, sender);
        match timeout(patience, &mut waiter.granted).await {
            Ok(Ok(())) => Ok(waiter.into_place()),
            _ => {
                let state = self.0.lock();
                let account = state.senders.get(&sender);
                let to_host = account.map_or(0, |account| account.held_at(host));
                Err(NoPlace::TimedOut { to_host, in_all: account.map_or(0, |account| account.held) })
            }
        }
    }

    fn take_or_queue(&self, host: &HostKey, sender: SenderId) -> Result<Taken, NoPlace> {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let none = Account::default();
        let account = state.senders.get(&sender).unwrap_or(&none);
        if !account.waiting.contains_key(host) && state.may_take(&self.0.most, account, host) {
            state.occupy(sender, host);
            return Ok(Taken::Place(Place {
                inner: self.0.clone(),
                host: host.clone(),
                sender,
                unread: None,
            }));
        }
        if account.waiters >= self.0.most.waiting {
            return Err(NoPlace::QueueFull);
        }
        state.next += 1;
        let ticket = state.next;
        let (grant, granted) = oneshot::channel();
        let account = state.senders.entry(sender).or_default();
        account.waiters += 1;
        let queue = account.waiting.entry(host.clone()).or_default();
        if queue.is_empty() {
            account.turns.push_back(host.clone());
        }
        queue.insert(ticket, grant);
        if !state.relieving {
            state.relieving = true;
            tokio::spawn(relieve_while_needed(Arc::downgrade(&self.0)));
        }
        let waiter =
            Waiter { inner: self.0.clone(), host: host.clone(), sender, ticket, granted, done: false };
        Ok(Taken::Waiter(waiter))
    }
}

enum Taken {
    Place(Place),
    Waiter(Waiter),
}

async fn relieve_while_needed(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(RELIEF).await;
        let Some(inner) = inner.upgrade() else { return };
        if !inner.relieve() {
            return;
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels answers for requests that wait. False: none waits, and its task is to end.
    fn relieve(&self) -> bool {
        let mut state = self.lock();
        if state.senders.values().all(|account| account.waiters == 0) {
            state.relieving = false;
            return false;
        }
        let stalled = state.stalled(&self.most, Instant::now());
        drop(state);
        for answer in stalled.iter().filter_map(Weak::upgrade) {
            answer.cancel();
        }
        true
    }

    /// Makes room for a request that has just begun to wait, at the cost of the same sender's answers.
    fn relieve_own(&self, host: &HostKey, sender: SenderId) {
        let stalled = self.lock().own_stalled(&self.most, sender, host, Instant::now());
        if let Some(answer) = stalled.and_then(|answer| answer.upgrade()) {
            answer.cancel();
        }
    }

    fn vacate(&self, sender: SenderId, host: &HostKey) {
        let mut state = self.lock();
        state.vacate(sender, host);
        let served = state.serve(&self.most);
        drop(state);
        for waiter in served {
            // One that is gone gives the place back itself.
            let _ = waiter.send(());
        }
    }
}

/// A request that waits for its place.
struct Waiter {
    inner: Arc<Inner>,
    host: HostKey,
    sender: SenderId,
    ticket: u64,
    granted: oneshot::Receiver<()>,
    done: bool,
}

impl Waiter {
    fn into_place(mut self) -> Place {
        self.done = true;
        Place { inner: self.inner.clone(), host: self.host.clone(), sender: self.sender, unread: None }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.inner.lock();
        if let Some(account) = state.senders.get_mut(&self.sender)
            && let Some(queue) = account.waiting.get_mut(&self.host)
            && queue.remove(&self.ticket).is_some()
        {
            account.waiters -= 1;
            if queue.is_empty() {
                account.waiting.remove(&self.host);
                account.turns.retain(|host| *host != self.host);
            }
            if account.is_idle() {
                state.senders.remove(&self.sender);
            }
            return;
        }
        // It was given a place, which it never took.
        drop(state);
        self.inner.vacate(self.sender, &self.host);
    }
}

/// A request's right to be under way, given back when it is dropped.
pub(super) struct Place {
    inner: Arc<Inner>,
    host: HostKey,
    sender: SenderId,
    /// Under which number its answer is among those that nobody reads.
    unread: Option<u64>,
}

impl Place {
    /// Nobody reads its answer so far.
    pub(super) fn unread(&mut self, answer: Weak<dyn Stalled>) {
        let mut state = self.inner.lock();
        state.next += 1;
        let number = state.next;
        let unread = Unread { host: self.host.clone(), since: Instant::now(), answer };
        if let Some(account) = state.senders.get_mut(&self.sender) {
            account.unread.insert(number, unread);
            self.unread = Some(number);
        }
    }

    /// Its answer is being read: it is not cancelled for others any more.
    pub(super) fn reading(&mut self) {
        let Some(number) = self.unread.take() else { return };
        if let Some(account) = self.inner.lock().senders.get_mut(&self.sender) {
            account.unread.remove(&number);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.reading();
        self.inner.vacate(self.sender, &self.host);
    }
}

#[cfg(test)]
#[path = "places_tests.rs"]
mod tests;
