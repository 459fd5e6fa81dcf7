//! Measures Atoll against workerd, or against an earlier build of itself: starts both with the same parent Worker, asks
//! them in turn, prints ratios.
//!
//! `cargo run --release -p bench -- --help` says what there is.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program's output is its result")]

mod endurance;
mod engine;
mod error;
mod http;
mod isolate_weight;
mod measures;
mod memory;
mod options;
mod report;
mod samples;

use std::process::ExitCode;

use engine::Binaries;
use error::BenchError;
use measures::{MEASURES, Session};
use options::Options;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BenchError> {
    let options = Options::parse(std::env::args().skip(1))?;
    if options.help {
        print!("{}", options::help());
        return Ok(());
    }
    if options.isolate {
        isolate_weight::print();
        return Ok(());
    }
    let binaries = Binaries::prepare(&options)?;
    let mut session = Session::new(&binaries, &options);
    let mut rows = Vec::new();
    for measure in MEASURES {
        if options.only.as_deref().is_none_or(|name| name == measure.name) {
            eprintln!("{} ...", measure.title);
            rows.extend(session.take(measure)?);
        }
    }
    report::print(&rows, &binaries, &options)
}
