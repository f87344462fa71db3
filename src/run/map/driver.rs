//! Drives the parts of `map` at the same time: the input, the run, and the printing of its outputs.

use std::cell::OnceCell;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use super::collect::{Collected, Collecting};
use super::input::{KILLED, LAST_WAIT, LEFT, ReadInput, account, cut, is_set, read, while_wanted};
use super::start::{Begun, Enqueued, FirstConfirm, begin, prepare};
use super::{InputEnd, MapReport, Mapped};
use crate::cluster::Cluster;
use crate::cluster::job::JobState;
use crate::error::Error;
use crate::notice::{Notice, Observer, Warning};
use crate::queue::connection::BrokerTarget;
use crate::queue::input_gate::InputGate;
use crate::results::printing::{Order, Position, Printer, Printing, SharedSink, Spool};
use crate::run::find::find_run;
use crate::run::follow::{FollowPlan, RunEnd, RunReport, follow};
use crate::run::plan::RunPlan;
use workqueue_core::names::{BATCH_LENGTH, QueueName, ReleaseName, random_suffix};

/// The most ids that a report names.
const NAMED: usize = 10;

/// What to print, and how long to follow.
pub struct MapPlan {
    pub following: FollowPlan,
    /// Print items in their order, and not as they come.
    pub keep_order: bool,
    /// Save how far the printing has come.
    pub saves_position: bool,
    /// The most items that may be read and wait.
    pub read_ahead: u64,
    pub sink: SharedSink,
}

/// Enqueues the plan's items, runs a Job over them and prints what they write, until all of it is printed
/// or the user stops it: then the run continues.
///
/// # Errors
/// Those of [`start`](crate::run::start::start) and [`follow`]; files that cannot be written.
pub async fn map(
    cluster: &Cluster,
    mut plan: RunPlan,
    map: MapPlan,
    observer: &dyn Observer,
    interrupted_rx: watch::Receiver<bool>,
) -> Result<Mapped, Error> {
    let Some(source) = plan.items.take() else { return Ok(Mapped::Nothing) };
    if map.saves_position {
        Position::check()?;
    }
    plan.batch = Some(random_suffix(BATCH_LENGTH));
    let renderer = prepare(cluster, &plan, observer).await?;
    let gate = Arc::new(InputGate::new(map.read_ahead));
    let (confirmed_tx, mut confirmed_rx) = watch::channel(false);
    let telling = FirstConfirm { observer, confirmed_tx };
    let target = BrokerTarget::Release(cluster.clone(), plan.release.clone());
    let (stop_tx, stop_rx) = watch::channel(false);
    let stops = [stop_rx, interrupted_rx.clone()];
    let reading = read(&target, &plan, source, gate.clone(), &telling, stops);
    let mut reading = std::pin::pin!(reading);
    let begun =
        begin(cluster, &renderer, &plan, observer, reading.as_mut(), &mut confirmed_rx, &stop_tx).await?;
    let (job, ended) = match begun {
        Begun::Job(job, ended) => (*job, ended),
        Begun::Nothing => return Ok(Mapped::Nothing),
        Begun::NotEnqueued(ended) => return Ok(Mapped::NotEnqueued(Box::new(ended.0), ended.1.err())),
    };
    observer.on(Notice::RunStarted(&job));
    let printer = printer(&job, &map, false, observer)?;
    let (queue, input) = (plan.queue.name.clone(), Some(ReadInput { gate, stop_tx }));
    let driving = Driving { cluster, release: &plan.release, queue, job, observer, input, cut: None };
    let report = driving.drive(printer, map.following, reading, ended, interrupted_rx).await?;
    Ok(Mapped::Run(Box::new(report)))
}

/// Prints what is left of the outputs of a run, as [`map`] would have.
///
/// # Errors
/// [`Error::NoRun`], [`Error::KeepsNoOutputs`], [`Error::AlreadyCollected`]; as for [`map`].
pub async fn attach(
    cluster: &Cluster,
    release: &ReleaseName,
    run: &str,
    map: MapPlan,
    observer: &dyn Observer,
    interrupted_rx: watch::Receiver<bool>,
) -> Result<MapReport, Error> {
    let job = find_run(cluster, release, run).await?;
    if !job.outputs {
        return Err(Error::KeepsNoOutputs(job.run));
    }
    let queue = job.queue.parse().map_err(|_| Error::no_run(&job.run))?;
    let mut driving = Driving { cluster, release, queue, job, observer, input: None, cut: None };
    driving.until_free().await?;
    let printer = printer(&driving.job, &map, true, observer)?;
    driving.cut = driving.input_goes_on().await?.then(|| KILLED.to_owned());
    let reading = std::pin::pin!(std::future::pending::<Enqueued>());
    driving.drive(printer, map.following, reading, None, interrupted_rx).await
}

