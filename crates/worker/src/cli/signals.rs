//! SIGTERM and SIGINT for the event loop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::StopSignal;

/// Listens for signals from now on, until the receiver is dropped.
///
/// # Errors
/// The system's error.
pub fn stop_signals() -> std::io::Result<mpsc::UnboundedReceiver<StopSignal>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop_tx, stop_rx) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let stop = tokio::select! {
                Some(()) = terminate.recv() => StopSignal::Terminate,
                Some(()) = interrupt.recv() => StopSignal::Interrupt,
                else => return,
            };
            if stop_tx.send(stop).is_err() {
                return;
            }
        }
    });
    Ok(stop_rx)
}
