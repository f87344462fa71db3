//! Takes the outcomes that no worker has written into the ledger, once a run has ended.

use std::time::Duration;

use lapin::Channel;
use tokio::time::Instant;

use super::taking::Taking;
use super::writing::{append_message, mark_id};
use crate::broker::close_channel;
use crate::confirms::{Exchange, Route, confirming_channel};
use crate::{Broker, Error};
use workqueue_core::ledger::LedgerPage;
use workqueue_core::names::QueueName;

/// How long to wait before a worker that still holds outcomes is named, and a mark is sent again: a
/// worker may have taken the last one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of the outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// All of them are in the ledger.
    Written,
    /// Their queue does not exist.
    Gone,
}

/// Writes all outcomes of a run into its ledger. Only one consumer gets outcomes at a time: as long as a
/// worker is that one, or the broker has not noticed its death, this waits up to `longest` for each
/// message, and calls `waiting` every few seconds.
///
/// # Errors
/// [`Error::NoAnswer`] if no message arrives for that long;
/// [`Error::NoQueue`] if there is no ledger; refusals; lost connections.
pub async fn take_rest(
    broker: &Broker,
    queue: &QueueName,
    run: &str,
    longest: Duration,
    waiting: impl Fn(Duration),
) -> Result<Rest, Error> {
    let (outcomes, mark) = (queue.outcomes(run), mark_id());
    let publishing = confirming_channel(broker).await?;
    if !send_mark(&publishing, &outcomes, &mark).await? {
        return Ok(Rest::Gone);
    }
    let mut taking = match Taking::open(broker, &Exchange::default(), queue, run).await {
        // Somebody else has just closed the run.
        Err(Error::NoQueue(gone)) if gone == outcomes => return Ok(Rest::Gone),
        taking => taking?,
    };
    let mut last = Instant::now();
    loop {
        let Ok(taken) = tokio::time::timeout(PATIENCE, taking.next()).await else {
            waiting(last.elapsed());
            if last.elapsed() > longest {
                return Err(Error::NoAnswer { queue: outcomes, seconds: last.elapsed().as_secs() });
            }
            send_mark(&publishing, &outcomes, &mark).await?;
            continue;
        };
        last = Instant::now();
        let is_mark = taken?.id.as_ref() == Some(&mark);
        if is_mark || taking.is_full() {
            taking.write().await?;
        }
        if is_mark {
            break;
        }
        taking.sum_up().await;
    }
    taking.close().await;
    close_channel(&publishing).await;
    Ok(Rest::Written)
}

/// Whether there is a queue that takes the mark.
async fn send_mark(publishing: &Channel, outcomes: &QueueName, mark: &str) -> Result<bool, Error> {
    let empty = LedgerPage::default().to_json();
    match append_message(publishing, &Route::direct(outcomes.clone()), &empty, Some(mark)).await {
        Err(Error::NoQueue(_)) => Ok(false),
        sent => sent.map(|()| true),
    }
}
