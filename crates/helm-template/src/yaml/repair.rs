//! Rewrites layouts that go-yaml takes and the parser refuses into equal ones that both take.

use saphyr_parser::ScanError;

/// How far text is indented that stood too far to the left.
const INDENT: &str = "                                                                ";

/// An equal text without the cause of the error; nothing if the error is a true one.
pub(super) fn repair(text: &str, error: &ScanError, in_flow: bool) -> Option<String> {
    let at = offset(text, error.marker().index());
    let (before, after) = text.split_at(at);
    match error.info() {
        // Between braces and brackets indentation means nothing.
        "invalid indentation" | "invalid indentation in flow construct" => {
            let line = before.rfind('\n').map_or(0, |at| at + 1);
            let is_indentation = before[line..].bytes().all(|b| b == b' ');
            is_indentation.then(|| [&before[..line], INDENT, &text[line..]].concat())
        }
        "tabs disallowed within this context (block indentation)" if in_flow => without_tabs(text, at),
        "tab cannot be used as indentation" => without_tabs(text, at),
        "invalid indentation in quoted scalar" => indent_quoted(before, after),
        "':' must be followed by a valid YAML whitespace" => {
            let kept = before.trim_end_matches([' ', '\t']);
            Some([kept, " ", after].concat())
        }
        _ => None,
    }
}

/// Turns the tabs that begin the line at a position into spaces.
fn without_tabs(text: &str, at: usize) -> Option<String> {
    let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let (before, rest) = text.split_at(line);
    let body = rest.trim_start_matches([' ', '\t']);
    let indentation = &rest[..rest.len() - body.len()];
    let spaces = indentation.replace('\t', INDENT);
    (spaces != indentation).then(|| [before, &spaces, body].concat())
}

fn offset(text: &str, chars: usize) -> usize {
    text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at)
}

/// Indents the lines of a quoted scalar, whose leading spaces mean nothing.
fn indent_quoted(before: &str, scalar: &str) -> Option<String> {
    let quote = scalar.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut out = before.to_owned();
    out.push(quote);
    let mut chars = scalar[1..].chars();
    let mut changed = false;
    while let Some(c) = chars.next() {
        out.push(c);
        match c {
            '\\' if quote == '"' => out.extend(chars.next()),
            '\n' => {
                out.push_str(INDENT);
                changed = true;
            }
            c if c == quote => break,
            _ => {}
        }
    }
    out.push_str(chars.as_str());
    changed.then_some(out)
}
