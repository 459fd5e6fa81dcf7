//! What is measured: the table of measures, and how each takes its figures. Both engines take their turns in one run
//! (A, W, A, W, ...), so that a busy or throttled machine is so for both.

use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::engine::{Binaries, Engine, Server};
use crate::error::BenchError;
use crate::http::Connection;
use crate::options::Options;
use crate::samples::Samples;

/// Rounds before the first that counts.
const WARM_UP_ROUNDS: usize = 3;
const CONNECTIONS: usize = 16;
/// The part by which a figure may be worse than an earlier build's.
const TOLERANCE: f64 = 0.02;

pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// How many times better than workerd the median is to be.
    asked: Option<f64>,
    kind: Kind,
}

enum Kind {
    /// One request does `count` of one operation in turn; a sample is the mean of them.
    InTurn {
        route: &'static str,
        count: u32,
        unit: Unit,
    },
    /// One request does `count` operations at once; a sample is the time until all are done.
    Together {
        count: u32,
    },
    PlainLatency,
    PlainThroughput,
    /// New code against code that has been loaded before.
    SameCode,
    LiveChildren,
    ManyLiveChildren,
    ManyLoads,
    BesideLoops,
}

pub(crate) const MEASURES: &[Measure] = &[
    Measure {
        name: "cold-rpc",
        title: "Load new code, first RPC result",
        asked: Some(10.0),
        kind: Kind::InTurn { route: "/cold/rpc", count: 20, unit: Unit::Milliseconds },
    },
    Measure {
        name: "cold-fetch",
        title: "Load new code, first fetch response",
        asked: None,
        kind: Kind::InTurn { route: "/cold/fetch", count: 20, unit: Unit::Milliseconds },
    },
    Measure {
        name: "cold-16",
        title: "16 loads at once, all answered",
        asked: None,
        kind: Kind::Together { count: 16 },
    },
    Measure {
        name: "cold-64",
        title: "64 loads at once, all answered",
        asked: Some(4.0),
        kind: Kind::Together { count: 64 },
    },
    Measure { name: "same-code", title: "Load 200 KB of code", asked: None, kind: Kind::SameCode },
    Measure {
        name: "warm-rpc",
        title: "RPC call to a live child",
        asked: Some(10.0),
        kind: Kind::InTurn { route: "/warm/rpc", count: 1000, unit: Unit::Microseconds },
    },
    Measure {
        name: "warm-fetch",
        title: "fetch to a live child",
        asked: Some(8.0),
        kind: Kind::InTurn { route: "/warm/fetch", count: 1000, unit: Unit::Microseconds },
    },
    Measure {
        name: "callback",
        title: "Child calls a function of its parent",
        asked: Some(10.0),
        kind: Kind::InTurn { route: "/callback", count: 1000, unit: Unit::Microseconds },
    },
    Measure {
        name: "http-latency",
        title: "HTTP request, one connection",
        asked: Some(1.5),
        kind: Kind::PlainLatency,
    },
    Measure {
        name: "http-throughput",
        title: "HTTP requests, 16 connections",
        asked: Some(1.5),
        kind: Kind::PlainThroughput,
    },
    Measure {
        name: "beside-loops",
        title: "RPC call in a request of its own",
        asked: None,
        kind: Kind::BesideLoops,
    },
    Measure {
        name: "memory-live",
        title: "Memory for each live child",
        asked: None,
        kind: Kind::LiveChildren,
    },
    Measure { name: "live", title: "Live children", asked: None, kind: Kind::ManyLiveChildren },
    Measure { name: "memory-loads", title: "Many loads", asked: None, kind: Kind::ManyLoads },
];

/// Values are kept in seconds, bytes or plain numbers; the unit says how they are shown and which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Microseconds,
    PerSecond,
    Kibibytes,
    Mebibytes,
    Factor,
}

impl Unit {
    pub(crate) fn more_is_better(self) -> bool {
        self == Self::PerSecond
    }
}

/// One line of the result; the samples stand in the order of [`Binaries::engines`]. An engine without samples could not be
/// measured.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) samples: [Samples; 2],
    pub(crate) asked: Option<Asked>,
}

/// What Atoll's figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Asked {
    /// At least so many times better than workerd's.
    Better(f64),
    /// At most this part of workerd's.
    Part(f64),
    /// At most this, whatever workerd's is.
    AtMost(f64),
    /// The slowest hundredth is at most twice that of the given samples, or 10 ms.
    Calm { quiet: f64 },
    /// That there is a figure: each child has answered.
    AllAnswer,
}

/// A run of the benchmark: the binaries, and the pair of servers that all measures of time share.
pub(crate) struct Session<'a> {
    pub(crate) binaries: &'a Binaries,
    pub(crate) options: &'a Options,
    servers: Option<[Server; 2]>,
    /// Differs from run to run, so that no cache on disk has seen the code either.
    pub(crate) seed: u128,
}

impl<'a> Session<'a> {
    pub(crate) fn new(binaries: &'a Binaries, options: &'a Options) -> Self {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self { binaries, options, servers: None, seed }
    }

    /// Takes a measure. Against an earlier build, each row is asked to be as good as that, within [`TOLERANCE`].
    pub(crate) fn take(&mut self, measure: &Measure) -> Result<Vec<Row>, BenchError> {
        let mut rows = self.measured(measure)?;
        if self.binaries.engines()[1] == Engine::Earlier {
            rows.iter_mut().for_each(|row| row.asked = Some(Asked::Better(1.0 - TOLERANCE)));
        }
        Ok(rows)
    }

