//! How the program behaves among others: pipes, colours, narrow terminals.

mod sandbox;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use sandbox::Sandbox;

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
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

#[test]
fn values_come_as_with_helm_from_several_files_and_from_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.file("a.yaml", "commonLabels: {team: one, from: a}\n");
    sandbox.file("b.yaml", "commonLabels: {team: two}\n");
    let mut command = sandbox.command(&["render", "-f", "a.yaml,b.yaml", "-f", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"commonAnnotations: {note: piped}\n").expect("it is read");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for wanted in ["team: two", "from: a", "note: piped"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn a_pipe_gets_no_colours() {
    let sandbox = Sandbox::new();
    for args in [["--help"].as_slice(), &["chart"], &["build", "nothing", "--image", "w"]] {
        let outcome = sandbox.run(args);
        assert!(!format!("{}{}", outcome.stdout, outcome.stderr).contains('\x1b'), "{args:?}");
    }
}

/// Runs the program on a terminal of its own, which `script` makes; `None` where there is none.
fn on_terminal(no_color: bool) -> Option<String> {
    let sandbox = Sandbox::new();
    let program = env!("CARGO_BIN_EXE_kubectl-workqueue");
    let mut command = std::process::Command::new("script");
    let line = format!("{program} build nothing --image w");
    command.args(["--quiet", "--command", &line, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    command.current_dir(sandbox.path("")).stdin(Stdio::null());
    command.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_terminal_gets_colours_unless_no_color_is_set() {
    let (Some(coloured), Some(plain)) = (on_terminal(false), on_terminal(true)) else { return };
    assert!(coloured.contains("\x1b[31m"), "{coloured:?}");
    assert!(plain.contains("error: cannot read nothing") && !plain.contains("\x1b["), "{plain:?}");
}

#[test]
fn help_fits_a_narrow_terminal() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.finish(sandbox.command(&["up", "--help"]).env("COLUMNS", "50"));
    assert_eq!(outcome.code, Some(0));
    let too_long: Vec<&str> = outcome.stdout.lines().filter(|line| line.chars().count() > 50).collect();
    assert!(too_long.is_empty(), "{too_long:#?}");
}
