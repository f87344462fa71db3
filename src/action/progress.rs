//! How far runs have come, by the records of their results.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Error;
use super::session::Session;
use workqueue_amqp::result_stream::{self, ReadFrom, ResultReader};
use workqueue_core::names::QueueName;
use workqueue_core::record::{ResultRecord, Status};

/// The time that a rate is taken over.
const WINDOW: SignedDuration = SignedDuration::from_secs(60);

/// How far the server's clock may be ahead of those of the workers, in seconds.
const CLOCKS_DIFFER: i64 = 60;

/// What the records of a run tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Items done.
    pub done: u64,
    /// Items that have failed for good; those that the broker gave up are not among them.
    pub failed: u64,
    /// Whether there was no time to read all records: there are more than counted.
    pub partial: bool,
    /// Items a second, over the last minute; `None` before the first one.
    pub rate: Option<f64>,
}

impl Progress {
    /// How long so many items will take at the present rate.
    pub fn time_for(&self, items: u64) -> Option<Duration> {
        let rate = self.rate.filter(|&rate| rate > 0.0)?;
        Duration::try_from_secs_f64(items as f64 / rate).ok()
    }
}

/// Counts the records of a queue by run, those from `since` on; `patience` is the time for it.
///
/// # Errors
/// What the broker refuses, and lost connections.
pub async fn progress(
    session: &Session,
    queue: &QueueName,
    since: Option<Timestamp>,
    patience: Duration,
) -> Result<HashMap<String, Progress>, Error> {
    let failed = |error| session.explain(error);
    let give_up_at = Instant::now() + patience;
    let Some(end) = result_stream::end(&session.broker, queue).await.map_err(failed)? else {
        return Ok(HashMap::new());
    };
    let start = since.map_or(ReadFrom::Oldest, |since| ReadFrom::Time(since.as_second() - CLOCKS_DIFFER));
    let mut reading = ResultReader::open(&session.broker, queue, start, end).await.map_err(failed)?;
    let mut counter = Counter::default();
    let mut partial = false;
    while let Some(entry) = reading.next().await.map_err(failed)? {
        if let Some(record) = &entry.record {
            counter.take(record);
        }
        if Instant::now() >= give_up_at {
            partial = true;
            break;
        }
    }
    reading.close().await;
    Ok(counter.finish(Timestamp::now(), partial))
}

/// Counts records as they come. Memory: some 30 bytes a record, of which a stream holds no more than
/// fit its size.
#[derive(Default)]
struct Counter {
    runs: HashMap<String, Run>,
    hasher: RandomState,
}

#[derive(Default)]
struct Run {
    /// By a hash of the item's id, since an item may be recorded again.
    items: HashMap<u64, Status>,
    first: Option<Timestamp>,
    /// When the last items ended, roughly in order.
    recent: VecDeque<Timestamp>,
}

impl Counter {
    fn take(&mut self, record: &ResultRecord) {
        let Some(name) = &record.run else { return };
        if !self.runs.contains_key(name) {
            self.runs.insert(name.clone(), Run::default());
        }
        let Some(run) = self.runs.get_mut(name) else { return };
        run.first = Some(run.first.map_or(record.first_started, |first| first.min(record.first_started)));
        let again = run.items.insert(self.hasher.hash_one(&record.id), record.status).is_some();
        if !again {
            run.recent.push_back(record.ended);
        }
        while run.recent.front().is_some_and(|&oldest| record.ended.duration_since(oldest) > WINDOW) {
            run.recent.pop_front();
        }
    }

    fn finish(self, now: Timestamp, partial: bool) -> HashMap<String, Progress> {
        self.runs.into_iter().map(|(name, run)| (name, run.progress(now, partial))).collect()
    }
}

impl Run {
    fn progress(&self, now: Timestamp, partial: bool) -> Progress {
        let done = self.items.values().filter(|&&status| status == Status::Done).count() as u64;
        let failed = self.items.len() as u64 - done;
        let recent = self.recent.iter().filter(|&&ended| now.duration_since(ended) <= WINDOW).count();
        let over = self.first.map(|first| now.duration_since(first).min(WINDOW).as_secs_f64().max(1.0));
        // Records that were not read are the newest ones.
        let rate = over.filter(|_| !partial).map(|seconds| recent as f64 / seconds);
        Progress { done, failed, partial, rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use workqueue_core::record::{CapturedOutput, WorkerLocation};

    fn record(run: &str, id: u32, status: Status, second: i64) -> ResultRecord {
        let at = |second| Timestamp::from_second(second).expect("in range");
        ResultRecord {
            id: id.to_string(),
            run: Some(run.to_owned()),
            queue: "job1".to_owned(),
            status,
            reason: None,
            exit: None,
            signal: None,
            attempts: 1,
            earlier_deliveries: 0,
            first_started: at(second - 1),
            started: at(second - 1),
            ended: at(second),
            size: 1,
            location: WorkerLocation::default(),
            stdout: CapturedOutput::default(),
            stderr: CapturedOutput::default(),
        }
    }

    #[test]
    fn items_are_counted_once_and_as_they_ended_last() {
        let mut counter = Counter::default();
        counter.take(&record("r", 1, Status::Failed, 100));
        counter.take(&record("r", 2, Status::Done, 101));
        counter.take(&record("s", 1, Status::Failed, 102));
        counter.take(&record("r", 1, Status::Done, 103));
        let counted = counter.finish(Timestamp::from_second(103).expect("in range"), false);
        assert_eq!((counted["r"].done, counted["r"].failed), (2, 0));
        assert_eq!((counted["s"].done, counted["s"].failed), (0, 1));
    }

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let counted = |until: i64, now: i64| {
            let mut counter = Counter::default();
            (1..=until).for_each(|second| {
                counter.take(&record("r", second.try_into().expect("small"), Status::Done, second));
            });
            counter
                .finish(Timestamp::from_second(now).expect("in range"), false)
                .remove("r")
                .expect("counted")
        };
        let steady = counted(600, 600);
        assert!((steady.rate.expect("known") - 1.0).abs() < 0.05, "{steady:?}");
        assert_eq!(steady.time_for(100).expect("known").as_secs(), 98);
        assert_eq!(counted(600, 900).rate, Some(0.0));
        assert_eq!(counted(600, 900).time_for(1), None);
        let young = counted(10, 10);
        assert!((young.rate.expect("known") - 1.0).abs() < 0.05, "{young:?}");
    }
}
