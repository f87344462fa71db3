//! The report of `results`: a table, JSON, and what is missing in it.

use crate::results::read::{RecordSink, ResultsReport};
use crate::ui::Ui;
use crate::ui::failure::Failure;
use crate::ui::json::line;
use crate::ui::json::list::StreamedList;
use crate::ui::json::results::ResultsJson;
use crate::ui::table::{Columns, plain};
use workqueue_core::names::QueueName;
use workqueue_core::record::{Reason, ResultRecord, Status};
use workqueue_core::words::count;

const NARROW: [&str; 6] = ["ID", "STATUS", "ATTEMPTS", "SECONDS", "EXIT", "POD"];
const WIDE: [&str; 11] =
    ["ID", "STATUS", "ATTEMPTS", "SECONDS", "EXIT", "POD", "NODE", "RUN", "ENDED", "SIZE", "STDERR"];

/// Prints records while they are read.
pub struct ResultsPrinter<'a> {
    ui: &'a Ui,
    form: Form,
    printed: u64,
}

enum Form {
    Table { columns: Columns, wide: bool },
    Json(StreamedList),
    JsonLines,
    Nothing,
}

impl<'a> ResultsPrinter<'a> {
    /// Prints a table.
    pub fn table(ui: &'a Ui, wide: bool) -> Self {
        let columns = if wide { Columns::new(&WIDE) } else { Columns::new(&NARROW) };
        Self::new(ui, Form::Table { columns, wide })
    }

    /// Prints one JSON document.
    pub fn json(ui: &'a Ui, queue: &str) -> Self {
        Self::new(ui, Form::Json(StreamedList::new(queue, "records")))
    }

    /// Prints a JSON document a record.
    pub fn json_lines(ui: &'a Ui) -> Self {
        Self::new(ui, Form::JsonLines)
    }

    /// Prints no records.
    pub fn nothing(ui: &'a Ui) -> Self {
        Self::new(ui, Form::Nothing)
    }

    fn new(ui: &'a Ui, form: Form) -> Self {
        Self { ui, form, printed: 0 }
    }

    /// Prints what follows the records.
    pub fn finish(self, report: &ResultsReport) {
        if let Form::Json(list) = self.form {
            list.finish(self.ui, &ResultsJson::from(report));
        }
    }
}

impl RecordSink for ResultsPrinter<'_> {
    fn survey(&mut self, record: &ResultRecord) {
        if let Form::Table { columns, wide } = &mut self.form {
            columns.fit(&row(record, *wide));
        }
    }

    fn take(&mut self, record: &ResultRecord) {
        match &mut self.form {
            Form::Nothing => {}
            Form::Table { columns, wide } => {
                if self.printed == 0 {
                    self.ui.data(columns.header().as_bytes());
                }
                self.ui.data(columns.row(&row(record, *wide)).as_bytes());
            }
            Form::Json(list) => list.push(self.ui, record),
            Form::JsonLines => self.ui.data(line(record).as_bytes()),
        }
        self.printed += 1;
    }
}

fn row(record: &ResultRecord, wide: bool) -> Vec<String> {
    let place = &record.location;
    let mut row = vec![
        plain(&record.id),
        match record.status {
            Status::Done => "done".to_owned(),
            Status::Failed => "failed".to_owned(),
        },
        record.attempts.to_string(),
        format!("{:.1}", record.seconds()),
        exit(record),
        plain(place.pod.as_deref().unwrap_or(&place.host)),
    ];
    if wide {
        row.push(plain(place.node.as_deref().unwrap_or_default()));
        row.push(plain(record.run.as_deref().unwrap_or_default()));
        row.push(format!("{:.0}", record.ended));
        row.push(record.size.to_string());
        row.push(plain(record.stderr.tail.lines().last().unwrap_or_default()));
    }
    row
}

fn exit(record: &ResultRecord) -> String {
    match (record.reason, record.exit, record.signal) {
        (Some(Reason::Timeout), ..) => "timeout".to_owned(),
        (_, Some(code), _) => code.to_string(),
        (_, None, Some(signal)) => format!("signal {signal}"),
        (Some(reason), None, None) => reason.as_str().to_owned(),
        (None, None, None) => "-".to_owned(),
    }
}

/// How many results there are, and what is missing among them.
pub fn summary(queue: &str, report: &ResultsReport, is_filtered: bool) -> String {
    let ResultsReport { done, failed, selected: _, repeated, shortened, unreadable, truncated } = report;
    let mut text = match done + failed {
        0 if is_filtered => format!("{queue}: there are no such results"),
        0 => format!("{queue}: there are no results yet"),
        all => format!("{queue}: {}: {done} done, {failed} failed", count(all, "result")),
    };
    if *repeated > 0 {
        let are = if *repeated == 1 { "is" } else { "are" };
        text += &format!("\n{} of the same items {are} not shown", count(*repeated, "earlier record"));
    }
    if *shortened > 0 {
        text += &format!("\nonly the end of the output is kept for {}", count(*shortened, "item"));
    }
    if *truncated {
        text += "\nthe stream was full: older records have been evicted and are missing here";
    }
    if *unreadable > 0 {
        let are = if *unreadable == 1 { "is not a record" } else { "are not records" };
        text += &format!("\n{} in the stream {are}", count(*unreadable, "message"));
    }
    text
}

/// No worker has recorded this item.
pub fn no_item(queue: &QueueName, item: &str) -> Failure {
    Failure::new(
        format!("there is no result of item {item} of queue {queue}"),
        "it may not have ended, or have been dead-lettered by the broker: `kubectl workqueue failed list`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_is_missing() {
        let report = ResultsReport { done: 3, failed: 1, truncated: true, ..ResultsReport::default() };
        let words = summary("job1", &report, false);
        assert!(words.starts_with("job1: 4 results: 3 done, 1 failed\nthe stream was full"), "{words}");
        let none = ResultsReport::default();
        assert_eq!(summary("q", &none, true), "q: there are no such results");
        assert_eq!(summary("q", &none, false), "q: there are no results yet", "nothing was asked for");
        let report = ResultsReport { done: 1, repeated: 1, ..ResultsReport::default() };
        let words = summary("q", &report, true);
        assert_eq!(words, "q: 1 result: 1 done, 0 failed\n1 earlier record of the same items is not shown");
    }
}
