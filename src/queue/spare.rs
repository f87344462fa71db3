//! Connections that one step of a command has finished with, for its next step: each would take a tunnel and
//! a login, many round trips one after the other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::BrokerConnection;

/// How long one is kept. Nobody watches it meanwhile, and the next step is near.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// The most that are kept.
const MOST: usize = 2;

struct Spare {
    /// Where it leads to.
    place: String,
    connection: BrokerConnection,
    since: Instant,
}

static SPARES: Mutex<Vec<Spare>> = Mutex::new(Vec::new());

fn spares() -> MutexGuard<'static, Vec<Spare>> {
    SPARES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a connection to this place that is well, as far as one can tell.
pub(super) fn take(place: &str) -> Option<BrokerConnection> {
    let mut spares = spares();
    // What is too old is closed by its own task.
    let is_good = |spare: &Spare| {
        spare.place == place && spare.since.elapsed() < KEPT_FOR && spare.connection.broker.is_connected()
    };
    let at = spares.iter().position(is_good)?;
    Some(spares.swap_remove(at).connection)
}

/// Keeps a connection for a while; gives it back if there are enough.
pub(super) fn keep(place: String, connection: BrokerConnection) -> Option<BrokerConnection> {
    let since = Instant::now();
    let mut spares = spares();
    if spares.len() >= MOST || !connection.broker.is_connected() {
        return Some(connection);
    }
    spares.push(Spare { place, connection, since });
    tokio::spawn(async {
        tokio::time::sleep(KEPT_FOR).await;
        close(|spare| spare.since.elapsed() >= KEPT_FOR).await;
    });
    None
}

/// Closes all that are kept, at the end of a command.
pub(crate) async fn close_all() {
    close(|_| true).await;
}

async fn close(which: impl Fn(&Spare) -> bool) {
    let closed: Vec<Spare> = spares().extract_if(.., |spare| which(spare)).collect();
    let closing = closed.into_iter().map(|spare| async move {
        // The tunnel has to outlive the goodbye.
        let BrokerConnection { broker, tunnel, .. } = spare.connection;
        broker.close().await;
        drop(tunnel);
    });
    futures_util::future::join_all(closing).await;
}
