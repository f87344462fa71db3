//! How the program behaves among others: pipes, colours, narrow terminals, full disks.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use workqueue_test_support::{Sandbox, plugin};

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for args in [["render", "--release", "r1"].as_slice(), &["completion", "bash"], &["--help"]] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let mut stdout = BufReader::with_capacity(64, child.stdout.take().expect("piped"));
        stdout.read_line(&mut line).expect("text");
        drop(stdout);
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.as_ref()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_full_disk_is_no_success() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = Command::new(plugin()).arg("render").stdout(full).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert_snapshot!(String::from_utf8_lossy(&output.stderr), @"
    error: cannot write to standard output: No space left on device (os error 28)
    hint: the output is incomplete
    ");
}

#[test]
fn a_pipe_gets_no_colours() {
    let sandbox = Sandbox::new();
    for args in [["--help"].as_slice(), &["chart"], &["build", "nothing", "--image", "w"]] {
        let outcome = sandbox.run(args);
        assert!(!outcome.to_string().contains('\x1b'), "{args:?}");
    }
}

/// What the program prints on a terminal of its own. `script`, which makes one, is everywhere.
fn on_terminal(args: &str, no_color: bool) -> String {
    let sandbox = Sandbox::new();
    let line = format!("{} {args}", plugin().display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--command", &line, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    sandbox.finish(command.current_dir(sandbox.path(""))).stdout
}

#[test]
fn a_terminal_gets_colours_unless_no_color_is_set() {
    let build = "build nothing --image w";
    let (coloured, plain) = (on_terminal(build, false), on_terminal(build, true));
    assert!(coloured.contains("\x1b[31m"), "{coloured:?}");
    assert!(plain.contains("error: cannot read nothing") && !plain.contains("\x1b["), "{plain:?}");
}

#[test]
fn text_from_elsewhere_has_no_power_over_a_terminal() {
    let name = "$(printf '\\033]0;title\\007\\r\\302\\2332J.txt')";
    let shown = on_terminal(&format!("enqueue --dry-run -f \"{name}\""), true);
    assert!(shown.contains(r"\u{1b}]0;title\u{7}\r\u{9b}2J.txt"), "{shown:?}");
    assert!(!shown.contains("\x1b]") && !shown.contains(['\x07', '\u{9b}']), "{shown:?}");
}

#[test]
fn help_fits_a_narrow_terminal() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.finish(sandbox.command(&["up", "--help"]).env("COLUMNS", "50")).ok();
    let too_long: Vec<&str> = outcome.stdout.lines().filter(|line| line.chars().count() > 50).collect();
    assert!(too_long.is_empty(), "{too_long:#?}");
}
