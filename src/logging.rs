//! Where log lines go: stderr, coloured on a terminal only. `RUST_LOG`-like filters come from `ATOLL_LOG`.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets the process's logging up: by default `info`, and everything that Workers print.
pub(crate) fn start() {
    let wanted = std::env::var("ATOLL_LOG").unwrap_or_else(|_| "info,worker=trace".into());
    let (targets, problem) = match wanted.parse::<Targets>() {
        Ok(targets) => (targets, None),
        Err(error) => (Targets::new().with_default(tracing::Level::INFO), Some(error)),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(true);
    tracing_subscriber::registry().with(targets).with(lines).init();
    if let Some(error) = problem {
        tracing::warn!(%error, value = wanted, "ATOLL_LOG is not a list of target=level and is ignored");
    }
}
