//! Refuses tabs that indent: go-yaml does, and the parser lets some of them pass.

use saphyr_parser::{Event, Span};

/// Finds lines that begin with a tab outside scalars, braces and brackets.
pub(super) struct Tabs<'a> {
    text: &'a str,
    /// The numbers of the lines that begin with a tab, perhaps behind spaces.
    suspects: Vec<usize>,
    /// The line on which each open collection began, if it is one in braces or brackets.
    open: Vec<Option<usize>>,
}

impl<'a> Tabs<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let begins = |line: &str| line.trim_start_matches(' ').starts_with('\t');
        let lines = if text.contains('\t') { text } else { "" }.lines();
        let suspects = lines.enumerate().filter(|(_, line)| begins(line));
        Self { text, suspects: suspects.map(|(index, _)| index + 1).collect(), open: Vec::new() }
    }

    /// Clears the lines that an event covers.
    pub(super) fn event(&mut self, event: &Event<'_>, span: Span) {
        if self.suspects.is_empty() {
            return;
        }
        let (start, end) = (span.start.line(), span.end.line());
        match event {
            Event::Scalar(..) => self.clear(start, end),
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let first = self.text.chars().nth(span.start.index());
                let is_flow = matches!(first, Some('[' | '{'));
                self.open.push(is_flow.then_some(start));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Some(start)) = self.open.pop() {
                    self.clear(start, end);
                }
            }
            _ => {}
        }
    }

    /// Tabs are allowed on all lines of a node but its first.
    fn clear(&mut self, start: usize, end: usize) {
        self.suspects.retain(|line| !(start + 1..=end).contains(line));
    }

    /// Whether the events so far end between braces or brackets.
    pub(super) fn in_flow(&self) -> bool {
        matches!(self.open.last(), Some(Some(_)))
    }

    /// Refuses what is left.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.suspects.first() {
            Some(line) => Err(format!("line {line}: found a tab character that violates indentation")),
            None => Ok(()),
        }
    }
}
