//! The result as text, as a Markdown table, or as JSON.

use std::fs;

use serde_json::{Value, json};

use crate::engine::{Binaries, Engine};
use crate::error::BenchError;
use crate::measures::{Asked, Row, Unit};
use crate::options::{Format, Options};
use crate::samples::Samples;

/// Under so few samples, the slowest hundredth means nothing and is not shown.
const SAMPLES_FOR_P99: usize = 10;
const COLUMNS: usize = 8;
/// Seconds within which the slowest hundredth of small requests counts as undisturbed in any case.
const CALM: f64 = 0.010;
/// Stands where an engine could not be measured.
const NO_FIGURE: &str = "-";

pub(crate) fn print(rows: &[Row], binaries: &Binaries, options: &Options) -> Result<(), BenchError> {
    let [engine, other] = binaries.engines();
    let [atoll, compared] = [binaries.version(engine)?, binaries.version(other)?];
    if options.format == Format::Json {
        let rows: Vec<_> = rows.iter().map(|row| as_json(row, other)).collect();
        let report = json!({
            "machine": machine(),
            "atoll": atoll,
            (other.name()): compared,
            "rounds": options.rounds(),
            "quick": options.quick,
            "loads": options.loads(),
            "rows": rows,
        });
        println!("{report:#}");
        return Ok(());
    }
    let cells: Vec<_> = rows.iter().map(as_cells).collect();
    print_table(&headings(other), &cells, options.format == Format::Markdown);
    println!(
        "\n{atoll} and {compared}{}, asked in turn, {} rounds, on {}. Medians. A ratio over 1 means that Atoll is so \
         many times better (faster, smaller, more a second), under 1 that it is worse; - stands for what an engine \
         does not do.",
        if other == Engine::Earlier { " (the earlier build)" } else { "" },
        options.rounds(),
        machine(),
    );
    if options.quick {
        println!("This was --quick: too little to be quoted.");
    }
    Ok(())
}

fn headings(other: Engine) -> [String; COLUMNS] {
    let other = other.name();
    ["", "Atoll", other, "ratio", "asked", "Atoll p99", &format!("{other} p99"), "ratio p99"]
        .map(str::to_owned)
}

fn as_cells(row: &Row) -> [String; COLUMNS] {
    let [atoll, workerd] = &row.samples;
    let asked = row.asked.map(|asked| {
        let verdict = if is_met(row, asked) { "met" } else { "MISSED" };
        format!("{} {verdict}", in_words(asked))
    });
    let mut cells = [
        row.title.clone(),
        with_unit(row.unit, atoll.median()),
        with_unit(row.unit, workerd.median()),
        as_ratio(ratio(row.unit, atoll.median(), workerd.median())),
        asked.unwrap_or_default(),
        String::new(),
        String::new(),
        String::new(),
    ];
    let worst = [worst_hundredth(row.unit, atoll), worst_hundredth(row.unit, workerd)];
    if worst.iter().any(Option::is_some) {
        let [atoll, workerd] = worst.map(|figure| figure.unwrap_or(f64::NAN));
        cells[5] = with_unit(row.unit, atoll);
        cells[6] = with_unit(row.unit, workerd);
        cells[7] = as_ratio(ratio(row.unit, atoll, workerd));
    }
    cells
}

fn in_words(asked: Asked) -> String {
    match asked {
        Asked::Better(factor) => format!("{factor}×"),
        Asked::Part(part) => format!("≤ {part} of it"),
        Asked::AtMost(most) => format!("≤ {most}×"),
        Asked::Calm { .. } => "p99 ≤ 2× quiet or 10 ms".to_owned(),
        Asked::AllAnswer => "all answer".to_owned(),
    }
}

/// Whether Atoll's figure is what was asked; a figure that is not there never is.
fn is_met(row: &Row, asked: Asked) -> bool {
    let [atoll, workerd] = &row.samples;
    match asked {
        Asked::Better(factor) => ratio(row.unit, atoll.median(), workerd.median()) >= factor,
        Asked::Part(part) => atoll.median() / workerd.median() <= part,
        Asked::AtMost(most) => atoll.median() <= most,
        Asked::Calm { quiet } => {
            worst_hundredth(row.unit, atoll).is_some_and(|p99| p99 <= (2.0 * quiet).max(CALM))
        }
        Asked::AllAnswer => atoll.count() > 0,
    }
}

fn as_json(row: &Row, other: Engine) -> Value {
    let [atoll, compared] = &row.samples;
    let worst = (worst_hundredth(row.unit, atoll), worst_hundredth(row.unit, compared));
    let side = |samples: &Samples, worst: Option<f64>| {
        let (median, count) = (samples.median(), samples.count());
        json!({ "median": median, "p99": worst, "samples": count })
    };
    json!({
        "name": row.name,
        "title": row.title,
        "unit": match row.unit {
            Unit::Milliseconds | Unit::Microseconds => "seconds",
            Unit::PerSecond => "requests per second",
            Unit::Kibibytes | Unit::Mebibytes => "bytes",
            Unit::Factor => "factor",
        },
        "atoll": side(atoll, worst.0),
        (other.name()): side(compared, worst.1),
        "ratio": {
            "median": ratio(row.unit, atoll.median(), compared.median()),
            "p99": worst.0.zip(worst.1).map(|(atoll, compared)| ratio(row.unit, atoll, compared)),
        },
        "asked": row.asked.map(|asked| json!({ "text": in_words(asked), "met": is_met(row, asked) })),
    })
}

/// The value that 99 of 100 samples are better than.
fn worst_hundredth(unit: Unit, samples: &Samples) -> Option<f64> {
    let fraction = if unit.more_is_better() { 0.01 } else { 0.99 };
    (samples.count() >= SAMPLES_FOR_P99).then(|| samples.quantile(fraction))
}

/// How many times better Atoll is.
fn ratio(unit: Unit, atoll: f64, workerd: f64) -> f64 {
    if unit.more_is_better() { atoll / workerd } else { workerd / atoll }
}

fn as_ratio(value: f64) -> String {
    if value.is_nan() { NO_FIGURE.to_owned() } else { format!("{value:.2}") }
}

fn with_unit(unit: Unit, value: f64) -> String {
    if value.is_nan() {
        return NO_FIGURE.to_owned();
    }
    match unit {
        Unit::Milliseconds => format!("{:.2} ms", value * 1e3),
        Unit::Microseconds => format!("{:.1} µs", value * 1e6),
        Unit::PerSecond => format!("{value:.0} /s"),
        Unit::Kibibytes => format!("{:.0} KiB", value / 1024.0),
        Unit::Mebibytes => format!("{:.0} MiB", value / (1024.0 * 1024.0)),
        Unit::Factor => format!("{value:.2}×"),
    }
}

fn print_table(headings: &[String; COLUMNS], rows: &[[String; COLUMNS]], markdown: bool) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |cells: [&str; COLUMNS]| {
        let cells = cells.iter().zip(widths).enumerate();
        let padded =
            cells.map(
                |(column, (cell, width))| {
                    if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            );
        let padded: Vec<_> = padded.collect();
        if markdown { format!("| {} |", padded.join(" | ")) } else { padded.join("  ") }
    };
    println!("{}", line(std::array::from_fn(|column| headings[column].as_str())));
    if markdown {
        println!("|---{}|", "|---:".repeat(COLUMNS - 1));
    }
    for row in rows {
        println!("{}", line(std::array::from_fn(|column| row[column].as_str())));
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, name)| name);
    format!("{cores} cores of {model}")
}
