//! No worker waits forever, and none leaves an item behind.

use std::time::{Duration, Instant};

use workqueue_test_support::{Bench, Sandbox, ended};

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn nothing_to_do() {
    let bench = Bench::new().await;
    let started = Instant::now();
    bench.work(&[], &["true"]).await.ok();
    assert!(started.elapsed() < Duration::from_secs(15));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn one_item_and_eight_workers() {
    let bench = Bench::with_items(&["x"]).await;
    let started = Instant::now();
    let workers: Vec<_> = (0..8).map(|_| bench.start(&[], &["sh", "-c", "sleep 2; echo done"])).collect();
    let mut output = String::new();
    for worker in workers {
        output += &ended(worker).await.ok().stdout;
    }
    assert_eq!(output, "done\n");
    assert!(started.elapsed() < Duration::from_secs(30), "somebody waited: {:?}", started.elapsed());
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn items_do_not_wait_behind_a_slow_one_for_which_others_are_free() {
    let mut items = ["quick"; 56];
    items[40] = "slow";
    let bench = Bench::with_items(&items).await;
    let program = ["sh", "-c", "read item; [ $item = quick ] || sleep 40; echo $item"];
    let started = Instant::now();
    let slow = bench.start(&[], &program);
    // It has taken ahead what comes behind the slow item, and requeues most of it.
    bench.until_ready(0).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let left = bench.ready("").await;
    assert!(left >= 10, "{left} items are there for others");
    let other = bench.work(&[], &program).await.ok();
    assert!(other.stdout.lines().count() as u64 >= left, "{}", other.stdout);
    let slow = ended(slow).await.ok();
    assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
    assert_eq!(slow.stdout.lines().count() + other.stdout.lines().count(), 56);
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn heavy_items_are_not_taken_ahead() {
    const ITEMS: usize = 80;
    let bench = Bench::with_items(&vec![vec![b'x'; 256 << 10]; ITEMS]).await;
    let files = Sandbox::new();
    let started = files.file("started", "");
    let script = format!("cat >/dev/null; echo >>{}; sleep 0.05", started.display());
    let worker = bench.start(&[], &["sh", "-c", &script]);
    let mut looks = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let left = bench.ready("").await as usize;
        let started = files.read("started").len();
        if started == ITEMS {
            break;
        }
        let waiting = (ITEMS - left).saturating_sub(started);
        assert!(waiting <= 4, "{waiting} items wait in the worker, {started} were started");
        looks += usize::from(started > 10);
    }
    assert!(looks > 3, "{looks}");
    ended(worker).await.ok().says(&format!("{ITEMS} items done, 0 "));
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn an_item_that_comes_while_workers_end() {
    let bench = Bench::with_items(&["first"]).await;
    let worker = bench.start(&[], &["sh", "-c", "cat; echo"]);
    bench.until_ready(0).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    bench.publish(Some("late"), b"late").await;
    let run = ended(worker).await.ok();
    // It is done, or still in the queue for the next worker: never lost, never half done.
    let left = bench.ready("").await;
    assert_eq!(run.stdout, if left == 0 { "first\nlate\n" } else { "first\n" });
    bench.work(&[], &["sh", "-c", "cat; echo"]).await.ok();
    assert_eq!(bench.ready("").await, 0);
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn the_item_of_a_killed_worker_is_waited_for() {
    let bench = Bench::with_items(&["x"]).await;
    let victim = bench.start(&[], &["sleep", "1000"]);
    bench.until_ready(0).await;
    let peer = bench.start(&[], &["echo", "taken over"]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    victim.kill();
    assert_eq!(ended(peer).await.ok().stdout, "taken over\n");
    assert_eq!(bench.ready("").await, 0);
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn the_item_of_a_worker_in_its_grace_period_is_waited_for() {
    let bench = Bench::with_items(&["x"]).await;
    let leaving = bench.start(&["--grace", "6s"], &["sleep", "1000"]);
    bench.until_ready(0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    leaving.signal("-TERM");
    // As a Job does: the replacement starts while the old pod is still in its grace period.
    let replacement = bench.start(&[], &["echo", "taken over"]);
    ended(leaving).await.exits(143);
    assert_eq!(ended(replacement).await.ok().stdout, "taken over\n");
    bench.clear().await;
}

#[tokio::test]
#[ignore = "needs a broker: run `make e2e`"]
async fn a_worker_does_not_wait_forever_for_a_peers_long_item() {
    let bench = Bench::with_items(&["x"]).await;
    let holder = bench.start(&[], &["sleep", "20"]);
    bench.until_ready(0).await;
    let started = Instant::now();
    bench.work(&["--idle-timeout", "4s"], &["true"]).await.ok();
    assert!((3..15).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    ended(holder).await.ok();
    bench.clear().await;
}
