//! Splits a YAML text into tokens.
//!
//! This follows the rules of libyaml as go-yaml 2 has them, since helm reads YAML with go-yaml. They
//! are those of YAML 1.1 with a few liberties, such as `[a:]` for a list of the text `a:`.

mod block;
mod flow;
mod structure;
mod tags;

use std::collections::{HashMap, VecDeque};

use super::cursor::{Cursor, END, Mark, is_break, is_name};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
    Block,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    StreamEnd,
    /// `%YAML`, with the version.
    Version(u8, u8),
    /// `%TAG`, with the handle and its prefix.
    TagPrefix(String, String),
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    /// `-`
    BlockEntry,
    /// `,`
    FlowEntry,
    /// `?`, or nothing in front of a simple key.
    Key,
    /// `:`
    Value,
    Alias(String),
    Anchor(String),
    /// The handle, which is empty for a complete tag, and the suffix.
    Tag(String, String),
    Scalar(String, Style),
}

/// A token that could be a key, if a colon follows on the same line. There is one for each open flow
/// collection, and one for the block around them.
#[derive(Debug, Clone, Copy)]
struct SimpleKey {
    possible: bool,
    /// Whether the text is wrong if no colon follows.
    required: bool,
    /// The number of the token.
    token: usize,
    mark: Mark,
}

/// How far from the start of a simple key its colon may be.
const MAX_SIMPLE_KEY: usize = 1024;

