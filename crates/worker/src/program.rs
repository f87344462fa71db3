//! Runs the user's program once: in a session and process group of its own, with the item on its standard input, its
//! output read, its end enforced.

use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::group::{Cause, Guard, LEFTOVER_GRACE, Urgency, end_leftovers, spawn};
use super::hearing::{Hearing, OutputPlan};
use super::held_output::HeldOutput;
use super::output::{Console, OutputStream};
use super::platform::ending_signal;
use super::reaper::Reaper;
use workqueue_core::record::CapturedOutput;

/// How long processes that a program leaves behind may keep its output open.
pub(super) const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// The most bytes in a pipe that nobody has read yet (pipe(7): /proc/sys/fs/pipe-max-size).
const LARGEST_PIPE: u64 = 1024 * 1024;

/// The program to start.
pub(super) struct Invocation<'a> {
    /// Program and arguments.
    pub argv: &'a [OsString],
    /// Environment variables in addition to the worker's own.
    pub env: &'a [(&'static str, String)],
    /// What it gets on its standard input; `None` for nothing.
    pub input: Option<Arc<Vec<u8>>>,
    /// How long it may take.
    pub limit: Option<Duration>,
    /// What becomes of its output.
    pub output: OutputPlan,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with an exit status.
    Exited(i32),
    /// By a signal that the worker did not send.
    Signalled(i32),
    /// It exceeded its time limit; the signal that ended it, if one did.
    TimedOut(Option<i32>),
    /// It was ended because the worker had to end.
    Stopped,
    /// It cannot be started with this item.
    Unstartable,
    /// It stays, and has answered that the item is done.
    Answered,
    /// It stays, and has answered with an error, or not at all.
    Refused,
    /// The same, and the item is not to be tried again.
    RefusedForGood,
}

/// How a program ended and what it wrote.
#[derive(Debug)]
pub(super) struct Ran {
    /// How it ended.
    pub end: End,
    /// The end of its standard output.
    pub stdout: CapturedOutput,
    /// The end of its standard error.
    pub stderr: CapturedOutput,
    /// All of both, if it was held back.
    pub held: Option<[HeldOutput; 2]>,
}

/// Runs a program to its end.
///
/// # Errors
/// It could not be started.
pub(super) async fn run(
    invocation: Invocation<'_>,
    console: &Console,
    reaper: &Reaper,
    urgency: watch::Receiver<Urgency>,
) -> std::io::Result<Ran> {
    let mut hearing = Hearing::new(console, &invocation.output).await?;
    let Hearing { out, err } = &mut hearing;
    let passing_on = [out.passing_on.clone(), err.passing_on.clone()];
    let read = [out.read.clone(), err.read.clone()];
    let (mut child, group) = spawn(command(&invocation)?, reaper)?;
    let id = child.id();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let end = {
        let feed = async {
            let (Some(mut stdin), Some(input)) = (stdin, &invocation.input) else { return };
            // A program need not read its item: a closed pipe is no error.
            stdin.write_all(input).await.ok();
        };
        let listen = async {
            let out = out.listen(stdout, OutputStream::Stdout);
            let err = err.listen(stderr, OutputStream::Stderr);
            tokio::join!(out, err)
        };
        let mut feed = std::pin::pin!(feed);
        let mut listen = std::pin::pin!(listen);
        let limit = invocation.limit.map(|limit| Instant::now() + limit);
        let mut guard = Guard { group, limit, urgency, sent: None };
        let (mut fed, mut heard) = (false, false);
        let status = loop {
            tokio::select! {
                biased;
                status = child.wait() => break status,
                () = &mut feed, if !fed => fed = true,
                _ = &mut listen, if !heard => heard = true,
                () = guard.act() => {}
            }
        };
        reaper.forget(id);
        let cause = guard.sent;
        heard = heard || timeout(OUTPUT_GRACE, &mut listen).await.is_ok();
        end_leftovers(group, cause.is_some()).await;
        // Processes that left the group may keep the output open forever, and write to it. A slow
        // console is waited for, as long as it gets what the program itself may have written.
        let total = || read.iter().map(|read| read.load(Ordering::Relaxed)).sum::<u64>();
        let at_end = total();
        while !heard && total() - at_end <= 2 * LARGEST_PIPE {
            heard = timeout(LEFTOVER_GRACE, &mut listen).await.is_ok();
            if !passing_on.iter().any(|passing_on| passing_on.load(Ordering::Relaxed)) {
                break;
            }
        }
        end_of(status?, cause)
    };
    Ok(hearing.into_ran(end))
}

fn command(invocation: &Invocation<'_>) -> std::io::Result<Command> {
    let (program, arguments) = invocation.argv.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(invocation.env.iter().map(|(name, value)| (name, value)))
        .stdin(if invocation.input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

fn end_of(status: std::process::ExitStatus, cause: Option<Cause>) -> End {
    match (cause, status.code(), ending_signal(status)) {
        // A program may finish its item on SIGTERM.
        (Some(_), Some(0), _) => End::Exited(0),
        (Some(Cause::Limit), _, signal) => End::TimedOut(signal),
        (Some(Cause::Urgency), ..) => End::Stopped,
        (None, Some(code), _) => End::Exited(code),
        (None, None, signal) => End::Signalled(signal.unwrap_or(0)),
    }
}
