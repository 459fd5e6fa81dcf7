//! The connections of a network: which one carries the next request, which are kept, and which are closed.
//!
//! An HTTP/1.1 connection carries one request at a time and is kept for a while after it. An HTTP/2 connection is
//! shared by all senders; a further one is made where it carries as many requests as it may.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Allowance, Channel, Failure, Open, Traffic, send_alone, send_shared};
use super::payload::Upload;
use super::places::{HostKey, Place};

/// How long an HTTP/2 server has for saying how many requests it takes, before that is assumed.
const SETTINGS: Duration = Duration::from_millis(100);

/// How long an HTTP/1.1 connection has for becoming free after its answer; the request may still be on its way.
const UNTIL_FREE: Duration = Duration::from_secs(1);

/// Connections that are made at once to a host that is known to speak HTTP/2.
const HTTP2_AT_ONCE: usize = 4;

/// What is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    pub(super) idle_for: Duration,
    pub(super) idle_to_one_host: usize,
    /// Open connections in all; idle ones are closed to make room.
    pub(super) open: usize,
}

pub(super) struct Pool {
    keep: Keep,
    runtime: Handle,
    open: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    hosts: HashMap<HostKey, Host>,
    reaping: bool,
}

#[derive(Default)]
struct Host {
    /// Free HTTP/1.1 connections, that used last at the end.
    idle: VecDeque<Idle>,
    shared: Vec<Shared>,
    connecting: usize,
    speaks: Speaks,
    changed: Arc<Notify>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    #[default]
    Unknown,
    Http1,
    Http2,
}

struct Idle {
    channel: http1::SendRequest<Upload>,
    traffic: Arc<Traffic>,
    since: Instant,
}

struct Shared {
    channel: http2::SendRequest<Upload>,
    load: Arc<Load>,
}

impl Shared {
    fn streams(&self) -> usize {
        self.load.streams.load(Ordering::Relaxed)
    }