pub(super) struct Scanner<'a> {
    cursor: Cursor<'a>,
    /// Tokens that have been read but not taken, with their lines.
    queue: VecDeque<(Token, usize)>,
    /// How many tokens have been taken.
    taken: usize,
    /// Whether the first token of the queue is known to be final.
    ready: bool,
    /// The columns of the open blocks; the outermost, the document itself, has none.
    indents: Vec<Option<usize>>,
    indent: Option<usize>,
    simple_key_allowed: bool,
    keys: Vec<SimpleKey>,
    /// The index in `keys` by the number of the token.
    keys_by_token: HashMap<usize, usize>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let cursor = Cursor::new(text);
        let outermost = SimpleKey { possible: false, required: false, token: 0, mark: cursor.mark };
        Self {
            cursor,
            queue: VecDeque::new(),
            taken: 0,
            ready: false,
            indents: Vec::new(),
            indent: None,
            simple_key_allowed: true,
            keys: vec![outermost],
            keys_by_token: HashMap::new(),
        }
    }

    /// The next token, which stays in the queue.
    pub(super) fn peek(&mut self) -> Result<&Token, String> {
        while !self.ready {
            self.ready = !self.queue.is_empty() && !self.may_begin_key()?;
            if !self.ready {
                self.fetch()?;
            }
        }
        Ok(self.queue.front().map_or(&Token::StreamEnd, |(token, _)| token))
    }

    /// Takes the token that `peek` showed.
    pub(super) fn next(&mut self) -> Token {
        self.ready = false;
        self.taken += 1;
        self.queue.pop_front().map_or(Token::StreamEnd, |(token, _)| token)
    }

    /// An error at the token that `peek` showed, in go-yaml's words: it counts these lines from 0.
    pub(super) fn error<T>(&self, problem: &str) -> Result<T, String> {
        Err(match self.queue.front() {
            Some((_, line)) if *line > 0 => format!("line {line}: {problem}"),
            _ => problem.to_owned(),
        })
    }

    /// Whether the first token of the queue may turn out to be a key.
    fn may_begin_key(&mut self) -> Result<bool, String> {
        match self.keys_by_token.get(&self.taken) {
            Some(&level) if level < self.keys.len() => self.is_possible(level),
            _ => Ok(false),
        }
    }

    /// Whether a colon at this place would make a key of what was saved.
    fn is_possible(&mut self, level: usize) -> Result<bool, String> {
        let key = &mut self.keys[level];
        if !key.possible {
            return Ok(false);
        }
        let here = self.cursor.mark;
        if key.mark.line == here.line && here.index - key.mark.index <= MAX_SIMPLE_KEY {
            return Ok(true);
        }
        if key.required {
            return self.cursor.error("could not find expected ':'");
        }
        key.possible = false;
        Ok(false)
    }

    fn in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    fn push(&mut self, token: Token) {
        self.queue.push_back((token, self.cursor.mark.line));
    }

    /// Reads one more token into the queue.
    fn fetch(&mut self) -> Result<(), String> {
        self.skip_to_token();
        self.close_blocks(Some(self.cursor.mark.column));
        let c = self.cursor.peek();
        let ends = self.cursor.at_blank_or_end(1);
        match c {
            END => self.stream_end(),
            '%' if self.cursor.mark.column == 0 => {
                self.leave_blocks()?;
                let line = self.cursor.mark.line;
                let token = self.directive()?;
                self.queue.push_back((token, line));
                Ok(())
            }
            '-' if self.cursor.at_indicator("---") => self.document_indicator(Token::DocumentStart),
            '.' if self.cursor.at_indicator("...") => self.document_indicator(Token::DocumentEnd),
            '[' => self.open_flow(Token::FlowSequenceStart),
            '{' => self.open_flow(Token::FlowMappingStart),
            ']' => self.close_flow(Token::FlowSequenceEnd),
            '}' => self.close_flow(Token::FlowMappingEnd),
            ',' => {
                self.drop_key()?;
                self.simple_key_allowed = true;
                self.indicator(Token::FlowEntry)
            }
            '-' if ends => self.block_entry(),
            '?' if ends || self.in_flow() => self.key(),
            ':' if ends || self.in_flow() => self.value(),
            '*' | '&' | '!' | '\'' | '"' => self.simple(c),
            '|' | '>' if !self.in_flow() => {
                self.drop_key()?;
                self.simple_key_allowed = true;
                let line = self.cursor.mark.line;
                let text = self.block_scalar(c == '|')?;
                self.queue.push_back((Token::Scalar(text, Style::Block), line));
                Ok(())
            }
            ' ' | '\t' | '#' | '|' | '>' | '%' | '@' | '`' => {
                self.cursor.error("found character that cannot start any token")
            }
            _ => self.simple(c),
        }
    }

    /// Moves over blanks, comments and line breaks.
    fn skip_to_token(&mut self) {
        loop {
            // Tabs must not indent what could begin a block.
            let tabs = self.in_flow() || !self.simple_key_allowed;
            self.cursor.skip_while(|c| c == ' ' || tabs && c == '\t');
            if self.cursor.peek() == '#' {
                self.cursor.skip_while(|c| !is_break(c));
            }
            if self.cursor.next_break().is_none() {
                return;
            }
            if !self.in_flow() {
                self.simple_key_allowed = true;
            }
        }
    }

    /// A token that may be a simple key: an alias, an anchor, a tag, or a scalar on its line.
    fn simple(&mut self, first: char) -> Result<(), String> {
        self.save_key()?;
        self.simple_key_allowed = false;
        let line = self.cursor.mark.line;
        let token = match first {
            '*' => Token::Alias(self.anchor()?),
            '&' => Token::Anchor(self.anchor()?),
            '!' => self.tag()?,
            '\'' | '"' => Token::Scalar(self.quoted()?, Style::Quoted),
            _ => Token::Scalar(self.plain()?, Style::Plain),
        };
        self.queue.push_back((token, line));
        Ok(())
    }

    fn anchor(&mut self) -> Result<String, String> {
        self.cursor.next();
        let name = self.cursor.take_while(is_name);
        let ends = self.cursor.at_blank_or_end(0)
            || matches!(self.cursor.peek(), '?' | ':' | ',' | ']' | '}' | '%' | '@' | '`');
        if name.is_empty() || !ends {
            return self.cursor.error("did not find expected alphabetic or numeric character");
        }
        Ok(name)
    }

    /// A token of one character.
    fn indicator(&mut self, token: Token) -> Result<(), String> {
        self.push(token);
        self.cursor.next();
        Ok(())
    }

    fn document_indicator(&mut self, token: Token) -> Result<(), String> {
        self.leave_blocks()?;
        self.push(token);
        self.cursor.skip(3);
        Ok(())
    }

    fn stream_end(&mut self) -> Result<(), String> {
        // The end counts as a line of its own.
        if self.cursor.mark.column != 0 {
            self.cursor.mark.column = 0;
            self.cursor.mark.line += 1;
        }
        self.leave_blocks()?;
        self.push(Token::StreamEnd);
        Ok(())
    }

    fn leave_blocks(&mut self) -> Result<(), String> {
        self.close_blocks(None);
        self.drop_key()?;
        self.simple_key_allowed = false;
        Ok(())
    }
}
