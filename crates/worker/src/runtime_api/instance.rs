//! A program that stays, from its start to its end, with its endpoint and its log.

use std::io::PipeReader;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::ending::{Ended, Watching};
use super::endpoint::{Answer, Endpoint, Offered};
use super::environment::variables;
use super::invocation::Invocation;
use super::log::Log;
use super::server;
use crate::attempts::Shared;
use crate::group::{Cause, Guard, Urgency, spawn};
use crate::program::End;
use workqueue_core::record::CapturedOutput;

/// After how long it is said that an item waits for its program, for the first time.
const SAID_AFTER: Duration = Duration::from_secs(10);

/// A program that runs, or did.
pub(super) struct Instance {
    pub endpoint: Arc<Endpoint>,
    log: Arc<Log>,
    /// Ends it for a time limit.
    too_long: Arc<Notify>,
    ended_rx: watch::Receiver<Option<Ended>>,
    /// Dropped with it: nothing serves a program that nobody knows.
    _tasks: JoinSet<()>,
}

/// What became of an item that was offered to a program.
pub(super) enum Offering {
    /// The attempt has ended.
    Ended { end: End, response: Bytes, log: CapturedOutput },
    /// The program ended before it took the item.
    NotTaken,
    /// The program ended with several items under way, or because of another one.
    Displaced {
        /// Whether this item may be the reason.
        is_suspect: bool,
    },
}

impl Offering {
    /// The worker ends first.
    pub(super) fn stopped() -> Self {
        Self::Ended { end: End::Stopped, response: Bytes::new(), log: CapturedOutput::default() }
    }
}

impl Instance {
    /// Starts the program.
    ///
    /// # Errors
    /// The system's error.
    pub(super) async fn start<W>(
        shared: &Shared<W>,
        concurrency: usize,
        urgency: watch::Receiver<Urgency>,
    ) -> std::io::Result<Self> {
        let (listener, endpoint) = (server::listen().await?, Arc::new(Endpoint::new(concurrency)));
        let (reader, writer) = std::io::pipe()?;
        let log = Arc::new(Log::new(&reader)?);
        let (program, arguments) =
            shared.plan.program.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(variables(&shared.plan, concurrency, listener.local_addr()?))
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let (child, group) = spawn(command, &shared.reaper)?;
        let guard = Guard { group, limit: None, urgency, sent: None };
        Ok(Self::attend(shared, child, guard, listener, endpoint, reader, log))
    }

    /// Serves the program, reads its log, and watches over it.
    fn attend<W>(
        shared: &Shared<W>,
        child: Child,
        guard: Guard,
        listener: TcpListener,
        endpoint: Arc<Endpoint>,
        reader: PipeReader,
        log: Arc<Log>,
    ) -> Self {
        let ((ended_tx, ended_rx), (closing_tx, closing_rx)) = (watch::channel(None), oneshot::channel());
        let ((heard_tx, heard_rx), (served_tx, served_rx)) = (oneshot::channel(), oneshot::channel());
        let (too_long, mut tasks) = (Arc::new(Notify::new()), JoinSet::new());
        let watching = Watching {
            guard,
            endpoint: endpoint.clone(),
            too_long: too_long.clone(),
            reaper: shared.reaper.clone(),
            closing_tx,
            served_rx,
            heard_rx,
        };
        let (listening, console, serving) = (log.clone(), shared.console.clone(), endpoint.clone());
        tasks.spawn(async move {
            listening.listen(reader, &console).await;
            drop(heard_tx);
        });
        tasks.spawn(async move {
            server::serve(listener, serving, closing_rx).await;
            drop(served_tx);
        });
        tasks.spawn(async move {
            let ended = watching.until_end(child).await;
            ended_tx.send_replace(Some(ended));
        });
        Self { endpoint, log, too_long, ended_rx, _tasks: tasks }
    }

    /// How it ended, if it has.
    pub(super) fn has_ended(&self) -> Option<Ended> {
        *self.ended_rx.borrow()
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) -> Ended {
        let mut ended_rx = self.ended_rx.clone();
        let ended = ended_rx.wait_for(Option::is_some).await.ok().and_then(|ended| *ended);
        match ended {
            Some(ended) => ended,
            // Its tasks live as long as it does.
            None => std::future::pending().await,
        }
    }

    /// The last line that it wrote.
    pub(super) fn last_line(&self) -> Option<String> {
        let log = self.log.since(0, None).tail;
        log.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }

    /// Offers an item to the program, and waits for what becomes of it. `waits` is called each time when
    /// it has waited for the program for so long.
    pub(super) async fn offer(
        &self,
        invocation: Invocation,
        urgency: &mut watch::Receiver<Urgency>,
        waits: impl Fn(Duration),
    ) -> Offering {
        let limit = invocation.limit;
        let mut offered = self.endpoint.offer(invocation);
        let (offered_at, mut said_after) = (Instant::now(), SAID_AFTER);
        loop {
            tokio::select! {
                biased;
                _ = &mut offered.taken_rx => break,
                _ = self.ended() => return Offering::NotTaken,
                _ = urgency.wait_for(|urgency| *urgency >= Urgency::Finish) => return Offering::stopped(),
                () = sleep_until(offered_at + said_after) => {
                    waits(said_after);
                    said_after *= 2;
                }
            }
        }
        self.taken(offered, limit).await
    }

    async fn taken(&self, mut offered: Offered<'_>, limit: Option<Duration>) -> Offering {
        let start = self.log.position();
        let takes_too_long = async {
            match limit {
                Some(limit) => sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Ok(answer) = &mut offered.answer_rx => {
                self.log.catch_up().await;
                self.answered(answer, start)
            }
            ended = self.ended() => self.ended_with(ended, start),
            () = takes_too_long => {
                // From now on, an answer is too late.
                drop(offered);
                self.too_long.notify_one();
                let ended = self.ended().await;
                self.attempt(End::TimedOut(ended.signal()), Bytes::new(), start, None)
            }
        }
    }

    fn answered(&self, answer: Answer, start: u64) -> Offering {
        match answer {
            Answer::Response(body) => self.attempt(End::Answered, body, start, None),
            Answer::Error(error) => {
                let end = if error.is_final() { End::RefusedForGood } else { End::Refused };
                self.attempt(end, Bytes::new(), start, Some(&error.to_string()))
            }
        }
    }

    /// The program has ended while the item was under way.
    fn ended_with(&self, ended: Ended, start: u64) -> Offering {
        let end = match (ended.cause, ended.status.code()) {
            (Some(Cause::Urgency), _) => return Offering::stopped(),
            (Some(Cause::Limit), _) => return Offering::Displaced { is_suspect: false },
            (None, _) if ended.under_way > 1 => return Offering::Displaced { is_suspect: true },
            // It is no answer to leave.
            (None, Some(0)) => End::Refused,
            (None, Some(code)) => End::Exited(code),
            (None, None) => End::Signalled(ended.signal().unwrap_or(0)),
        };
        let line = format!("Unanswered: the program {} before it had answered for this item", ended.how());
        self.attempt(end, Bytes::new(), start, Some(&line))
    }

    fn attempt(&self, end: End, response: Bytes, start: u64, last_line: Option<&str>) -> Offering {
        Offering::Ended { end, response, log: self.log.since(start, last_line) }
    }
}