/// What prints the outputs of a run, from where the last process has stopped.
fn printer(job: &JobState, map: &MapPlan, attached: bool, observer: &dyn Observer) -> Result<Printer, Error> {
    let position = if map.saves_position {
        Position::open(&job.run, attached)?
    } else {
        observer.warn(Warning::PositionNotSaved);
        Position::unsaved(attached)
    };
    if let Some(item) = position.in_doubt() {
        observer.warn(Warning::PrintedTwice { item });
    }
    let waiting = position.path().map(|path| path.with_extension("waiting"));
    let spool = match waiting {
        // What an earlier process has put aside is on the broker no longer.
        Some(waiting) if map.keep_order || waiting.exists() => Some(Spool::open(&waiting)?),
        None if map.keep_order => Some(Spool::temporary()?),
        _ => None,
    };
    let order = job.batch.clone().zip(spool).map(|(batch, spool)| Order::new(Some(batch), spool));
    Ok(Printer::start(Printing::new(map.sink.clone(), position, order)))
}

/// A run whose outputs are printed.
pub(super) struct Driving<'a> {
    pub cluster: &'a Cluster,
    pub release: &'a ReleaseName,
    pub queue: QueueName,
    pub job: JobState,
    pub observer: &'a dyn Observer,
    input: Option<ReadInput>,
    /// Why another process did not read the input to its end, if so.
    cut: Option<String>,
}

/// How the parts have ended.
struct Parts {
    input: Option<Box<Enqueued>>,
    run: Option<RunReport>,
    collected: Option<Collected>,
    /// Whether the workers know that the input has ended.
    is_closed: bool,
    /// Whether items may have been enqueued after the run's end.
    is_late: bool,
}

