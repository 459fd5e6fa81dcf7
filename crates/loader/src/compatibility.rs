//! Compatibility dates and flags, with the reference's names and dates. The table of flags is `compatibility/flags.txt`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use atoll_isolate::JsError;

/// The newest compatibility date whose changes are all in the table. Later ones mean the same until the table is brought up
/// to date.
pub const NEWEST_DATE: &str = "2026-12-01";

/// A row of the table.
struct Flag {
    on: &'static str,
    off: Option<&'static str>,
    /// The date from which it is on.
    since: Option<&'static str>,
    experimental: bool,
    /// From a date on, it is on with any of these flags.
    implied: Option<(Vec<&'static str>, &'static str)>,
}

/// All flags of the reference; those that change nothing here are accepted all the same.
static FLAGS: LazyLock<Vec<Flag>> =
    LazyLock::new(|| include_str!("compatibility/flags.txt").lines().filter_map(row).collect());

fn row(line: &'static str) -> Option<Flag> {
    if line.starts_with('#') {
        return None;
    }
    let mut columns = line.split(' ').map(|column| (column != "-").then_some(column));
    let (on, off, since) = (columns.next()??, columns.next()?, columns.next()?);
    let experimental = columns.next()?.is_some();
    let implied = columns.next()?.and_then(|column| column.split_once('@'));
    let implied = implied.map(|(flags, date)| (flags.split(',').collect(), date));
    Some(Flag { on, off, since, experimental, implied })
}

/// Whether this is a date in the reference's sense: `YYYY-MM-DD`, year 2xxx, month 1-12, day 1-31.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let number =
        |range: std::ops::Range<usize>| text.get(range).and_then(|t| t.parse::<u32>().ok()).unwrap_or(0);
    bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() })
        && bytes[0] == b'2'
        && (1..=12).contains(&number(5..7))
        && (1..=31).contains(&number(8..10))
}

/// The day of a moment (milliseconds since 1970-01-01T00:00:00Z) in UTC, as `YYYY-MM-DD`.
fn day_of(now_ms: f64) -> String {
    // Years are counted from March, so that the leap day is a year's last.
    let days = (now_ms / 86_400_000.0).floor() as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Refuses a date that has not come yet. `now_ms`: milliseconds since 1970-01-01T00:00:00Z.
///
/// # Errors
/// The reference's text.
pub fn refuse_future(date: &str, now_ms: f64) -> Result<(), JsError> {
    let today = day_of(now_ms);
    if date <= today.as_str() {
        return Ok(());
    }
    let newest = today.as_str().max(NEWEST_DATE);
    if date > newest {
        return Err(JsError::error(format!(
            "This Worker requires compatibility date \"{date}\", but the newest date supported by this server binary \
             is \"{newest}\"."
        )));
    }
    Err(JsError::error(format!(
        "Can't set compatibility date in the future: \"{date}\". Today's date (UTC) is \"{today}\"."
    )))
}

/// Checks the form of a date.
///
/// # Errors
/// The reference's text.
pub fn check_date(date: &str) -> Result<(), JsError> {
    if !is_date(date) {
        return Err(JsError::error(format!("Invalid compatibility date: {date}")));
    }
    Ok(())
}

/// Checks a list of flags.
///
/// # Errors
/// The reference's texts, for the first problem.
pub fn check_flags(flags: &[String], allow_experimental: bool) -> Result<(), JsError> {
    let mut seen = HashSet::new();
    if let Some(name) = flags.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(JsError::error(format!("Compatibility flag specified multiple times: {name}")));
    }
    let given = |name: &str| seen.contains(name);
    for known in FLAGS.iter().filter(|known| given(known.on)) {
        if let Some(off) = known.off.filter(|off| given(off)) {
            return Err(JsError::error(format!(
                "Compatibility flags are mutually contradictory: {} vs {off}",
                known.on
            )));
        }
        if known.experimental && !allow_experimental {
            return Err(JsError::error(format!(
                "The compatibility flag {} is experimental and may break or be removed in a future version of \
                 workerd. To use this flag, you must pass --experimental on the command line.",
                known.on
            )));
        }
    }
    let is_known = |name: &str| FLAGS.iter().any(|known| known.on == name || known.off == Some(name));
    if let Some(name) = flags.iter().find(|name| !is_known(name)) {
        return Err(JsError::error(format!("No such compatibility flag: {name}")));
    }
    Ok(())
}

