//! What comes out of a pipe, read by a thread so that the writer never waits.

use std::io::Read;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

/// A pipe whose reading begins once it is allowed.
pub(crate) struct Held<R> {
    pub pipe: R,
    pub may_read_rx: Option<Receiver<()>>,
}

impl<R: Read> Read for Held<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if let Some(may_read_rx) = self.may_read_rx.take() {
            may_read_rx.recv().ok();
        }
        self.pipe.read(buffer)
    }
}

/// A pipe that is being read.
pub(crate) struct Stream {
    shared: Arc<(Mutex<State>, Condvar)>,
    /// Bytes that were waited for before.
    seen: usize,
}

impl Stream {
    pub fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let writer = shared.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let size = pipe.read(&mut buffer).unwrap_or(0);
                let mut state = lock(&writer.0);
                state.bytes.extend_from_slice(&buffer[..size]);
                state.ended = size == 0;
                writer.1.notify_all();
                if size == 0 {
                    return;
                }
            }
        });
        Self { shared, seen: 0 }
    }

    /// Waits for a text behind the one that was waited for before; `false` if it does not come.
    pub fn wait_for(&mut self, text: &str, deadline: Instant) -> bool {
        let mut found = None;
        let seen = self.seen;
        self.wait(deadline, |state| {
            let fresh = &state.bytes[seen..];
            found = fresh.windows(text.len()).position(|window| window == text.as_bytes());
            found.is_some() || state.ended
        });
        self.seen += found.map_or(0, |at| at + text.len());
        found.is_some()
    }

    /// All of it; `None` if it does not end.
    pub fn all(&self, deadline: Instant) -> Option<Vec<u8>> {
        self.wait(deadline, |state| state.ended).then(|| std::mem::take(&mut lock(&self.shared.0).bytes))
    }

    /// What has come so far.
    pub fn so_far(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared.0).bytes).into_owned()
    }

    fn wait(&self, deadline: Instant, mut done: impl FnMut(&State) -> bool) -> bool {
        let mut state = lock(&self.shared.0);
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
