//! What differs by operating system. `unix`, `group` and `orphans` are those of Linux and macOS, `windows` has
//! the same functions.
//!
//! A program that is ended takes all that it has started with it, which needs process groups. Windows has
//! none: nothing runs programs there ([`RUNS_PROGRAMS`]), and all else of this crate works.

#[cfg(unix)]
mod group;
#[cfg(unix)]
mod orphans;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use group::*;
#[cfg(unix)]
pub(crate) use orphans::*;
#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;

/// Whether programs can be run on this system.
pub const RUNS_PROGRAMS: bool = cfg!(unix);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_name() {
        assert!(!host_name().is_empty());
    }

    #[test]
    fn the_limit_of_open_files_is_never_lowered() {
        let limit = raise_open_files(1);
        assert!(limit >= 1);
        assert_eq!(raise_open_files(1), limit, "nothing more was asked for");
    }

    #[test]
    fn an_argument_keeps_its_text() {
        assert_eq!(argument("päckchen 1".into()), "päckchen 1");
    }

    #[test]
    fn a_missing_file_is_no_sign_of_too_many_programs() {
        let missing = std::fs::File::open("no-such-file").expect_err("it is not there");
        assert!(!is_exhaustion(&missing));
    }
}
