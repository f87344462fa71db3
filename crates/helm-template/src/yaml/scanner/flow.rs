//! Plain and quoted scalars.

use super::Scanner;
use crate::yaml::cursor::{Cursor, END, is_blank, is_break};

/// The white space between two words of a scalar.
#[derive(Default)]
struct Gap {
    /// Blanks that count unless a line break follows.
    blanks: String,
    first_break: Option<char>,
    more_breaks: String,
    /// Whether a line has ended, so that blanks do not count.
    broken: bool,
}

impl Gap {
    /// Reads white space. Tabs to the left of `indent` are refused.
    fn read(&mut self, cursor: &mut Cursor<'_>, indent: usize) -> Result<(), String> {
        loop {
            if is_blank(cursor.peek()) {
                if self.broken && cursor.mark.column < indent && cursor.peek() == '\t' {
                    return cursor.error("found a tab character that violates indentation");
                }
                let blank = cursor.next();
                if !self.broken {
                    self.blanks.push(blank);
                }
                continue;
            }
            match cursor.next_break() {
                Some(found) if self.broken => self.more_breaks.push(found),
                Some(found) => {
                    self.first_break = Some(found);
                    self.broken = true;
                }
                None => return Ok(()),
            }
        }
    }

    /// Appends what the white space means in the scalar.
    fn fold(self, text: &mut String) {
        match self.first_break {
            _ if !self.broken => text.push_str(&self.blanks),
            Some('\n') if self.more_breaks.is_empty() => text.push(' '),
            Some('\n') => text.push_str(&self.more_breaks),
            first => {
                text.extend(first);
                text.push_str(&self.more_breaks);
            }
        }
    }
}

impl Scanner<'_> {
    pub(super) fn plain(&mut self) -> Result<String, String> {
        let indent = self.indent.map_or(0, |indent| indent + 1);
        let in_flow = self.in_flow();
        let mut text = String::new();
        let mut gap = Gap::default();
        while !self.cursor.at_document_indicator() && self.cursor.peek() != '#' {
            while !self.cursor.at_blank_or_end(0) && !self.ends_plain(in_flow) {
                std::mem::take(&mut gap).fold(&mut text);
                text.push(self.cursor.next());
            }
            if !is_blank(self.cursor.peek()) && !is_break(self.cursor.peek()) {
                break;
            }
            gap.read(&mut self.cursor, indent)?;
            if !in_flow && self.cursor.mark.column < indent {
                break;
            }
        }
        if gap.broken {
            self.simple_key_allowed = true;
        }
        Ok(text)
    }

    fn ends_plain(&self, in_flow: bool) -> bool {
        match self.cursor.peek() {
            ':' => self.cursor.at_blank_or_end(1),
            ',' | '?' | '[' | ']' | '{' | '}' => in_flow,
            _ => false,
        }
    }

    /// Reads a scalar in quotes of either kind.
    pub(super) fn quoted(&mut self) -> Result<String, String> {
        let cursor = &mut self.cursor;
        let quote = cursor.next();
        let mut text = String::new();
        loop {
            if cursor.at_document_indicator() {
                return cursor.error("found unexpected document indicator");
            }
            if cursor.peek() == END {
                return cursor.error("found unexpected end of stream");
            }
            let mut gap = Gap { broken: quoted_word(cursor, quote, &mut text)?, ..Gap::default() };
            if cursor.peek() == quote {
                cursor.next();
                return Ok(text);
            }
            gap.read(cursor, 0)?;
            gap.fold(&mut text);
        }
    }
}

/// Reads up to the next white space or the closing quote. True if it ends with an escaped line break,
/// so that the white space after it does not count.
fn quoted_word(cursor: &mut Cursor<'_>, quote: char, text: &mut String) -> Result<bool, String> {
    let escapes = quote == '"';
    while !cursor.at_blank_or_end(0) {
        match cursor.peek() {
            '\'' if !escapes && cursor.peek_at(1) == '\'' => {
                cursor.skip(2);
                text.push('\'');
            }
            c if c == quote => break,
            '\\' if escapes && is_break(cursor.peek_at(1)) => {
                cursor.next();
                cursor.next_break();
                return Ok(true);
            }
            '\\' if escapes => text.push(escape(cursor)?),
            _ => text.push(cursor.next()),
        }
    }
    Ok(false)
}

/// Reads an escape sequence.
fn escape(cursor: &mut Cursor<'_>) -> Result<char, String> {
    let code = cursor.peek_at(1);
    let digits = match code {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => {
            let Some(c) = simple_escape(code) else {
                return cursor.error("found unknown escape character");
            };
            cursor.skip(2);
            return Ok(c);
        }
    };
    cursor.skip(2);
    let mut value = 0;
    for distance in 0..digits {
        let Some(digit) = cursor.peek_at(distance).to_digit(16) else {
            return cursor.error("did not find expected hexdecimal number");
        };
        value = value << 4 | digit;
    }
    let Some(c) = char::from_u32(value) else {
        return cursor.error("found invalid Unicode character escape code");
    };
    cursor.skip(digits);
    Ok(c)
}

/// The escapes of go-yaml: `\'` is one, and `\/` is none.
fn simple_escape(code: char) -> Option<char> {
    Some(match code {
        '0' => '\0',
        'a' => '\x07',
        'b' => '\x08',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\x0b',
        'f' => '\x0c',
        'r' => '\r',
        'e' => '\x1b',
        ' ' | '"' | '\'' | '\\' => code,
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        _ => return None,
    })
}
