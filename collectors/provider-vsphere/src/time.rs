//! Times as the API writes them.

const DAYS_PER_ERA: i64 = 146_097;
const DAYS_BEFORE_EPOCH: i64 = 719_468;
const SECONDS_PER_DAY: i64 = 86_400;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// Microseconds since the epoch of an `xsd:dateTime` with a time zone, such as
/// `2026-11-25T00:49:51.428056743Z` or `...+02:00`.
#[must_use]
pub fn micros(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let zone = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hour, minute, second] = numbers(time, ':')?;
    let seconds = days(year, month, day) * SECONDS_PER_DAY + (hour * 60 + minute) * 60 + second;
    Some((seconds - offset_seconds(zone)?) * MICROS_PER_SECOND + fraction_micros(fraction)?)
}

/// Days since the epoch of a date of the Gregorian calendar: whole eras of 400 years, then years
/// that begin in March, so that the leap day is the last one (H. Hinnant, "chrono-compatible
/// low-level date algorithms", `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - DAYS_BEFORE_EPOCH
}

fn offset_seconds(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next()? {
        'Z' => return (zone == "Z").then_some(0),
        '-' => -1,
        _ => 1,
    };
    let [hours, minutes] = numbers(&zone[1..], ':')?;
    Some(sign * (hours * 60 + minutes) * 60)
}

/// The first six digits after the point.
fn fraction_micros(digits: &str) -> Option<i64> {
    let digits: String = digits.chars().chain("000000".chars()).take(6).collect();
    digits.parse().ok()
}

/// Exactly `N` numbers with this between them.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let numbers: Option<Vec<i64>> = text.split(separator).map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_microseconds_since_the_epoch() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-25T00:49:51.428056743Z", Some(1_795_567_791_428_056)),
            ("2024-02-29T23:59:59.5+02:00", Some(1_709_243_999_500_000)),
            ("2000-03-01T00:00:00-01:30", Some(951_874_200_000_000)),
            ("1969-12-31T23:59:59Z", Some(-1_000_000)),
            ("2026-11-25", None),
            ("2026-11-25T00:49:51", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
    }
}
