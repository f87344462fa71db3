//! A program that runs: it is fed, watched, and ends in time or fails the test.

use std::io::{self, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::stream::{Held, Stream};

/// No program takes longer to end, or it hangs.
const DEADLINE: Duration = Duration::from_secs(240);

/// A process that is being started holds all files that are open at that moment, for a moment: a
/// script that is being written by another thread could then not be run ("text file busy").
static SPAWNING: Mutex<()> = Mutex::new(());

pub(crate) fn hold_starts() -> MutexGuard<'static, ()> {
    SPAWNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a program to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    Running::start(command).finish()
}

/// The same with something on standard input.
#[track_caller]
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Outcome {
    Running::start_with_input(command, input).finish()
}

/// A program that has been started; it is killed if the test ends before it.
pub struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    feeder: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Starts a program with nothing on standard input.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::spawn(command.stdin(Stdio::null()), None)
    }

    /// Starts a program whose standard output nobody reads until the sender is used or dropped.
    #[track_caller]
    pub fn start_unread(command: &mut Command, input: &[u8]) -> (Self, Sender<()>) {
        let (may_read_tx, may_read_rx) = channel();
        let mut running = Self::spawn(command.stdin(Stdio::piped()), Some(may_read_rx));
        let (mut stdin, input) = (running.child.stdin.take().expect("piped"), input.to_vec());
        running.feeder = Some(std::thread::spawn(move || stdin.write_all(&input)));
        (running, may_read_tx)
    }

    #[track_caller]
    pub fn start_with_input(command: &mut Command, input: &[u8]) -> Self {
        let input = input.to_vec();
        Self::start_fed(command, move |mut stdin| stdin.write_all(&input))
    }

    /// Starts a program whose standard input a thread writes.
    #[track_caller]
    pub fn start_fed(
        command: &mut Command,
        feed: impl FnOnce(ChildStdin) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let mut running = Self::spawn(command.stdin(Stdio::piped()), None);
        let stdin = running.child.stdin.take().expect("piped");
        running.feeder = Some(std::thread::spawn(move || feed(stdin)));
        running
    }

    #[track_caller]
    fn spawn(command: &mut Command, may_read_rx: Option<Receiver<()>>) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = {
            let _guard = hold_starts();
            command.spawn()
        };
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Stream::of(Held { pipe: child.stdout.take().expect("piped"), may_read_rx });
        let stderr = Stream::of(child.stderr.take().expect("piped"));
        Self { child, stdout, stderr, feeder: None }
    }

    /// Waits until stderr has a text, behind the one that was waited for before.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let found = self.stderr.wait_for(text, Instant::now() + DEADLINE / 2);
        assert!(found, "{text:?} was not said:\n{}", self.stderr.so_far());
    }

    /// Waits until stdout has a text, behind the one that was waited for before; all of it so far.
    #[track_caller]
    pub fn wait_for_output(&mut self, text: &str) -> String {
        let found = self.stdout.wait_for(text, Instant::now() + DEADLINE / 2);
        let output = self.stdout.so_far();
        assert!(found, "{text:?} was not printed:\n{output}\n{}", self.stderr.so_far());
        output
    }

    /// Sends a signal, as `kill` names it.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is everywhere").success());
    }

    /// Kills it, as the value's end does.
    pub fn kill(self) {}

    /// Waits for the end of the process, whether or not its output is read.
    #[track_caller]
    pub fn wait_for_end(&mut self) {
        let deadline = Instant::now() + DEADLINE / 2;
        while !self.has_ended() {
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.stderr.so_far());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    /// Waits for its end; a program that hangs is killed and fails the test.
    #[track_caller]
    pub fn finish(mut self) -> Outcome {
        let deadline = Instant::now() + DEADLINE;
        while !self.has_ended() {
            let hangs = Instant::now() > deadline;
            assert!(!hangs, "a program hung for {DEADLINE:?}; its stderr:\n{}", self.stderr.so_far());
            std::thread::sleep(Duration::from_millis(10));
        }
        let code = self.child.wait().expect("our own child").code();
        let open = "somebody holds its output after it has ended";
        let bytes = self.stdout.all(deadline).expect(open);
        let stderr = self.stderr.all(deadline).expect(open);
        let fed = self.feeder.take().is_none_or(|feeder| feeder.join().expect("no panic").is_ok());
        Outcome { code, stdout: text(&bytes), stderr: text(&stderr), bytes, fed }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}
