//! On whose account code runs: the invocation, those that led to it, and the dynamic Worker that it counts for.
//!
//! An invocation of a Worker that another invocation of the same Worker led to draws on what that may use: nobody has
//! more by calling itself, directly or through others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_isolate::{Meter, v8};

use crate::context;
use crate::depth::Depth;
use crate::sender::Sender;

/// Tells one Worker from others, for as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerId {
    number: u64,
    dynamic: bool,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl WorkerId {
    /// A new one. `dynamic`: the Worker was loaded by another.
    pub fn new(dynamic: bool) -> Self {
        Self { number: next(), dynamic }
    }
}

/// What one invocation may use, and what led to it.
pub struct Account {
    worker: WorkerId,
    meter: Arc<Meter>,
    /// Subrequests that it and those that draw on it may make.
    sub_requests: AtomicU64,
    /// Those that they have made.
    made: AtomicU64,
    source: Option<Arc<Account>>,
    caller: Option<Arc<Account>>,
    behalf: Option<Arc<Behalf>>,
    sender: Option<Arc<Sender>>,
}

/// So many invocations that led to another are looked at for one of its own Worker. A plain chain has no more than may
/// start each other.
const WALK: usize = 64;

impl Account {
    /// Of an invocation of `worker` that comes from `origin`, with `cpu` of its own. `sender`: as what it counts where
    /// nobody else does.
    pub fn open(origin: &Origin, worker: WorkerId, sender: Option<&Arc<Sender>>, cpu: Duration) -> Arc<Self> {
        let source = origin.nearest(worker);
        let meter = match &source {
            Some(source) => Meter::drawing_on(source.meter.clone(), cpu),
            None => Meter::new(cpu),
        };
        Arc::new(Self {
            worker,
            meter: Arc::new(meter),
            sub_requests: AtomicU64::new(u64::MAX),
            made: AtomicU64::new(0),
            source,
            caller: origin.account.clone(),
            behalf: origin.behalf.clone(),
            sender: origin.sender.as_ref().or(sender).cloned(),
        })
    }

    /// What its CPU time is charged to.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// The dynamic Worker that it counts for; none: what it does is the operator's own.
    pub fn sender(&self) -> Option<&Arc<Sender>> {
        self.sender.as_ref()
    }

    /// How many subrequests it may make, those included that draw on it.
    pub fn limit_sub_requests(&self, limit: u32) {
        self.sub_requests.fetch_min(limit.into(), Ordering::Relaxed);
    }

    /// It, and those that it draws on.
    fn sources(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |account| account.source.as_deref())
    }

    /// Counts a subrequest. The limit, where one would be passed.
    pub(crate) fn count_sub_request(&self) -> Result<(), u64> {
        for (before, account) in self.sources().enumerate() {
            let limit = account.sub_requests.load(Ordering::Relaxed);
            if account.made.fetch_add(1, Ordering::Relaxed) >= limit {
                for counted in self.sources().take(before + 1) {
                    counted.made.fetch_sub(1, Ordering::Relaxed);
                }
                return Err(limit);
            }
        }
        Ok(())
    }
}

/// In whose place an invocation runs code: others called an object of it.
pub struct Behalf {
    number: u64,
    account: Arc<Account>,
    /// In whose place that one ran.
    before: Option<Arc<Behalf>>,
    length: usize,
}

/// Longer lists of those who called each other's objects are cut: the first ones stay.
const BEHALF: usize = 32;

impl Behalf {
    /// By which continuations name it.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it is that of a call from `origin`.
    pub(crate) fn is_of(&self, origin: &Origin) -> bool {
        let same = |a: &Arc<Self>, b: &Arc<Self>| Arc::ptr_eq(a, b);
        let before = match (&self.before, &origin.behalf) {
            (Some(one), Some(other)) => same(one, other),
            (None, None) => true,
            _ => false,
        };
        before && origin.account.as_ref().is_some_and(|account| Arc::ptr_eq(account, &self.account))
    }

