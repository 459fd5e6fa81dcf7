//! What the process has done so far, summed for each Worker, as a page for Prometheus.
//!
//! Each Worker has an account of its own, so that lanes do not wait for each other's cache lines; the accounts of Workers
//! with the same label are one line of the page. A line outlives its Workers: counters never go back.

mod text;
mod unique;

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHasher};

pub use self::text::{CONTENT_TYPE, Family, Kind, Page};
use self::unique::Day;
use crate::Runtime;
use crate::code::WorkerCode;
use crate::usage::{Outcome, Usage};

/// Lines of the page; Workers that come after share the line `worker="other"`.
const LINES: usize = 1_000;

/// Bytes of one label value; ids that begin with so many same bytes share a line.
const LABEL_BYTES: usize = 256;

/// How a Worker is named in the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    worker: String,
    /// `loader` or `parent`, and its name.
    origin: Option<(&'static str, String)>,
    /// A hash of the whole id; 0 without one.
    identity: u64,
}

impl Label {
    /// A project's Worker.
    pub fn project(name: &str) -> Self {
        Self { worker: cut(name), origin: None, identity: 0 }
    }

    /// The child of this id in a loader.
    pub fn named(id: &str, loader: &str) -> Self {
        let mut hasher = FxHasher::default();
        hasher.write(loader.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(id.as_bytes());
        Self { worker: cut(id), origin: Some(("loader", cut(loader))), identity: hasher.finish().max(1) }
    }

    /// All children without an id of a parent.
    pub fn unnamed(parent: &str) -> Self {
        Self { worker: "dynamic".into(), origin: Some(("parent", cut(parent))), identity: 0 }
    }

    fn other() -> Self {
        Self { worker: "other".into(), origin: None, identity: 0 }
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        let origin = self.origin.as_ref().map(|(kind, name)| (*kind, name.as_str()));
        std::iter::once(("worker", self.worker.as_str())).chain(origin).collect()
    }
}

fn cut(name: &str) -> String {
    name[..name.floor_char_boundary(LABEL_BYTES)].to_owned()
}

/// Sums over invocations.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    outcomes: [u64; Outcome::ALL.len()],
    cpu_ns: u64,
    wall_ns: u64,
    sub_requests: u64,
    rpc_calls: u64,
    bytes_in: u64,
    bytes_out: u64,
    peak_memory: u64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        for (sum, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += more;
        }
        self.cpu_ns += other.cpu_ns;
        self.wall_ns += other.wall_ns;
        self.sub_requests += other.sub_requests;
        self.rpc_calls += other.rpc_calls;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.peak_memory = self.peak_memory.max(other.peak_memory);
    }
}

/// The sums of one Worker.
#[derive(Default)]
struct Cells {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    cpu_ns: AtomicU64,
    wall_ns: AtomicU64,
    sub_requests: AtomicU64,
    rpc_calls: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    peak_memory: AtomicU64,
}

impl Cells {
    fn sums(&self) -> Sums {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Sums {
            outcomes: std::array::from_fn(|index| read(&self.outcomes[index])),
            cpu_ns: read(&self.cpu_ns),
            wall_ns: read(&self.wall_ns),
            sub_requests: read(&self.sub_requests),
            rpc_calls: read(&self.rpc_calls),
            bytes_in: read(&self.bytes_in),
            bytes_out: read(&self.bytes_out),
            peak_memory: read(&self.peak_memory),
        }
    }
}

/// One line of the page.
#[derive(Default)]
struct Line(Mutex<LineState>);

#[derive(Default)]
struct LineState {
    /// Of Workers that are gone.
    past: Sums,
    /// Of those that are not, by their address.
    present: FxHashMap<usize, Arc<Cells>>,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, LineState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sums(&self) -> Sums {
        let state = self.state();
        let mut sums = state.past;
        state.present.values().for_each(|cells| sums.add(&cells.sums()));
        sums
    }
}

/// Where a Worker's invocations are summed.
pub(crate) struct Account {
    line: Arc<Line>,
    cells: Arc<Cells>,
    identity: u64,
}

