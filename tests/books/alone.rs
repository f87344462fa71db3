//! The API server goes, which no other test survives: `make` runs these after the others, one at a time,
//! and only on the test bed.

use std::time::Duration;

use workqueue_test_support::api_server;

use crate::trial::Trial;

#[test]
#[ignore = "needs the test bed: run `make books`"]
fn the_api_server_is_away_for_a_while() {
    let trial = Trial::new("API server away for 20 s");
    let run = trial.start();
    trial.until(1, 4);
    api_server("stop");
    std::thread::sleep(Duration::from_secs(20));
    api_server("start");
    trial.balances(run, 0);
}
