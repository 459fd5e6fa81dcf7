//! The Prometheus text format, version 0.0.4.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::Write;

/// `Content-Type` of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows; begins at 0 with the process. Its name ends with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A page that is being written, family by family.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// Begins a family: its samples come next. The name begins with `atoll_`, without being told.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = write!(self.0, "# HELP atoll_{name} ");
        escape(&mut self.0, help, false);
        let _ = write!(self.0, "\n# TYPE atoll_{name} {kind}\n");
        Family { page: self, name }
    }

    /// A family with one value and no labels.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The page's text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// A family whose samples are being written.
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Family<'_> {
    /// One sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let text = &mut self.page.0;
        let _ = write!(text, "atoll_{}", self.name);
        for (index, (name, value)) in labels.iter().enumerate() {
            let _ = write!(text, "{}{name}=\"", if index == 0 { '{' } else { ',' });
            escape(text, value, true);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

fn escape(text: &mut String, value: &str, quotes: bool) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_help_its_type_and_its_samples() {
        let mut page = Page::default();
        let mut family = page.family("things_total", Kind::Counter, "Things.\nMore of \\them.");
        family.sample(&[("worker", "a"), ("outcome", "ok")], 3.0);
        family.sample(&[], 0.25);
        page.single("room_bytes", Kind::Gauge, "Room.", 1e15);
        let expected = "# HELP atoll_things_total Things.\\nMore of \\\\them.\n\
                        # TYPE atoll_things_total counter\n\
                        atoll_things_total{worker=\"a\",outcome=\"ok\"} 3\n\
                        atoll_things_total 0.25\n\
                        # HELP atoll_room_bytes Room.\n\
                        # TYPE atoll_room_bytes gauge\n\
                        atoll_room_bytes 1000000000000000\n";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn label_values_are_escaped() {
        let mut page = Page::default();
        page.family("x", Kind::Gauge, "X").sample(&[("worker", "a\"b\\c\nd\u{e9} {},=")], 1.0);
        let line = page.into_text().lines().last().map(str::to_owned);
        assert_eq!(line.as_deref(), Some("atoll_x{worker=\"a\\\"b\\\\c\\nd\u{e9} {},=\"} 1"));
    }
}