impl Account {
    /// Adds what an invocation used.
    pub(crate) fn add(&self, usage: &Usage) {
        // Most figures of most invocations are 0, and an addition costs some nanoseconds.
        let add = |cell: &AtomicU64, value: u64| {
            if value > 0 {
                cell.fetch_add(value, Ordering::Relaxed);
            }
        };
        let (cells, counts) = (&self.cells, &usage.counts);
        add(&cells.outcomes[usage.outcome as usize], 1);
        add(&cells.cpu_ns, usage.cpu.as_nanos() as u64);
        add(&cells.wall_ns, usage.wall.as_nanos() as u64);
        add(&cells.sub_requests, counts.sub_requests.into());
        add(&cells.rpc_calls, counts.rpc_calls.into());
        add(&cells.bytes_in, counts.bytes_in);
        add(&cells.bytes_out, counts.bytes_out);
        if counts.peak_memory > cells.peak_memory.load(Ordering::Relaxed) {
            cells.peak_memory.fetch_max(counts.peak_memory, Ordering::Relaxed);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let mut state = self.line.state();
        state.present.remove(&Arc::as_ptr(&self.cells).addr());
        state.past.add(&self.cells.sums());
    }
}

/// Why a child was let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// Nobody used it for a time.
    Idle,
    /// There was no room for others.
    Pressure,
    /// `LOADER.evict(id)`.
    Explicit,
}

/// The process's metrics.
#[derive(Default)]
pub struct Metrics {
    lines: Mutex<HashMap<Label, Arc<Line>>>,
    loaded: AtomicU64,
    failed: AtomicU64,
    evicted: [AtomicU64; 3],
    today: Mutex<Day>,
}

impl Metrics {
    /// An account under a label.
    pub(crate) fn account(&self, label: Label) -> Account {
        let identity = label.identity;
        let line = self.line(label);
        let cells = Arc::<Cells>::default();
        line.state().present.insert(Arc::as_ptr(&cells).addr(), cells.clone());
        Account { line, cells, identity }
    }

    fn line(&self, label: Label) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // Two ids that are cut to one text are one line.
        let label = Label { identity: 0, ..label };
        let full = lines.len() >= LINES - 1 && !lines.contains_key(&label);
        lines.entry(if full { Label::other() } else { label }).or_default().clone()
    }

    /// A child is loaded with this code; `now` is in milliseconds since 1970.
    pub(crate) fn loading(&self, account: &Account, code: &WorkerCode, now: f64) {
        let hash = unique::fingerprint(account.identity, code);
        self.today.lock().unwrap_or_else(PoisonError::into_inner).note(now, hash);
    }

    /// A Worker has started.
    pub(crate) fn loaded(&self) {
        self.loaded.fetch_add(1, Ordering::Relaxed);
    }

    /// A Worker will never start.
    pub(crate) fn load_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Children were let go of.
    pub fn evicted(&self, reason: Eviction, children: usize) {
        self.evicted[reason as usize].fetch_add(children as u64, Ordering::Relaxed);
    }

    /// Writes all that a runtime knows of itself.
    pub fn write(runtime: &Runtime, page: &mut Page) {
        let metrics = &runtime.metrics;
        metrics.write_workers(page);
        metrics.write_loads(page, runtime.host.clock.now_ms());
        write_engine(page, runtime);
    }

    fn write_workers(&self, page: &mut Page) {
        let mut lines: Vec<(Label, Sums)> = {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.iter().map(|(label, line)| (label.clone(), line.sums())).collect()
        };
        lines.sort_by(|(a, _), (b, _)| a.cmp(b));
        let help = "Invocations that have ended, by outcome.";
        let mut family = page.family("invocations_total", Kind::Counter, help);
        for (label, sums) in &lines {
            for outcome in Outcome::ALL {
                let count = sums.outcomes[outcome as usize];
                if count > 0 || outcome == Outcome::Ok {
                    let mut labels = label.pairs();
                    labels.push(("outcome", outcome.name()));
                    family.sample(&labels, count as f64);
                }
            }
        }
        for (name, kind, help, read) in FAMILIES {
            let mut family = page.family(name, *kind, help);
            for (label, sums) in &lines {
                family.sample(&label.pairs(), read(sums));
            }
        }
    }

    fn write_loads(&self, page: &mut Page, now: f64) {
        let mut family = page.family("loads_total", Kind::Counter, "Starts of Workers, by result.");
        for (result, count) in [("ok", &self.loaded), ("failed", &self.failed)] {
            family.sample(&[("result", result)], count.load(Ordering::Relaxed) as f64);
        }
        let help = "Children that were let go of, by reason.";
        let mut family = page.family("evictions_total", Kind::Counter, help);
        let reasons =
            [("idle", Eviction::Idle), ("pressure", Eviction::Pressure), ("explicit", Eviction::Explicit)];
        for (name, reason) in reasons {
            let count = self.evicted[reason as usize].load(Ordering::Relaxed);
            family.sample(&[("reason", name)], count as f64);
        }
        let unique = self.today.lock().unwrap_or_else(PoisonError::into_inner).count(now);
        let help = "Different children (by id and code; without an id, by code) loaded since midnight UTC; estimated above \
                    100,000.";
        page.single("unique_workers_today", Kind::Gauge, help, unique as f64);
    }
}

