//! What programs find when they start, and what becomes of their output.

use super::*;

#[tokio::test]
async fn a_program_that_takes_the_item_as_an_argument_finds_an_empty_input() {
    let program = ["sh", "-c", "wc -c; echo \"$1\"", "sh", "<{}>"].map(OsString::from).to_vec();
    let run = work(&[b"item"], WorkerPlan { program, ..sh("") }).await;
    let output = String::from_utf8_lossy(&run.output).into_owned();
    assert_eq!(output.split_whitespace().collect::<Vec<_>>(), ["0", "<item>"]);
}

#[tokio::test]
async fn a_program_has_a_group_of_its_own_and_no_terminal() {
    // proc(5): pid (name) state parent group session terminal.
    let run = work(&[b"x"], sh("cut -d' ' -f1,5,6,7 /proc/$$/stat")).await;
    let output = String::from_utf8_lossy(&run.output).into_owned();
    let fields: Vec<&str> = output.split_whitespace().collect();
    assert_eq!((fields[1], fields[3]), (fields[0], "0"), "{fields:?}");
}

#[tokio::test]
async fn a_grandchild_that_floods_the_output_holds_no_slot() {
    // It leaves the session, so that the end of the group does not end it.
    let run = work(&[b"x"], sh("setsid sh -c 'exec yes' & sleep 0.2")).await;
    assert_eq!(run.record("1").status, Status::Done);
}

#[tokio::test]
async fn grouped_output_is_that_of_the_last_attempt_as_a_whole() {
    let script =
        "read x; echo \"$x $WORKQUEUE_ATTEMPT\"; sleep 0.1; echo \"$x end\"; [ $WORKQUEUE_ATTEMPT = 2 ]";
    let plan = WorkerPlan { grouped: true, retries: 1, concurrency: 3, ..sh(script) };
    let run = work(&[b"a", b"b", b"c"], plan).await;
    let output = String::from_utf8_lossy(&run.output).into_owned();
    let mut lines: Vec<&str> = output.lines().collect();
    let mut pairs: Vec<_> = lines.chunks_mut(2).map(|pair| pair.join(" ")).collect();
    pairs.sort();
    assert_eq!(pairs, ["a 2 a end", "b 2 b end", "c 2 c end"]);
}
