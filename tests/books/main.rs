//! The books of a run balance, whatever happens to it: every item that was enqueued is settled, every
//! item that is called done was finished by its program, and no program was started more often than
//! the report admits. The programs themselves keep a witness of that, which the tool cannot reach.
//!
//! `make e2e` runs the reduced form, `make books` the whole: `WORKQUEUE_TEST_BOOKS=full`, and the
//! tests in `full`. Those in `alone` take the API server away, and run one at a time.

mod alone;
mod api_wire;
mod balance;
mod faults;
mod full;
mod gone;
mod silent_leader;
mod trial;
mod wire;
mod witness;

/// Whether the whole suite runs, or its reduced form.
fn full() -> bool {
    match std::env::var("WORKQUEUE_TEST_BOOKS").as_deref() {
        Ok("full") => true,
        Ok("reduced") | Err(_) => false,
        Ok(other) => panic!("WORKQUEUE_TEST_BOOKS is {other:?}: use full or reduced"),
    }
}
