//! Linux and macOS: names, limits, signals and files.

use std::ffi::OsString;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::io::{Errno, ioctl_fionread};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncRead;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::StopSignal;

/// The most that macOS takes for a soft limit of open files, whatever the hard one says: `OPEN_MAX`
/// (setrlimit(2) there).
const MOST_OPEN_FILES: Option<u64> = if cfg!(target_os = "macos") { Some(10_240) } else { None };

/// The running executable. A program that was replaced meanwhile is still read from Linux' /proc.
pub(crate) fn this_executable() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// Lets everybody execute a file.
pub(crate) fn make_executable(file: &Path) -> io::Result<()> {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))
}

/// The memory of this machine in bytes, where the system says it without privileges and libraries.
pub(crate) fn total_memory() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let info = rustix::system::sysinfo();
        Some((info.totalram as u64).saturating_mul(u64::from(info.mem_unit)))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// The reading end of a pipe, for a task.
pub(crate) fn pipe_reader(pipe: PipeReader) -> io::Result<impl AsyncRead + Unpin> {
    pipe::Receiver::from_owned_fd(pipe.into())
}

/// How much is in a pipe that nobody has read.
pub(crate) struct PipeLevel(OwnedFd);

impl PipeLevel {
    /// # Errors
    /// The system has no descriptor left.
    pub(crate) fn of(pipe: &PipeReader) -> io::Result<Self> {
        Ok(Self(pipe.try_clone()?.into()))
    }

    /// In bytes.
    pub(crate) fn bytes(&self) -> u64 {
        ioctl_fionread(&self.0).unwrap_or(0)
    }
}

/// The name of this machine.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// An argument of a program, of any bytes.
pub(crate) fn argument(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

/// The limit of open files, raised to what is needed if that is possible.
pub(crate) fn raise_open_files(needed: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(soft) = current.filter(|soft| *soft < needed) else { return current.unwrap_or(u64::MAX) };
    let raised = maximum.map_or(needed, |hard| hard.min(needed));
    let raised = MOST_OPEN_FILES.map_or(raised, |most| raised.min(most.max(soft)));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => raised,
        Err(_) => soft,
    }
}

/// Whether the system refuses another program because too many run: memory, processes, descriptors.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    let limits = [Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    limits.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// SIGTERM and SIGINT, from now on.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one; `None` if there will be none.
    pub(crate) async fn next(&mut self) -> Option<StopSignal> {
        tokio::select! {
            Some(()) = self.terminate.recv() => Some(StopSignal::Terminate),
            Some(()) = self.interrupt.recv() => Some(StopSignal::Interrupt),
            else => None,
        }
    }
}
