//! Blocks, flow collections and their keys.

use super::{Scanner, SimpleKey, Token};

impl Scanner<'_> {
    /// Begins a block at a column that lies to the right of the open one. `at` is the number of the
    /// token that the block begins with, or nothing for the next token.
    fn open_block(&mut self, column: usize, at: Option<usize>, token: Token, line: usize) {
        if self.in_flow() || self.indent >= Some(column) {
            return;
        }
        self.indents.push(self.indent.replace(column));
        self.insert(at, token, line);
    }

    fn insert(&mut self, at: Option<usize>, token: Token, line: usize) {
        let place = at.and_then(|at| at.checked_sub(self.taken));
        self.queue.insert(place.unwrap_or(self.queue.len()), (token, line));
    }

    /// Ends the blocks that lie to the right of a column, or all of them.
    pub(super) fn close_blocks(&mut self, column: Option<usize>) {
        if self.in_flow() {
            return;
        }
        while self.indent > column {
            self.push(Token::BlockEnd);
            self.indent = self.indents.pop().flatten();
        }
    }

    pub(super) fn open_flow(&mut self, token: Token) -> Result<(), String> {
        self.save_key()?;
        let number = self.taken + self.queue.len();
        let mark = self.cursor.mark;
        self.keys.push(SimpleKey { possible: false, required: false, token: number, mark });
        self.simple_key_allowed = true;
        self.indicator(token)
    }

    pub(super) fn close_flow(&mut self, token: Token) -> Result<(), String> {
        self.drop_key()?;
        if self.in_flow()
            && let Some(key) = self.keys.pop()
        {
            self.keys_by_token.remove(&key.token);
        }
        self.simple_key_allowed = false;
        self.indicator(token)
    }

    pub(super) fn block_entry(&mut self) -> Result<(), String> {
        // Between brackets the parser refuses it.
        if !self.in_flow() {
            if !self.simple_key_allowed {
                return self.cursor.error("block sequence entries are not allowed in this context");
            }
            let mark = self.cursor.mark;
            self.open_block(mark.column, None, Token::BlockSequenceStart, mark.line);
        }
        self.drop_key()?;
        self.simple_key_allowed = true;
        self.indicator(Token::BlockEntry)
    }

    pub(super) fn key(&mut self) -> Result<(), String> {
        if !self.in_flow() {
            if !self.simple_key_allowed {
                return self.cursor.error("mapping keys are not allowed in this context");
            }
            let mark = self.cursor.mark;
            self.open_block(mark.column, None, Token::BlockMappingStart, mark.line);
        }
        self.drop_key()?;
        self.simple_key_allowed = !self.in_flow();
        self.indicator(Token::Key)
    }

    pub(super) fn value(&mut self) -> Result<(), String> {
        let level = self.keys.len() - 1;
        if self.is_possible(level)? {
            let SimpleKey { token, mark, .. } = self.keys[level];
            self.insert(Some(token), Token::Key, mark.line);
            self.open_block(mark.column, Some(token), Token::BlockMappingStart, mark.line);
            self.keys[level].possible = false;
            self.keys_by_token.remove(&token);
            self.simple_key_allowed = false;
        } else {
            if !self.in_flow() {
                if !self.simple_key_allowed {
                    return self.cursor.error("mapping values are not allowed in this context");
                }
                let mark = self.cursor.mark;
                self.open_block(mark.column, None, Token::BlockMappingStart, mark.line);
            }
            self.simple_key_allowed = !self.in_flow();
        }
        self.indicator(Token::Value)
    }

    /// Notes that the next token may be a simple key.
    pub(super) fn save_key(&mut self) -> Result<(), String> {
        if !self.simple_key_allowed {
            return Ok(());
        }
        self.drop_key()?;
        let mark = self.cursor.mark;
        let required = !self.in_flow() && self.indent == Some(mark.column);
        let token = self.taken + self.queue.len();
        let level = self.keys.len() - 1;
        self.keys[level] = SimpleKey { possible: true, required, token, mark };
        self.keys_by_token.insert(token, level);
        Ok(())
    }

    /// Notes that what was saved is no key.
    pub(super) fn drop_key(&mut self) -> Result<(), String> {
        let level = self.keys.len() - 1;
        let key = &mut self.keys[level];
        if key.possible {
            if key.required {
                return self.cursor.error("could not find expected ':'");
            }
            key.possible = false;
            self.keys_by_token.remove(&key.token);
        }
        Ok(())
    }
}