impl Driving<'_> {
    /// Reads, follows and prints to the end. `ended` is the end of the input, if that is known already.
    async fn drive(
        &self,
        printer: Printer,
        following: FollowPlan,
        mut reading: Pin<&mut impl Future<Output = Enqueued>>,
        ended: Option<Box<Enqueued>>,
        interrupted_rx: watch::Receiver<bool>,
    ) -> Result<MapReport, Error> {
        let mut parts = Parts { input: ended, run: None, collected: None, is_closed: false, is_late: false };
        let interrupting = interrupted_rx.clone();
        let driven = self.drive_parts(&mut parts, &printer, following, reading.as_mut(), interrupting).await;
        let mut report = self.report(&printer);
        match parts.collected.take() {
            Some(Collected::All { absent }) if driven.is_ok() => {
                report.absent = absent.len();
                report.absent_ids = absent.iter().take(NAMED).map(|item| item.to_string()).collect();
                report.printed = printer.progress().printed();
                self.end_input(&mut parts, reading, interrupted_rx).await?;
                // Somebody else may still print what is absent here, and this goes on after them.
                if absent.is_empty() {
                    self.forget_outputs().await;
                    printer.remove().await;
                    report.position = None;
                }
                report.run.end = parts.run.as_ref().map_or(RunEnd::Detached, |run| run.end.clone());
            }
            _ => {
                let (ended, stopped) = tokio::join!(
                    self.end_input(&mut parts, reading, interrupted_rx),
                    self.stop_printing(printer)
                );
                ended?;
                driven?;
                (report.printed, report.unread) = stopped;
            }
        }
        Ok(self.complete(report, parts))
    }

    /// What is known of the printing before its end.
    fn report(&self, printer: &Printer) -> MapReport {
        MapReport {
            run: self.detached(),
            input: None,
            printed: 0,
            unread: None,
            absent: 0,
            absent_ids: Vec::new(),
            is_here: printer.is_of_the_start(),
            keeps_order: printer.keeps_order(),
            position: printer.path().map(|path| path.display().to_string()),
        }
    }

    /// Adds what is known of the input and of the run.
    fn complete(&self, report: MapReport, parts: Parts) -> MapReport {
        let Parts { input, run, is_late, .. } = parts;
        let mut run = run.unwrap_or_else(|| self.detached());
        if let Some(ended) = &input {
            account(&mut run, ended.0.items.len(), is_late);
        }
        run.end = report.run.end;
        let input = match (input, &self.input) {
            (Some(ended), _) => Some(InputEnd::Read(Box::new(ended.0), ended.1.err())),
            (None, Some(_)) => Some(InputEnd::Cut(LEFT.to_owned())),
            (None, None) => self.cut.clone().map(InputEnd::Cut),
        };
        MapReport { run, input, ..report }
    }

    /// Ends the printing before its end. Returns the number of items that were printed, and the one that
    /// nobody has read to its end.
    async fn stop_printing(&self, printer: Printer) -> (u64, Option<String>) {
        let lost = printer.save_what_waits().await;
        if lost > 0 {
            self.observer.warn(Warning::OutputsLost { run: &self.job.run, outputs: lost });
        }
        let printed = printer.progress().clone();
        let unread = printer.stop().await;
        (printed.printed(), unread)
    }

    /// Drives all parts until the run is over and everything is printed, or the user stops it.
    async fn drive_parts(
        &self,
        parts: &mut Parts,
        printer: &Printer,
        following: FollowPlan,
        mut reading: Pin<&mut impl Future<Output = Enqueued>>,
        mut interrupted_rx: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let (ended_tx, ended_rx) = watch::channel(false);
        let collecting = Collecting {
            cluster: self.cluster,
            release: self.release,
            queue: &self.queue,
            run: &self.job.run,
            observer: self.observer,
            gate: self.input.as_ref().map(|input| &*input.gate),
        };
        let mut following = std::pin::pin!(self.follow(following, interrupted_rx.clone()));
        let mut collecting = std::pin::pin!(collecting.run(printer, ended_rx));
        let mut watching = std::pin::pin!(async {
            match &self.input {
                Some(input) => self.watch_gate(&input.gate, printer.progress()).await,
                None => std::future::pending().await,
            }
        });
        let reads = self.input.is_some();
        if let Some(enqueued) = &parts.input {
            self.warn_if_cut(enqueued);
        }
        let cut_before = OnceCell::new();
        let mut closing = std::pin::pin!(async { self.close_input(cut_before.get().cloned()).await });
        while parts.run.is_none() || parts.collected.is_none() {
            let is_read = !reads || parts.input.is_some();
            if is_read && let Some(reason) = self.cut_of(parts) {
                cut_before.get_or_init(|| reason);
            }
            tokio::select! {
                enqueued = reading.as_mut(), if !is_read => {
                    self.warn_if_cut(&enqueued);
                    parts.input = Some(Box::new(enqueued));
                }
                never = watching.as_mut(), if !is_read => match never {},
                closed = closing.as_mut(), if is_read && !parts.is_closed => {
                    closed?;
                    parts.is_closed = true;
                }
                followed = following.as_mut(), if parts.run.is_none() => {
                    let followed = followed?;
                    if followed.end == RunEnd::Detached {
                        return Ok(());
                    }
                    ended_tx.send_replace(true);
                    parts.is_late = !is_read;
                    if let Some(input) = &self.input {
                        // Nobody would process what comes now.
                        input.stop_tx.send_replace(true);
                    }
                    parts.run = Some(followed);
                }
                collected = collecting.as_mut(), if parts.collected.is_none() => {
                    let collected = collected?;
                    if collected == Collected::Unread {
                        return Ok(());
                    }
                    parts.collected = Some(collected);
                }
                // Printing what is left may take long, too.
                _ = interrupted_rx.wait_for(|stopped| *stopped), if parts.run.is_some() => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whatever happened: the workers must not wait for more items. Once the user has stopped the command,
    /// that is tried for a while only.
    async fn end_input(
        &self,
        parts: &mut Parts,
        mut reading: Pin<&mut impl Future<Output = Enqueued>>,
        mut interrupted_rx: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let ending = async {
            if let Some(input) = self.input.as_ref().filter(|_| parts.input.is_none()) {
                input.stop_tx.send_replace(true);
                let enqueued = reading.as_mut().await;
                self.warn_if_cut(&enqueued);
                parts.input = Some(Box::new(enqueued));
            }
            if parts.is_closed { Ok(()) } else { self.close_input(self.cut_of(parts)).await }
        };
        match while_wanted(ending, &mut interrupted_rx, LAST_WAIT).await {
            Some(ended) => ended,
            None => {
                self.observer.warn(Warning::InputStaysOpen { run: &self.job.run });
                Ok(())
            }
        }
    }

    /// Why the input was not enqueued to its end, if so.
    fn cut_of(&self, parts: &Parts) -> Option<String> {
        parts.input.as_deref().map_or_else(|| self.cut.clone(), cut)
    }

    /// The report comes at the end, which may never be seen.
    fn warn_if_cut(&self, enqueued: &Enqueued) {
        if let Some(reason) = cut(enqueued).filter(|_| !enqueued.0.interrupted) {
            self.observer.warn(Warning::InputCut { reason: &reason });
        }
    }

    async fn follow(
        &self,
        plan: FollowPlan,
        mut interrupted_rx: watch::Receiver<bool>,
    ) -> Result<RunReport, Error> {
        let interrupt = is_set(&mut interrupted_rx);
        follow(self.cluster, self.release, self.job.clone(), plan, self.observer, interrupt).await
    }

    fn detached(&self) -> RunReport {
        RunReport { job: self.job.clone(), end: RunEnd::Detached, failed_pods: Vec::new(), verdict: None }
    }
}
