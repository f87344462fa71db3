//! Runs the user's program once: in a session and process group of its own, with the item on its standard input, its
//! output read, its end enforced.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::held_output::HeldOutput;
use super::output::{Console, KeptOutput, Listener, OutputStream, Passing};
use super::platform::{Group, ending_signal};
use super::reaper::Reaper;
use workqueue_core::record::CapturedOutput;

/// How long a program that was sent SIGTERM for its time limit may take before SIGKILL.
const TERM_TO_KILL: Duration = Duration::from_secs(5);

/// The same while the worker itself is being ended: the pod's own time is short.
const TERM_TO_KILL_AT_END: Duration = Duration::from_secs(2);

/// How long processes that a program leaves behind may keep its output open.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// How long such processes have between SIGTERM and SIGKILL.
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);

/// The most bytes in a pipe that nobody has read yet (pipe(7): /proc/sys/fs/pipe-max-size).
const LARGEST_PIPE: u64 = 1024 * 1024;

/// How much running programs have to hurry. Only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Urgency {
    /// Not at all.
    #[default]
    None,
    /// They may finish; nothing new is started.
    Finish,
    /// SIGTERM, and SIGKILL a little later.
    End,
    /// SIGKILL.
    Now,
}

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
    /// A directory for a copy of its output.
    pub capture: Option<PathBuf>,
    /// Hold its output back.
    pub grouped: bool,
    /// Keep so many bytes of its standard output, and pass on none of it.
    pub keep: Option<usize>,
    /// A prefix for each line of its output.
    pub passing: Passing,
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
    let (mut out, mut err) =
        (Listener::new(console, &invocation.passing), Listener::new(console, &invocation.passing));
    if let Some(directory) = &invocation.capture {
        tokio::fs::create_dir_all(directory).await?;
        out.file = Some(tokio::fs::File::create(directory.join("stdout")).await?);
        err.file = Some(tokio::fs::File::create(directory.join("stderr")).await?);
    }
    out.kept = invocation.keep.map(KeptOutput::new);
    if invocation.grouped {
        (out.held, err.held) = (Some(HeldOutput::default()), Some(HeldOutput::default()));
    }
    let passing_on = [out.passing_on.clone(), err.passing_on.clone()];
    let read = [out.read.clone(), err.read.clone()];
    let (mut child, id, group) = spawn(&invocation, reaper)?;
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
    let held = out.held.zip(err.held).map(|(out, err)| [out, err]);
    let whole = out.kept.take().map(|kept| kept.bytes);
    let stdout = CapturedOutput { whole, ..out.tail.into_captured() };
    Ok(Ran { end, stdout, stderr: err.tail.into_captured(), held })
}

fn spawn(invocation: &Invocation<'_>, reaper: &Reaper) -> std::io::Result<(Child, u32, Group)> {
    let (program, arguments) = invocation.argv.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(invocation.env.iter().map(|(name, value)| (name, value)))
        .stdin(if invocation.input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Group::prepare(&mut command, program)?;
    let child = reaper.spawn(&mut command)?;
    let ids = child.id().and_then(|id| Some((id, Group::of(id)?)));
    // A child that has not been waited for has an id.
    ids.map(|(id, group)| (child, id, group)).ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

/// Why the worker has sent signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Limit,
    Urgency,
}

/// Ends a process group at its time limit or when the worker has to end.
struct Guard {
    group: Group,
    limit: Option<Instant>,
    urgency: watch::Receiver<Urgency>,
    sent: Option<Cause>,
}

impl Guard {
    /// Waits for the next reason to send a signal, and sends it. Safe to cancel.
    async fn act(&mut self) {
        let urgency = *self.urgency.borrow_and_update();
        match (urgency, self.sent) {
            (Urgency::Now, _) => return self.kill(Cause::Urgency).await,
            (Urgency::End, None) => return self.terminate(Cause::Urgency, TERM_TO_KILL_AT_END),
            _ => {}
        }
        let limit = self.limit;
        let limit = async {
            match limit {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = limit => match self.sent {
                None => self.terminate(Cause::Limit, TERM_TO_KILL),
                Some(cause) => self.kill(cause).await,
            },
            changed = self.urgency.changed() => if changed.is_err() {
                // The event loop is gone, and this program with it.
                std::future::pending().await
            }
        }
    }

    fn terminate(&mut self, cause: Cause, grace: Duration) {
        self.sent = Some(cause);
        self.limit = Some(Instant::now() + grace);
        self.group.terminate();
    }

    /// Sends SIGKILL, again and again: a process that is being created may miss one.
    async fn kill(&mut self, cause: Cause) {
        self.sent.get_or_insert(cause);
        self.group.kill();
        sleep(Duration::from_millis(100)).await;
    }
}

/// Ends what a program has left behind in its group.
async fn end_leftovers(group: Group, hard: bool) {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    if !group.is_there() {
        return;
    }
    if !hard {
        group.terminate();
        let gone = async {
            while group.is_there() {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(LEFTOVER_GRACE, gone).await.is_ok() {
            return;
        }
    }
    group.kill();
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
