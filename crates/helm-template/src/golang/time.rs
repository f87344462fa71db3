//! Points in time and durations, as Go prints and reads them.

use std::time::{SystemTime, UNIX_EPOCH};

const SECOND: i64 = 1_000_000_000;

/// A point in time: seconds and nanoseconds since 1970, and the offset from UTC in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
    pub(crate) offset: i64,
}

/// A date and a time of day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
}

impl Time {
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Self { seconds, nanos: since.subsec_nanos(), offset: 0 }
    }

    pub(crate) fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0, offset: 0 }
    }

    /// The same time at another offset from UTC, in seconds.
    pub(crate) fn at_offset(self, offset: i64) -> Self {
        Self { offset, ..self }
    }

    /// Go's zero time, which `toDate` gives for text that it cannot read: 1 January of year 1.
    pub(crate) fn zero() -> Self {
        Self::from_seconds(-62_135_596_800)
    }

    pub(crate) fn plus(self, nanos: i64) -> Self {
        let total = i64::from(self.nanos) + nanos.rem_euclid(SECOND);
        Self {
            seconds: self.seconds.saturating_add(nanos.div_euclid(SECOND)).saturating_add(total / SECOND),
            nanos: u32::try_from(total % SECOND).unwrap_or(0),
            ..self
        }
    }

    /// Nanoseconds from `earlier` to this time.
    pub(crate) fn since(self, earlier: Self) -> i64 {
        self.seconds
            .saturating_sub(earlier.seconds)
            .saturating_mul(SECOND)
            .saturating_add(i64::from(self.nanos) - i64::from(earlier.nanos))
    }

    /// The time since 1970 in units of which a second has `per_second`; as in Go it wraps around
    /// where an `int64` is too small.
    pub(crate) fn since_1970(self, per_second: i64) -> i64 {
        self.seconds.wrapping_mul(per_second).wrapping_add(i64::from(self.nanos) / (SECOND / per_second))
    }

    /// The local time as seconds since 1970.
    fn shown(self) -> i64 {
        self.seconds.saturating_add(self.offset)
    }

    pub(crate) fn civil(self) -> Civil {
        let days = self.shown().div_euclid(86_400);
        let rest = u32::try_from(self.shown().rem_euclid(86_400)).unwrap_or(0);
        let (year, month, day) = civil_from_days(days);
        Civil { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60 }
    }

    /// The day of the week; 0 is Sunday.
    pub(crate) fn weekday(self) -> usize {
        let days = self.shown().div_euclid(86_400);
        usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0)
    }
}

impl Civil {
    pub(crate) fn to_time(self, nanos: u32, offset: i64) -> Time {
        let days = days_from_civil(self.year, self.month, self.day);
        let of_day = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        Time { seconds: days * 86_400 + of_day - offset, nanos, offset }
    }

    /// The day of the year, from 1.
    pub(crate) fn year_day(self) -> i64 {
        days_from_civil(self.year, self.month, self.day) - days_from_civil(self.year, 1, 1) + 1
    }
}

/// The proleptic Gregorian date of a day, counted from 1970-01-01.
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // Years start in March here, so that the leap day is the last of a year.
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u32::try_from(month).unwrap_or(1), u32::try_from(day).unwrap_or(1))
}

fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// The number of days of a month.
pub(crate) fn days_in_month(year: i64, month: u32) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

/// Go's `Duration.String`: `1h2m3.5s`.
pub(crate) fn duration_to_string(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    if magnitude == 0 {
        return "0s".into();
    }
    if magnitude < 1_000_000_000 {
        let (unit, divisor) = match magnitude {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", with_fraction(magnitude, divisor));
    }
    let seconds = magnitude / 1_000_000_000;
    let of_minute = magnitude % 60_000_000_000;
    let mut text = sign.to_owned();
    if seconds >= 3600 {
        text.push_str(&format!("{}h", seconds / 3600));
    }
    if seconds >= 60 {
        text.push_str(&format!("{}m", seconds / 60 % 60));
    }
    text + &with_fraction(of_minute, 1_000_000_000) + "s"
}

fn with_fraction(value: u64, divisor: u64) -> String {
    let fraction = value % divisor;
    if fraction == 0 {
        return (value / divisor).to_string();
    }
    let digits = divisor.to_string().len() - 1;
    let fraction = format!("{fraction:0digits$}");
    format!("{}.{}", value / divisor, fraction.trim_end_matches('0'))
}

/// Go's `ParseDuration`, in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "0" {
        return Some(0);
    }
    if unsigned.is_empty() {
        return None;
    }
    let mut rest = unsigned;
    let mut total = 0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[end..];
    }
    if total > 9.2e18 {
        return None;
    }
    // In range, as checked above.
    let nanos = total.round() as i64;
    Some(if text.starts_with('-') { -nanos } else { nanos })
}
