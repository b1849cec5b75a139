//! Moments as people read them.

use records::Version;

const SECONDS_OF_DAY: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01, and in 400 years.
const EPOCH_DAYS: i64 = 719_468;
const ERA_DAYS: i64 = 146_097;

/// `2026-01-31T12:00:00Z`. The calendar is Howard Hinnant's `civil_from_days`
/// (`chrono-Compatible Low-Level Date Algorithms`).
pub(crate) fn text(moment: Version) -> String {
    let seconds = moment.micros().div_euclid(1_000_000);
    let days = seconds.div_euclid(SECONDS_OF_DAY) + EPOCH_DAYS;
    let of_day = seconds.rem_euclid(SECONDS_OF_DAY);
    let (era, day) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_utc() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(text(Version::from_micros(seconds * 1_000_000)), wanted);
        }
    }
}
