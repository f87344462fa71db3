//! Lists and maps in blocks.

use super::{Event, Events, State};
use crate::yaml::scanner::Token;

impl Events<'_> {
    pub(super) fn block_entry(&mut self) -> Result<Event, String> {
        match self.scanner.peek()? {
            Token::BlockEntry => {}
            Token::BlockEnd => return Ok(self.end()),
            _ => return self.scanner.error("did not find expected '-' indicator"),
        }
        self.scanner.next();
        match self.scanner.peek()? {
            Token::BlockEntry | Token::BlockEnd => Ok(self.empty(State::BlockEntry)),
            _ => self.node_then(State::BlockEntry, true, false),
        }
    }

    pub(super) fn indentless_entry(&mut self) -> Result<Event, String> {
        if *self.scanner.peek()? != Token::BlockEntry {
            self.pop();
            return Ok(Event::End);
        }
        self.scanner.next();
        match self.scanner.peek()? {
            Token::BlockEntry | Token::Key | Token::Value | Token::BlockEnd => {
                Ok(self.empty(State::IndentlessEntry))
            }
            _ => self.node_then(State::IndentlessEntry, true, false),
        }
    }

    pub(super) fn block_key(&mut self) -> Result<Event, String> {
        match self.scanner.peek()? {
            Token::Key => self.scanner.next(),
            Token::BlockEnd => return Ok(self.end()),
            _ => return self.scanner.error("did not find expected key"),
        };
        self.block_node_or_empty(State::BlockValue)
    }

    pub(super) fn block_value(&mut self) -> Result<Event, String> {
        if *self.scanner.peek()? != Token::Value {
            return Ok(self.empty(State::BlockKey));
        }
        self.scanner.next();
        self.block_node_or_empty(State::BlockKey)
    }

    fn block_node_or_empty(&mut self, next: State) -> Result<Event, String> {
        match self.scanner.peek()? {
            Token::Key | Token::Value | Token::BlockEnd => Ok(self.empty(next)),
            _ => self.node_then(next, true, true),
        }
    }
}
