//! One item in one slot: attempts, until it is done, has failed, or the worker has to end. Whether there is
//! another attempt is decided in [`retry`](super::retry).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::arguments;
use super::group::Urgency;
use super::hearing::OutputPlan;
use super::held_output::HeldOutput;
use super::notice::{WorkerNotice, WorkerObserver};
use super::output::{Console, Passing};
use super::plan::WorkerPlan;
use super::platform::is_exhaustion;
use super::program::{self, End, Invocation, Ran};
use super::reaper::Reaper;
use super::retry::{self, Next};
use super::runtime_api::Residents;
use workqueue_core::queue::Delivery;
use workqueue_core::record::{CapturedOutput, Reason, ResultRecord, Status};

/// How long an item waits before it asks again for what the system lacked.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The outcome of an item in a slot.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done, or has failed; the record says which.
    Settled(Arc<ResultRecord>),
    /// The worker has to end first: the item is requeued.
    Abandoned,
    /// The program cannot be started for any item.
    NoProgram(std::io::Error),
}

/// What all slots of a worker share.
pub(super) struct Shared<W> {
    pub plan: WorkerPlan,
    pub console: Console,
    pub reaper: Reaper,
    pub observer: W,
    /// The programs that stay, if there are any.
    pub residents: Option<Residents>,
}

/// Tries an item until it is done or has failed.
pub(super) async fn process<W: WorkerObserver>(
    shared: &Shared<W>,
    delivery: &Delivery,
    mut urgency: watch::Receiver<Urgency>,
) -> Outcome {
    let retries = shared.plan.retries;
    let first_started = now();
    let mut attempts = 0;
    loop {
        let place = tokio::select! {
            biased;
            place = shared.reaper.place() => place,
            _ = urgency.wait_for(|urgency| *urgency >= Urgency::Finish) => return Outcome::Abandoned,
        };
        attempts += 1;
        let started = now();
        let mut ran = match attempt(shared, delivery, attempts, urgency.clone()).await {
            Ok(ran) => ran,
            Err(error) if concerns_item(&error) => unstartable(&error),
            // Others run, so the worker goes on with as many as there are.
            Err(error) if is_exhaustion(&error) && shared.reaper.has_programs() => {
                if let Some(allowed) = shared.reaper.lower() {
                    shared.observer.on(WorkerNotice::Note(&lowered(&error, allowed)));
                }
                attempts -= 1;
                drop(place);
                if !pauses(&mut urgency, EXHAUSTED_PAUSE).await {
                    return Outcome::Abandoned;
                }
                continue;
            }
            // The item is not to blame, so that it does not fail for it.
            Err(error) if is_passing(&error) && attempts <= retries => passing(&error),
            Err(error) => return Outcome::NoProgram(error),
        };
        drop(place);
        let next = retry::next(ran.end, attempts, retries);
        let (status, reason) = match next {
            Next::Done => (Status::Done, None),
            Next::Abandon => return Outcome::Abandoned,
            Next::Retry(reason) | Next::Failed(reason) => (Status::Failed, Some(reason)),
        };
        let times = Times { first_started, started, ended: now() };
        let held = ran.held.take();
        if status == Status::Failed {
            ran.stdout.whole = None;
        }
        let record = record(&shared.plan, delivery, ran, attempts, times, (status, reason));
        if !matches!(next, Next::Retry(_)) {
            pass_on(shared, &delivery.id, held).await;
            return Outcome::Settled(Arc::new(record));
        }
        let pause = shared.plan.backoff.pause(attempts);
        shared.observer.on(WorkerNotice::Retry { record: &record, pause });
        if !pauses(&mut urgency, pause).await {
            return Outcome::Abandoned;
        }
    }
}

/// When the first attempt began, and when the last one began and ended.
struct Times {
    first_started: Timestamp,
    started: Timestamp,
    ended: Timestamp,
}

/// The record of the last attempt.
fn record(
    plan: &WorkerPlan,
    delivery: &Delivery,
    ran: Ran,
    attempts: u32,
    Times { first_started, started, ended }: Times,
    (status, reason): (Status, Option<Reason>),
) -> ResultRecord {
    let (exit, signal) = exit_and_signal(ran.end);
    ResultRecord {
        id: delivery.id.clone(),
        run: plan.run.clone(),
        queue: plan.queue.clone(),
        status,
        reason,
        exit,
        signal,
        attempts,
        earlier_deliveries: delivery.earlier_deliveries,
        first_started,
        started,
        ended,
        size: delivery.body.len() as u64,
        location: plan.location.clone(),
        stdout: ran.stdout,
        stderr: ran.stderr,
    }
}

