//! A position in a YAML text, with the characters that YAML 1.1 treats alike.

/// What `peek` returns at the end of the text. The text itself cannot contain it.
pub(super) const END: char = '\0';

/// A place in the text. Everything counts from 0, in characters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    pub(super) index: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

pub(super) struct Cursor<'a> {
    rest: &'a str,
    pub(super) mark: Mark,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, mark: Mark::default() }
    }

    pub(super) fn peek(&self) -> char {
        self.rest.chars().next().unwrap_or(END)
    }

    /// The character `distance` characters ahead.
    pub(super) fn peek_at(&self, distance: usize) -> char {
        self.rest.chars().nth(distance).unwrap_or(END)
    }

    /// Whether the text goes on with `---` or `...` as a document indicator.
    pub(super) fn at_indicator(&self, indicator: &str) -> bool {
        self.mark.column == 0
            && self.rest.strip_prefix(indicator).is_some_and(|rest| is_blank_or_end(rest.chars().next()))
    }

    pub(super) fn at_document_indicator(&self) -> bool {
        self.at_indicator("---") || self.at_indicator("...")
    }

    /// Moves over one character within a line and returns it.
    pub(super) fn next(&mut self) -> char {
        let c = self.peek();
        if c != END {
            self.rest = &self.rest[c.len_utf8()..];
            self.mark.index += 1;
            self.mark.column += 1;
        }
        c
    }

    pub(super) fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    pub(super) fn skip_while(&mut self, matches: impl Fn(char) -> bool) {
        while self.peek() != END && matches(self.peek()) {
            self.next();
        }
    }

    pub(super) fn take_while(&mut self, matches: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while self.peek() != END && matches(self.peek()) {
            taken.push(self.next());
        }
        taken
    }

    /// Moves over a line break, if there is one, and returns it. All breaks become line feeds, except
    /// for the line and paragraph separators of Unicode, which are kept.
    pub(super) fn next_break(&mut self) -> Option<char> {
        let c = self.peek();
        if !is_break(c) {
            return None;
        }
        let is_crlf = c == '\r' && self.peek_at(1) == '\n';
        self.skip(if is_crlf { 2 } else { 1 });
        self.mark.column = 0;
        self.mark.line += 1;
        Some(if matches!(c, '\u{2028}' | '\u{2029}') { c } else { '\n' })
    }

    /// Moves over blanks and a comment to the end of the line; false if something else is there.
    pub(super) fn skip_to_line_end(&mut self) -> bool {
        self.skip_while(is_blank);
        if self.peek() == '#' {
            self.skip_while(|c| !is_break(c));
        }
        if self.peek() != END && !is_break(self.peek()) {
            return false;
        }
        self.next_break();
        true
    }

    pub(super) fn at_blank_or_end(&self, distance: usize) -> bool {
        is_blank_or_end(Some(self.peek_at(distance)))
    }

    /// An error at this place, in go-yaml's words: it leaves the first line's number out.
    pub(super) fn error<T>(&self, problem: &str) -> Result<T, String> {
        Err(match self.mark.line {
            0 => problem.to_owned(),
            line => format!("line {}: {problem}", line + 1),
        })
    }
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank_or_end(c: Option<char>) -> bool {
    c.is_none_or(|c| c == END || is_blank(c) || is_break(c))
}

/// What names of anchors, directives and tag handles consist of.
pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}
