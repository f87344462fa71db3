//! Writes times in a layout.

use std::fmt;

use super::{DAYS, MONTHS, Pad, Part, parts};
use crate::golang::time::Time;

/// Writes a time in a layout.
pub(crate) fn format(time: Time, layout: &str) -> String {
    format_in(time, if time.offset == 0 { "UTC" } else { "" }, layout)
}

/// Writes a time in a zone; its abbreviation, if it has one, is printed for the offset.
pub(crate) fn format_in(time: Time, zone: &str, layout: &str) -> String {
    let civil = time.civil();
    let mut out = String::new();
    for part in parts(layout) {
        match part {
            Part::Literal(text) => out.push_str(text),
            Part::Year => out.push_str(&format!("{:04}", civil.year)),
            Part::ShortYear => out.push_str(&format!("{:02}", civil.year.rem_euclid(100))),
            Part::LongMonth => out.push_str(MONTHS[civil.month as usize - 1]),
            Part::ShortMonth => out.push_str(&MONTHS[civil.month as usize - 1][..3]),
            Part::Month(pad) => number(&mut out, civil.month, pad),
            Part::LongDay => out.push_str(DAYS[time.weekday()]),
            Part::ShortDay => out.push_str(&DAYS[time.weekday()][..3]),
            Part::Day(pad) => number(&mut out, civil.day, pad),
            Part::DayOfYear(Pad::Space) => out.push_str(&format!("{:3}", civil.year_day())),
            Part::DayOfYear(_) => out.push_str(&format!("{:03}", civil.year_day())),
            Part::Hour24 => number(&mut out, civil.hour, Pad::Zero),
            Part::Hour12(pad) => number(&mut out, (civil.hour + 11) % 12 + 1, pad),
            Part::Minute(pad) => number(&mut out, civil.minute, pad),
            Part::Second(pad) => number(&mut out, civil.second, pad),
            Part::Fraction { separator, digits, trim } => {
                let text = format!("{:09}", time.nanos);
                let text = &text[..digits.min(9)];
                let text = if trim { text.trim_end_matches('0') } else { text };
                if !text.is_empty() {
                    out.push(separator);
                    out.push_str(text);
                }
            }
            Part::Noon { lower } => out.push_str(match (civil.hour >= 12, lower) {
                (true, false) => "PM",
                (true, true) => "pm",
                (false, false) => "AM",
                (false, true) => "am",
            }),
            Part::ZoneName if zone.is_empty() => offset(&mut out, time.offset, false, 2),
            Part::ZoneName => out.push_str(zone),
            Part::Offset { zulu: true, .. } if time.offset == 0 => out.push('Z'),
            Part::Offset { colon, length, .. } => offset(&mut out, time.offset, colon, length),
        }
    }
    out
}

/// Hours, minutes and seconds of an offset, as many of them as wanted.
fn offset(out: &mut String, offset: i64, colon: bool, length: usize) {
    out.push(if offset <= -60 { '-' } else { '+' });
    let seconds = offset.abs();
    let parts = [seconds / 3600, seconds / 60 % 60, seconds % 60].map(|part| format!("{part:02}"));
    out.push_str(&parts[..length.min(3)].join(if colon { ":" } else { "" }));
}

fn number(out: &mut String, value: u32, pad: Pad) {
    out.push_str(&match pad {
        Pad::None => value.to_string(),
        Pad::Zero => format!("{value:02}"),
        Pad::Space => format!("{value:2}"),
    });
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format(*self, "2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}
