//! What is measured: the table of measures, and how each takes its figures. Both engines take their turns in one run
//! (A, W, A, W, ...), so that a busy or throttled machine is so for both.

use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::engine::{Binaries, Engine, Server};
use crate::error::BenchError;
use crate::http::Connection;
use crate::memory::settled_resident_bytes;
use crate::options::Options;
use crate::samples::Samples;

/// Rounds before the first that counts.
const WARM_UP_ROUNDS: usize = 3;
const CONNECTIONS: usize = 16;
/// Loads in one request of the measures of memory. Requests end, so that what belongs to one is given back.
const LOADS_A_REQUEST: u32 = 20;

pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
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
    LiveChildren,
    ManyLoads,
}

pub(crate) const MEASURES: &[Measure] = &[
    Measure {
        name: "cold-rpc",
        title: "Load new code, first RPC result",
        kind: Kind::InTurn { route: "/cold/rpc", count: 20, unit: Unit::Milliseconds },
    },
    Measure {
        name: "cold-fetch",
        title: "Load new code, first fetch response",
        kind: Kind::InTurn { route: "/cold/fetch", count: 20, unit: Unit::Milliseconds },
    },
    Measure { name: "cold-16", title: "16 loads at once, all answered", kind: Kind::Together { count: 16 } },
    Measure { name: "cold-64", title: "64 loads at once, all answered", kind: Kind::Together { count: 64 } },
    Measure {
        name: "warm-rpc",
        title: "RPC call to a live child",
        kind: Kind::InTurn { route: "/warm/rpc", count: 1000, unit: Unit::Microseconds },
    },
    Measure {
        name: "warm-fetch",
        title: "fetch to a live child",
        kind: Kind::InTurn { route: "/warm/fetch", count: 1000, unit: Unit::Microseconds },
    },
    Measure {
        name: "callback",
        title: "Child calls a function of its parent",
        kind: Kind::InTurn { route: "/callback", count: 1000, unit: Unit::Microseconds },
    },
    Measure { name: "http-latency", title: "HTTP request, one connection", kind: Kind::PlainLatency },
    Measure { name: "http-throughput", title: "HTTP requests, 16 connections", kind: Kind::PlainThroughput },
    Measure { name: "memory-live", title: "Memory for each live child", kind: Kind::LiveChildren },
    Measure { name: "memory-loads", title: "Memory after many loads", kind: Kind::ManyLoads },
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

/// One line of the result; the samples stand in the order of [`Engine::BOTH`].
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) samples: [Samples; 2],
}

/// A run of the benchmark: the binaries, and the pair of servers that all measures of time share.
pub(crate) struct Session<'a> {
    binaries: &'a Binaries,
    options: &'a Options,
    servers: Option<[Server; 2]>,
    /// Differs from run to run, so that no cache on disk has seen the code either.
    seed: u128,
}

impl<'a> Session<'a> {
    pub(crate) fn new(binaries: &'a Binaries, options: &'a Options) -> Self {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self { binaries, options, servers: None, seed }
    }

    pub(crate) fn take(&mut self, measure: &Measure) -> Result<Vec<Row>, BenchError> {
        let row = |unit, samples| {
            vec![Row { name: measure.name.to_owned(), title: measure.title.to_owned(), unit, samples }]
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
            Kind::LiveChildren => self.live_children(measure),
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
            None => [self.binaries.start(Engine::Atoll)?, self.binaries.start(Engine::Workerd)?],
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

    /// Starts named children, each called once, and divides what the server grew by. One child before the count
    /// begins, so that what the first one costs once is not put on the others.
    fn live_children(&mut self, measure: &Measure) -> Result<Vec<Row>, BenchError> {
        let counts: [u32; 2] = if self.options.quick { [20, 60] } else { [100, 500] };
        let mut rows = counts.map(|count| Row {
            name: format!("{}-{count}", measure.name),
            title: format!("{}, {count} of them", measure.title),
            unit: Unit::Kibibytes,
            samples: Default::default(),
        });
        self.in_new_servers(self.options.memory_rounds(), |server, connection, index| {
            server.ask(connection, "/live?n=1&seed=1000000")?;
            let before = settled_resident_bytes(server.process())?;
            let mut alive = 0;
            for (row, count) in rows.iter_mut().zip(counts) {
                while alive < count {
                    server.ask(connection, &format!("/live?n={LOADS_A_REQUEST}&seed={alive}"))?;
                    alive += LOADS_A_REQUEST;
                }
                let grown = settled_resident_bytes(server.process())? - before;
                row.samples[index].push(grown / f64::from(count));
            }
            Ok(())
        })?;
        Ok(rows.into())
    }

    /// Loads unnamed children that are dropped at once. Memory that keeps growing is a leak that ends the process.
    fn many_loads(&mut self, measure: &Measure) -> Result<Vec<Row>, BenchError> {
        let (few, many): (u32, u32) = if self.options.quick { (100, 1_000) } else { (1_000, 10_000) };
        let mut after_many: [Samples; 2] = Default::default();
        let mut growth: [Samples; 2] = Default::default();
        let seed = self.seed;
        self.in_new_servers(1, |server, connection, index| {
            let mut loads = 0;
            let mut load_until = |count| {
                while loads < count {
                    server.ask(
                        connection,
                        &format!("/cold/rpc?n={LOADS_A_REQUEST}&seed={seed}-loads-{loads}"),
                    )?;
                    loads += LOADS_A_REQUEST;
                }
                settled_resident_bytes(server.process())
            };
            let first = load_until(few)?;
            let last = load_until(many)?;
            after_many[index].push(last);
            growth[index].push(last / first);
            Ok(())
        })?;
        Ok(vec![
            Row {
                name: measure.name.to_owned(),
                title: format!("Memory after {many} loads"),
                unit: Unit::Mebibytes,
                samples: after_many,
            },
            Row {
                name: format!("{}-growth", measure.name),
                title: format!("The same, against after {few}"),
                unit: Unit::Factor,
                samples: growth,
            },
        ])
    }

    /// Runs a measure of memory, each time in a server that has done nothing before.
    fn in_new_servers(
        &self,
        rounds: usize,
        mut turn: impl FnMut(&Server, &mut Connection, usize) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        for _ in 0..rounds {
            for (index, engine) in Engine::BOTH.into_iter().enumerate() {
                let server = self.binaries.start(engine)?;
                turn(&server, &mut server.connect()?, index)?;
            }
        }
        Ok(())
    }
}
