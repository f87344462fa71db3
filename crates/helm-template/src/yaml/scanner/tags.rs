//! Tags, and the directives in front of a document.

use super::{Scanner, Token};
use crate::yaml::cursor::{is_blank, is_name};

impl Scanner<'_> {
    /// A line that begins with a percent sign.
    pub(super) fn directive(&mut self) -> Result<Token, String> {
        self.cursor.next();
        let name = self.cursor.take_while(is_name);
        if name.is_empty() {
            return self.cursor.error("could not find expected directive name");
        }
        if !self.cursor.at_blank_or_end(0) {
            return self.cursor.error("found unexpected non-alphabetical character");
        }
        self.cursor.skip_while(is_blank);
        let token = match name.as_str() {
            "YAML" => self.version()?,
            "TAG" => self.tag_prefix()?,
            _ => return self.cursor.error("found unknown directive name"),
        };
        if !self.cursor.skip_to_line_end() {
            return self.cursor.error("did not find expected comment or line break");
        }
        Ok(token)
    }

    fn version(&mut self) -> Result<Token, String> {
        let major = self.version_number()?;
        if self.cursor.peek() != '.' {
            return self.cursor.error("did not find expected digit or '.' character");
        }
        self.cursor.next();
        Ok(Token::Version(major, self.version_number()?))
    }

    fn version_number(&mut self) -> Result<u8, String> {
        let digits = self.cursor.take_while(|c| c.is_ascii_digit());
        match digits.len() {
            0 => self.cursor.error("did not find expected version number"),
            1 | 2 => Ok(digits.parse().unwrap_or_default()),
            _ => self.cursor.error("found extremely long version number"),
        }
    }

    fn tag_prefix(&mut self) -> Result<Token, String> {
        let handle = self.tag_handle()?;
        if handle != "!" && !is_handle(&handle) {
            return self.cursor.error("did not find expected '!'");
        }
        if !is_blank(self.cursor.peek()) {
            return self.cursor.error("did not find expected whitespace");
        }
        self.cursor.skip_while(is_blank);
        let prefix = self.tag_uri("")?;
        if !self.cursor.at_blank_or_end(0) {
            return self.cursor.error("did not find expected whitespace or line break");
        }
        Ok(Token::TagPrefix(handle, prefix))
    }

    /// `!<uri>`, `!handle!suffix`, `!suffix` or `!`.
    pub(super) fn tag(&mut self) -> Result<Token, String> {
        let (handle, suffix) = if self.cursor.peek_at(1) == '<' {
            self.cursor.skip(2);
            let uri = self.tag_uri("")?;
            if self.cursor.peek() != '>' {
                return self.cursor.error("did not find the expected '>'");
            }
            self.cursor.next();
            (String::new(), uri)
        } else {
            let head = self.tag_handle()?;
            if is_handle(&head) {
                let suffix = self.tag_uri("")?;
                (head, suffix)
            } else {
                match self.tag_uri(&head)? {
                    suffix if suffix.is_empty() => (String::new(), "!".into()),
                    suffix => ("!".into(), suffix),
                }
            }
        };
        if !self.cursor.at_blank_or_end(0) {
            return self.cursor.error("did not find expected whitespace or line break");
        }
        Ok(Token::Tag(handle, suffix))
    }

    /// `!name!`, or as much of it as there is.
    fn tag_handle(&mut self) -> Result<String, String> {
        if self.cursor.peek() != '!' {
            return self.cursor.error("did not find expected '!'");
        }
        let mut handle = String::from(self.cursor.next());
        handle.push_str(&self.cursor.take_while(is_name));
        if self.cursor.peek() == '!' {
            handle.push(self.cursor.next());
        }
        Ok(handle)
    }

    /// A URI, or the rest of one whose head, with an exclamation mark, has been read as a handle.
    fn tag_uri(&mut self, head: &str) -> Result<String, String> {
        let mut uri = head.strip_prefix('!').unwrap_or(head).as_bytes().to_vec();
        let start = self.cursor.mark.index;
        loop {
            match self.cursor.peek() {
                '%' => self.escaped_octets(&mut uri)?,
                c if is_name(c) || ";/?:@&=+$,.!~*'()[]".contains(c) => {
                    self.cursor.next();
                    uri.push(c as u8);
                }
                _ => break,
            }
        }
        if head.is_empty() && self.cursor.mark.index == start {
            return self.cursor.error("did not find expected tag URI");
        }
        Ok(String::from_utf8_lossy(&uri).into_owned())
    }

    /// One character as `%xx` for each of its bytes in UTF-8.
    fn escaped_octets(&mut self, uri: &mut Vec<u8>) -> Result<(), String> {
        let first = self.escaped_octet()?;
        let more = match first {
            0..=0x7f => 0,
            0xc0..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf7 => 3,
            _ => return self.cursor.error("found an incorrect leading UTF-8 octet"),
        };
        uri.push(first);
        for _ in 0..more {
            let octet = self.escaped_octet()?;
            if octet & 0xc0 != 0x80 {
                return self.cursor.error("found an incorrect trailing UTF-8 octet");
            }
            uri.push(octet);
        }
        Ok(())
    }

    fn escaped_octet(&mut self) -> Result<u8, String> {
        let digit = |distance| self.cursor.peek_at(distance).to_digit(16);
        match (self.cursor.peek(), digit(1), digit(2)) {
            ('%', Some(high), Some(low)) => {
                self.cursor.skip(3);
                Ok((high << 4 | low) as u8)
            }
            _ => self.cursor.error("did not find URI escaped octet"),
        }
    }
}

fn is_handle(text: &str) -> bool {
    text.len() > 1 && text.ends_with('!')
}
