//! A program's process group, or session: made with it, signalled, and looked for when it has ended.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::LazyLock;

use process_wrap::tokio::{CommandWrap, CommandWrapper as _, ProcessSession};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Command;

/// All that a program has started, unless it has left the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group(Pid);

impl Group {
    /// Makes a command start its program as the leader of a group.
    pub(crate) fn prepare(command: &mut Command, program: &OsStr) -> io::Result<()> {
        if has_terminal() {
            // Without a session of its own, a program that opens /dev/tty would be stopped for ever as one in
            // the background. The session's leader is that of a process group, too.
            return ProcessSession.pre_spawn(command, &CommandWrap::from(Command::new(program)));
        }
        // Quicker: a session needs a fork, and a group does not.
        command.process_group(0);
        Ok(())
    }

    /// The group of a leader that has not been waited for.
    pub(crate) fn of(leader: u32) -> Option<Self> {
        Pid::from_raw(leader.cast_signed()).map(Self)
    }

    /// Asks its processes to end. A group that has ended already needs no signal.
    pub(crate) fn terminate(self) {
        kill_process_group(self.0, Signal::TERM).ok();
    }

    /// Ends its processes.
    pub(crate) fn kill(self) {
        kill_process_group(self.0, Signal::KILL).ok();
    }

    /// Whether there are processes in it.
    pub(crate) fn is_there(self) -> bool {
        test_kill_process_group(self.0).is_ok()
    }
}

/// Whether this process has a controlling terminal. Pods have none.
fn has_terminal() -> bool {
    static TERMINAL: LazyLock<bool> = LazyLock::new(|| std::fs::File::open("/dev/tty").is_ok());
    *TERMINAL
}

/// The signal that ended a program.
pub(crate) fn ending_signal(status: ExitStatus) -> Option<i32> {
    status.signal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_group_is_there_until_the_last_of_its_processes_has_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & exit 3"]);
        Group::prepare(&mut command, OsStr::new("sh")).expect("it has no conditions");
        let mut leader = command.spawn().expect("sh is everywhere");
        let group = Group::of(leader.id().expect("not waited for")).expect("a process");
        let status = leader.wait().await.expect("ours");
        assert_eq!((status.code(), ending_signal(status)), (Some(3), None));
        assert!(group.is_there(), "what it has left behind still runs");
        group.kill();
        while group.is_there() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}
