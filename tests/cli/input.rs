//! Lists of items as people have them.

use std::process::Command;

use insta::assert_snapshot;
use workqueue_test_support::{Outcome, Sandbox, plugin, run_with_input};

fn dry_run(sandbox: &Sandbox, input: &[u8], flags: &[&str]) -> Outcome {
    sandbox.file("items", input);
    sandbox.run(&[&["enqueue", "--dry-run", "-f", "items"], flags].concat())
}

fn local(input: &[u8], flags: &[&str]) -> Outcome {
    let mut command = Command::new(plugin());
    command.args(["local", "-j1", "--retries=0", "-f", "-"]).args(flags).args(["--", "cat"]);
    run_with_input(&mut command, input)
}

#[test]
fn blank_lines_are_skipped_and_counted() {
    let sandbox = Sandbox::new();
    assert_snapshot!(dry_run(&sandbox, b"a\n\nb\n  \n", &[]), @"
    exit code 0
    --- stdout
    items:1	a
    items:3	b
    --- stderr
    2 items, 2 bytes, the largest with 1 byte at items:1, 2 blank lines skipped; nothing was enqueued
    ");
    assert_snapshot!(dry_run(&sandbox, b"a\n\nb\n", &["--blank-lines", "refuse"]), @"
    exit code 3
    --- stdout
    items:1	a
    --- stderr
    1 item, 1 byte, the largest with 1 byte at items:1; nothing was enqueued
    error: items:2: the item is empty
    hint: remove it, or leave out `--blank-lines refuse` to have it skipped
    ");
    assert_snapshot!(dry_run(&sandbox, b"a\n\nb\n", &["--blank-lines", "keep"]), @"
    exit code 0
    --- stdout
    items:1	a
    items:2	
    items:3	b
    --- stderr
    3 items, 2 bytes, the largest with 1 byte at items:1; nothing was enqueued
    ");
    let outcome = local(b"a\n\nb\n", &[]).ok().says("2 items done, 0 failed, 1 blank line skipped");
    assert_eq!(outcome.stdout, "ab");
    local(b"a\n\nb\n", &["--blank-lines", "keep"]).ok().says("3 items done, 0 failed\n");
}

#[test]
fn output_without_a_newline_gets_one_if_that_is_wanted() {
    assert_eq!(local(b"a\nb\n", &["--newline"]).ok().stdout, "a\nb\n");
    assert_eq!(local(b"a\nb\n", &["--newline", "--line-buffer"]).ok().stdout, "a\nb\n");
    assert_eq!(local(b"a\nb\n", &[]).ok().stdout, "ab", "a pipe gets what was written");
}

#[test]
fn windows_files_are_read_without_their_mark_and_their_line_ends_are_named_once() {
    let sandbox = Sandbox::new();
    let input = b"\xef\xbb\xbfa\r\n\r\nb\r\n";
    assert_snapshot!(dry_run(&sandbox, input, &[]), @r"
    exit code 0
    --- stdout
    items:1	a\r
    items:3	b\r
    --- stderr
    warning: items:1: the line ends with CR LF, as on Windows, and its item ends with CR: split there with --delimiter '\r\n'
    2 items, 4 bytes, the largest with 2 bytes at items:1, 1 blank line skipped; nothing was enqueued
    ");
    assert_snapshot!(dry_run(&sandbox, input, &["--delimiter", r"\r\n"]), @"
    exit code 0
    --- stdout
    items:1	a
    items:3	b
    --- stderr
    2 items, 2 bytes, the largest with 1 byte at items:1, 1 blank line skipped; nothing was enqueued
    ");
    let outcome = local(input, &[]).ok();
    assert_eq!(outcome.stderr.matches("stdin:1: the line ends with CR LF").count(), 1, "{outcome}");
}

#[test]
fn lines_that_end_with_cr_alone_are_not_taken_for_one_item() {
    let sandbox = Sandbox::new();
    assert_snapshot!(dry_run(&sandbox, b"a\rb\rc\r", &[]), @r"
    exit code 3
    --- stderr
    0 items, 0 bytes; nothing was enqueued
    error: items:1: the lines of the input end with CR alone, without newlines
    hint: split at CR with --delimiter '\r'; or take the bytes as they are, as one item, with --raw
    ");
    dry_run(&sandbox, b"a\rb\rc\r", &["--delimiter", r"\r"]).ok().says("3 items");
    assert_eq!(local(b"a\rb", &["--raw"]).ok().stdout, "a\rb");
    // As programs write them that show their progress.
    dry_run(&sandbox, b"10 %\r20 %\ndone\n", &[]).ok().says("2 items");
}

#[test]
fn files_that_are_not_text_are_named_with_their_cure_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    let xz = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F";
    assert_snapshot!(dry_run(&sandbox, xz, &[]), @"
    exit code 3
    --- stderr
    0 items, 0 bytes; nothing was enqueued
    error: items: it is compressed with xz, which is not supported
    hint: read it through a pipe: `xz -dc items | kubectl workqueue … -f -`; or --raw takes the bytes as they are
    ");
    sandbox.file("good", "a\n");
    assert_snapshot!(sandbox.run(&["local", "-f", "good", "-f", "items", "--", "true"]), @"
    exit code 3
    --- stderr
    0 items done, 0 failed
    error: items: it is compressed with xz, which is not supported
    hint: read it through a pipe: `xz -dc items | kubectl workqueue … -f -`; or --raw takes the bytes as they are
    ");
    let url = "--broker-url=amqp://127.0.0.1:1";
    sandbox
        .run(&["enqueue", "-f", "good", "-f", "items", url])
        .exits(3)
        .says("items: it is compressed with xz");
    assert_snapshot!(local(b"SQLite format 3\0\x10\0\n", &[]), @"
    exit code 3
    --- stderr
    0 items done, 0 failed
    error: stdin: it is a SQLite database
    hint: export what is in it as lines, or as JSON for --json; or --raw takes the bytes as they are
    ");
    assert_snapshot!(local(b"a\0b\0", &[]), @"
    exit code 3
    --- stderr
    0 items done, 0 failed
    error: stdin:1: the input ends with a NUL byte instead of a newline
    hint: split at NUL bytes with -0, as `find -print0` writes them; or take the bytes as they are with --raw
    ");
    assert_eq!(local(b"a\0b\0", &["--raw"]).ok().stdout, "a\0b\0");
    assert_eq!(local(b"a\0b\n", &[]).ok().stdout, "a\0b", "bytes of any value are items");
}

#[test]
fn json_as_jq_prints_it_is_a_list_of_values() {
    let sandbox = Sandbox::new();
    assert_snapshot!(dry_run(&sandbox, b"{\n  \"a\": 1\n}\n{\n  \"a\": [\n    2\n  ]\n}\n", &["--json"]), @r#"
    exit code 0
    --- stdout
    items:1	{\"a\":1}
    items:4	{\"a\":[2]}
    --- stderr
    2 items, 16 bytes, the largest with 9 bytes at items:4; nothing was enqueued
    "#);
    assert_snapshot!(dry_run(&sandbox, b"[1]\n[2]\n", &["--json"]), @"
    exit code 3
    --- stdout
    items:1 (element 1)	1
    --- stderr
    1 item, 1 byte, the largest with 1 byte at items:1 (element 1); nothing was enqueued
    error: items:2: not JSON: something follows the array
    hint: wrap it into one array: `jq -s .` makes an item of each value, `jq -s add` joins arrays
    ");
}
