//! Makes text from elsewhere harmless for a terminal: names, reasons, items, log lines.
//!
//! A terminal obeys escape sequences, whoever wrote them: they rename its window, move its cursor over
//! what was printed, or answer in the user's name.

use std::borrow::Cow;

use anstyle_parse::{Params, Parser, Perform};

/// Text with its control characters made visible (`\u{1b}`, `\r`); line breaks and tabs stay. Bytes
/// that are no UTF-8 become `\xff`.
pub(super) fn visible(text: &[u8]) -> Cow<'_, [u8]> {
    if is_harmless(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() * 2);
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_control(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
        }
        shown.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    Cow::Owned(shown.into_bytes())
}

/// As [`visible`], for text.
pub(super) fn visible_text(text: &str) -> Cow<'_, str> {
    match visible(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(shown) => Cow::Owned(String::from_utf8_lossy(&shown).into_owned()),
    }
}

/// A line of a log with its colors (SGR) and tabs. Other control characters are lost, with the
/// sequences that they begin.
pub(super) fn log_line(line: &[u8]) -> Cow<'_, [u8]> {
    if is_harmless(line) {
        return Cow::Borrowed(line);
    }
    let mut shown = LogLine::default();
    let mut parser = Parser::<anstyle_parse::DefaultCharAccumulator>::new();
    String::from_utf8_lossy(line).bytes().for_each(|byte| parser.advance(&mut shown, byte));
    if shown.colored {
        shown.text.push_str("\u{1b}[0m");
    }
    Cow::Owned(shown.text.into_bytes())
}

fn is_harmless(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| !text.chars().any(is_control))
}

/// Control characters, and those that turn the direction of the text around them.
fn is_control(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !matches!(c, '\n' | '\t'))
}

#[derive(Default)]
struct LogLine {
    text: String,
    colored: bool,
}

impl Perform for LogLine {
    fn print(&mut self, c: char) {
        if !is_control(c) {
            self.text.push(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        if matches!(byte, b'\t' | b'\n') {
            self.text.push(byte.into());
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: u8) {
        if action != b'm' || ignore || !intermediates.is_empty() {
            return;
        }
        let numbers = |group: &[u16]| group.iter().map(u16::to_string).collect::<Vec<_>>().join(":");
        let params: Vec<_> = params.iter().map(numbers).collect();
        self.text.push_str(&format!("\u{1b}[{}m", params.join(";")));
        self.colored = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_made_visible() {
        let shown = |text: &str| visible_text(text).into_owned();
        assert_eq!(shown("apple\tä\n"), "apple\tä\n");
        assert_eq!(shown("\u{1b}]0;title\u{7}"), r"\u{1b}]0;title\u{7}");
        assert_eq!(shown("\u{1b}[31mred"), r"\u{1b}[31mred", "nobody else colors our messages");
        assert_eq!(shown("over\rwritten"), r"over\rwritten");
        assert_eq!(shown("\u{9b}2J"), r"\u{9b}2J", "a control sequence in one character");
        assert_eq!(shown("txt.\u{202e}exe"), r"txt.\u{202e}exe");
        assert_eq!(visible(b"\xff\x1b").as_ref(), br"\xff\u{1b}");
    }

    #[test]
    fn log_lines_keep_their_colors_only() {
        let shown = |text: &[u8]| String::from_utf8(log_line(text).into_owned()).expect("UTF-8");
        assert_eq!(shown(b"a\tb"), "a\tb");
        assert_eq!(shown(b"\x1b[1;31mred\x1b[0m"), "\u{1b}[1;31mred\u{1b}[0m\u{1b}[0m");
        assert_eq!(shown(b"\x1b[38:5:9mred"), "\u{1b}[38:5:9mred\u{1b}[0m");
        assert_eq!(shown(b"\x1b]0;title\x07text"), "text");
        assert_eq!(shown(b"\x1b]52;c;aGk=\x1b\\text"), "text", "the clipboard");
        assert_eq!(shown(b"10 %\r20 %\x1b[2K\x1b[6n"), "10 %20 %");
        assert_eq!(shown(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(shown(b"\x1b]never ends"), "");
    }
}
