//! Lists and maps in brackets and braces.

use super::{Event, Events, State};
use crate::yaml::scanner::Token;

impl Events<'_> {
    /// Moves over the comma in front of all entries but the first; false at the end.
    fn comma(&mut self, first: bool, end: &Token, problem: &str) -> Result<bool, String> {
        if !first && self.scanner.peek()? != end {
            if *self.scanner.peek()? != Token::FlowEntry {
                return self.scanner.error(problem);
            }
            self.scanner.next();
        }
        Ok(self.scanner.peek()? != end)
    }

    pub(super) fn flow_entry(&mut self) -> Result<Event, String> {
        let first = matches!(self.state, State::FlowSequenceFirst);
        if !self.comma(first, &Token::FlowSequenceEnd, "did not find expected ',' or ']'")? {
            return Ok(self.end());
        }
        if *self.scanner.peek()? == Token::Key {
            self.scanner.next();
            self.state = State::PairKey;
            return Ok(Event::MappingStart(None));
        }
        self.node_then(State::FlowSequence, false, false)
    }

    pub(super) fn pair_key(&mut self) -> Result<Event, String> {
        match self.scanner.peek()? {
            Token::Value | Token::FlowEntry | Token::FlowSequenceEnd => {
                // libyaml moves over the token here, so `[? : x]` is an error.
                self.scanner.next();
                Ok(self.empty(State::PairValue))
            }
            _ => self.node_then(State::PairValue, false, false),
        }
    }

    pub(super) fn pair_value(&mut self) -> Result<Event, String> {
        if *self.scanner.peek()? == Token::Value {
            self.scanner.next();
            if !matches!(self.scanner.peek()?, Token::FlowEntry | Token::FlowSequenceEnd) {
                return self.node_then(State::PairEnd, false, false);
            }
        }
        Ok(self.empty(State::PairEnd))
    }

    pub(super) fn flow_key(&mut self) -> Result<Event, String> {
        let first = matches!(self.state, State::FlowMappingFirst);
        if !self.comma(first, &Token::FlowMappingEnd, "did not find expected ',' or '}'")? {
            return Ok(self.end());
        }
        if *self.scanner.peek()? != Token::Key {
            return self.node_then(State::FlowNoValue, false, false);
        }
        self.scanner.next();
        match self.scanner.peek()? {
            Token::Value | Token::FlowEntry | Token::FlowMappingEnd => Ok(self.empty(State::FlowValue)),
            _ => self.node_then(State::FlowValue, false, false),
        }
    }

    pub(super) fn flow_value(&mut self) -> Result<Event, String> {
        if *self.scanner.peek()? == Token::Value {
            self.scanner.next();
            if !matches!(self.scanner.peek()?, Token::FlowEntry | Token::FlowMappingEnd) {
                return self.node_then(State::FlowMapping, false, false);
            }
        }
        Ok(self.empty(State::FlowMapping))
    }
}
