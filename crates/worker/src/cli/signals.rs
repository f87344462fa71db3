//! What asks the worker to stop, for the event loop: SIGTERM and SIGINT, or what Windows has in their place.

use tokio::sync::mpsc;

use crate::StopSignal;
use crate::platform::StopSignals;

/// Listens for signals from now on, until the receiver is dropped.
///
/// # Errors
/// The system's error.
pub fn stop_signals() -> std::io::Result<mpsc::UnboundedReceiver<StopSignal>> {
    let mut signals = StopSignals::listen()?;
    let (stop_tx, stop_rx) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(stop) = signals.next().await {
            if stop_tx.send(stop).is_err() {
                return;
            }
        }
    });
    Ok(stop_rx)
}
