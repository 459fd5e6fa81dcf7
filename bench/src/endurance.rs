//! Measures that take a server of their own to where it has much to hold: many children, many loads, endless loops.

use std::time::Instant;

use crate::engine::{Engine, Server};
use crate::error::{BenchError, During};
use crate::http::Connection;
use crate::measures::{Asked, Measure, Row, Session, Unit};
use crate::memory::{resident_bytes_at_rest, settled_resident_bytes};
use crate::samples::Samples;

/// Loads in one request. Requests end, so that what belongs to one is given back.
const LOADS_A_REQUEST: u32 = 20;
/// What a figure may have grown by where it is asked to stay: less cannot be told from noise.
const UNCHANGED: f64 = 1.1;
const LOOPS: u32 = 8;
const SMALL_REQUEST_CONNECTIONS: usize = 8;

impl Session<'_> {
    /// Starts named children, each called once, and divides what the server grew by. One child before the count
    /// begins, so that what the first one costs once is not put on the others.
    pub(crate) fn live_children(&mut self, measure: &Measure) -> Result<Vec<Row>, BenchError> {
        let counts: [u32; 2] = if self.options.quick { [20, 60] } else { [100, 500] };
        let parts = [0.75, 0.55];
        let mut rows: Vec<_> = counts
            .iter()
            .zip(parts)
            .map(|(count, part)| Row {
                name: format!("{}-{count}", measure.name),
                title: format!("{}, {count} of them", measure.title),
                unit: Unit::Kibibytes,
                samples: Default::default(),
                asked: Some(Asked::Part(part)),
            })
            .collect();
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
        Ok(rows)
    }

    /// Holds a crowd of named children in one process and asks each of them twice: the second answer tells whether it
    /// is still the child that gave the first. An engine that does not get there has no figures.
    pub(crate) fn many_live_children(&mut self, measure: &Measure) -> Result<Vec<Row>, BenchError> {
        let count: u32 = if self.options.quick { 200 } else { 2_000 };
        let mut memory: [Samples; 2] = Default::default();
        let mut start: [Samples; 2] = Default::default();
        let mut answer: [Samples; 2] = Default::default();
        self.in_new_servers(1, |server, connection, index| {
            let before = settled_resident_bytes(server.process())?;
            let figures = visit_all(server, connection, 1, count).and_then(|first| {
                let bytes = settled_resident_bytes(server.process())? - before;
                Ok((bytes, first, visit_all(server, connection, 2, count)?))
            });
            match figures {
                Ok((bytes, first, second)) => {
                    memory[index].push(bytes / f64::from(count));
                    start[index].push(first / f64::from(count));
                    answer[index].push(second / f64::from(count));
                }
                Err(error) => eprintln!("{} does not hold {count} children: {error}", server.engine.name()),
            }
            Ok(())
        })?;
        let row = |name: &str, what: &str, unit, samples, asked| Row {
            name: format!("{}-{name}", measure.name),
            title: format!("{count} named children live: {what}"),
            unit,
            samples,
            asked,
        };
        Ok(vec![
            row("start", "start of each", Unit::Milliseconds, start, None),
            row("memory", "memory for each", Unit::Kibibytes, memory, None),
            row("answer", "answer of each", Unit::Microseconds, answer, Some(Asked::AllAnswer)),
        ])
    }

    /// Loads unnamed children that are dropped at once. Memory that keeps growing is a leak that ends the process, and
    /// so is, in the end, a load that takes a little longer each time.
    pub(crate) fn many_loads(&mut self, measure: &Measure) -> Result<Vec<Row>, BenchError> {
        let (few, many) = (if self.options.quick { 100 } else { 1_000 }, self.options.loads());
        let mut memory: [Samples; 2] = Default::default();
        let mut growth: [Samples; 2] = Default::default();
        let mut time: [Samples; 2] = Default::default();
        let mut slowdown: [Samples; 2] = Default::default();
        let seed = self.seed;
        self.in_new_servers(1, |server, _, index| {
            let mut loads = 0;
            // The samples are of the last `few / 2` loads of each step: the first loads of all warm the server up.
            let mut load_until = |count: u32| {
                let mut samples = Samples::default();
                // workerd ends connections that rest.
                let connection = &mut server.connect()?;
                while loads < count {
                    let begun = Instant::now();
                    server.ask(
                        connection,
                        &format!("/cold/rpc?n={LOADS_A_REQUEST}&seed={seed}-loads-{loads}"),
                    )?;
                    if loads >= count - few / 2 {
                        samples.push(begun.elapsed().as_secs_f64() / f64::from(LOADS_A_REQUEST));
                    }
                    loads += LOADS_A_REQUEST;
                }
                Ok::<_, BenchError>((resident_bytes_at_rest(server.process())?, samples.median()))
            };
            let (first_bytes, first_time) = load_until(few)?;
            let (last_bytes, last_time) = load_until(many)?;
            memory[index].push(last_bytes);
            growth[index].push(last_bytes / first_bytes);
            time[index].push(last_time);
            slowdown[index].push(last_time / first_time);
            Ok(())
        })?;
        let unchanged = Some(Asked::AtMost(UNCHANGED));
        let row = |name: &str, title: String, unit, samples, asked| Row {
            name: format!("{}{name}", measure.name),
            title,
            unit,
            samples,
            asked,
        };
        Ok(vec![
            row("", format!("Memory after {many} loads"), Unit::Mebibytes, memory, None),
            row("-growth", format!("The same, against after {few}"), Unit::Factor, growth, unchanged),
            row("-time", format!("Time of a load after {many}"), Unit::Milliseconds, time, None),
            row("-slowdown", format!("The same, against after {few}"), Unit::Factor, slowdown, unchanged),
        ])
    }

    /// Small requests to a live child: quiet, and with endless loops running in other children. workerd has no limit
    /// that would end the loops, and one of them stops all of it, so it is asked quiet only.
    pub(crate) fn beside_loops(&mut self, measure: &Measure) -> Result<Vec<Row>, BenchError> {
        let requests = if self.options.quick { 100 } else { 1_000 };
        let mut quiet: [Samples; 2] = Default::default();
        let mut beside: [Samples; 2] = Default::default();
        let seed = self.seed;
        self.in_new_servers(1, |server, connection, index| {
            small_requests(server, requests, &mut Samples::default())?;
            small_requests(server, requests, &mut quiet[index])?;
            if server.engine == Engine::Workerd {
                return Ok(());
            }
            let mut looping = Vec::new();
            for number in 0..LOOPS {
                let mut connection = server.connect()?;
                let request = format!(
                    "GET /loop?n=1&seed={seed}-{number} HTTP/1.1\r\nHost: {}\r\n\r\n",
                    server.address
                );
                connection.write(request.as_bytes()).during("ask for an endless loop")?;
                looping.push(connection);
            }
            server.ask(connection, &format!("/looping?n={LOOPS}"))?;
            small_requests(server, requests, &mut beside[index])
        })?;
        let calm = Asked::Calm { quiet: quiet[0].quantile(0.99) };
        let row = |name: &str, title: String, samples, asked| Row {
            name: format!("{}{name}", measure.name),
            title,
            unit: Unit::Microseconds,
            samples,
            asked,
        };
        Ok(vec![
            row("-quiet", format!("{}, quiet", measure.title), quiet, None),
            row("", format!("{}, beside {LOOPS} endless loops", measure.title), beside, Some(calm)),
        ])
    }
}

/// Asks all children, which have been asked `visit - 1` times before. Gives the seconds that it took.
fn visit_all(
    server: &Server,
    connection: &mut Connection,
    visit: u32,
    count: u32,
) -> Result<f64, BenchError> {
    let begun = Instant::now();
    for first in (0..count).step_by(LOADS_A_REQUEST as usize) {
        server.ask(connection, &format!("/visit/{visit}?n={LOADS_A_REQUEST}&seed={first}"))?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// One call of a live child for each request; the connections take turns, because each belongs to a thread.
fn small_requests(server: &Server, count: usize, samples: &mut Samples) -> Result<(), BenchError> {
    let mut connections =
        (0..SMALL_REQUEST_CONNECTIONS).map(|_| server.connect()).collect::<Result<Vec<_>, _>>()?;
    for number in 0..count {
        let connection = &mut connections[number % SMALL_REQUEST_CONNECTIONS];
        let begun = Instant::now();
        server.ask(connection, "/warm/rpc?n=1")?;
        samples.push(begun.elapsed().as_secs_f64());
    }
    Ok(())
}