    fn measured(&mut self, measure: &Measure) -> Result<Vec<Row>, BenchError> {
        let row = |unit, samples| {
            let asked = measure.asked.map(Asked::Better);
            vec![Row { name: measure.name.to_owned(), title: measure.title.to_owned(), unit, samples, asked }]
        };
        match measure.kind {
            Kind::InTurn { route, count, unit } => {
                Ok(row(unit, self.in_worker(measure.name, route, count, f64::from(count))?))
            }
            Kind::Together { count } => {
                Ok(row(Unit::Milliseconds, self.in_worker(measure.name, "/cold/together", count, 1.0)?))
            }
            Kind::PlainLatency => Ok(row(Unit::Microseconds, self.plain_latency()?)),
            Kind::PlainThroughput => Ok(row(Unit::PerSecond, self.plain_throughput()?)),
            Kind::SameCode => self.same_code(measure),
            Kind::BesideLoops => self.beside_loops(measure),
            Kind::LiveChildren => self.live_children(measure),
            Kind::ManyLiveChildren => self.many_live_children(measure),
            Kind::ManyLoads => self.many_loads(measure),
        }
    }

    fn in_worker(
        &mut self,
        name: &str,
        route: &str,
        count: u32,
        divisor: f64,
    ) -> Result<[Samples; 2], BenchError> {
        let seed = self.seed;
        self.interleave(|server, connection, round, samples| {
            let target = format!("{route}?n={count}&seed={seed}-{name}-{round}");
            let begun = Instant::now();
            server.ask(connection, &target)?;
            samples.push(begun.elapsed().as_secs_f64() / divisor);
            Ok(())
        })
    }

    /// Loads a large module again and again: with a different text each time, and with the same.
    fn same_code(&mut self, measure: &Measure) -> Result<Vec<Row>, BenchError> {
        let count = 5;
        let fresh = self.in_worker(measure.name, "/cold/large", count, f64::from(count))?;
        let seed = self.seed;
        let same = self.interleave(|server, connection, _, samples| {
            let begun = Instant::now();
            server.ask(connection, &format!("/cold/same?n={count}&seed={seed}"))?;
            samples.push(begun.elapsed().as_secs_f64() / f64::from(count));
            Ok(())
        })?;
        let row = |name: &str, title: String, samples| Row {
            name: format!("{}{name}", measure.name),
            title,
            unit: Unit::Milliseconds,
            samples,
            asked: None,
        };
        Ok(vec![
            row("-new", format!("{}, new each time", measure.title), fresh),
            row("", format!("{}, the same each time", measure.title), same),
        ])
    }

    fn plain_latency(&mut self) -> Result<[Samples; 2], BenchError> {
        let requests = if self.options.quick { 20 } else { 200 };
        self.interleave(|server, connection, _, samples| {
            for _ in 0..requests {
                let begun = Instant::now();
                server.ask(connection, "/plain")?;
                samples.push(begun.elapsed().as_secs_f64());
            }
            Ok(())
        })
    }

    fn plain_throughput(&mut self) -> Result<[Samples; 2], BenchError> {
        let requests_each: u32 = if self.options.quick { 25 } else { 250 };
        self.interleave(|server, _, _, samples| {
            let connections = (0..CONNECTIONS).map(|_| server.connect()).collect::<Result<Vec<_>, _>>()?;
            let begun = Instant::now();
            thread::scope(|scope| {
                let clients: Vec<_> = connections
                    .into_iter()
                    .map(|mut connection| {
                        scope.spawn(move || {
                            (0..requests_each).try_for_each(|_| server.ask(&mut connection, "/plain"))
                        })
                    })
                    .collect();
                clients.into_iter().try_for_each(|client| match client.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
            })?;
            samples.push(f64::from(requests_each) * CONNECTIONS as f64 / begun.elapsed().as_secs_f64());
            Ok(())
        })
    }

    /// Gives each engine a turn in each round, on servers and connections that stay.
    fn interleave(
        &mut self,
        mut turn: impl FnMut(&Server, &mut Connection, usize, &mut Samples) -> Result<(), BenchError>,
    ) -> Result<[Samples; 2], BenchError> {
        let rounds = self.options.rounds();
        let servers = match self.servers.take() {
            Some(servers) => servers,
            None => {
                let [first, second] = self.binaries.engines();
                [self.binaries.start(first)?, self.binaries.start(second)?]
            }
        };
        let servers = self.servers.insert(servers);
        let mut connections = [servers[0].connect()?, servers[1].connect()?];
        let mut samples = [Samples::default(), Samples::default()];
        for round in 0..WARM_UP_ROUNDS + rounds {
            for (index, server) in servers.iter().enumerate() {
                let mut discarded = Samples::default();
                let kept = if round < WARM_UP_ROUNDS { &mut discarded } else { &mut samples[index] };
                turn(server, &mut connections[index], round, kept)?;
            }
        }
        Ok(samples)
    }

    /// Runs a measure of memory, each time in a server that has done nothing before.
    pub(crate) fn in_new_servers(
        &self,
        rounds: usize,
        mut turn: impl FnMut(&Server, &mut Connection, usize) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        for _ in 0..rounds {
            for (index, engine) in self.binaries.engines().into_iter().enumerate() {
                let server = self.binaries.start(engine)?;
                turn(&server, &mut server.connect()?, index)?;
            }
        }
        Ok(())
    }
}
