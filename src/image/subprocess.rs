//! Runs external programs: starts them, shows or keeps their output, and waits for them.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::future::Future;
use std::io::{ErrorKind, PipeReader, Read as _, Write as _};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::FusedFuture as _;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::{Error, Tool};

/// Lines kept of a program's output, to show why it failed.
const LAST_LINES: usize = 15;

/// How long a program may take to exit after Ctrl-C, which the terminal sends to it as well.
const INTERRUPT_PATIENCE: Duration = Duration::from_secs(3);

/// How long to wait for the rest of the output after the program has exited: a child that it left
/// behind may keep the pipe open.
const OUTPUT_PATIENCE: Duration = Duration::from_millis(500);

/// Blocks of output that wait to be taken.
const BLOCKS: usize = 16;

/// How long a query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Resolves when the user stops the operation.
pub type Interrupt<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What happens to a program's output. None of it goes to our standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    /// It goes to the terminal unchanged.
    Shown,
    /// Its last lines are kept, and shown if the program fails.
    Kept,
}

pub(super) struct Subprocess<'a> {
    pub(super) program: &'a str,
    pub(super) tool: Tool,
    pub(super) output: OutputMode,
}

/// How a program exited.
pub(super) struct Exit {
    command: String,
    status: ExitStatus,
    shown: bool,
    /// The last lines of its output, as far as it went through our pipe.
    pub(super) last_lines: Vec<String>,
}

impl Exit {
    pub(super) fn is_success(&self) -> bool {
        self.status.success()
    }

    /// Its last line of output, or its exit status if it printed nothing.
    pub(super) fn reason(&self) -> String {
        self.last_lines.last().cloned().unwrap_or_else(|| self.status_text())
    }

    fn status_text(&self) -> String {
        match self.status.code() {
            Some(code) => format!("exit code {code}"),
            None => self.status.to_string(),
        }
    }

    /// [`Error::Failed`] unless the program succeeded.
    pub(super) fn into_result(self) -> Result<(), Error> {
        if self.is_success() {
            return Ok(());
        }
        let status = self.status_text();
        let last_lines = if self.shown { Vec::new() } else { self.last_lines };
        Err(Error::Failed { command: self.command, status, last_lines })
    }
}

