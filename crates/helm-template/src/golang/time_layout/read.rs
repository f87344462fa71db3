//! Reads times in a layout.

use super::{DAYS, MONTHS, Pad, Part, parts};
use crate::golang::time::{Civil, Time, days_in_month};

/// The parts of a time that have been read so far.
struct Reader<'a> {
    rest: &'a str,
    /// The month and the day are 0 until they are read.
    civil: Civil,
    year_day: Option<u32>,
    nanos: u32,
    offset: i64,
    afternoon: Option<bool>,
}

/// Reads a time in a layout; `None` if the text does not match it.
pub(crate) fn parse(layout: &str, text: &str) -> Option<Time> {
    let mut reader = Reader {
        rest: text,
        civil: Civil { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 },
        year_day: None,
        nanos: 0,
        offset: 0,
        afternoon: None,
    };
    let parts = parts(layout);
    for (index, part) in parts.iter().enumerate() {
        reader.read(*part)?;
        let mut following = parts[index + 1..].iter().filter(|part| !matches!(part, Part::Literal(_)));
        // A fraction may follow the seconds even where the layout has none.
        if matches!(part, Part::Second(_)) && !matches!(following.next(), Some(Part::Fraction { .. })) {
            reader.fraction();
        }
    }
    if !reader.rest.is_empty() {
        return None;
    }
    match reader.afternoon {
        Some(true) if reader.civil.hour < 12 => reader.civil.hour += 12,
        Some(false) if reader.civil.hour == 12 => reader.civil.hour = 0,
        _ => {}
    }
    let civil = reader.date()?;
    let valid = civil.month <= 12
        && i64::from(civil.day) <= days_in_month(civil.year, civil.month)
        && civil.hour < 24
        && civil.minute < 60
        && civil.second < 60;
    valid.then(|| civil.to_time(reader.nanos, reader.offset))
}

impl Reader<'_> {
    /// The date. The day of the year, if given, must agree with month and day.
    fn date(&self) -> Option<Civil> {
        let mut civil = self.civil;
        if let Some(year_day) = self.year_day {
            let new_year = Civil { month: 1, day: 1, ..civil }.to_time(0, 0);
            let days = i64::from(year_day) - 1;
            let day = Time { seconds: new_year.seconds + days * 86_400, ..new_year }.civil();
            let differs = |read: u32, found: u32| read > 0 && read != found;
            if day.year != civil.year || differs(civil.month, day.month) || differs(civil.day, day.day) {
                return None;
            }
            (civil.month, civil.day) = (day.month, day.day);
        }
        Some(Civil { month: civil.month.max(1), day: civil.day.max(1), ..civil })
    }

    fn read(&mut self, part: Part<'_>) -> Option<()> {
        match part {
            Part::Literal(text) => self.literal(text)?,
            Part::Year => self.civil.year = i64::from(self.number(4, 4)?),
            Part::ShortYear => {
                let year = i64::from(self.number(2, 2)?);
                self.civil.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Part::LongMonth => self.civil.month = self.name(&MONTHS, usize::MAX)?,
            Part::ShortMonth => self.civil.month = self.name(&MONTHS, 3)?,
            Part::LongDay => drop(self.name(&DAYS, usize::MAX)?),
            Part::ShortDay => drop(self.name(&DAYS, 3)?),
            Part::Month(pad) => self.civil.month = self.padded(pad).filter(|month| *month > 0)?,
            Part::Day(pad) => self.civil.day = self.padded(pad).filter(|day| *day > 0)?,
            Part::DayOfYear(pad) => {
                let padding = self.rest.bytes().take(2).take_while(|b| *b == b' ' && pad == Pad::Space);
                self.rest = &self.rest[padding.count()..];
                self.year_day = Some(self.number(if pad == Pad::Space { 1 } else { 3 }, 3)?);
            }
            Part::Hour24 => self.civil.hour = self.number(1, 2)?,
            Part::Hour12(pad) => self.civil.hour = self.padded(pad).filter(|hour| *hour <= 12)?,
            Part::Minute(pad) => self.civil.minute = self.padded(pad)?,
            Part::Second(pad) => self.civil.second = self.padded(pad)?,
            Part::Fraction { trim: true, .. } => self.fraction(),
            Part::Fraction { digits, .. } => self.digits_of_second(digits)?,
            Part::Noon { .. } => {
                let upper = self.rest.get(..2)?.to_ascii_uppercase();
                self.afternoon = Some(match upper.as_str() {
                    "PM" => true,
                    "AM" => false,
                    _ => return None,
                });
                self.rest = &self.rest[2..];
            }
            Part::ZoneName => {
                self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_uppercase());
            }
            Part::Offset { zulu, colon, length } => self.zone(zulu, colon, length)?,
        }
        Some(())
    }

    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        digits.parse().ok()
    }

    fn padded(&mut self, pad: Pad) -> Option<u32> {
        match pad {
            Pad::Zero => self.number(2, 2),
            Pad::None => self.number(1, 2),
            Pad::Space => {
                self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
                self.number(1, 2)
            }
        }
    }

    fn name(&mut self, names: &[&str], length: usize) -> Option<u32> {
        let index = names.iter().position(|name| {
            let name = &name[..name.len().min(length)];
            self.rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        })?;
        self.rest = &self.rest[names[index].len().min(length)..];
        u32::try_from(index + 1).ok()
    }

    /// Literal text of the layout. A space matches any number of spaces, and none at the end.
    fn literal(&mut self, text: &str) -> Option<()> {
        let mut wanted = text;
        while let Some(c) = wanted.chars().next() {
            if c == ' ' {
                if !self.rest.is_empty() && !self.rest.starts_with(' ') {
                    return None;
                }
                wanted = wanted.trim_start_matches(' ');
                self.rest = self.rest.trim_start_matches(' ');
            } else {
                wanted = &wanted[c.len_utf8()..];
                self.rest = self.rest.strip_prefix(c)?;
            }
        }
        Some(())
    }

    /// A fraction of a second of any length, if there is one.
    fn fraction(&mut self) {
        let Some(behind) = self.rest.strip_prefix(['.', ',']) else {
            return;
        };
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            self.digits_of_second(digits);
        }
    }

    fn digits_of_second(&mut self, count: usize) -> Option<()> {
        let digits = self.rest.strip_prefix(['.', ','])?.get(..count)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        self.nanos = format!("{:0<9}", &digits[..count.min(9)]).parse().ok()?;
        self.rest = &self.rest[1 + count..];
        Some(())
    }

    fn zone(&mut self, zulu: bool, colon: bool, length: usize) -> Option<()> {
        if zulu && let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Some(());
        }
        let negative = self.rest.starts_with('-');
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let mut seconds = 0;
        // Go accepts 24 hours and 60 minutes here.
        for (unit, most) in [(3600, 24), (60, 60), (1, 60)].into_iter().take(length) {
            if unit < 3600 && colon {
                self.rest = self.rest.strip_prefix(':')?;
            }
            seconds += i64::from(self.number(2, 2).filter(|number| *number <= most)?) * unit;
        }
        self.offset = if negative { -seconds } else { seconds };
        Some(())
    }
}
