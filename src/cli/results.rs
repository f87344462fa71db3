//! `results`: what became of the items.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use super::flags::{ClusterFlags, QueueFlags};
use crate::candidates::with_queues;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::queue::connection::{BrokerConnection, BrokerTarget};
use crate::results::outputs::{OutputFiles, OutputSink, OutputsPlan, outputs};
use crate::results::read::{ResultsPlan, results};
use crate::run::find::require_run;
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::reports::outputs::{Printed, read};
use crate::ui::reports::results::{ResultsPrinter, no_item, summary};
use workqueue_core::names::ReleaseName;
use workqueue_core::record::Status;

/// Show what became of the items
///
/// Workers publish a record of each item that they settle to the stream QUEUE.results: how the item
/// ended, when and where, and the end of its program's output. Records outlive their pods, until
/// the stream is full: then the oldest are evicted, and this command says so. If a run has several
/// records of an item, the last one is shown.
///
/// Items that the broker dead-lettered because they killed their workers have no record:
/// `kubectl workqueue failed list` shows them.
#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// Show only the items of this run
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Show only items that ended like this
    #[arg(long, value_name = "STATUS")]
    status: Option<StatusFlag>,
    /// Show only this item
    #[arg(long, value_name = "ID")]
    item: Option<String>,
    /// Write a log in the format of GNU parallel instead; its Command column holds the item's id
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    joblog: Option<PathBuf>,
    /// Write the end of each program's output to DIR/ID/stdout and DIR/ID/stderr instead
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    results: Option<PathBuf>,
    /// Write the whole output of each done item to DIR/ID instead, or of all of them to standard output
    /// (`-`), for runs with --outputs. Without --run: of the last such run
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(conflicts_with_all = ["joblog", "results", "output", "status"])]
    outputs: Option<PathBuf>,
    /// Remove from the broker the outputs that have been written: that makes room for more
    #[arg(long, requires = "outputs", conflicts_with = "item")]
    remove: bool,
    /// Print more columns, one JSON document, or one JSON document per record
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
    /// The item used up its attempts, or must not be tried again
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The table with more columns
    Wide,
    /// JSON, documented in docs/reference/json.md
    Json,
    /// One record per line, each a JSON document
    Jsonl,
}

impl ResultsArgs {
    fn printer<'a>(&self, ui: &'a Ui) -> ResultsPrinter<'a> {
        let to_files = self.joblog.is_some() || self.results.is_some();
        match self.output {
            None if to_files => ResultsPrinter::nothing(ui),
            None => ResultsPrinter::table(ui, false),
            Some(Format::Wide) => ResultsPrinter::table(ui, true),
            Some(Format::Json) => ResultsPrinter::json(ui, self.queue.queue.as_str()),
            Some(Format::Jsonl) => ResultsPrinter::json_lines(ui),
        }
    }
}

pub async fn run(args: ResultsArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    if args.outputs.is_some() {
        return read_outputs(args, ui).await;
    }
    let mut printer = args.printer(ui);
    let status = args.status.map(|status| match status {
        StatusFlag::Done => Status::Done,
        StatusFlag::Failed => Status::Failed,
    });
    let plan = ResultsPlan {
        queue: args.queue.queue,
        run: args.run,
        status,
        item: args.item,
        joblog: args.joblog,
        results: args.results,
    };
    let release = &args.cluster.release;
    let cluster = args.cluster.connect().await?;
    let session = BrokerConnection::open(&cluster, release, "kubectl-workqueue results").await?;
    let read = async {
        let report = results(&session, &plan, &mut printer).await?;
        match &plan.run {
            Some(run) if report.selected == 0 => {
                require_run(&cluster, release, &session, &plan.queue, run).await?;
            }
            _ => {}
        }
        Ok(report)
    };
    let read = tokio::select! {
        read = read => Some(read),
        // The reader has seen what it wanted.
        () = ui.unread() => None,
    };
    session.close().await;
    let Some(read) = read else { return Ok(ExitStatus::Success) };
    let report = match read {
        Ok(report) => report,
        Err(error) => return Err(with_queues(&target(cluster, release), error).await.into()),
    };
    if let Some(item) = plan.item.as_ref().filter(|_| report.selected == 0) {
        return Err(no_item(&plan.queue, item));
    }
    printer.finish(&report);
    ui.status(&summary(plan.queue.as_str(), &report, plan.is_filtered()));
    Ok(ExitStatus::Success)
}

fn target(cluster: Cluster, release: &ReleaseName) -> BrokerTarget {
    BrokerTarget::Release(cluster, release.clone())
}

/// Writes whole outputs.
async fn read_outputs(args: ResultsArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let mut sink: Box<dyn OutputSink + '_> = match args.outputs.as_deref() {
        Some(directory) if directory != Path::new("-") => Box::new(OutputFiles::create(directory)?),
        _ => Box::new(Printed(ui)),
    };
    let plan = OutputsPlan { queue: args.queue.queue, run: args.run, item: args.item, remove: args.remove };
    let release = &args.cluster.release;
    let cluster = args.cluster.connect().await?;
    let session = BrokerConnection::open(&cluster, release, "kubectl-workqueue results").await?;
    let read_all = async {
        session.require_queue(&plan.queue).await?;
        match outputs(&session, &plan, &mut *sink).await {
            Err(error @ Error::NoOutputs { .. }) => {
                if let Some(run) = &plan.run {
                    require_run(&cluster, release, &session, &plan.queue, run).await?;
                }
                Err(error)
            }
            read => read,
        }
    };
    let report = read_all.await;
    session.close().await;
    let report = match report {
        Ok(report) => report,
        Err(error) => return Err(with_queues(&target(cluster, release), error).await.into()),
    };
    let (text, status) = read(&report)?;
    ui.status(&text);
    Ok(status)
}
