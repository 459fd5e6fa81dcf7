//! `atoll test`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use atoll_host::log::TracingSink;
use atoll_server::Projects;
use atoll_server::test_runner::{self, Outcome};
use clap::ArgMatches;

use crate::serve::{fail, isolates, paths, prepare, refuse, warn};

pub(crate) fn run(arguments: &ArgMatches) -> ExitCode {
    prepare(arguments);
    let json = arguments.get_flag("json");
    let filter = arguments.get_one::<String>("filter").map_or("", String::as_str);
    let limit = Duration::from_millis(arguments.get_one::<u64>("timeout").copied().unwrap_or(60_000));
    let projects = match Projects::start(&paths(arguments), isolates(arguments), Arc::new(TracingSink), warn)
    {
        Ok(projects) => projects,
        Err(error) => return refuse(&error),
    };
    let worker = projects.primary();
    let names = match test_runner::tests(worker) {
        Ok(names) => names,
        Err(error) => return fail(&error),
    };
    let names: Vec<String> = names.into_iter().filter(|name| name.contains(filter)).collect();
    if names.is_empty() {
        return fail(&match filter {
            "" => "the main module exports nothing with a test() handler".to_owned(),
            filter => format!("no test's name contains {filter:?}"),
        });
    }
    let mut failed = 0;
    for name in &names {
        let outcome = test_runner::run(worker, name, limit);
        failed += usize::from(outcome.failure.is_some());
        if json { print_json(&outcome) } else { print(&outcome) }
    }
    if !json {
        let _ = writeln!(std::io::stdout(), "\n{} passed, {failed} failed", names.len() - failed);
    }
    // Threads may be in turns that never end: the process goes without them.
    std::process::exit(i32::from(failed > 0));
}

fn print(outcome: &Outcome) {
    let mut out = std::io::stdout().lock();
    let colour = out.is_terminal();
    let paint =
        |code: &str, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let ms = outcome.elapsed.as_secs_f64() * 1000.0;
    let Some(failure) = &outcome.failure else {
        let _ = writeln!(out, "{} {} ({ms:.1} ms)", paint("32", "pass"), outcome.test);
        return;
    };
    let _ = writeln!(out, "{} {} ({ms:.1} ms)", paint("31", "FAIL"), outcome.test);
    for line in failure.message.lines() {
        let _ = writeln!(out, "     {line}");
    }
    // The stack begins with the message again.
    let frames =
        failure.stack.as_deref().unwrap_or_default().lines().filter(|l| l.trim_start().starts_with("at "));
    for line in frames {
        let _ = writeln!(out, "     {}", line.trim_start());
    }
    if let Some(line) = &failure.source_line {
        let _ = writeln!(out, "     > {}", line.trim());
    }
}

fn print_json(outcome: &Outcome) {
    let mut line = serde_json::json!({
        "test": outcome.test,
        "outcome": if outcome.failure.is_some() { "failed" } else { "passed" },
        "ms": (outcome.elapsed.as_secs_f64() * 10_000.0).round() / 10.0,
    });
    if let Some(failure) = &outcome.failure {
        let error = failure.stack.as_deref().filter(|s| s.contains(&failure.message)).map(str::to_owned);
        line["error"] = error.unwrap_or_else(|| failure.message.clone()).into();
    }
    let _ = writeln!(std::io::stdout(), "{line}");
}
