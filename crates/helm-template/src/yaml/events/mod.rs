//! The events of the first document in a YAML text: what its tokens mean.
//!
//! The grammar is libyaml's, a pushdown automaton, so that deep nesting costs no stack.

mod block;
mod flow;

use super::scanner::{Scanner, Style, Token};
use crate::limits::MAX_DATA_DEPTH;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Alias(String),
    Scalar(Scalar),
    /// A list begins; it may have an anchor.
    SequenceStart(Option<String>),
    MappingStart(Option<String>),
    /// The innermost list or map ends.
    End,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Whether the text decides on the type: it is plain and has no tag.
    pub(super) plain: bool,
    /// The tag in full, such as `tag:yaml.org,2002:int`.
    pub(super) tag: Option<String>,
    pub(super) anchor: Option<String>,
}

/// What the parser expects next.
#[derive(Debug, Clone, Copy)]
enum State {
    Document,
    BlockNode,
    DocumentContent,
    DocumentEnd,
    End,
    BlockEntry,
    IndentlessEntry,
    BlockKey,
    BlockValue,
    FlowSequenceFirst,
    FlowSequence,
    /// A pair in brackets, which is a map of its own: its key, its value and its end.
    PairKey,
    PairValue,
    PairEnd,
    FlowMappingFirst,
    FlowMapping,
    FlowValue,
    /// The value of a key without a colon.
    FlowNoValue,
}

const YAML_TAGS: &str = "tag:yaml.org,2002:";

pub(super) struct Events<'a> {
    scanner: Scanner<'a>,
    state: State,
    /// Where to continue after the open nodes.
    states: Vec<State>,
    /// The handles of tags with their prefixes.
    handles: Vec<(String, String)>,
}

impl<'a> Events<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { scanner: Scanner::new(text), state: State::Document, states: Vec::new(), handles: Vec::new() }
    }

    /// The next event; `None` after the document.
    pub(super) fn next(&mut self) -> Result<Option<Event>, String> {
        match self.state {
            State::Document => self.document(),
            State::DocumentContent => self.document_content().map(Some),
            State::DocumentEnd => {
                // Even what follows the document has to be a token.
                self.scanner.peek()?;
                self.state = State::End;
                Ok(None)
            }
            State::End => Ok(None),
            State::BlockNode => self.node(true, false).map(Some),
            State::BlockEntry => self.block_entry().map(Some),
            State::IndentlessEntry => self.indentless_entry().map(Some),
            State::BlockKey => self.block_key().map(Some),
            State::BlockValue => self.block_value().map(Some),
            State::FlowSequenceFirst | State::FlowSequence => self.flow_entry().map(Some),
            State::PairKey => self.pair_key().map(Some),
            State::PairValue => self.pair_value().map(Some),
            State::PairEnd => {
                self.state = State::FlowSequence;
                Ok(Some(Event::End))
            }
            State::FlowMappingFirst | State::FlowMapping => self.flow_key().map(Some),
            State::FlowValue => self.flow_value().map(Some),
            State::FlowNoValue => Ok(Some(self.empty(State::FlowMapping))),
        }
    }

    /// An empty scalar where nothing is written.
    fn empty(&mut self, next: State) -> Event {
        self.state = next;
        Event::Scalar(Scalar { plain: true, ..Scalar::default() })
    }

    fn pop(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    /// A list or a map ends with the token that was peeked at.
    fn end(&mut self) -> Event {
        self.scanner.next();
        self.pop();
        Event::End
    }

    fn node_then(&mut self, next: State, block: bool, indentless: bool) -> Result<Event, String> {
        self.states.push(next);
        self.node(block, indentless)
    }
}

