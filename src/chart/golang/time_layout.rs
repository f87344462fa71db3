//! Go's time layouts, which spell a format by an example: `2006-01-02 15:04:05`.

use super::time::{Civil, Time, days_in_month};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// One element of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Literal(&'a str),
    Year,
    ShortYear,
    LongMonth,
    ShortMonth,
    Month(Pad),
    LongDay,
    ShortDay,
    Day(Pad),
    DayOfYear(Pad),
    Hour24,
    Hour12(Pad),
    Minute(Pad),
    Second(Pad),
    /// Digits of a second; trailing zeros are dropped for `9`s.
    Fraction {
        separator: char,
        digits: usize,
        trim: bool,
    },
    Noon {
        lower: bool,
    },
    ZoneName,
    /// An offset, `Z` for UTC if so wished, with a colon if so wished.
    Offset {
        zulu: bool,
        colon: bool,
        length: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pad {
    None,
    Zero,
    Space,
}

/// The elements by their spelling; where one starts another, the longer one comes first.
const SPELLINGS: &[(&str, Part<'static>)] = &[
    ("January", Part::LongMonth),
    ("Jan", Part::ShortMonth),
    ("Monday", Part::LongDay),
    ("Mon", Part::ShortDay),
    ("MST", Part::ZoneName),
    ("2006", Part::Year),
    ("__2", Part::DayOfYear(Pad::Space)),
    ("002", Part::DayOfYear(Pad::Zero)),
    ("01", Part::Month(Pad::Zero)),
    ("02", Part::Day(Pad::Zero)),
    ("03", Part::Hour12(Pad::Zero)),
    ("04", Part::Minute(Pad::Zero)),
    ("05", Part::Second(Pad::Zero)),
    ("06", Part::ShortYear),
    ("15", Part::Hour24),
    ("_2006", Part::Literal("_")),
    ("_2", Part::Day(Pad::Space)),
    ("PM", Part::Noon { lower: false }),
    ("pm", Part::Noon { lower: true }),
    ("-07:00:00", Part::Offset { zulu: false, colon: true, length: 3 }),
    ("-070000", Part::Offset { zulu: false, colon: false, length: 3 }),
    ("-07:00", Part::Offset { zulu: false, colon: true, length: 2 }),
    ("-0700", Part::Offset { zulu: false, colon: false, length: 2 }),
    ("-07", Part::Offset { zulu: false, colon: false, length: 1 }),
    ("Z07:00:00", Part::Offset { zulu: true, colon: true, length: 3 }),
    ("Z070000", Part::Offset { zulu: true, colon: false, length: 3 }),
    ("Z07:00", Part::Offset { zulu: true, colon: true, length: 2 }),
    ("Z0700", Part::Offset { zulu: true, colon: false, length: 2 }),
    ("Z07", Part::Offset { zulu: true, colon: false, length: 1 }),
    ("1", Part::Month(Pad::None)),
    ("2", Part::Day(Pad::None)),
    ("3", Part::Hour12(Pad::None)),
    ("4", Part::Minute(Pad::None)),
    ("5", Part::Second(Pad::None)),
];

fn parts(layout: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut literal = 0;
    let mut at = 0;
    while at < layout.len() {
        if !layout.is_char_boundary(at) {
            at += 1;
            continue;
        }
        let Some((part, length)) = part_at(&layout[at..]) else {
            at += 1;
            continue;
        };
        if literal < at {
            parts.push(Part::Literal(&layout[literal..at]));
        }
        parts.push(part);
        at += length;
        literal = at;
    }
    if literal < layout.len() {
        parts.push(Part::Literal(&layout[literal..]));
    }
    parts
}

fn part_at(rest: &str) -> Option<(Part<'static>, usize)> {
    if let Some(found) = fraction_at(rest) {
        return Some(found);
    }
    let (spelling, part) = SPELLINGS.iter().find(|(spelling, _)| rest.starts_with(spelling))?;
    // `_2006` is an underscore and a year, not a padded day.
    let length = if *spelling == "_2006" { 1 } else { spelling.len() };
    Some((*part, length))
}

fn fraction_at(rest: &str) -> Option<(Part<'static>, usize)> {
    let separator = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digit = rest[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let digits = rest[1..].chars().take_while(|c| *c == digit).count();
    if rest[1 + digits..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let trim = digit == '9';
    Some((Part::Fraction { separator, digits, trim }, 1 + digits))
}

/// Writes a time in a layout.
pub(crate) fn format(time: Time, layout: &str) -> String {
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
            Part::ZoneName => out.push_str("UTC"),
            Part::Offset { zulu: true, .. } => out.push('Z'),
            Part::Offset { colon, length, .. } => {
                out.push('+');
                out.push_str(&vec!["00"; length].join(if colon { ":" } else { "" }));
            }
        }
    }
    out
}

fn number(out: &mut String, value: u32, pad: Pad) {
    out.push_str(&match pad {
        Pad::None => value.to_string(),
        Pad::Zero => format!("{value:02}"),
        Pad::Space => format!("{value:2}"),
    });
}

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
