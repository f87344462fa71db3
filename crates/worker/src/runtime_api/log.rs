//! What a program that stays writes to its outputs: a log, passed on line by line, of which the end is kept.
//! Both outputs share a pipe, so that their lines keep their order.

use std::io::PipeReader;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::sync::Notify;

use crate::output::{Console, Liner, OutputStream, TAIL_LIMIT, Tail};
use crate::platform::{PipeLevel, pipe_reader};
use workqueue_core::record::CapturedOutput;

/// Bytes that one read takes.
const CHUNK: usize = 32 * 1024;

/// How long the end of an item waits for what was written before it.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The log of one program.
pub(super) struct Log {
    tail: Mutex<Tail>,
    grew: Notify,
    /// Of the pipe.
    level: PipeLevel,
}

impl Log {
    /// # Errors
    /// The system has no descriptor left.
    pub(super) fn new(pipe: &PipeReader) -> std::io::Result<Self> {
        Ok(Self { tail: Mutex::new(Tail::new(TAIL_LIMIT)), grew: Notify::new(), level: PipeLevel::of(pipe)? })
    }

    /// Reads until nobody can write any more.
    pub(super) async fn listen(&self, pipe: PipeReader, console: &Console) {
        let Ok(mut source) = pipe_reader(pipe) else { return };
        let (mut buffer, mut liner) = (vec![0; CHUNK], Liner::default());
        loop {
            let read = source.read(&mut buffer).await.unwrap_or(0);
            if read == 0 {
                break;
            }
            self.tail().push(&buffer[..read]);
            self.grew.notify_waiters();
            let lines = liner.push(&buffer[..read]);
            pass_on(console, lines).await;
        }
        pass_on(console, liner.take_line()).await;
    }

    /// Where the log is now, in bytes.
    pub(super) fn position(&self) -> u64 {
        self.tail().total()
    }

    /// Waits until everything has been read that was written so far.
    pub(super) async fn catch_up(&self) {
        let until = self.position() + self.level.bytes();
        let caught_up = async {
            loop {
                let mut grew = std::pin::pin!(self.grew.notified());
                grew.as_mut().enable();
                if self.position() >= until {
                    return;
                }
                grew.await;
            }
        };
        tokio::time::timeout(CATCH_UP, caught_up).await.ok();
    }

    /// What was written since a position, and a last line.
    pub(super) fn since(&self, position: u64, last_line: Option<&str>) -> CapturedOutput {
        let mut tail = self.tail().since(position);
        if let Some(line) = last_line {
            if !tail.ends_with_newline() {
                tail.push(b"\n");
            }
            tail.push(line.as_bytes());
            tail.push(b"\n");
        }
        tail.into_captured()
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pass_on(console: &Console, lines: Vec<u8>) {
    if !lines.is_empty() {
        console.write(OutputStream::Stderr, lines).await;
    }
}
