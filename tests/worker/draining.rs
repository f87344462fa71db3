//! No worker waits for ever, and none leaves an item behind.

use std::time::{Duration, Instant};

use super::backend::{Bench, broker_url, ended, signal};

#[tokio::test]
async fn nothing_to_do() {
    let Some(url) = broker_url() else { return };
    let bench = Bench::new(&url).await;
    let started = Instant::now();
    let run = bench.work(&[], &["true"]).await;
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    assert!(started.elapsed() < Duration::from_secs(15));
    bench.clear().await;
}

#[tokio::test]
async fn one_item_and_eight_workers() {
    let Some(url) = broker_url() else { return };
    let bench = Bench::new(&url).await;
    bench.fill(&[b"x"]).await;
    let started = Instant::now();
    let workers: Vec<_> = (0..8).map(|_| bench.start(&[], &["sh", "-c", "sleep 2; echo done"])).collect();
    let mut output = String::new();
    for worker in workers {
        let run = ended(worker).await;
        assert_eq!(run.code(), Some(0), "{}", run.stderr);
        output += &run.stdout();
    }
    assert_eq!(output, "done\n");
    assert!(started.elapsed() < Duration::from_secs(30), "somebody waited: {:?}", started.elapsed());
    bench.clear().await;
}

#[tokio::test]
async fn items_do_not_wait_behind_a_slow_one_for_which_others_are_free() {
    let Some(url) = broker_url() else { return };
    let bench = Bench::new(&url).await;
    let mut items: Vec<&[u8]> = vec![b"quick"; 56];
    items[40] = b"slow";
    bench.fill(&items).await;
    let program = ["sh", "-c", "read item; [ $item = quick ] || sleep 40; echo $item"];
    let started = Instant::now();
    let slow = bench.start(&[], &program);
    // It has taken ahead what comes behind the slow item, and gives most of it back.
    bench.until_ready(0).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let left = bench.ready("").await;
    assert!(left >= 10, "{left} items are there for others");
    let other = bench.work(&[], &program).await;
    assert_eq!(other.code(), Some(0), "{}", other.stderr);
    assert!(other.stdout().lines().count() as u64 >= left, "{}", other.stdout());
    let slow = ended(slow).await;
    assert_eq!(slow.code(), Some(0), "{}", slow.stderr);
    assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
    assert_eq!(slow.stdout().lines().count() + other.stdout().lines().count(), 56);
    bench.clear().await;
}

#[tokio::test]
async fn heavy_items_are_not_taken_ahead() {
    const ITEMS: usize = 80;
    let Some(url) = broker_url() else { return };
    let bench = Bench::new(&url).await;
    let heavy = vec![b'x'; 256 << 10];
    bench.fill(&[heavy.as_slice(); ITEMS]).await;
    let started = std::env::temp_dir().join(format!("heavy-{}", bench.queue));
    let script = format!("cat >/dev/null; echo >>{}; sleep 0.05", started.display());
    let worker = bench.start(&[], &["sh", "-c", &script]);
    let mut looks = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let left = bench.ready("").await as usize;
        let started = std::fs::read_to_string(&started).unwrap_or_default().len();
        if started == ITEMS {
            break;
        }
        let waiting = (ITEMS - left).saturating_sub(started);
        assert!(waiting <= 4, "{waiting} items wait in the worker, {started} were started");
        looks += usize::from(started > 10);
    }
    assert!(looks > 3, "{looks}");
    let run = ended(worker).await;
    assert_eq!(run.counts(), Some((ITEMS as u64, 0)), "{}", run.stderr);
    std::fs::remove_file(started).ok();
    bench.clear().await;
}

#[tokio::test]
async fn an_item_that_comes_while_workers_end() {
    let Some(url) = broker_url() else { return };
    let bench = Bench::new(&url).await;
    bench.fill(&[b"first"]).await;
    let worker = bench.start(&[], &["sh", "-c", "cat; echo"]);
    bench.until_ready(0).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    bench.publish(Some("late"), b"late").await;
    let run = ended(worker).await;
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    // It is done, or still in the queue for the next worker: never lost, never half done.
    let left = bench.ready("").await;
    assert_eq!(run.stdout(), if left == 0 { "first\nlate\n" } else { "first\n" });
    let rest = bench.work(&[], &["sh", "-c", "cat; echo"]).await;
    assert_eq!((rest.code(), bench.ready("").await), (Some(0), 0));
    bench.clear().await;
}

#[tokio::test]
async fn the_item_of_a_killed_worker_is_waited_for() {
    let Some(url) = broker_url() else { return };
    let bench = Bench::new(&url).await;
    bench.fill(&[b"x"]).await;
    let mut victim = bench.start(&[], &["sleep", "1000"]);
    bench.until_ready(0).await;
    let peer = bench.start(&[], &["echo", "taken over"]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    victim.kill().await.expect("it runs");
    let run = ended(peer).await;
    assert_eq!((run.code(), run.stdout().as_str()), (Some(0), "taken over\n"), "{}", run.stderr);
    assert_eq!(bench.ready("").await, 0);
    bench.clear().await;
}

#[tokio::test]
async fn the_item_of_a_worker_in_its_grace_period_is_waited_for() {
    let Some(url) = broker_url() else { return };
    let bench = Bench::new(&url).await;
    bench.fill(&[b"x"]).await;
    let leaving = bench.start(&["--grace", "6s"], &["sleep", "1000"]);
    bench.until_ready(0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    signal(&leaving, "-TERM");
    // As a Job does: the replacement starts while the old pod is still in its grace period.
    let replacement = bench.start(&[], &["echo", "taken over"]);
    assert_eq!(ended(leaving).await.code(), Some(143));
    let run = ended(replacement).await;
    assert_eq!((run.code(), run.stdout().as_str()), (Some(0), "taken over\n"), "{}", run.stderr);
    bench.clear().await;
}

#[tokio::test]
async fn a_worker_does_not_wait_for_a_peers_long_item_for_ever() {
    let Some(url) = broker_url() else { return };
    let bench = Bench::new(&url).await;
    bench.fill(&[b"x"]).await;
    let holder = bench.start(&[], &["sleep", "20"]);
    bench.until_ready(0).await;
    let started = Instant::now();
    let run = bench.work(&["--idle-timeout", "4s"], &["true"]).await;
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    assert!((3..15).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert_eq!(ended(holder).await.code(), Some(0));
    bench.clear().await;
}
