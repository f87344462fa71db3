//! How long a worker waits for confirms.

use std::time::Duration;

use tokio::sync::watch;

/// How long the broker may take to confirm a message. Unit tests play one that confirms nothing.
pub(super) const CONFIRM_DEADLINE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 60_000 });

/// Ends once the connection was not blocked for `limit`. A broker with an alarm reads nothing, neither
/// messages nor acks: then there is nothing to be gained by a deadline.
pub(super) async fn patience(mut blocked_rx: watch::Receiver<bool>, limit: Duration) {
    loop {
        until_is(&mut blocked_rx, false).await;
        tokio::select! {
            () = tokio::time::sleep(limit) => return,
            () = until_is(&mut blocked_rx, true) => {}
        }
    }
}

/// Waits until something is so, or no longer so.
pub(super) async fn until_is(state_rx: &mut watch::Receiver<bool>, wanted: bool) {
    if state_rx.wait_for(|is| *is == wanted).await.is_err() {
        // Without a sender the session is over, and whoever waits with it.
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_of_an_alarm_does_not_count() {
        let (blocked_tx, blocked_rx) = watch::channel(true);
        let waiting = tokio::spawn(patience(blocked_rx, Duration::ZERO));
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(!waiting.is_finished());
        blocked_tx.send_replace(false);
        waiting.await.expect("it ends");
    }
}
