//! Where a Worker's log lines go.

/// How serious a line is; the methods of the `console` object with the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogLevel {
    /// `console.debug`.
    Debug,
    /// `console.info`.
    Info,
    /// `console.log`.
    Log,
    /// `console.warn`.
    Warn,
    /// `console.error`.
    Error,
}

/// One line of a Worker's log.
#[derive(Debug, Clone, Copy)]
pub struct LogRecord<'a> {
    /// How serious it is.
    pub level: LogLevel,
    /// The Worker's name, as the operator knows it.
    pub worker: &'a str,
    /// The text, already formatted. It comes from guest code: it may hold line breaks and control characters.
    pub text: &'a str,
}

/// Receives log lines. Called in the middle of a turn, so it must not block.
pub trait LogSink: Send + Sync {
    /// Takes one line.
    fn write(&self, record: LogRecord<'_>);
}

/// Passes each line on as a `tracing` event with the target `worker` and the field `worker` (its name).
///
/// `console.log` and `console.info` are both at level `INFO`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingSink;

impl LogSink for TracingSink {
    fn write(&self, record: LogRecord<'_>) {
        let LogRecord { level, worker, text } = record;
        // The level is part of an event's static description, hence one macro call for each.
        match level {
            LogLevel::Debug => tracing::debug!(target: "worker", worker, "{text}"),
            LogLevel::Info | LogLevel::Log => tracing::info!(target: "worker", worker, "{text}"),
            LogLevel::Warn => tracing::warn!(target: "worker", worker, "{text}"),
            LogLevel::Error => tracing::error!(target: "worker", worker, "{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    #[derive(Clone, Default)]
    struct Collector(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.push_str(&format!(" {}={value:?}", field.name()));
        }
    }

    impl Subscriber for Collector {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut line = Line(format!("{} {}", event.metadata().target(), event.metadata().level()));
            event.record(&mut line);
            self.0.lock().expect("the list of lines").push(line.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn lines_become_events_of_their_level() {
        let collector = Collector::default();
        tracing::subscriber::with_default(collector.clone(), || {
            for level in [LogLevel::Debug, LogLevel::Info, LogLevel::Log, LogLevel::Warn, LogLevel::Error] {
                TracingSink.write(LogRecord { level, worker: "shop", text: "{hello}" });
            }
        });
        let lines = collector.0.lock().expect("the list of lines").clone();
        let levels: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').nth(1)).collect();
        assert_eq!(levels, ["DEBUG", "INFO", "INFO", "WARN", "ERROR"]);
        assert!(lines.iter().all(|line| line.starts_with("worker ")), "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("worker=\"shop\"")), "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("message={hello}")), "{lines:?}");
    }
}