/// Documents.
impl Events<'_> {
    fn document(&mut self) -> Result<Option<Event>, String> {
        match self.scanner.peek()? {
            Token::StreamEnd => {
                self.state = State::End;
                return Ok(None);
            }
            Token::Version(..) | Token::TagPrefix(..) | Token::DocumentStart => {
                self.directives()?;
                if *self.scanner.peek()? != Token::DocumentStart {
                    return self.scanner.error("did not find expected <document start>");
                }
                self.scanner.next();
                self.state = State::DocumentContent;
            }
            _ => {
                self.state = State::BlockNode;
            }
        }
        for (handle, prefix) in [("!", "!"), ("!!", YAML_TAGS)] {
            if self.prefix(handle).is_none() {
                self.handles.push((handle.into(), prefix.into()));
            }
        }
        self.states.push(State::DocumentEnd);
        self.next()
    }

    fn directives(&mut self) -> Result<(), String> {
        let mut has_version = false;
        loop {
            match self.scanner.peek()? {
                Token::Version(..) if has_version => {
                    return self.scanner.error("found duplicate %YAML directive");
                }
                Token::Version(1, 1) => has_version = true,
                Token::Version(..) => return self.scanner.error("found incompatible YAML document"),
                Token::TagPrefix(handle, prefix) => {
                    let (handle, prefix) = (handle.clone(), prefix.clone());
                    if self.prefix(&handle).is_some() {
                        return self.scanner.error("found duplicate %TAG directive");
                    }
                    self.handles.push((handle, prefix));
                }
                _ => return Ok(()),
            }
            self.scanner.next();
        }
    }

    fn document_content(&mut self) -> Result<Event, String> {
        match self.scanner.peek()? {
            Token::Version(..)
            | Token::TagPrefix(..)
            | Token::DocumentStart
            | Token::DocumentEnd
            | Token::StreamEnd => {
                let next = self.states.pop().unwrap_or(State::End);
                Ok(self.empty(next))
            }
            _ => self.node(true, false),
        }
    }

    fn prefix(&self, handle: &str) -> Option<&str> {
        let found = self.handles.iter().find(|(known, _)| known == handle);
        found.map(|(_, prefix)| prefix.as_str())
    }
}

/// Nodes.
impl Events<'_> {
    /// A node, whose next state is on the stack. An indentless list may be a value of a block's map.
    fn node(&mut self, block: bool, indentless: bool) -> Result<Event, String> {
        if self.states.len() > MAX_DATA_DEPTH {
            return self.scanner.error(&format!("exceeded max depth of {MAX_DATA_DEPTH}"));
        }
        if let Token::Alias(name) = self.scanner.peek()? {
            let name = name.clone();
            self.scanner.next();
            self.pop();
            return Ok(Event::Alias(name));
        }
        let (anchor, tag) = self.properties()?;
        let (state, event) = match self.scanner.peek()? {
            Token::BlockEntry if indentless => (State::IndentlessEntry, Event::SequenceStart(anchor)),
            Token::Scalar(..) => return Ok(self.scalar(anchor, tag)),
            Token::FlowSequenceStart => (State::FlowSequenceFirst, Event::SequenceStart(anchor)),
            Token::FlowMappingStart => (State::FlowMappingFirst, Event::MappingStart(anchor)),
            Token::BlockSequenceStart if block => (State::BlockEntry, Event::SequenceStart(anchor)),
            Token::BlockMappingStart if block => (State::BlockKey, Event::MappingStart(anchor)),
            _ if anchor.is_some() || tag.is_some() => {
                self.pop();
                return Ok(Event::Scalar(Scalar { plain: tag.is_none(), tag, anchor, text: String::new() }));
            }
            _ => return self.scanner.error("did not find expected node content"),
        };
        if !matches!(state, State::IndentlessEntry) {
            self.scanner.next();
        }
        self.state = state;
        Ok(event)
    }

    /// An anchor and a tag, in any order.
    fn properties(&mut self) -> Result<(Option<String>, Option<String>), String> {
        let (mut anchor, mut tag) = (None, None);
        loop {
            match self.scanner.peek()? {
                Token::Anchor(name) if anchor.is_none() => anchor = Some(name.clone()),
                Token::Tag(handle, suffix) if tag.is_none() => {
                    let (handle, suffix) = (handle.clone(), suffix.clone());
                    tag = Some(self.full_tag(&handle, suffix));
                }
                // Errors in the next token come before those of the tag.
                _ => return Ok((anchor, tag.transpose()?)),
            }
            self.scanner.next();
        }
    }

    fn full_tag(&self, handle: &str, suffix: String) -> Result<String, String> {
        if handle.is_empty() {
            return Ok(suffix);
        }
        match self.prefix(handle) {
            Some(prefix) => Ok(format!("{prefix}{suffix}")),
            None => self.scanner.error("found undefined tag handle"),
        }
    }

    fn scalar(&mut self, anchor: Option<String>, tag: Option<String>) -> Event {
        let (text, style) = match self.scanner.next() {
            Token::Scalar(text, style) => (text, style),
            _ => (String::new(), Style::Plain),
        };
        self.pop();
        let plain = style == Style::Plain && tag.is_none();
        Event::Scalar(Scalar { text, plain, tag, anchor })
    }
}