    /// Since when it has carried nothing.
    fn resting(&self) -> Option<Instant> {
        (self.streams() == 0).then(|| *self.load.since.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Host {
    fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.shared.is_empty() && self.connecting == 0
    }

    /// A stream of a shared connection.
    fn share(&mut self, removed: &mut Removed) -> Option<Wire> {
        removed.shared.extend(self.shared.extract_if(.., |shared| shared.channel.is_closed()));
        let free = self.shared.iter().find(|shared| shared.streams() < shared.load.allowance.streams())?;
        Some(Wire::Stream { channel: free.channel.clone(), _counted: Stream::of(&free.load) })
    }

    /// When the connection that was left first came to rest.
    fn oldest(&self) -> Option<Instant> {
        let shared = self.shared.iter().filter_map(Shared::resting);
        self.idle.front().map(|idle| idle.since).into_iter().chain(shared).min()
    }

    /// Takes out what rests since then or longer, or is closed.
    fn remove_older(&mut self, than: Instant, removed: &mut Removed) {
        let (kept, old) = self.idle.drain(..).partition(|i| i.since > than && !i.channel.is_closed());
        self.idle = kept;
        removed.idle.extend::<VecDeque<_>>(old);
        let goes = |shared: &mut Shared| {
            shared.channel.is_closed() || shared.resting().is_some_and(|since| since <= than)
        };
        removed.shared.extend(self.shared.extract_if(.., goes));
    }
}

/// What of a host's connections may carry a request.
enum Kept {
    Stream(Wire),
    Idle(Idle),
}

/// Connections that are closed by dropping them, when the state is not locked any more.
#[derive(Default)]
struct Removed {
    idle: Vec<Idle>,
    shared: Vec<Shared>,
}

/// What a request is sent on: a connection of its own, or a stream of a shared one.
pub(super) struct Lease {
    wire: Wire,
    /// Whether the connection was there before the request.
    pub(super) reused: bool,
    host: HostKey,
    pool: Arc<Pool>,
}

enum Wire {
    Own(http1::SendRequest<Upload>, Arc<Traffic>),
    Stream { channel: http2::SendRequest<Upload>, _counted: Stream },
}

/// One of the streams that a shared connection is counted to have.
struct Stream {
    load: Arc<Load>,
}

struct Load {
    allowance: Arc<Allowance>,
    streams: AtomicUsize,
    /// When the last stream but none ended.
    since: Mutex<Instant>,
}

impl Stream {
    fn of(load: &Arc<Load>) -> Self {
        load.streams.fetch_add(1, Ordering::Relaxed);
        Self { load: load.clone() }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        *self.load.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.load.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is to be done for a connection.
pub(super) enum Found {
    Lease(Box<Lease>),
    /// Others are making one that may do; look again then.
    Wait(OwnedNotified),
    Connect(Connecting),
}

/// That a connection is being made.
pub(super) struct Connecting {
    pool: Arc<Pool>,
    host: HostKey,
}

impl Pool {
    pub(super) fn new(keep: Keep, runtime: Handle) -> Arc<Self> {
        Arc::new(Self { keep, runtime, open: Arc::default(), state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to this host that is there already. A `careful` request cannot be repeated: it gets none that may be
    /// closed by now.
    pub(super) async fn reuse(self: &Arc<Self>, host: &HostKey, careful: bool) -> Option<Lease> {
        loop {
            match self.kept(host)? {
                Kept::Stream(wire) => return Some(self.lease(host, wire, true)),
                Kept::Idle(Idle { mut channel, traffic, .. }) => {
                    if careful {
                        // Lets the runtime look at its sockets: what a server closed meanwhile is known then.
                        tokio::task::yield_now().await;
                    }
                    if !channel.is_closed() && channel.ready().await.is_ok() {
                        return Some(self.lease(host, Wire::Own(channel, traffic), true));
                    }
                }
            }
        }
    }

    fn kept(&self, host: &HostKey) -> Option<Kept> {
        let mut removed = Removed::default();
        let mut state = self.lock();
        let known = state.hosts.get_mut(host)?;
        let kept = match known.share(&mut removed) {
            Some(wire) => Some(Kept::Stream(wire)),
            None => known.idle.pop_back().map(Kept::Idle),
        };
        drop(state);
        kept
    }

    fn lease(self: &Arc<Self>, host: &HostKey, wire: Wire, reused: bool) -> Lease {
        Lease { wire, reused, host: host.clone(), pool: self.clone() }
    }

    /// As [`reuse`](Self::reuse) for shared connections; otherwise whether to make one or to wait for that of another.
    pub(super) fn share_or_connect(self: &Arc<Self>, host: &HostKey, secure: bool) -> Found {
        let mut removed = Removed::default();
        let mut state = self.lock();
        let known = state.hosts.entry(host.clone()).or_default();
        if let Some(wire) = known.share(&mut removed) {
            drop(state);
            return Found::Lease(Box::new(self.lease(host, wire, true)));
        }
        let enough = match known.speaks {
            _ if !secure => false,
            Speaks::Unknown => known.connecting > 0,
            Speaks::Http1 => false,
            // The first one may do for all.
            Speaks::Http2 if known.shared.is_empty() => known.connecting > 0,
            Speaks::Http2 => known.connecting >= HTTP2_AT_ONCE,
        };
        if enough {
            return Found::Wait(known.changed.clone().notified_owned());
        }
        known.connecting += 1;
        drop(state);
        Found::Connect(Connecting { pool: self.clone(), host: host.clone() })
    }

    /// Counts a connection that is about to be opened; if there are too many, idle ones are closed, the oldest first.
    pub(super) fn open(&self) -> Open {
        while self.open.load(Ordering::Relaxed) >= self.keep.open {
            let mut state = self.lock();
            let oldest = state.hosts.values().filter_map(Host::oldest).min();
            let Some(oldest) = oldest else { break };
            let removed = state.remove_older(oldest);
            drop(state);
            let count = removed.idle.len() + removed.shared.len();
            drop(removed);
            // They are closed when their tasks run, and room is there already.
            if self.open.load(Ordering::Relaxed) < self.keep.open + count {
                break;
            }
        }
        Open::new(&self.open)
    }

    fn put_back(
        self: &Arc<Self>,
        host: &HostKey,
        channel: http1::SendRequest<Upload>,
        traffic: Arc<Traffic>,
    ) {
        if channel.is_closed() || self.keep.idle_to_one_host == 0 {
            return;
        }
        let mut state = self.lock();
        let known = state.hosts.entry(host.clone()).or_default();
        known.idle.push_back(Idle { channel, traffic, since: Instant::now() });
        let over = known.idle.len() > self.keep.idle_to_one_host;
        let over = if over { known.idle.pop_front() } else { None };
        self.reap(&mut state);
        drop(state);
        drop(over);
    }

    /// Sees to it that idle connections are closed in time.
    fn reap(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.reaping, true) {
            drop(self.runtime.spawn(close_idle(Arc::downgrade(self), self.keep.idle_for)));
        }
    }
}

impl State {
    /// Takes out connections that rest since then or longer, or are closed, and hosts without any.
    fn remove_older(&mut self, than: Instant) -> Removed {
        let mut removed = Removed::default();
        self.hosts.retain(|_, host| {
            host.remove_older(than, &mut removed);
            !host.is_empty()
        });
        removed
    }
}

async fn close_idle(pool: Weak<Pool>, idle_for: Duration) {
    let mut pause = idle_for;
    loop {
        sleep(pause).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.lock();
        let now = Instant::now();
        let removed = now.checked_sub(idle_for).map(|old| state.remove_older(old));
        let oldest = state.hosts.values().filter_map(Host::oldest).min();
        if state.hosts.is_empty() {
            state.reaping = false;
        }
        let done = !state.reaping;
        drop(state);
        drop(removed);
        if done {
            return;
        }
        let due = oldest.map_or(idle_for, |oldest| (oldest + idle_for).saturating_duration_since(now));
        pause = due.clamp(idle_for / 16, idle_for).max(Duration::from_millis(1));
    }
}

impl Connecting {
    /// The connection is there. Others may share it as soon as it is known how many.
    pub(super) fn done(self, channel: Channel) -> Lease {
        let (pool, host) = (self.pool.clone(), self.host.clone());
        let speaks = |speaks| pool.lock().hosts.entry(host.clone()).or_default().speaks = speaks;
        let (channel, allowance) = match channel {
            Channel::Http1(channel, traffic) => {
                speaks(Speaks::Http1);
                return pool.lease(&host, Wire::Own(channel, traffic), false);
            }
            Channel::Http2(channel, allowance) => (channel, allowance),
        };
        speaks(Speaks::Http2);
        let since = Mutex::new(Instant::now());
        let load = Arc::new(Load { allowance, streams: AtomicUsize::new(0), since });
        let lease =
            pool.lease(&host, Wire::Stream { channel: channel.clone(), _counted: Stream::of(&load) }, false);
        let shared = Shared { channel, load };
        if shared.load.allowance.is_told() {
            self.publish(shared);
        } else {
            // Until then it is this request's alone.
            pool.runtime.spawn(async move {
                let known = timeout(SETTINGS, async {
                    while !shared.load.allowance.is_told() {
                        sleep(Duration::from_millis(1)).await;
                    }
                });
                // Without an answer it is assumed.
                let _ = known.await;
                self.publish(shared);
            });
        }
        lease
    }

    fn publish(self, shared: Shared) {
        let mut state = self.pool.lock();
        if let Some(host) = state.hosts.get_mut(&self.host) {
            host.shared.push(shared);
            self.pool.reap(&mut state);
        }
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        let Some(host) = state.hosts.get_mut(&self.host) else { return };
        host.connecting -= 1;
        let changed = host.changed.clone();
        if host.is_empty() && host.speaks == Speaks::Unknown {
            state.hosts.remove(&self.host);
        }
        drop(state);
        changed.notify_waiters();
    }
}

impl Lease {
    /// Sends a request and gives the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: http::Request<Upload>,
    ) -> Result<http::Response<Incoming>, Failure> {
        match &mut self.wire {
            Wire::Own(channel, traffic) => send_alone(channel, traffic, request).await,
            Wire::Stream { channel, .. } => send_shared(channel, request).await,
        }
    }

    /// Whether requests have no `Host` field on it, and a target with a scheme.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.wire, Wire::Stream { .. })
    }

    /// The answer is there to its end: the connection is kept, and the place is free as soon as the connection is.
    pub(super) fn finish(self, place: Place) {
        let Self { wire, host, pool, .. } = self;
        let Wire::Own(mut channel, traffic) = wire else { return };
        if channel.is_ready() || channel.is_closed() {
            return pool.put_back(&host, channel, traffic);
        }
        let runtime = pool.runtime.clone();
        runtime.spawn(async move {
            if let Ok(Ok(())) = timeout(UNTIL_FREE, channel.ready()).await {
                pool.put_back(&host, channel, traffic);
            }
            drop(place);
        });
    }
}
