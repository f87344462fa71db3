//! Looks into queues, counts what they hold, empties them.

use std::collections::BTreeMap;

use super::Error;
use super::session::{Reach, Session};
use workqueue_amqp;
use workqueue_amqp::peek::{self, Peeked, PeekedMessage};
use workqueue_amqp::topology::{self, Depth};
use workqueue_core::names::QueueName;

/// How the connection is called in the broker's own tools.
const PURPOSE: &str = "kubectl-workqueue look";

/// Shows the first messages of a queue, or all of them.
///
/// # Errors
/// No broker, no such queue, and what cluster and broker refuse.
pub async fn look(
    reach: &Reach,
    queue: &QueueName,
    limit: Option<u64>,
    show: impl FnMut(PeekedMessage) -> bool,
) -> Result<Peeked, Error> {
    let session = Session::reach(reach, PURPOSE).await?;
    let shown = peek::peek(&session.broker, queue, limit, show).await;
    let shown = shown.map_err(|error| session.explain(error))?;
    session.close().await;
    Ok(shown)
}

/// Messages that are ready in a queue; `None` if there is no such queue.
///
/// # Errors
/// As for [`look`].
pub async fn depth(reach: &Reach, queue: &QueueName) -> Result<Option<Depth>, Error> {
    let session = Session::reach(reach, PURPOSE).await?;
    let depth = topology::depth(&session.broker, queue).await.map_err(|error| session.explain(error))?;
    session.close().await;
    Ok(depth)
}

/// Deletes the ready messages of a queue, and gives their number.
///
/// # Errors
/// As for [`look`].
pub async fn purge(reach: &Reach, queue: &QueueName) -> Result<u32, Error> {
    let session = Session::reach(reach, PURPOSE).await?;
    let purged = topology::purge(&session.broker, queue).await.map_err(|error| session.explain(error))?;
    session.close().await;
    Ok(purged)
}

/// A queue and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    /// Its name.
    pub name: QueueName,
    /// Messages that wait, and consumers.
    pub depth: Depth,
}

/// The queues of a broker. AMQP cannot list them: the tool in the broker's pod can, where the
/// user may run it; elsewhere `known` and the queues beside it are what is looked for.
///
/// # Errors
/// As for [`look`].
pub async fn queues(reach: &Reach, known: &QueueName) -> Result<(Vec<QueueRow>, bool), Error> {
    let session = Session::reach(reach, PURPOSE).await?;
    let listed = match reach {
        Reach::Release(cluster, _) => cluster.broker_queues(session.pod()).await.ok(),
        Reach::Direct(_) => None,
    };
    let complete = listed.is_some();
    let mut counted: BTreeMap<String, u64> = listed.into_iter().flatten().collect();
    for name in [known.to_string(), known.failed().to_string()] {
        counted.entry(name).or_default();
    }
    let mut rows = Vec::new();
    for (name, messages) in counted {
        let Ok(name) = name.parse::<QueueName>() else { continue };
        let depth = match topology::reported_depth(&session.broker, &name).await {
            // Another connection's own queue: its tool's count is all that can be known of it.
            Err(workqueue_amqp::Error::Refused { .. }) => {
                Some(Depth { ready: u32::try_from(messages).unwrap_or(u32::MAX), consumers: 0 })
            }
            depth => depth.map_err(|error| session.explain(error))?,
        };
        rows.extend(depth.map(|depth| QueueRow { name, depth }));
    }
    session.close().await;
    Ok((rows, complete))
}
