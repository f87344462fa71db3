//! `results`: what became of the items.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use serde_json::json;

use super::flags::{ClusterFlags, QueueFlags};
use crate::action::results::{Reader, ResultsPlan, ResultsReport, results};
use crate::action::session::Session;
use crate::error::{ExitStatus, Failure};
use crate::ui::Ui;
use crate::ui::table::{Columns, plain};
use workqueue_core::record::{Reason, ResultRecord, Status};

/// Show what became of the items
///
/// Workers leave a record of each item that they settle in QUEUE.results: how it ended, when,
/// where, and the end of its program's output. Records stay when the pods are gone, until the
/// stream is full; then the oldest go, and this command says so. An item that a run has recorded
/// more than once is shown as it was recorded last.
///
/// Items that the broker itself gave up, because they killed their workers again and again, have
/// no record: `kubectl workqueue failed list` shows them.
#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// The items of this run alone
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Those that ended like this alone
    #[arg(long, value_name = "STATUS")]
    status: Option<StatusFlag>,
    /// This item alone
    #[arg(long, value_name = "ID")]
    item: Option<String>,
    /// Write a log in the form of GNU parallel's instead; its column Command has the item's id
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    joblog: Option<PathBuf>,
    /// Write the end of what programs said into DIR/ID/stdout and DIR/ID/stderr instead
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    results: Option<PathBuf>,
    /// The form: more columns, one JSON document, or JSON with one record a line
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(flatten)]
    queue: QueueFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatusFlag {
    /// The program exited with 0
    Done,
    /// It used up its attempts, or is not to be tried again
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The table with more columns
    Wide,
    /// JSON, documented in docs/json.md
    Json,
    /// A record a line, each a JSON document
    Jsonl,
}

/// Runs the command.
pub async fn run(args: ResultsArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let status = args.status.map(|status| match status {
        StatusFlag::Done => Status::Done,
        StatusFlag::Failed => Status::Failed,
    });
    let to_files = args.joblog.is_some() || args.results.is_some();
    let form = match args.output {
        None if to_files => Form::Nothing,
        None => Form::Table { columns: Columns::new(&NARROW), wide: false },
        Some(Format::Wide) => Form::Table { columns: Columns::new(&WIDE), wide: true },
        Some(Format::Json) => Form::Json,
        Some(Format::Jsonl) => Form::JsonLines,
    };
    let queue = args.queue.queue;
    let plan = ResultsPlan {
        queue: queue.clone(),
        run: args.run,
        status,
        item: args.item,
        joblog: args.joblog,
        results: args.results,
    };
    let cluster = args.cluster.connect().await?;
    let session = Session::open(&cluster, &args.cluster.release, "kubectl-workqueue results").await?;
    let mut printer = Printer { ui, form, printed: 0 };
    let read = tokio::select! {
        read = results(&session, &plan, &mut printer) => Some(read),
        // The reader has seen what it wanted.
        () = ui.unread() => None,
    };
    session.close().await;
    let Some(read) = read else { return Ok(ExitStatus::Success) };
    let report = read?;
    printer.finish(queue.as_str(), &report);
    ui.status(&in_words(queue.as_str(), &report));
    Ok(ExitStatus::Success)
}

enum Form {
    Table { columns: Columns, wide: bool },
    Json,
    JsonLines,
    Nothing,
}

const NARROW: [&str; 6] = ["ID", "STATUS", "ATTEMPTS", "SECONDS", "EXIT", "POD"];
const WIDE: [&str; 11] =
    ["ID", "STATUS", "ATTEMPTS", "SECONDS", "EXIT", "POD", "NODE", "RUN", "ENDED", "SIZE", "STDERR"];

/// Prints records as they come.
struct Printer<'a> {
    ui: &'a Ui,
    form: Form,
    printed: u64,
}

impl Reader for Printer<'_> {
    fn survey(&mut self, record: &ResultRecord) {
        if let Form::Table { columns, wide } = &mut self.form {
            columns.fit(&row(record, *wide));
        }
    }

    fn take(&mut self, record: &ResultRecord) {
        let first = self.printed == 0;
        self.printed += 1;
        let line = match &self.form {
            Form::Nothing => return,
            Form::Table { columns, wide } => {
                if first {
                    self.ui.data(columns.header().as_bytes());
                }
                columns.row(&row(record, *wide))
            }
            Form::JsonLines => as_json(record),
            Form::Json if first => format!("{{\"items\": [\n{}", as_json(record)),
            Form::Json => format!(",{}", as_json(record)),
        };
        self.ui.data(line.as_bytes());
    }
}

impl Printer<'_> {
    fn finish(&self, queue: &str, report: &ResultsReport) {
        if !matches!(self.form, Form::Json) {
            return;
        }
        let rest = json!({
            "queue": queue,
            "done": report.done,
            "failed": report.failed,
            "repeated": report.repeated,
            "truncated": report.truncated,
        });
        let start = if self.printed == 0 { "{\"items\": [" } else { "" };
        // One document, though no more than a record is in memory at a time.
        let line = format!("{start}], {}", rest.to_string().trim_start_matches('{'));
        self.ui.data(line.as_bytes());
    }
}

fn as_json(record: &ResultRecord) -> String {
    serde_json::to_string(record).expect("a record has been JSON before")
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
        (Some(Reason::Unstartable), ..) => "unstartable".to_owned(),
        (_, Some(code), _) => code.to_string(),
        (_, None, Some(signal)) => format!("signal {signal}"),
        (_, None, None) => "-".to_owned(),
    }
}

fn in_words(queue: &str, report: &ResultsReport) -> String {
    let ResultsReport { done, failed, .. } = report;
    let mut text = format!("{queue}: {} results: {done} done, {failed} failed", done + failed);
    if report.done + report.failed == 0 {
        text = format!("{queue}: there are no such results");
    }
    if report.repeated > 0 {
        text += &format!("\n{} earlier records of the same items are not shown", report.repeated);
    }
    if report.shortened > 0 {
        text += &format!("\nof {} items the end of the output alone is kept", report.shortened);
    }
    if report.truncated {
        text += "\nthe stream was full: older records have been evicted, and are missing here";
    }
    if report.unreadable > 0 {
        text += &format!("\n{} messages in the stream are no records", report.unreadable);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_what_is_missing() {
        let report = ResultsReport { done: 3, failed: 1, truncated: true, ..ResultsReport::default() };
        let words = in_words("job1", &report);
        assert!(words.starts_with("job1: 4 results: 3 done, 1 failed\nthe stream was full"), "{words}");
        assert_eq!(in_words("q", &ResultsReport::default()), "q: there are no such results");
    }
}