    /// Of a call from `origin` to an object of invocation `to`.
    pub(crate) fn of(origin: &Origin, to: &Arc<Account>) -> Option<Arc<Self>> {
        let before = origin.behalf.clone();
        let Some(account) = origin.account.clone().filter(|account| !Arc::ptr_eq(account, to)) else {
            return before;
        };
        let known = |behalf: &Self| {
            let mut all = std::iter::successors(Some(behalf), |behalf| behalf.before.as_deref());
            behalf.length >= BEHALF || all.any(|known| Arc::ptr_eq(&known.account, &account))
        };
        match before {
            Some(before) if known(&before) => Some(before),
            before => {
                let length = 1 + before.as_ref().map_or(0, |before| before.length);
                Some(Arc::new(Self { number: next(), account, before, length }))
            }
        }
    }
}

/// Where a call or a request comes from, as it is carried along to where it goes. The default: from outside.
#[derive(Clone, Default)]
pub struct Origin {
    /// How deep it will be.
    pub depth: Depth,
    /// The dynamic Worker that it counts for.
    pub sender: Option<Arc<Sender>>,
    account: Option<Arc<Account>>,
    behalf: Option<Arc<Behalf>>,
    is_notice: bool,
}

impl Origin {
    /// Of an invocation that the running code starts.
    pub fn of_invocation(scope: &mut v8::PinScope<'_, '_>) -> Self {
        let depth = Depth::of_invocation(scope);
        Self::at(scope, depth)
    }

    /// Of a call on a live object that the running code makes. None: it would be too deep.
    pub fn of_call(scope: &mut v8::PinScope<'_, '_>) -> Option<Self> {
        let depth = Depth::of_call(scope)?;
        Some(Self::at(scope, depth))
    }

    fn at(scope: &mut v8::PinScope<'_, '_>, depth: Depth) -> Self {
        let (account, behalf) = context::accounts(scope);
        let sender = behalf.as_ref().and_then(|behalf| behalf.account.sender());
        let sender = sender.or_else(|| account.as_ref().and_then(|account| account.sender())).cloned();
        Self { depth, sender, account, behalf, is_notice: false }
    }

    /// Of a notice that nobody waits for, as tails get them: it is on no invocation's budget, and takes no place in the
    /// sender's share of requests, so that who has used that up is still heard of.
    pub fn of_notice(depth: Depth, sender: Option<Arc<Sender>>) -> Self {
        Self { depth, sender, is_notice: true, ..Self::default() }
    }

    /// Whether it is one of a notice.
    pub fn is_notice(&self) -> bool {
        self.is_notice
    }

    /// The nearest invocation of `worker` among those that led here. A project's own Worker answers for itself only: what
    /// a child that it loaded calls of it is not on the budget of the invocation that called the child.
    fn nearest(&self, worker: WorkerId) -> Option<Arc<Account>> {
        let first = self.account.as_ref()?;
        if first.worker == worker {
            return Some(first.clone());
        }
        if first.caller.is_none() && first.behalf.is_none() && self.behalf.is_none() {
            return None;
        }
        let mut walk = Walk { found: [None; WALK], length: 0 };
        walk.add(Some(first), self.behalf.as_ref());
        let mut next = 0;
        while let Some(account) = walk.found.get(next).copied().flatten() {
            if account.worker == worker {
                return Some(account.clone());
            }
            if worker.dynamic || !account.worker.dynamic {
                walk.add(account.caller.as_ref(), account.behalf.as_ref());
            }
            next += 1;
        }
        None
    }
}

/// Invocations that led to each other, the nearest first.
struct Walk<'a> {
    found: [Option<&'a Arc<Account>>; WALK],
    length: usize,
}