/// The record of an item with which these workers have died.
pub(super) fn ended_its_workers(plan: &WorkerPlan, delivery: &Delivery, workers: &[String]) -> ResultRecord {
    let pods: Vec<&str> = workers.iter().filter_map(|name| name.split('/').next()).collect();
    let ran = said(End::Stopped, format!("workers that died with this item: {}\n", pods.join(", ")));
    let now = now();
    let times = Times { first_started: now, started: now, ended: now };
    let deaths = u32::try_from(workers.len()).unwrap_or(u32::MAX);
    record(plan, delivery, ran, deaths, times, (Status::Failed, Some(Reason::Deaths)))
}

/// Passes on what was held back of the last attempt.
async fn pass_on<W: WorkerObserver>(shared: &Shared<W>, id: &str, held: Option<[HeldOutput; 2]>) {
    if let Some(held) = held
        && let Err(error) = shared.console.write_held(held).await
    {
        shared.observer.on(WorkerNotice::Note(&format!("item {id}: its output is incomplete: {error}")));
    }
}

/// Waits before another attempt; false if the worker ends meanwhile.
async fn pauses(urgency: &mut watch::Receiver<Urgency>, pause: Duration) -> bool {
    tokio::select! {
        biased;
        _ = urgency.wait_for(|urgency| *urgency >= Urgency::Finish) => false,
        () = tokio::time::sleep(pause) => true,
    }
}

async fn attempt<W: WorkerObserver>(
    shared: &Shared<W>,
    delivery: &Delivery,
    attempts: u32,
    urgency: watch::Receiver<Urgency>,
) -> std::io::Result<Ran> {
    let plan = &shared.plan;
    let (attempt, output) =
        (u64::from(delivery.earlier_deliveries) + u64::from(attempts), output_plan(plan, &delivery.id));
    if let Some(residents) = &shared.residents {
        return residents.attempt(shared, delivery, attempt, output, urgency).await;
    }
    let env = [
        ("WORKQUEUE_ITEM_ID", delivery.id.clone()),
        ("WORKQUEUE_ATTEMPT", attempt.to_string()),
        ("WORKQUEUE_QUEUE", plan.queue.clone()),
        ("WORKQUEUE_RUN", plan.run.clone().unwrap_or_default()),
    ];
    let argv = arguments::with_item(&plan.program, &delivery.body);
    let invocation = Invocation {
        argv: &argv,
        env: &env,
        // A program that reads keys, such as ffmpeg, must not take the item for some.
        input: (!arguments::takes_item(&plan.program)).then(|| delivery.body.clone()),
        limit: plan.item_timeout,
        output,
    };
    program::run(invocation, &shared.console, &shared.reaper, urgency).await
}

/// What becomes of the output of an item's program.
fn output_plan(plan: &WorkerPlan, id: &str) -> OutputPlan {
    OutputPlan {
        capture: plan.capture.as_ref().map(|directory| directory.join(id)),
        grouped: plan.grouped,
        keep: plan.keep_output,
        passing: how_passed_on(plan, id),
    }
}

/// How the output of an item's program is passed on.
fn how_passed_on(plan: &WorkerPlan, id: &str) -> Passing {
    match (plan.concurrency > 1 && !plan.grouped, plan.end_lines) {
        (true, _) => Passing::Tagged(Arc::from(id)),
        (false, true) => Passing::EndedLines,
        (false, false) => Passing::Unchanged,
    }
}

fn exit_and_signal(end: End) -> (Option<i32>, Option<i32>) {
    match end {
        End::Unstartable | End::Stopped | End::Answered | End::Refused | End::RefusedForGood => (None, None),
        End::Exited(code) => (Some(code), None),
        End::Signalled(signal) => (None, Some(signal)),
        End::TimedOut(signal) => (None, signal),
    }
}

/// Whether the item is to blame: as an argument it is too long, or has a NUL byte.
fn concerns_item(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::ArgumentListTooLong | K::InvalidInput)
}

/// Whether the next attempt may succeed: the system lacked memory, processes or descriptors.
fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::OutOfMemory | K::WouldBlock | K::ExecutableFileBusy | K::Interrupted)
        || is_exhaustion(error)
}

fn lowered(error: &std::io::Error, allowed: usize) -> String {
    format!(
        "the system starts no more programs ({error}): from now on at most {allowed} at a time; \
         `ulimit -n` and `ulimit -u` show the limits"
    )
}

fn unstartable(error: &std::io::Error) -> Ran {
    said(End::Unstartable, format!("the item cannot be an argument: {error}\n"))
}

/// As in shells, 126 means that the command cannot be executed.
fn passing(error: &std::io::Error) -> Ran {
    said(End::Exited(126), format!("the program cannot be started: {error}\n"))
}

/// What the worker says of an attempt, in the place of a program.
pub(super) fn said(end: End, text: String) -> Ran {
    Ran { end, stdout: CapturedOutput::default(), stderr: CapturedOutput::of(text), held: None }
}

/// Rounded to milliseconds: nobody reads more.
fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(jiff::Unit::Millisecond).unwrap_or(now)
}
