//! The result as text, as a Markdown table, or as JSON.

use std::fs;

use serde_json::{Value, json};

use crate::engine::{Binaries, Engine};
use crate::error::BenchError;
use crate::measures::{Row, Unit};
use crate::options::{Format, Options};
use crate::samples::Samples;

/// Under so few samples, the slowest hundredth means nothing and is not shown.
const SAMPLES_FOR_P99: usize = 10;
const HEADINGS: [&str; 7] = ["", "Atoll", "workerd", "ratio", "Atoll p99", "workerd p99", "ratio p99"];

pub(crate) fn print(rows: &[Row], binaries: &Binaries, options: &Options) -> Result<(), BenchError> {
    let versions = [binaries.version(Engine::Atoll)?, binaries.version(Engine::Workerd)?];
    let [atoll, workerd] = &versions;
    if options.format == Format::Json {
        let rows: Vec<_> = rows.iter().map(as_json).collect();
        let report = json!({
            "machine": machine(),
            "atoll": atoll,
            "workerd": workerd,
            "rounds": options.rounds(),
            "quick": options.quick,
            "rows": rows,
        });
        println!("{report:#}");
        return Ok(());
    }
    let cells: Vec<_> = rows.iter().map(as_cells).collect();
    print_table(&cells, options.format == Format::Markdown);
    println!(
        "\n{atoll} and {workerd}, asked in turn, {} rounds, on {}. Medians. A ratio over 1 means that Atoll is so \
         many times better (faster, smaller, more a second), under 1 that it is worse.",
        options.rounds(),
        machine(),
    );
    if options.quick {
        println!("This was --quick: too little to be quoted.");
    }
    Ok(())
}

fn as_cells(row: &Row) -> [String; 7] {
    let [atoll, workerd] = &row.samples;
    let mut cells = [
        row.title.clone(),
        with_unit(row.unit, atoll.median()),
        with_unit(row.unit, workerd.median()),
        format!("{:.2}", ratio(row.unit, atoll.median(), workerd.median())),
        String::new(),
        String::new(),
        String::new(),
    ];
    if let (Some(atoll), Some(workerd)) =
        (worst_hundredth(row.unit, atoll), worst_hundredth(row.unit, workerd))
    {
        cells[4] = with_unit(row.unit, atoll);
        cells[5] = with_unit(row.unit, workerd);
        cells[6] = format!("{:.2}", ratio(row.unit, atoll, workerd));
    }
    cells
}

fn as_json(row: &Row) -> Value {
    let [atoll, workerd] = &row.samples;
    let worst = (worst_hundredth(row.unit, atoll), worst_hundredth(row.unit, workerd));
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
        "workerd": side(workerd, worst.1),
        "ratio": {
            "median": ratio(row.unit, atoll.median(), workerd.median()),
            "p99": worst.0.zip(worst.1).map(|(atoll, workerd)| ratio(row.unit, atoll, workerd)),
        },
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

fn with_unit(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Milliseconds => format!("{:.2} ms", value * 1e3),
        Unit::Microseconds => format!("{:.1} µs", value * 1e6),
        Unit::PerSecond => format!("{value:.0} /s"),
        Unit::Kibibytes => format!("{:.0} KiB", value / 1024.0),
        Unit::Mebibytes => format!("{:.0} MiB", value / (1024.0 * 1024.0)),
        Unit::Factor => format!("{value:.2}×"),
    }
}

fn print_table(rows: &[[String; 7]], markdown: bool) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADINGS[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |cells: [&str; 7]| {
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
    println!("{}", line(HEADINGS));
    if markdown {
        println!("|---|---:|---:|---:|---:|---:|---:|");
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
