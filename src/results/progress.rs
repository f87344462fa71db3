//! The progress of runs, counted from their result records.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::error::Error;
use crate::queue::connection::BrokerConnection;
use workqueue_amqp::result_stream::{self, ReadFrom, ResultReader};
use workqueue_core::names::QueueName;
use workqueue_core::record::{ResultRecord, Status};

/// The period over which a rate is measured.
const WINDOW: SignedDuration = SignedDuration::from_secs(60);

/// How far the API server's clock may be ahead of the workers' clocks, in seconds.
const CLOCKS_DIFFER: i64 = 60;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunProgress {
    /// Items that succeeded.
    pub done: u64,
    /// Items that a worker dead-lettered. Those that the broker dead-lettered have no record.
    pub failed: u64,
    /// Whether time ran out before all records were read, so that there are more than counted.
    pub partial: bool,
    /// Items per second over the last minute; `None` if it is unknown.
    pub rate: Option<f64>,
}

impl RunProgress {
    /// How long `items` items take at the current rate.
    pub fn time_for(&self, items: u64) -> Option<Duration> {
        let rate = self.rate.filter(|&rate| rate > 0.0)?;
        Duration::try_from_secs_f64(items as f64 / rate).ok()
    }
}

/// Counts a queue's records since `since` by run, and stops after `patience`.
///
/// # Errors
/// Those of the broker connection.
pub async fn progress(
    session: &BrokerConnection,
    queue: &QueueName,
    since: Option<Timestamp>,
    patience: Duration,
) -> Result<HashMap<String, RunProgress>, Error> {
    let failed = |error| session.explain(error);
    let give_up_at = Instant::now() + patience;
    let Some(end) = result_stream::end(&session.broker, queue).await.map_err(failed)? else {
        return Ok(HashMap::new());
    };
    let start = since.map_or(ReadFrom::Oldest, |since| ReadFrom::Time(since.as_second() - CLOCKS_DIFFER));
    let mut reading = ResultReader::open(&session.broker, queue, start, end).await.map_err(failed)?;
    let mut counter = Counter::default();
    let mut partial = false;
    while let Some(message) = reading.next().await.map_err(failed)? {
        message.records().filter_map(|(_, record)| record).for_each(|record| counter.take(&record));
        if Instant::now() >= give_up_at {
            partial = true;
            break;
        }
    }
    reading.close().await;
    Ok(counter.finish(Timestamp::now(), partial))
}

/// Counts records as they arrive. Takes about 30 bytes of memory per record. The size limit of the
/// stream limits their number.
#[derive(Default)]
struct Counter {
    runs: HashMap<String, Run>,
    hasher: RandomState,
}

#[derive(Default)]
struct Run {
    /// By a hash of the item's id, since an item may have several records.
    items: HashMap<u64, Status>,
    first: Option<Timestamp>,
    /// When the most recent items ended, roughly in order.
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

    fn finish(self, now: Timestamp, partial: bool) -> HashMap<String, RunProgress> {
        self.runs.into_iter().map(|(name, run)| (name, run.progress(now, partial))).collect()
    }
}

impl Run {
    fn progress(&self, now: Timestamp, partial: bool) -> RunProgress {
        let done = self.items.values().filter(|&&status| status == Status::Done).count() as u64;
        let failed = self.items.len() as u64 - done;
        let recent = self.recent.iter().filter(|&&ended| now.duration_since(ended) <= WINDOW).count();
        let over = self.first.map(|first| now.duration_since(first).min(WINDOW).as_secs_f64().max(1.0));
        // The records that were not read are the newest ones, so the rate is unknown.
        let rate = over.filter(|_| !partial).map(|seconds| recent as f64 / seconds);
        RunProgress { done, failed, partial, rate }
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
    fn items_are_counted_once_with_their_last_status() {
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
