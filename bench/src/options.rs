//! The command line of the benchmark.

use std::path::PathBuf;

use crate::error::BenchError;
use crate::measures::MEASURES;

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Markdown,
    Json,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) help: bool,
    /// Measure the blank isolate in this process and nothing else.
    pub(crate) isolate: bool,
    /// Fewer rounds and smaller amounts: to see that all works, not to quote.
    pub(crate) quick: bool,
    /// The name of the only measure to take.
    pub(crate) only: Option<String>,
    pub(crate) format: Format,
    rounds: Option<usize>,
    loads: Option<u32>,
    /// A workerd binary to use in place of the one from npm.
    pub(crate) workerd: Option<PathBuf>,
    /// An Atoll binary to use in place of one that is built now.
    pub(crate) atoll: Option<PathBuf>,
    /// An earlier Atoll binary to compare with, in place of workerd.
    pub(crate) against: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, BenchError> {
        let mut options = Self {
            help: false,
            isolate: false,
            quick: false,
            only: None,
            format: Format::Text,
            rounds: None,
            loads: None,
            workerd: None,
            atoll: None,
            against: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let missing = || BenchError::Usage(format!("{argument} needs a value."));
                arguments.next().ok_or_else(missing)
            };
            match argument.as_str() {
                "--help" | "-h" => options.help = true,
                "--isolate" => options.isolate = true,
                "--quick" => options.quick = true,
                "--json" => options.format = Format::Json,
                "--markdown" => options.format = Format::Markdown,
                "--only" => options.only = Some(measure_name(value()?)?),
                "--rounds" => options.rounds = Some(round_count(&value()?)?),
                "--loads" => options.loads = Some(load_count(&value()?)?),
                "--atoll" => options.atoll = Some(value()?.into()),
                "--against" => options.against = Some(value()?.into()),
                "--workerd" => options.workerd = Some(value()?.into()),
                _ => return Err(BenchError::Usage(format!("Unknown argument {argument}."))),
            }
        }
        if options.against.is_some() && options.workerd.is_some() {
            return Err(BenchError::Usage(
                "--against compares with a build of Atoll, --workerd with workerd: give one.".into(),
            ));
        }
        Ok(options)
    }

    /// Rounds of the measures of time.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 10 } else { 100 })
    }

    /// Loads of the measure of many loads.
    pub(crate) fn loads(&self) -> u32 {
        self.loads.unwrap_or(if self.quick { 1_000 } else { 10_000 })
    }

    /// Rounds of the measures of memory, each of which starts both servers anew. Memory hardly varies.
    pub(crate) fn memory_rounds(&self) -> usize {
        self.rounds().min(if self.quick { 1 } else { 3 })
    }
}

fn measure_name(name: String) -> Result<String, BenchError> {
    if MEASURES.iter().any(|measure| measure.name == name) {
        return Ok(name);
    }
    let known: Vec<_> = MEASURES.iter().map(|measure| measure.name).collect();
    Err(BenchError::Usage(format!("There is no measure {name}; there are {}.", known.join(", "))))
}

fn round_count(text: &str) -> Result<usize, BenchError> {
    match text.parse() {
        Ok(rounds @ 1..=100_000) => Ok(rounds),
        _ => Err(BenchError::Usage(format!("--rounds takes a whole number from 1 to 100000, not {text}."))),
    }
}

fn load_count(text: &str) -> Result<u32, BenchError> {
    match text.parse() {
        Ok(loads @ 2_000..=10_000_000) => Ok(loads),
        _ => {
            Err(BenchError::Usage(format!("--loads takes a whole number from 2000 to 10000000, not {text}.")))
        }
    }
}

pub(crate) fn help() -> String {
    let mut text = String::from(
        "\
Measures Atoll against workerd: one parent Worker, served by both, asked in turn (A, W, A, W, ...).

Usage: cargo run --release -p bench -- [OPTIONS]

  --only NAME      take one measure
  --rounds N       rounds of each measure of time (100; with --quick 10)
  --loads N        loads of the measure memory-loads (10000; with --quick 1000)
  --quick          few rounds and small amounts: to see that it works, not to quote
  --markdown       print the table of the README
  --json           print every figure as JSON
  --workerd PATH   use this workerd binary in place of the one that npm installs into bench/.workerd
  --atoll PATH     use this Atoll binary in place of a release build of this workspace
  --against PATH   compare with this earlier Atoll binary in place of workerd; each figure is asked to be at most
                   2 % worse
  --isolate        weigh and time the blank isolate, in this process, without any server

Measures:
",
    );
    for measure in MEASURES {
        text.push_str(&format!("  {:<16} {}\n", measure.name, measure.title));
    }
    text
}
