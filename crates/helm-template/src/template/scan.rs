//! Cuts the inside of an action into tokens.

use super::token::{Kind, SyntaxError, Token, has_right_trim, word};

/// Reads one action, from after its left delimiter to after its right one.
pub(super) struct Scanner<'a> {
    text: &'a str,
    start: usize,
    pub(super) pos: usize,
    /// The right delimiter had a trim marker.
    pub(super) trims_after: bool,
    parens: usize,
}

pub(super) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

type Scan<T> = Result<T, SyntaxError>;

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, pos: usize) -> Self {
        Self { text, start: pos, pos, trims_after: false, parens: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn skip_while(&mut self, accept: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.pos += rest.find(|c| !accept(c)).unwrap_or(rest.len());
    }

    fn error<T>(&self, message: impl Into<String>) -> Scan<T> {
        Err(SyntaxError::new(self.start, message))
    }

    fn token(&self, kind: Kind) -> Token<'a> {
        Token { kind, pos: self.start, text: &self.text[self.start..self.pos] }
    }

    /// Appends the tokens of the action, the right delimiter included.
    pub(super) fn action(&mut self, tokens: &mut Vec<Token<'a>>) -> Scan<()> {
        loop {
            self.start = self.pos;
            self.trims_after = has_right_trim(self.rest());
            if self.trims_after || self.rest().starts_with("}}") {
                if self.parens > 0 {
                    return self.error("unclosed left paren");
                }
                self.pos += if self.trims_after { 4 } else { 2 };
                tokens.push(self.token(Kind::RightDelim));
                return Ok(());
            }
            let kind = self.kind()?;
            tokens.push(self.token(kind));
        }
    }

    fn kind(&mut self) -> Scan<Kind> {
        let Some(c) = self.next() else {
            return self.error("unclosed action");
        };
        Ok(match c {
            ' ' | '\t' | '\r' | '\n' => self.space(),
            '=' => Kind::Assign,
            ':' if self.rest().starts_with('=') => {
                self.pos += 1;
                Kind::Declare
            }
            ':' => return self.error("expected :="),
            '|' => Kind::Pipe,
            '"' => self.quoted('"', "unterminated quoted string", Kind::String)?,
            '\'' => self.quoted('\'', "unterminated character constant", Kind::Char)?,
            '`' => self.raw()?,
            '$' => self.field_or_variable(Kind::Variable)?,
            '.' if self.peek().is_none_or(|next| !next.is_ascii_digit()) => {
                self.field_or_variable(Kind::Field)?
            }
            '+' | '-' | '.' | '0'..='9' => self.number(c)?,
            c if is_word(c) => self.identifier()?,
            '(' => {
                self.parens += 1;
                Kind::LeftParen
            }
            ')' if self.parens == 0 => return self.error("unexpected right paren"),
            ')' => {
                self.parens -= 1;
                Kind::RightParen
            }
            ',' => Kind::Comma,
            c if c.is_ascii_graphic() => Kind::Other,
            c => return self.error(format!("unrecognized character in action: {c:?}")),
        })
    }

    /// A run of white space, up to a trim marker.
    fn space(&mut self) -> Kind {
        let mut spaces = 1;
        while self.peek().is_some_and(|c| matches!(c, ' ' | '\t' | '\r' | '\n')) {
            self.pos += 1;
            spaces += 1;
        }
        // The last space may belong to the marker.
        if spaces > 1 && has_right_trim(&self.text[self.pos - 1..]) {
            self.pos -= 1;
        }
        Kind::Space
    }

    fn quoted(&mut self, quote: char, unterminated: &str, kind: Kind) -> Scan<Kind> {
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return self.error(unterminated);
                    }
                }
                None | Some('\n') => return self.error(unterminated),
                Some(c) if c == quote => return Ok(kind),
                Some(_) => {}
            }
        }
    }

    fn raw(&mut self) -> Scan<Kind> {
        let Some(length) = self.rest().find('`') else {
            return self.error("unterminated raw quoted string");
        };
        self.pos += length + 1;
        Ok(Kind::RawString)
    }

    fn field_or_variable(&mut self, kind: Kind) -> Scan<Kind> {
        if kind == Kind::Field && self.at_terminator() {
            return Ok(Kind::Dot);
        }
        self.skip_while(is_word);
        self.must_terminate()?;
        Ok(kind)
    }

    fn identifier(&mut self) -> Scan<Kind> {
        self.skip_while(is_word);
        self.must_terminate()?;
        Ok(word(&self.text[self.start..self.pos]))
    }

    /// Whether the next character may follow a field or a name.
    fn at_terminator(&self) -> bool {
        match self.peek() {
            None => true,
            Some(c) => {
                matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(')
                    || self.rest().starts_with("}}")
            }
        }
    }

    fn must_terminate(&self) -> Scan<()> {
        if self.at_terminator() {
            return Ok(());
        }
        let c = self.peek().unwrap_or_default();
        self.error(format!("bad character {c:?}"))
    }

    fn number(&mut self, first: char) -> Scan<Kind> {
        let mut at = first;
        if matches!(first, '+' | '-') {
            at = self.peek().unwrap_or_default();
            self.next();
        }
        let mut radix = 10;
        if at == '0' {
            radix = match self.peek() {
                Some('x' | 'X') => 16,
                Some('o' | 'O') => 8,
                Some('b' | 'B') => 2,
                _ => 10,
            };
            self.pos += usize::from(radix != 10);
        }
        let digit = move |c: char| c == '_' || c.is_digit(radix);
        self.skip_while(digit);
        if at != '.' && self.rest().starts_with('.') {
            self.pos += 1;
            self.skip_while(digit);
        }
        let exponent = if radix == 16 { ['p', 'P'] } else { ['e', 'E'] };
        if radix != 8 && radix != 2 && self.rest().starts_with(exponent) {
            self.pos += 1;
            self.pos += usize::from(self.rest().starts_with(['+', '-']));
            self.skip_while(|c| c == '_' || c.is_ascii_digit());
        }
        if self.peek().is_some_and(is_word) {
            self.next();
            let text = &self.text[self.start..self.pos];
            return self.error(format!("bad number syntax: {text:?}"));
        }
        Ok(Kind::Number)
    }
}
