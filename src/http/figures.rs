//! Numbers as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `1 234 567`, with narrow no-break spaces.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// CPU time or the length of a window: `12.3 s`, `450 ms`; minutes and more as [`age`] has them.
pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_secs_f64() {
        0.0 => "0 s".to_owned(),
        short if short < 1.0 => format!("{} ms", duration.as_millis().max(1)),
        short if short < 9.995 => format!("{short:.2} s"),
        long if long < 1000.0 => format!("{long:.1} s"),
        _ => age(duration),
    }
}

/// A longer time in its two largest units: `4 s`, `2 min 5 s`, `3 h 20 min`, `12 d 4 h`.
pub(super) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let pair = |large: u64, large_unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{large} {large_unit}")
        } else {
            format!("{large} {large_unit} {small} {small_unit}")
        }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => pair(seconds / 60, "min", seconds % 60, "s"),
        3600..86400 => pair(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => pair(seconds / 86400, "d", seconds % 86400 / 3600, "h"),
    }
}

/// Share of a whole: `12.3 %`.
pub(super) fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", share(part, whole) * 100.0)
}

/// Part of a whole, 0 to 1; 0 of nothing.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A moment of RFC 3339, in UTC and whole seconds: `2026-01-31T23:59:59Z`.
pub(super) fn timestamp(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = date(seconds / 86400);
    let time = seconds % 86400;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time / 3600, time % 3600 / 60, time % 60)
}

/// Year, month and day of the Gregorian calendar, from days since 1970. Years begin in March here, so that
/// the leap day is their last.
fn date(days: u64) -> (u64, u64, u64) {
    /// Days of 400 years, after which the calendar repeats.
    const ERA: u64 = 146_097;
    // 0000-03-01 is 719468 days before 1970-01-01.
    let days = days + 719_468;
    let day_of_era = days % ERA;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 153 days in each run of five.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = days / ERA * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::{age, count, percent, seconds, timestamp};
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn numbers_read_well() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")]
        {
            assert_eq!(count(number), text);
        }
        for (millis, text) in
            [(0, "0 s"), (20, "20 ms"), (1500, "1.50 s"), (9999, "10.0 s"), (123_400, "123.4 s")]
        {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
        for (secs, text) in
            [(4, "4 s"), (60, "1 min"), (125, "2 min 5 s"), (12_000, "3 h 20 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(age(Duration::from_secs(secs)), text);
        }
        assert_eq!((percent(1, 3), percent(1, 0)), ("33.3 %".to_owned(), "0.0 %".to_owned()));
    }

    #[test]
    fn moments_follow_the_calendar() {
        // Expected values: date --utc --date=@SECONDS --iso-8601=seconds
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