impl Subprocess<'_> {
    /// Runs the program. Shown output is not piped through us, so progress bars keep working. The
    /// first `verb` arguments name the command in errors.
    pub(super) async fn run(
        &self,
        args: &[OsString],
        verb: usize,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Exit, Error> {
        self.supervise(args, verb, false, interrupt).await
    }

    /// Runs the program, and keeps the last lines of its standard error on the way to the terminal.
    pub(super) async fn run_and_listen(
        &self,
        args: &[OsString],
        verb: usize,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Exit, Error> {
        self.supervise(args, verb, true, interrupt).await
    }

    /// Runs the program without showing anything. Returns its standard output, or why it failed.
    pub(super) async fn query(&self, args: &[&str]) -> Result<String, String> {
        self.query_within(QUERY_TIMEOUT, args).await
    }

    /// The same for a query that takes longer.
    pub(super) async fn query_within(&self, limit: Duration, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new(self.program);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(limit, command.output()).await;
        let output = output.map_err(|_| format!("no answer within {} s", limit.as_secs()))?;
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it failed").trim().to_owned())
    }

    async fn supervise(
        &self,
        args: &[OsString],
        verb: usize,
        listen: bool,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Exit, Error> {
        let words = args.iter().take(verb).map(|word| word.to_string_lossy());
        let command = words.fold(self.program.to_owned(), |line, word| line + " " + &word);
        let shown = self.output == OutputMode::Shown;
        let start_error = |source| Error::Start { program: self.program.to_owned(), tool: self.tool, source };
        let (mut child, output) = self.spawn(args, listen).map_err(start_error)?;
        let mut tail = Tail { shown, lines: VecDeque::new(), partial: Vec::new() };
        let status = {
            let mut reading = std::pin::pin!(read(output, &mut tail).fuse());
            let status = loop {
                tokio::select! {
                    status = child.wait() => break status.map_err(start_error)?,
                    () = &mut reading, if !reading.is_terminated() => {}
                    () = interrupt.as_mut() => {
                        // A program that ignores the signal is killed on drop.
                        tokio::time::timeout(INTERRUPT_PATIENCE, child.wait()).await.ok();
                        return Err(Error::Interrupted(command));
                    }
                }
            };
            if !reading.is_terminated() {
                tokio::time::timeout(OUTPUT_PATIENCE, reading).await.ok();
            }
            status
        };
        Ok(Exit { command, status, shown, last_lines: tail.into_lines() })
    }

    fn spawn(&self, args: &[OsString], listen: bool) -> std::io::Result<(Child, Option<Blocks>)> {
        let mut command = Command::new(self.program);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        let mut output = None;
        if self.output == OutputMode::Shown {
            // Our standard output is reserved for our own data.
            command.stdout(std::io::stderr());
        }
        if self.output == OutputMode::Kept || listen {
            let (reader, writer) = std::io::pipe()?;
            if self.output == OutputMode::Kept {
                command.stdout(writer.try_clone()?);
            }
            command.stderr(writer);
            output = Some(reader);
        }
        // The command holds our copies of the pipe's write end; returning drops it.
        Ok((command.spawn()?, output.map(blocks)))
    }
}

/// What comes out of a pipe.
type Blocks = mpsc::Receiver<Vec<u8>>;

/// Reads a pipe in a thread of its own: not every system can read one otherwise without being blocked by it.
/// The thread ends with the last writer, or when nobody takes what it reads.
fn blocks(mut pipe: PipeReader) -> Blocks {
    let (blocks_tx, blocks_rx) = mpsc::channel(BLOCKS);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match pipe.read(&mut buffer) {
                Ok(count @ 1..) if blocks_tx.blocking_send(buffer[..count].to_vec()).is_ok() => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    });
    blocks_rx
}

async fn read(output: Option<Blocks>, tail: &mut Tail) {
    let Some(mut output) = output else { return };
    while let Some(block) = output.recv().await {
        tail.take(&block);
    }
}

/// Passes output on, and keeps its last lines.
struct Tail {
    shown: bool,
    lines: VecDeque<String>,
    partial: Vec<u8>,
}

impl Tail {
    fn take(&mut self, bytes: &[u8]) {
        if self.shown {
            // There is no other place to report a broken stderr.
            std::io::stderr().write_all(bytes).ok();
        }
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.partial).trim_end().to_owned();
        self.partial.clear();
        if line.is_empty() {
            return;
        }
        if self.lines.len() == LAST_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn into_lines(mut self) -> Vec<String> {
        self.end_line();
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> Interrupt<'static> {
        Box::pin(std::future::pending())
    }

    fn shell(script: &str) -> [OsString; 2] {
        ["-c".into(), script.into()]
    }

    const SHELL: Subprocess<'static> =
        Subprocess { program: "sh", tool: Tool::Engine, output: OutputMode::Kept };

    #[tokio::test]
    async fn the_last_lines_of_both_outputs_are_kept() {
        let script = "for n in $(seq 40); do echo $n; done; echo; printf last >&2; exit 3";
        let exit = SHELL.run(&shell(script), 1, &mut never()).await.expect("sh is there");
        assert_eq!((exit.last_lines.len(), exit.reason().as_str()), (LAST_LINES, "last"));
        let error = exit.into_result().expect_err("it failed").to_string();
        assert!(error.starts_with("`sh -c` failed (exit code 3)\n  27\n"), "{error}");
    }

    #[tokio::test]
    async fn a_child_left_behind_does_not_delay_the_result() {
        let started = std::time::Instant::now();
        let exit = SHELL.run(&shell("sleep 20 & echo done"), 1, &mut never()).await.expect("sh is there");
        assert!(exit.is_success() && started.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn an_interrupt_stops_the_program() {
        let mut interrupt: Interrupt = Box::pin(std::future::ready(()));
        let exit = SHELL.run(&shell("sleep 60"), 1, &mut interrupt).await;
        assert!(matches!(exit, Err(Error::Interrupted(command)) if command == "sh -c"));
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let missing = Subprocess { program: "no-such-program", ..SHELL };
        let error = missing.run(&shell(""), 0, &mut never()).await.err().expect("it is not there");
        assert_eq!(error.to_string(), "cannot start \"no-such-program\"");
    }
}
