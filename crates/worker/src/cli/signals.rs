//! SIGTERM and SIGINT, as the loop takes them.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::StopSignal;

/// Listens for signals from now on, as long as the receiver lives.
///
/// # Errors
/// What the system says.
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