impl<'a> Walk<'a> {
    fn add(&mut self, account: Option<&'a Arc<Account>>, behalf: Option<&'a Arc<Behalf>>) {
        let behalf = std::iter::successors(behalf, |behalf| behalf.before.as_ref());
        for account in account.into_iter().chain(behalf.map(|behalf| &behalf.account)) {
            let known = self.found[..self.length].iter().flatten().any(|known| Arc::ptr_eq(known, account));
            if !known && self.length < WALK {
                self.found[self.length] = Some(account);
                self.length += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Duration = Duration::from_secs(1);

    fn from(account: &Arc<Account>) -> Origin {
        Origin { sender: account.sender.clone(), account: Some(account.clone()), ..Origin::default() }
    }

    fn draws_on(account: &Arc<Account>) -> Option<&Arc<Account>> {
        account.source.as_ref()
    }

    #[test]
    fn a_worker_that_is_called_again_draws_on_the_nearest_of_its_invocations() {
        let (child, parent) = (WorkerId::new(true), WorkerId::new(false));
        let outside = Account::open(&Origin::default(), parent, None, CPU);
        let first = Account::open(&from(&outside), child, None, CPU);
        assert!(draws_on(&first).is_none());
        let api = Account::open(&from(&first), parent, None, CPU);
        assert!(draws_on(&api).is_none(), "a child does not use what its parent's request may");
        let second = Account::open(&from(&api), child, None, CPU);
        assert!(Arc::ptr_eq(draws_on(&second).expect("the first"), &first));
        let third = Account::open(&from(&second), child, None, CPU);
        assert!(Arc::ptr_eq(draws_on(&third).expect("the second"), &second));
        let own = Account::open(&from(&outside), parent, None, CPU);
        assert!(Arc::ptr_eq(draws_on(&own).expect("its own"), &outside));
    }

    #[test]
    fn a_call_on_an_object_is_on_behalf_of_its_caller() {
        let (child, parent) = (WorkerId::new(true), WorkerId::new(false));
        let outside = Account::open(&Origin::default(), parent, None, CPU);
        let first = Account::open(&from(&outside), child, None, CPU);
        let behalf = Behalf::of(&from(&first), &outside).expect("somebody called");
        assert!(behalf.is_of(&from(&first)));
        let called = Origin { behalf: Some(behalf.clone()), ..from(&outside) };
        let second = Account::open(&called, child, None, CPU);
        assert!(Arc::ptr_eq(draws_on(&second).expect("the first"), &first));
        // Back and forth between the two, the list does not grow.
        let back = Behalf::of(&called, &first).expect("the parent called in its place");
        let forth = Behalf::of(&Origin { behalf: Some(back), ..from(&first) }, &outside).expect("still");
        assert_eq!(forth.length, 2);
    }

    #[test]
    fn sub_requests_are_drawn_too() {
        let child = WorkerId::new(true);
        let first = Account::open(&Origin::default(), child, None, CPU);
        first.limit_sub_requests(3);
        let second = Account::open(&from(&first), child, None, CPU);
        second.limit_sub_requests(2);
        assert_eq!(first.count_sub_request(), Ok(()));
        assert_eq!([second.count_sub_request(), second.count_sub_request()], [Ok(()); 2]);
        assert_eq!(second.count_sub_request(), Err(2));
        assert_eq!(first.count_sub_request(), Err(3));
        assert_eq!(second.made.load(Ordering::Relaxed), 2, "what is refused is not counted");
    }

    #[test]
    fn all_that_one_leads_to_counts_for_it() {
        let shares = crate::sender::Shares { requests: 1, bytes: 1, messages: 1 };
        let one = Sender::new("one".into(), shares);
        let other = Sender::new("other".into(), shares);
        let first = Account::open(&Origin::default(), WorkerId::new(true), Some(&one), CPU);
        let through = Account::open(&from(&first), WorkerId::new(false), None, CPU);
        let second = Account::open(&from(&through), WorkerId::new(true), Some(&other), CPU);
        assert!(Arc::ptr_eq(second.sender().expect("somebody"), &one));
    }
}
