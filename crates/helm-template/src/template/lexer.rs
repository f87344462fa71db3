//! Cuts a template into text, comments and actions.

use super::scan::Scanner;
use super::token::{Kind, SyntaxError, Token, has_right_trim, is_space};

const LEFT: &str = "{{";
const RIGHT: &str = "}}";

/// Whether the text after a left delimiter starts with a trim marker: `- `.
fn has_left_trim(text: &str) -> bool {
    text.starts_with('-') && text[1..].starts_with(is_space)
}

/// All tokens of a template; the last one is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut pos = 0;
    // Set after a right delimiter with a trim marker.
    let mut trim = false;
    loop {
        let rest = &text[pos..];
        let Some(offset) = rest.find(LEFT) else {
            push_text(&mut tokens, text, pos, text.len(), trim, false);
            break;
        };
        let left = pos + offset;
        let behind = &text[left + LEFT.len()..];
        let trims_before = has_left_trim(behind);
        push_text(&mut tokens, text, pos, left, trim, trims_before);
        let start = left + LEFT.len() + if trims_before { 2 } else { 0 };
        if text[start..].starts_with("/*") {
            (pos, trim) = comment(text, start)?;
        } else {
            tokens.push(Token { kind: Kind::LeftDelim, pos: left, text: LEFT });
            let mut scanner = Scanner::new(text, start);
            scanner.action(&mut tokens)?;
            (pos, trim) = (scanner.pos, scanner.trims_after);
        }
    }
    tokens.push(Token { kind: Kind::End, pos: text.len(), text: "" });
    Ok(tokens)
}

fn push_text<'a>(
    tokens: &mut Vec<Token<'a>>,
    text: &'a str,
    start: usize,
    end: usize,
    trim_start: bool,
    trim_end: bool,
) {
    let mut piece = &text[start..end];
    let mut pos = start;
    if trim_start {
        let trimmed = piece.trim_start_matches(is_space);
        pos += piece.len() - trimmed.len();
        piece = trimmed;
    }
    if trim_end {
        piece = piece.trim_end_matches(is_space);
    }
    if !piece.is_empty() {
        tokens.push(Token { kind: Kind::Text, pos, text: piece });
    }
}

/// Skips a comment; returns where the text continues and whether it is trimmed there.
fn comment(text: &str, start: usize) -> Result<(usize, bool), SyntaxError> {
    let Some(length) = text[start..].find("*/") else {
        return Err(SyntaxError::new(start, "unclosed comment"));
    };
    let end = start + length + 2;
    let rest = &text[end..];
    if has_right_trim(rest) {
        Ok((end + 2 + RIGHT.len(), true))
    } else if rest.starts_with(RIGHT) {
        Ok((end + RIGHT.len(), false))
    } else {
        Err(SyntaxError::new(start, "comment ends before closing delimiter"))
    }
}
