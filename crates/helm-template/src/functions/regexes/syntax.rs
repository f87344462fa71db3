//! Translates regular expressions from Go's syntax to that of the `regex` crate.

use std::iter::Peekable;
use std::str::Chars;

/// Go refuses more repetitions.
const MAX_REPEAT: u32 = 1000;

/// The same expression for the crate; `None` if Go refuses it and the crate would not.
pub(super) fn translate(pattern: &str) -> Option<String> {
    let mut translator =
        Translator { chars: pattern.chars().peekable(), out: String::with_capacity(pattern.len()) };
    // Whether the piece before is a repetition, which cannot be repeated again.
    let mut repeated = false;
    while let Some(c) = translator.chars.next() {
        repeated = match c {
            '*' | '+' | '?' if repeated => return None,
            '*' | '+' | '?' => translator.repetition(&c.to_string()),
            '{' => match translator.counts() {
                Some(_) if repeated => return None,
                Some(counts) => translator.repetition(&counts?),
                None => translator.literal('{'),
            },
            '\\' => translator.escape()?,
            '[' => translator.class()?,
            c => {
                translator.out.push(c);
                false
            }
        };
    }
    Some(translator.out)
}

struct Translator<'a> {
    chars: Peekable<Chars<'a>>,
    out: String,
}

impl Translator<'_> {
    fn literal(&mut self, c: char) -> bool {
        self.out.push_str(&regex::escape(&c.to_string()));
        false
    }

    /// A repetition, and the mark that makes it lazy.
    fn repetition(&mut self, operator: &str) -> bool {
        self.out.push_str(operator);
        if self.chars.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        true
    }

    /// The rest of `{2,3}`; the outer layer says whether it is one, the inner whether Go accepts its numbers.
    fn counts(&mut self) -> Option<Option<String>> {
        let mut ahead = self.chars.clone();
        let body: String = ahead.by_ref().take_while(|c| *c != '}').collect();
        let closed = self.chars.clone().any(|c| c == '}');
        let (low, high) = body.split_once(',').unwrap_or((&body, &body));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !closed || low.is_empty() || !digits(low) || !digits(high) {
            return None;
        }
        self.chars = ahead;
        let small = |text: &str| text.is_empty() || text.parse().is_ok_and(|n: u32| n <= MAX_REPEAT);
        Some((small(low) && small(high)).then(|| format!("{{{body}}}")))
    }

    /// Go's classes of digits, words and spaces are those of ASCII.
    fn escape(&mut self) -> Option<bool> {
        match self.chars.next()? {
            'b' => self.out.push_str(r"(?-u:\b)"),
            'B' => self.out.push_str(r"(?-u:\B)"),
            'Q' => self.quoted(),
            'x' => {
                let c = self.hex()?;
                self.literal(c);
            }
            c @ ('p' | 'P') => self.property(c),
            c => match perl_class(c) {
                Some(class) => self.out.push_str(class),
                None => {
                    self.out.push('\\');
                    self.out.push(c);
                }
            },
        }
        Some(false)
    }

    /// A class of Unicode: `\pL` or `\p{Lu}`.
    fn property(&mut self, kind: char) {
        self.out.push('\\');
        self.out.push(kind);
        if self.chars.peek() == Some(&'{') {
            let length = self.chars.clone().take_while(|c| *c != '}').count() + 1;
            self.out.extend(self.chars.by_ref().take(length));
        }
    }

    /// The character of `\x41` or `\x{1F600}`.
    fn hex(&mut self) -> Option<char> {
        let digits: String = if self.chars.next_if_eq(&'{').is_some() {
            self.chars.by_ref().take_while(|c| *c != '}').collect()
        } else {
            self.chars.by_ref().take(2).collect()
        };
        char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
    }

    /// The text up to `\E`, or to the end.
    fn quoted(&mut self) {
        let mut literal = String::new();
        while let Some(c) = self.chars.next() {
            if c == '\\' && self.chars.next_if_eq(&'E').is_some() {
                break;
            }
            literal.push(c);
        }
        self.out.push_str(&regex::escape(&literal));
    }

    /// A class of characters, whose members are written so that they form no operator of the crate.
    fn class(&mut self) -> Option<bool> {
        self.out.push('[');
        if self.chars.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let c = self.chars.next()?;
            match c {
                ']' if !first => break,
                '[' if self.chars.peek() == Some(&':') => self.posix_class(),
                _ => self.member(c)?,
            }
            first = false;
        }
        self.out.push(']');
        Some(false)
    }

    /// `[:alpha:]`, or else a bracket.
    fn posix_class(&mut self) {
        let rest: String = self.chars.clone().collect();
        match rest.find(":]") {
            Some(end) => {
                self.out.push('[');
                self.out.extend(self.chars.by_ref().take(end + 2));
            }
            None => {
                self.literal('[');
            }
        }
    }

    /// A character, a range of characters or a class in a class.
    fn member(&mut self, c: char) -> Option<()> {
        let Some(low) = self.member_char(c)? else {
            return Some(());
        };
        let mut ahead = self.chars.clone();
        let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
        self.literal(low);
        if is_range {
            self.chars.next();
            let c = self.chars.next()?;
            let high = self.member_char(c)??;
            if high < low {
                return None;
            }
            self.out.push('-');
            self.literal(high);
        }
        Some(())
    }

    /// The character that a member stands for; none if it was a class, which is written.
    fn member_char(&mut self, c: char) -> Option<Option<char>> {
        if c != '\\' {
            return Some(Some(c));
        }
        let c = self.chars.next()?;
        Some(match c {
            'n' => Some('\n'),
            't' => Some('\t'),
            'r' => Some('\r'),
            'f' => Some('\u{c}'),
            'v' => Some('\u{b}'),
            'a' => Some('\u{7}'),
            'x' => Some(self.hex()?),
            c if !c.is_ascii_alphanumeric() => Some(c),
            c => {
                match perl_class(c) {
                    Some(class) => self.out.push_str(class),
                    None => self.property(c),
                }
                None
            }
        })
    }
}

fn perl_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        _ => return None,
    })
}
