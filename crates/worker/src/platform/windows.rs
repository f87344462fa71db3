//! Windows: what the plugin needs of it. Programs are not run.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::io::AsyncRead;
use tokio::process::Command;
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

use crate::StopSignal;

/// The running executable.
pub(crate) fn this_executable() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// Files have no such permission here.
pub(crate) fn make_executable(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Not asked for: no program is started.
pub(crate) fn total_memory() -> Option<u64> {
    None
}

/// No program writes into a pipe here.
pub(crate) fn pipe_reader(_: PipeReader) -> io::Result<impl AsyncRead + Unpin> {
    Ok(tokio::io::empty())
}

/// How much is in a pipe. Nothing is.
pub(crate) struct PipeLevel;

impl PipeLevel {
    pub(crate) fn of(_: &PipeReader) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn bytes(&self) -> u64 {
        0
    }
}

/// The name of this machine.
pub(crate) fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "localhost".to_owned())
}

/// An argument of a program. Here it is text.
pub(crate) fn argument(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// There is no limit of open files.
pub(crate) fn raise_open_files(_: u64) -> u64 {
    u64::MAX
}

/// No program is started that could be one too many.
pub(crate) fn is_exhaustion(_: &io::Error) -> bool {
    false
}

/// Ctrl-C and Ctrl-Break, and the end of the console or of the machine.
pub(crate) struct StopSignals {
    interrupt: CtrlC,
    stop: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl StopSignals {
    /// Listens.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn listen() -> io::Result<Self> {
        let (interrupt, stop) = (ctrl_c()?, ctrl_break()?);
        Ok(Self { interrupt, stop, close: ctrl_close()?, shutdown: ctrl_shutdown()? })
    }

    /// The next one; `None` if there will be none.
    pub(crate) async fn next(&mut self) -> Option<StopSignal> {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Some(StopSignal::Interrupt),
            Some(()) = self.stop.recv() => Some(StopSignal::Terminate),
            Some(()) = self.close.recv() => Some(StopSignal::Terminate),
            Some(()) = self.shutdown.recv() => Some(StopSignal::Terminate),
            else => None,
        }
    }
}

/// A program and all that it has started. There is none here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {}

impl Group {
    /// Refuses to start programs.
    pub(crate) fn prepare(_: &mut Command, _: &OsStr) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "programs are not run on Windows"))
    }

    pub(crate) fn of(_: u32) -> Option<Self> {
        None
    }

    pub(crate) fn terminate(self) {
        match self {}
    }

    pub(crate) fn kill(self) {
        match self {}
    }

    pub(crate) fn is_there(self) -> bool {
        match self {}
    }
}

/// The signal that ended a program.
pub(crate) fn ending_signal(_: ExitStatus) -> Option<i32> {
    None
}

/// There are no orphans.
pub(crate) async fn whenever_children_end(_: impl Fn()) {}

/// There are no orphans.
pub(crate) fn reap(_: impl Fn(u32) -> bool) {}
