//! The ledger of a run, read by the test itself.

use workqueue_amqp::{Broker, Endpoint, ledger};
use workqueue_core::ledger::LedgerPage;
use workqueue_core::names::QueueName;

use crate::Bed;

impl Bed {
    /// How the items of a run over `job1` ended, as its ledger says; `None` if it has none.
    pub fn ledger(&self, run: &str) -> Option<LedgerPage> {
        let (_forward, url) = self.forwarded_url();
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(async {
            let endpoint = Endpoint::parse(&url, None).expect("a broker's URL");
            let broker = Broker::connect(&endpoint, "tests").await.expect("the broker is there");
            let queue: QueueName = "job1".parse().expect("a legal name");
            let pages = ledger::read_pages_marked(&broker, &queue, run).await.expect("an answer");
            broker.close().await;
            pages.map(|pages| pages.sum)
        })
    }
}
