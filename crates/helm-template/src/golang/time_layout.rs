//! Go's time layouts, which give a format by example: `2006-01-02 15:04:05`.

mod read;
mod write;

pub(crate) use read::parse;
pub(crate) use write::{format, format_in};

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
    /// An offset, optionally `Z` for UTC, optionally with a colon.
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

/// The elements by their spelling; longer ones come before their prefixes.
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
    let found = SPELLINGS.iter().find(|(spelling, _)| rest.starts_with(spelling));
    let (spelling, part) = found.filter(|(spelling, _)| !is_in_word(spelling, rest))?;
    // `_2006` is an underscore and a year, not a padded day.
    let length = if *spelling == "_2006" { 1 } else { spelling.len() };
    Some((*part, length))
}

/// `Jan` and `Mon` are literal text in longer words: `Janet`, `Month`.
fn is_in_word(spelling: &str, rest: &str) -> bool {
    matches!(spelling, "Jan" | "Mon")
        && rest.as_bytes().get(spelling.len()).is_some_and(u8::is_ascii_lowercase)
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
