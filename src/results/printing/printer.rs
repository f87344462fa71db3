//! Prints on a thread of its own: whoever reads the outputs may be slow, or stop, and nothing else waits for
//! them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{ItemSink, PrintProgress, Printing, Took};
use crate::error::Error;
use workqueue_core::ledger::ItemSet;
use workqueue_core::output::OutputEntry;

/// How long nothing has to be read before who has stopped the command waits for the reader no longer.
const READER_WAIT: Duration = Duration::from_secs(3);

/// What prints the items of a printer.
pub type SharedSink = Arc<dyn ItemSink + Send + Sync>;

type Job = Box<dyn FnOnce(&mut Printing<SharedSink>) + Send>;

/// The thread that prints. One message at a time is with it.
pub(crate) struct Printer {
    jobs_tx: mpsc::Sender<Job>,
    thread: JoinHandle<Printing<SharedSink>>,
    progress: Arc<PrintProgress>,
    path: Option<PathBuf>,
    is_of_the_start: bool,
    keeps_order: bool,
}

impl Printer {
    /// Starts the thread.
    pub(crate) fn start(mut printing: Printing<SharedSink>) -> Self {
        let progress = printing.progress.clone();
        let path = printing.position.path().map(Path::to_owned);
        let (is_of_the_start, keeps_order) = (printing.position.is_of_the_start(), printing.keeps_order());
        let (jobs_tx, mut jobs_rx) = mpsc::channel::<Job>(1);
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(job) = jobs_rx.blocking_recv() {
                job(&mut printing);
            }
            printing
        });
        Self { jobs_tx, thread, progress, path, is_of_the_start, keeps_order }
    }

    /// How far it has come.
    pub(crate) fn progress(&self) -> &Arc<PrintProgress> {
        &self.progress
    }

    /// Where the position is saved; `None` if it is not.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether all outputs of the run went here, as far as this machine knows.
    pub(crate) fn is_of_the_start(&self) -> bool {
        self.is_of_the_start
    }

    /// Whether items are printed in their order.
    pub(crate) fn keeps_order(&self) -> bool {
        self.keeps_order
    }

    /// Prints the entries of a message, or puts them aside. If this is cancelled, it is done all the same.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub(crate) async fn take(&self, entries: Vec<OutputEntry>) -> Result<Took, Error> {
        self.ask(move |printing| printing.take(&entries)).await
    }

    /// Prints everything that still waits, in its order: nothing more will come.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub(crate) async fn finish(&self) -> Result<Took, Error> {
        self.ask(Printing::finish).await
    }

    /// Of some items, those that were not printed.
    pub(crate) async fn missing_of(&self, items: ItemSet) -> ItemSet {
        self.ask(move |printing| printing.position.printed().missing_of(&items)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Printing<SharedSink>) -> T + Send + 'static,
    ) -> T {
        let (answer_tx, answer_rx) = oneshot::channel();
        let job: Job = Box::new(move |printing| {
            // Nobody waits for it any more if the asking was cancelled.
            answer_tx.send(question(printing)).ok();
        });
        self.jobs_tx.send(job).await.ok();
        answer_rx.await.expect("it prints until it is ended")
    }

    /// Ends it, when everything is printed, and deletes what was saved.
    pub(crate) async fn remove(self) {
        drop(self.jobs_tx);
        if let Ok(printing) = self.thread.await {
            printing.remove();
        }
    }

    /// Ends it after the item that is being printed. Gives up on a reader that does not read that to its end,
    /// and returns the item then.
    pub(crate) async fn stop(self) -> Option<String> {
        self.progress.stop();
        drop(self.jobs_tx);
        timeout(READER_WAIT, self.thread).await.err().and_then(|_| self.progress.begun())
    }

    /// Prints what would be lost if it were not printed now, for as long as somebody reads. Returns the
    /// number of outputs that are lost all the same.
    pub(crate) async fn save_what_waits(&self) -> u64 {
        if self.path.is_some() || self.progress.waiting() == 0 {
            return 0;
        }
        let mut finishing = std::pin::pin!(self.finish());
        loop {
            let before = self.progress.printed();
            match timeout(READER_WAIT, finishing.as_mut()).await {
                Ok(_) => break,
                Err(_) if self.progress.printed() == before => break,
                Err(_) => {}
            }
        }
        self.progress.waiting()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::super::{Order, Position, Spool};
    use super::*;
    use workqueue_core::record::Status;

    /// Prints ids; each is read when somebody allows it.
    struct Slow {
        printed: Mutex<Vec<String>>,
        reads_rx: Mutex<Receiver<()>>,
    }

    impl ItemSink for Slow {
        fn wants(&self, _: &OutputEntry) -> bool {
            true
        }

        fn print(&self, entry: &OutputEntry) -> bool {
            let is_read = self.reads_rx.lock().expect("not poisoned").recv().is_ok();
            self.printed.lock().expect("not poisoned").push(entry.id.clone());
            is_read
        }
    }

    fn slow() -> (Arc<Slow>, Sender<()>) {
        let (reads_tx, reads_rx) = channel();
        (Arc::new(Slow { printed: Mutex::default(), reads_rx: Mutex::new(reads_rx) }), reads_tx)
    }

    fn entries(numbers: &[u32]) -> Vec<OutputEntry> {
        let entry = |number: &u32| OutputEntry {
            id: format!("k2x9bcdf.{number}"),
            status: Status::Done,
            item: None,
            written: 0,
            output: Vec::new(),
        };
        numbers.iter().map(entry).collect()
    }

    #[tokio::test]
    async fn a_reader_that_has_stopped_holds_up_nobody_and_what_it_did_not_read_comes_again() {
        let directory = std::env::temp_dir().join(format!("workqueue-stopped-reader-{}", std::process::id()));
        let open = || Position::open_in(&directory, "r1", false).expect("writable");
        let (sink, reads_tx) = slow();
        let printer = Printer::start(Printing::new(sink.clone(), open(), None));
        reads_tx.send(()).expect("it prints");
        let taking = timeout(Duration::from_millis(100), printer.take(entries(&[1, 2, 3])));
        taking.await.expect_err("nobody reads the second item");
        assert_eq!(printer.progress().printed(), 1);
        assert_eq!(printer.progress().begun().as_deref(), Some("k2x9bcdf.2"));
        assert_eq!(printer.stop().await.as_deref(), Some("k2x9bcdf.2"));
        // The process ends, and with it the thread.
        let saved = std::fs::read_to_string(directory.join("map-r1")).expect("it is there");
        assert!(saved.ends_with("=\"k2x9bcdf.1\"\n+\"k2x9bcdf.2\"\n"), "{saved}");
        drop(reads_tx);
        std::fs::remove_dir_all(&directory).expect("removable");
    }

    #[tokio::test]
    async fn stopping_finishes_the_item_and_begins_none() {
        let directory = std::env::temp_dir().join(format!("workqueue-last-item-{}", std::process::id()));
        let (sink, reads_tx) = slow();
        let position = Position::open_in(&directory, "r1", false).expect("writable");
        let printer = Printer::start(Printing::new(sink.clone(), position, None));
        timeout(Duration::from_millis(100), printer.take(entries(&[1, 2]))).await.expect_err("it waits");
        let reading = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            reads_tx.send(()).expect("it prints");
        };
        let (unread, ()) = tokio::join!(printer.stop(), reading);
        assert_eq!(unread, None);
        assert_eq!(*sink.printed.lock().expect("not poisoned"), ["k2x9bcdf.1"]);
        let position = Position::open_in(&directory, "r1", false).expect("the thread has ended");
        assert_eq!((position.printed().len(), position.in_doubt()), (1, None));
        drop(position);
        std::fs::remove_dir_all(&directory).expect("removable");
    }

    #[tokio::test]
    async fn what_waits_and_is_saved_nowhere_is_printed_at_the_end() {
        let (sink, reads_tx) = slow();
        let order = || Order::new(Some("k2x9bcdf".to_owned()), Spool::temporary().expect("writable"));
        let printer = Printer::start(Printing::new(sink.clone(), Position::nowhere(), Some(order())));
        assert_eq!(printer.take(entries(&[3, 2, 5])).await.expect("writable"), Took::All);
        for _ in 0..2 {
            reads_tx.send(()).expect("it prints");
        }
        assert_eq!(printer.save_what_waits().await, 1, "nobody reads the last one");
        reads_tx.send(()).expect("it prints");
        assert_eq!(printer.stop().await, None);
        assert_eq!(*sink.printed.lock().expect("not poisoned"), ["k2x9bcdf.2", "k2x9bcdf.3", "k2x9bcdf.5"]);
    }
}
