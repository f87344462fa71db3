//! What a worker owes its items: the same tests over the queue in memory (`local`) and over a
//! broker, then those that need a broker.
//!
//! The broker's part runs where `WORKQUEUE_TEST_AMQP_URL` names one (a user who may do all in its
//! virtual host), and is skipped with a word elsewhere. The restart of a broker is tried where
//! `WORKQUEUE_TEST_AMQP_RESTART` is a shell command that does it, and a leader that does not answer
//! where `WORKQUEUE_TEST_AMQP_CONTAINER` names the broker's container.

mod backend;
mod contract;
mod draining;
mod losses;
mod settling;
mod stalled_leader;
