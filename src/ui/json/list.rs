//! A document with a list that is printed while it is read.

use serde::Serialize;

use super::line;
use crate::ui::Ui;

/// One document: the queue, a list, and what is known at the end. Each element of the list is on a
/// line of its own, and never more than one is in memory.
pub struct StreamedList {
    /// What comes before the next element.
    lead: String,
}

impl StreamedList {
    /// A list of this name about a queue. Nothing is printed before the first element or the end:
    /// an error that comes sooner leaves stdout empty.
    pub fn new(queue: &str, name: &str) -> Self {
        Self { lead: format!("{{\"queue\": {}, {}: [\n", line(&queue), line(&name)) }
    }

    /// Prints an element.
    pub fn push(&mut self, ui: &Ui, element: &impl Serialize) {
        ui.data(self.next(element).as_bytes());
    }

    pub(super) fn next(&mut self, element: &impl Serialize) -> String {
        let lead = std::mem::replace(&mut self.lead, ",".to_owned());
        format!("{lead}{}", line(element))
    }

    /// Ends the document; the fields of `rest`, which is a struct, follow the list.
    pub fn finish(self, ui: &Ui, rest: &impl Serialize) {
        ui.data(self.end(rest).as_bytes());
    }

    pub(super) fn end(self, rest: &impl Serialize) -> String {
        let rest = line(rest);
        let fields = rest.trim_start_matches('{');
        let separator = if fields == "}" { "" } else { ", " };
        let lead = if self.lead == "," { "" } else { self.lead.trim_end() };
        format!("{lead}]{separator}{fields}")
    }
}

/// For lists after which nothing follows.
#[derive(Debug, Serialize)]
pub struct NoMore {}
