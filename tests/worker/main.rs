//! What a worker owes its items: the same tests over the queue in memory (`local`) and over a
//! broker, then those that need a broker.
//!
//! The broker's part is ignored unless asked for: `tests/worker/with-broker IMAGE cargo test --test
//! worker -- --ignored` runs it. The test that restarts the broker is in `tests/worker_alone`.

mod contract;
mod deaths;
mod draining;
mod keeping;
mod ledger;
mod local;
mod losses;
mod outputs;
mod residents;
mod settling;
mod stalled_leader;