type Read = fn(&Sums) -> f64;

/// Families with one value for each line.
const FAMILIES: &[(&str, Kind, &str, Read)] = &[
    ("cpu_seconds_total", Kind::Counter, "CPU time of invocations.", |sums| seconds(sums.cpu_ns)),
    ("wall_seconds_total", Kind::Counter, "Wall time of invocations, waitUntil included.", |sums| {
        seconds(sums.wall_ns)
    }),
    (
        "subrequests_total",
        Kind::Counter,
        "Requests that invocations made, and their calls to services.",
        |sums| sums.sub_requests as f64,
    ),
    ("rpc_calls_total", Kind::Counter, "RPC calls that invocations made.", |sums| sums.rpc_calls as f64),
    ("received_bytes_total", Kind::Counter, "RPC messages and bodies that invocations were given.", |sums| {
        sums.bytes_in as f64
    }),
    ("sent_bytes_total", Kind::Counter, "RPC messages and bodies that invocations gave.", |sums| {
        sums.bytes_out as f64
    }),
    (
        "peak_memory_bytes",
        Kind::Gauge,
        "The most heap and buffers that one isolate had in an invocation, as far as looked at.",
        |sums| sums.peak_memory as f64,
    ),
];

fn seconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

/// Figures of the layers below: one row for each.
fn write_engine(page: &mut Page, runtime: &Runtime) {
    let pool = &runtime.pool;
    let (made, missed) = pool.figures();
    let memory = atoll_isolate::memory::figures();
    let cache = atoll_isolate::modules::cache::figures();
    let rows: &[(&'static str, Kind, &str, f64)] = &[
        (
            "lanes",
            Kind::Gauge,
            "Queues of isolates, each served by one thread.",
            runtime.scheduler.lanes() as f64,
        ),
        (
            "isolates",
            Kind::Gauge,
            "Isolates that live, blank ones included.",
            atoll_isolate::heap::live() as f64,
        ),
        ("pool_ready", Kind::Gauge, "Blank isolates that are ready.", pool.ready() as f64),
        ("pool_waiting", Kind::Gauge, "Loads that wait for an isolate.", pool.waiting() as f64),
        ("pool_made_total", Kind::Counter, "Blank isolates made.", made as f64),
        ("pool_missed_total", Kind::Counter, "Loads that found no blank isolate ready.", missed as f64),
        ("heap_bytes", Kind::Gauge, "Heaps of all isolates, as V8 holds them.", memory.heaps as f64),
        ("buffer_bytes", Kind::Gauge, "Buffers of all isolates.", memory.buffers as f64),
        ("machine_code_bytes", Kind::Gauge, "Machine code of all isolates.", memory.code as f64),
        (
            "memory_ended_isolates_total",
            Kind::Counter,
            "Isolates that were ended because the process was short of memory.",
            memory.ended as f64,
        ),
        ("code_cache_entries", Kind::Gauge, "Sources in the code cache.", cache.entries as f64),
        ("code_cache_bytes", Kind::Gauge, "Bytes of the code cache.", cache.bytes as f64),
        ("code_cache_hits_total", Kind::Counter, "Sources found in the code cache.", cache.hits as f64),
        (
            "code_cache_misses_total",
            Kind::Counter,
            "Sources not found in the code cache.",
            cache.misses as f64,
        ),
        (
            "code_cache_evictions_total",
            Kind::Counter,
            "Entries of the code cache that made room for others.",
            cache.evicted as f64,
        ),
        (
            "code_cache_rejections_total",
            Kind::Counter,
            "Entries of the code cache that V8 refused.",
            cache.rejected as f64,
        ),
    ];
    for (name, kind, help, value) in rows {
        page.single(name, *kind, help, *value);
    }
    let written_off = runtime.scheduler.written_off();
    let help = "Threads that the process goes on without: in code that cannot be stopped (stuck), or parked because V8 \
                ran out of memory (lost).";
    let mut family = page.family("written_off_threads", Kind::Gauge, help);
    for (state, threads) in [("stuck", written_off.stuck), ("lost", written_off.lost)] {
        family.sample(&[("state", state)], threads as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_web::usage::Counts;

    fn usage(outcome: Outcome) -> Usage {
        let counts =
            Counts { sub_requests: 1, rpc_calls: 2, bytes_in: 3, bytes_out: 4, peak_memory: 5 << 20 };
        Usage { outcome, cpu: Duration::from_millis(250), wall: Duration::from_millis(1500), counts }
    }

    fn page(metrics: &Metrics) -> String {
        let mut page = Page::default();
        metrics.write_workers(&mut page);
        page.into_text()
    }

    #[test]
    fn sums_outlive_the_worker() {
        let metrics = Metrics::default();
        let account = metrics.account(Label::named("a \"b\"", "main.LOADER"));
        account.add(&usage(Outcome::Ok));
        account.add(&usage(Outcome::ExceededCpu));
        let before = page(&metrics);
        drop(account);
        assert_eq!(page(&metrics), before);
        metrics.account(Label::named("a \"b\"", "main.LOADER")).add(&usage(Outcome::Ok));
        let text = page(&metrics);
        for line in [
            r#"atoll_invocations_total{worker="a \"b\"",loader="main.LOADER",outcome="ok"} 2"#,
            r#"atoll_invocations_total{worker="a \"b\"",loader="main.LOADER",outcome="exceededCpu"} 1"#,
            r#"atoll_cpu_seconds_total{worker="a \"b\"",loader="main.LOADER"} 0.75"#,
            r#"atoll_wall_seconds_total{worker="a \"b\"",loader="main.LOADER"} 4.5"#,
            r#"atoll_sent_bytes_total{worker="a \"b\"",loader="main.LOADER"} 12"#,
            r#"atoll_peak_memory_bytes{worker="a \"b\"",loader="main.LOADER"} 5242880"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn lines_are_bounded() {
        let metrics = Metrics::default();
        let first = metrics.account(Label::project("main"));
        for id in 0..3 * LINES {
            metrics.account(Label::named(&format!("id {id}"), "loader")).add(&usage(Outcome::Ok));
        }
        // A line that is there stays open to its Worker.
        first.add(&usage(Outcome::Ok));
        let text = page(&metrics);
        let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("atoll_invocations_total{")).collect();
        assert_eq!(lines.len(), LINES);
        let sum: f64 =
            lines.iter().filter_map(|l| l.rsplit(' ').next()).filter_map(|n| n.parse::<f64>().ok()).sum();
        assert_eq!(sum, (3 * LINES + 1) as f64);
        assert!(text.contains(r#"atoll_invocations_total{worker="main",outcome="ok"} 1"#), "{text}");
        let other = 3 * LINES - (LINES - 2);
        assert!(text.contains(&format!(r#"atoll_invocations_total{{worker="other",outcome="ok"}} {other}"#)));
    }

    #[test]
    fn long_ids_are_cut_and_share_a_line() {
        let metrics = Metrics::default();
        let long = "\u{e9}".repeat(1000);
        for end in ["one", "two"] {
            metrics.account(Label::named(&format!("{long}{end}"), "loader")).add(&usage(Outcome::Ok));
        }
        let text = page(&metrics);
        let expected =
            format!("worker=\"{}\",loader=\"loader\",outcome=\"ok\"}} 2", "\u{e9}".repeat(LABEL_BYTES / 2));
        assert!(text.contains(&expected), "{text}");
    }

    #[test]
    fn ids_of_different_loaders_differ() {
        assert_ne!(Label::named("a", "one").identity, Label::named("a", "two").identity);
        assert_ne!(Label::named("a", "one"), Label::named("a", "two"));
    }
}
