//! Reads times in a layout.

use super::{DAYS, MONTHS, Pad, Part, parts};
use crate::chart::golang::time::{Civil, Time, days_in_month};

/// What has been read of a text so far.
struct Reader<'a> {
    rest: &'a str,
    civil: Civil,
    nanos: u32,
    offset: i64,
    afternoon: Option<bool>,
}

/// Reads a time in a layout; nothing if the text does not follow it.
pub(crate) fn parse(layout: &str, text: &str) -> Option<Time> {
    let mut reader = Reader {
        rest: text,
        civil: Civil { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0 },
        nanos: 0,
        offset: 0,
        afternoon: None,
    };
    for part in parts(layout) {
        reader.read(part)?;
    }
    if !reader.rest.is_empty() {
        return None;
    }
    if let Some(afternoon) = reader.afternoon {
        reader.civil.hour = reader.civil.hour % 12 + if afternoon { 12 } else { 0 };
    }
    let civil = reader.civil;
    let valid = (1..=12).contains(&civil.month)
        && civil.day >= 1
        && i64::from(civil.day) <= days_in_month(civil.year, civil.month)
        && civil.hour < 24
        && civil.minute < 60
        && civil.second < 60;
    valid.then(|| civil.to_time(reader.nanos, reader.offset))
}

impl Reader<'_> {
    fn read(&mut self, part: Part<'_>) -> Option<()> {
        match part {
            Part::Literal(text) => self.rest = self.rest.strip_prefix(text)?,
            Part::Year => self.civil.year = i64::from(self.number(4, 4)?),
            Part::ShortYear => {
                let year = i64::from(self.number(2, 2)?);
                self.civil.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Part::LongMonth => self.civil.month = self.name(&MONTHS, usize::MAX)?,
            Part::ShortMonth => self.civil.month = self.name(&MONTHS, 3)?,
            Part::LongDay => drop(self.name(&DAYS, usize::MAX)?),
            Part::ShortDay => drop(self.name(&DAYS, 3)?),
            Part::Month(pad) => self.civil.month = self.padded(pad)?,
            Part::Day(pad) => self.civil.day = self.padded(pad)?,
            Part::DayOfYear(_) => return None,
            Part::Hour24 => self.civil.hour = self.number(2, 2)?,
            Part::Hour12(pad) => self.civil.hour = self.padded(pad)?,
            Part::Minute(pad) => self.civil.minute = self.padded(pad)?,
            Part::Second(pad) => {
                self.civil.second = self.padded(pad)?;
                // A fraction may follow the seconds even where the layout has none.
                if self.rest.starts_with(['.', ',']) {
                    self.fraction();
                }
            }
            Part::Fraction { .. } => self.fraction(),
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

    fn fraction(&mut self) {
        let digits = self.rest.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return;
        }
        let text = format!("{:0<9}", &self.rest[1..=digits.min(9)]);
        self.nanos = text.parse().unwrap_or(0);
        self.rest = &self.rest[1 + digits..];
    }

    fn zone(&mut self, zulu: bool, colon: bool, length: usize) -> Option<()> {
        if zulu && let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Some(());
        }
        let negative = self.rest.starts_with('-');
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let mut seconds = 0;
        for (index, unit) in [3600, 60, 1].into_iter().take(length).enumerate() {
            if index > 0 && colon {
                self.rest = self.rest.strip_prefix(':')?;
            }
            seconds += i64::from(self.number(2, 2)?) * unit;
        }
        self.offset = if negative { -seconds } else { seconds };
        Some(())
    }
}