/// The flags that are on for a date and a list of flags.
///
/// # Errors
/// The reference's texts, for the first problem.
pub fn resolve(date: &str, flags: &[String], allow_experimental: bool) -> Result<Arc<Vec<String>>, JsError> {
    check_date(date)?;
    check_flags(flags, allow_experimental)?;
    let key = (date.to_owned(), flags.to_vec());
    let mut resolved = RESOLVED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(on) = resolved.get(&key) {
        return Ok(on.clone());
    }
    if resolved.len() >= MOST_RESOLVED {
        resolved.clear();
    }
    let on = Arc::new(all_on(date, flags));
    resolved.insert(key, on.clone());
    Ok(on)
}

type Resolved = HashMap<(String, Vec<String>), Arc<Vec<String>>>;

/// Answers that were given: children of one parent mostly have the same date and flags.
static RESOLVED: LazyLock<Mutex<Resolved>> = LazyLock::new(Mutex::default);
const MOST_RESOLVED: usize = 256;

fn all_on(date: &str, flags: &[String]) -> Vec<String> {
    let given = |name: &str| flags.iter().any(|f| f == name);
    let refused = |flag: &Flag| flag.off.is_some_and(given);
    let dated = |flag: &Flag| flag.since.is_some_and(|since| since <= date);
    let mut on: Vec<&str> =
        FLAGS.iter().filter(|f| given(f.on) || (dated(f) && !refused(f))).map(|f| f.on).collect();
    let mut known: HashSet<&str> = on.iter().copied().collect();
    // What is implied can imply further flags.
    loop {
        let implied = |flag: &&Flag| {
            let Some((by, since)) = &flag.implied else { return false };
            let free = !known.contains(flag.on) && !refused(flag);
            free && *since <= date && by.iter().any(|f| known.contains(f))
        };
        let more: Vec<&str> = FLAGS.iter().filter(implied).map(|f| f.on).collect();
        if more.is_empty() {
            return on.into_iter().map(str::to_owned).collect();
        }
        known.extend(&more);
        on.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn dates_turn_flags_on() {
        assert!(!resolve("2025-11-16", &[], false).unwrap().contains(&"enable_ctx_exports".to_owned()));
        assert!(resolve("2025-11-17", &[], false).unwrap().contains(&"enable_ctx_exports".to_owned()));
        let off = resolve("2026-06-01", &flags(&["disable_ctx_exports"]), false).unwrap();
        assert!(!off.contains(&"enable_ctx_exports".to_owned()));
    }

    #[test]
    fn problems_have_the_references_texts() {
        let error = |date: &str, names: &[&str]| resolve(date, &flags(names), false).unwrap_err().message;
        assert_eq!(error("undefined", &[]), "Invalid compatibility date: undefined");
        assert_eq!(error("2026-13-01", &[]), "Invalid compatibility date: 2026-13-01");
        assert!(resolve("2022-02-30", &[], false).is_ok());
        assert_eq!(error("2026-01-01", &["nonsense"]), "No such compatibility flag: nonsense");
        assert_eq!(error("2026-01-01", &["rpc", "rpc"]), "Compatibility flag specified multiple times: rpc");
        assert_eq!(
            error("2026-01-01", &["x", "rpc", "rpc"]),
            "Compatibility flag specified multiple times: rpc"
        );
        assert_eq!(
            error("2026-01-01", &["x", "rpc", "no_rpc"]),
            "Compatibility flags are mutually contradictory: rpc vs no_rpc"
        );
        assert!(
            error("2026-01-01", &["experimental"])
                .starts_with("The compatibility flag experimental is experimental")
        );
        assert!(
            resolve("2999-01-01", &[], false).is_ok(),
            "dates are told from the future where they are given"
        );
    }

    #[test]
    fn every_row_of_the_table_is_whole() {
        let lines = include_str!("compatibility/flags.txt").lines().filter(|l| !l.starts_with('#')).count();
        assert_eq!(FLAGS.len(), lines);
        let mut names = HashSet::new();
        for flag in FLAGS.iter() {
            assert!(names.insert(flag.on) && flag.off.is_none_or(|off| names.insert(off)), "{}", flag.on);
            assert!(flag.since.is_none_or(|date| is_date(date) && date <= NEWEST_DATE), "{}", flag.on);
        }
        for (by, since) in FLAGS.iter().filter_map(|f| f.implied.as_ref()) {
            assert!(is_date(since) && by.iter().all(|name| names.contains(name)));
        }
    }

    #[test]
    fn flags_imply_others_from_a_date_on() {
        let on = |date: &str, names: &[&str], flag: &str| {
            resolve(date, &flags(names), false).unwrap().contains(&flag.to_owned())
        };
        assert!(!on("2024-09-22", &["nodejs_compat"], "nodejs_compat_v2"));
        assert!(on("2024-09-23", &["nodejs_compat"], "nodejs_compat_v2"));
        assert!(!on("2024-09-23", &["nodejs_compat", "no_nodejs_compat_v2"], "nodejs_compat_v2"));
        assert!(!on("2026-01-01", &[], "nodejs_compat_v2"));
        // By way of `enable_nodejs_http_modules`, which `nodejs_compat` implies.
        assert!(on("2025-09-01", &["nodejs_compat"], "enable_nodejs_http_server_modules"));
    }

    #[test]
    fn what_concerns_the_loader_has_the_references_dates() {
        for (flag, date) in [
            ("rpc", "2024-04-03"),
            ("fetcher_no_get_put_delete", "2024-03-26"),
            ("allow_eval_during_startup", "2025-06-01"),
            ("throw_on_unrecognized_import_assertion", "2025-06-16"),
            ("enable_ctx_exports", "2025-11-17"),
            ("rpc_params_dup_stubs", "2026-01-20"),
            ("require_returns_default_export", "2026-01-22"),
            ("enhanced_error_serialization", "2026-04-21"),
            ("nodejs_compat", "2026-08-04"),
            ("new_module_registry", "2026-11-17"),
        ] {
            let on = |date: &str| resolve(date, &[], false).unwrap().contains(&flag.to_owned());
            let day_before = day_of((days_since_1970(date) - 1) as f64 * 86_400_000.0);
            assert!(on(date) && !on(&day_before), "{flag}");
        }
    }

    fn days_since_1970(date: &str) -> i64 {
        (0..30_000).find(|days| day_of(*days as f64 * 86_400_000.0) == date).unwrap()
    }

    #[test]
    fn days_and_the_future() {
        assert_eq!(day_of(0.0), "1970-01-01");
        assert_eq!(day_of(951_782_400_000.0), "2000-02-29");
        assert_eq!(day_of(951_868_799_999.0), "2000-02-29");
        assert_eq!(day_of(1_798_761_599_999.0), "2026-12-31");
        assert!(refuse_future("2026-12-31", 1_798_761_599_999.0).is_ok());
        assert_eq!(
            refuse_future("2027-01-01", 1_798_761_599_999.0).unwrap_err().message,
            "This Worker requires compatibility date \"2027-01-01\", but the newest date supported by this server \
             binary is \"2026-12-31\"."
        );
        assert_eq!(
            refuse_future(NEWEST_DATE, 0.0).unwrap_err().message,
            format!(
                "Can't set compatibility date in the future: \"{NEWEST_DATE}\". Today's date (UTC) is \"1970-01-01\"."
            )
        );
    }
}
