//! Writes indentation, indicators and the text of scalars.

use super::{Emitter, INDENT};
use crate::yaml::style::{Version, is_break, is_printable};

/// The column after which text is folded.
const WIDTH: usize = 80;

impl Emitter {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column = if is_break(c) { 0 } else { self.column + 1 };
    }

    /// Writes an indicator, after a space if one is needed.
    pub(super) fn indicator(&mut self, text: &str, needs_whitespace: bool) {
        if needs_whitespace && !self.whitespace {
            self.put(' ');
        }
        for c in text.chars() {
            self.put(c);
        }
        self.whitespace = false;
        self.indention = false;
    }

    /// Writes an indicator that counts as indentation: `-`, `?`, `:`.
    pub(super) fn mark(&mut self, text: &str) {
        let indention = self.indention;
        self.indicator(text, true);
        self.indention = indention;
    }

    /// Moves to a column on a new line, or on this one if it has only indentation.
    pub(super) fn indent(&mut self, indent: usize) {
        let fresh = self.indention && (self.column < indent || (self.column == indent && self.whitespace));
        if !fresh {
            self.put('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn may_fold(&self, allowed: bool, spaces: bool) -> bool {
        allowed && !spaces && self.column > WIDTH && self.version == Version::V2
    }

    pub(super) fn plain(&mut self, text: &str, indent: usize, fold: bool) {
        if !self.whitespace && !text.is_empty() {
            self.put(' ');
        }
        self.flowing(text, indent, fold, None);
    }

    pub(super) fn single(&mut self, text: &str, indent: usize, fold: bool) {
        self.indicator("'", true);
        self.flowing(text, indent, fold, Some('\''));
        self.indicator("'", false);
    }

    /// The text of a plain or a single-quoted scalar.
    fn flowing(&mut self, text: &str, indent: usize, fold: bool, quote: Option<char>) {
        let (mut spaces, mut breaks) = (false, false);
        let last = text.chars().count().saturating_sub(1);
        let mut chars = text.chars().enumerate().peekable();
        while let Some((index, c)) = chars.next() {
            let next_is_space = chars.peek().is_some_and(|(_, next)| *next == ' ');
            if c == ' ' {
                let inside = quote.is_none() || (index > 0 && index < last);
                if self.may_fold(fold, spaces) && inside && !next_is_space {
                    self.indent(indent);
                } else {
                    self.put(c);
                }
                spaces = true;
            } else if is_break(c) {
                if !breaks && c == '\n' {
                    self.put('\n');
                }
                self.put(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                if quote == Some(c) {
                    self.put(c);
                }
                self.put(c);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    pub(super) fn double(&mut self, text: &str, indent: usize, fold: bool) {
        self.indicator("\"", true);
        let mut spaces = false;
        let last = text.chars().count().saturating_sub(1);
        let mut chars = text.chars().enumerate().peekable();
        while let Some((index, c)) = chars.next() {
            if c == '\u{feff}' || is_break(c) || !is_printable(c) || matches!(c, '"' | '\\') {
                self.escape(c);
                spaces = false;
            } else if c == ' ' && self.may_fold(fold, spaces) && index > 0 && index < last {
                self.indent(indent);
                if chars.peek().is_some_and(|(_, next)| *next == ' ') {
                    self.put('\\');
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = c == ' ';
            }
        }
        self.indicator("\"", false);
    }

    fn escape(&mut self, c: char) {
        let escape = match c {
            '\0' => "0".to_owned(),
            '\u{7}' => "a".to_owned(),
            '\u{8}' => "b".to_owned(),
            '\t' => "t".to_owned(),
            '\n' => "n".to_owned(),
            '\u{b}' => "v".to_owned(),
            '\u{c}' => "f".to_owned(),
            '\r' => "r".to_owned(),
            '\u{1b}' => "e".to_owned(),
            '"' | '\\' => c.to_string(),
            '\u{85}' => "N".to_owned(),
            '\u{a0}' => "_".to_owned(),
            '\u{2028}' => "L".to_owned(),
            '\u{2029}' => "P".to_owned(),
            c if c <= '\u{ff}' => format!("x{:02X}", u32::from(c)),
            c if c <= '\u{ffff}' => format!("u{:04X}", u32::from(c)),
            c => format!("U{:08X}", u32::from(c)),
        };
        self.put('\\');
        for c in escape.chars() {
            self.put(c);
        }
    }

    pub(super) fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", true);
        let first = text.chars().next();
        if first.is_some_and(|c| c == ' ' || is_break(c)) {
            self.indicator(&INDENT.to_string(), false);
        }
        let mut ending = text.chars().rev();
        let ends_in_break = ending.next().is_some_and(is_break);
        match (ends_in_break, ending.next()) {
            (false, _) => self.indicator("-", false),
            (true, before) if before.is_none_or(is_break) => self.indicator("+", false),
            _ => {}
        }
        self.put('\n');
        self.whitespace = true;
        self.indention = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.put(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                self.put(c);
                self.indention = false;
                breaks = false;
            }
        }
    }
}
