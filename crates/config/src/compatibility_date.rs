//! Compatibility dates: their form. Which is the newest is known where it is known what dates mean.

/// Checks a date and returns what is wrong with it. Like the reference, this asks for the form `2YYY-MM-DD` with
/// a month of 1–12 and a day of 1–31, not for a day that the month has.
pub(crate) fn check(date: &str) -> Result<(), String> {
    if is_well_formed(date) {
        return Ok(());
    }
    Err(format!("Invalid compatibility date: {date} (expected the form YYYY-MM-DD)"))
}

fn is_well_formed(date: &str) -> bool {
    let &[millennium, y1, y2, y3, b'-', m1, m2, b'-', d1, d2] = date.as_bytes() else {
        return false;
    };
    let digits = [millennium, y1, y2, y3, m1, m2, d1, d2];
    let number = |tens: u8, ones: u8| (tens - b'0') * 10 + (ones - b'0');
    digits.iter().all(u8::is_ascii_digit)
        && millennium == b'2'
        && (1..=12).contains(&number(m1, m2))
        && (1..=31).contains(&number(d1, d2))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn dates_that_the_reference_accepts_are_accepted() {
        for date in ["2022-02-30", "2021-01-01", "2999-12-31"] {
            assert_eq!(check(date), Ok(()), "{date}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let wrong = ["", "2024", "2024-13-01", "2024-00-10", "2024-01-32", "2024-01-00", "1999-01-01"];
        for date in wrong.into_iter().chain(["2024-1-01", "2024/01/01", "2024-01-01 ", "20é4-01-01", "today"])
        {
            let message = format!("Invalid compatibility date: {date} (expected the form YYYY-MM-DD)");
            assert_eq!(check(date), Err(message));
        }
    }
}
