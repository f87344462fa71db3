//! Judges a run by its ledger: a rule without a broker.

use workqueue_core::ledger::{BookRun, ItemSet, LedgerPage};
use workqueue_core::words::{are, count, were};

/// The most ids that a report names.
const NAMED: usize = 10;

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proof {
    /// The ledger: each item is known by its identity, and so is its outcome.
    Items,
    /// Counts that the leaders of the queues have confirmed, with nothing held by anybody.
    Counts,
    /// Nothing.
    #[default]
    None,
}

impl Proof {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Counts => "counts",
            Self::None => "none",
        }
    }
}

/// What became of the items of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    pub proof: Proof,
    /// Why nothing is proven, if so.
    pub doubt: Option<String>,
    /// Items that are done; `None` if nobody has noted it.
    pub done: Option<u64>,
    /// Items that failed, those that the broker dead-lettered among them.
    pub failed: u64,
    /// The first of these, by id.
    pub failed_ids: Vec<String>,
    /// Messages in the queue that no worker holds; `None` if the broker could not be asked.
    pub ready: Option<u64>,
    /// Items that are gone without an outcome.
    pub missing: u64,
    /// The first of these, by id.
    pub missing_ids: Vec<String>,
    /// Items that somebody purged from the queue meanwhile.
    pub purged: u64,
    /// How often programs may have been started beyond once per item; `None` if nobody has counted.
    pub repeats: Option<u64>,
    /// Copies of items that are done, in the queue or in its queue of failed items.
    pub leftover: u64,
    /// Done items whose output is not kept as a whole, although it was to be.
    pub cut: u64,
    /// The first of these, by id.
    pub cut_ids: Vec<String>,
}

impl Verdict {
    /// Nothing is known, for this reason.
    pub(crate) fn unproven(doubt: String) -> Self {
        Self { doubt: Some(doubt), ..Self::default() }
    }
}

/// What the broker says of a run that has ended.
pub(super) struct Evidence<'a> {
    /// The run in the book of its queue.
    pub run: &'a BookRun,
    /// The items that the book expects an outcome of.
    pub open: &'a ItemSet,
    /// How many items may be in the queue twice.
    pub repeated: u64,
    /// The pages of the run's ledger.
    pub pages: &'a LedgerPage,
    /// Items that the broker has moved to the queue of failed items.
    pub dead_lettered: &'a ItemSet,
    /// Failed items that no enqueue has named, and that no worker has recorded.
    pub foreign_dead_lettered: u64,
    /// Messages in the queue that nobody holds, without copies of items that are done.
    pub ready: u64,
    /// Consumers of the queue, which may hold items.
    pub consumers: u64,
    /// Copies of items that are done, in either queue.
    pub leftover: u64,
}

impl Evidence<'_> {
    /// The items without an outcome.
    pub(super) fn without_outcome(&self) -> ItemSet {
        self.open.clone().without(&self.pages.settled()).without(self.dead_lettered)
    }

    /// Judges the run.
    pub(super) fn judge(&self) -> Verdict {
        let unsettled = self.without_outcome();
        let missing = unsettled.len().saturating_sub(self.ready + self.run.gone);
        let mut failed = self.pages.only_failed();
        failed.add(&self.dead_lettered.clone().without(&self.pages.done));
        let proof = if self.is_known() { Proof::Items } else { Proof::Counts };
        let doubt = self.doubt(proof, missing);
        Verdict {
            proof: if doubt.is_some() { Proof::None } else { proof },
            doubt,
            done: Some(self.pages.done.len() + self.pages.foreign_done),
            failed: failed.len() + self.pages.foreign_failed + self.foreign_dead_lettered,
            failed_ids: first(&failed),
            ready: Some(self.ready),
            missing,
            // While items are in the queue, nobody knows which of them are.
            missing_ids: if self.ready == 0 && missing > 0 { first(&unsettled) } else { Vec::new() },
            purged: self.run.purged,
            repeats: Some(self.pages.repeats),
            leftover: self.leftover,
            cut: self.pages.cut.len() + self.pages.foreign_cut,
            cut_ids: first(&self.pages.cut),
        }
    }

    /// Why the run is not proven, if so. Items that the book does not know can only be counted.
    fn doubt(&self, proof: Proof, missing: u64) -> Option<String> {
        let is_counted = proof == Proof::Counts;
        if self.consumers > 0 && self.ready == 0 && (missing > 0 || is_counted) {
            let consumers = count(self.consumers, "consumer");
            return Some(format!("{consumers} of the queue may hold items"));
        }
        if is_counted && self.run.purged > 0 {
            let purged = were(self.run.purged, "item");
            return Some(format!("{purged} purged from the queue, and not every item is known"));
        }
        if is_counted && self.run.items == 0 && self.pages.outcomes > 0 {
            // There is no count to compare with.
            return Some(
                "its items came while it ran, and not all of them are in the book of the queue".to_owned(),
            );
        }
        let left = self.pages.outcomes + self.ready + self.dead_lettered.len() + self.foreign_dead_lettered;
        let gone = self.run.items.saturating_sub(left);
        // Those that the book knows are missing by name.
        (is_counted && gone > missing)
            .then(|| format!("{} gone from the queue without an outcome", are(gone, "item")))
    }

    /// Whether the book knew every item of the run by its identity.
    fn is_known(&self) -> bool {
        let foreign = self.pages.foreign_done + self.pages.foreign_failed;
        let settled = self.pages.settled();
        let unlisted = settled.len() - settled.common(self.open);
        foreign == 0
            && unlisted == 0
            && self.run.gone == 0
            && self.run.items <= self.run.known + self.repeated
    }
}

/// The first ids of a set.
pub(super) fn first(items: &ItemSet) -> Vec<String> {
    items.iter().take(NAMED).map(|item| item.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use workqueue_core::record::Status;

    const BATCH: &str = "k2x9bcdf";

    fn run(items: u64, known: u64) -> BookRun {
        BookRun {
            run: "r1".to_owned(),
            opened: Timestamp::UNIX_EPOCH,
            items,
            known,
            gone: 0,
            ledger: true,
            closed: None,
            purged: 0,
            failed_removed: 0,
        }
    }

    fn done(last: u32) -> LedgerPage {
        LedgerPage { done: ItemSet::range(BATCH, 1, last), outcomes: last.into(), ..LedgerPage::default() }
    }

    /// Judges a run over ten items.
    fn judge(pages: &LedgerPage, dead_lettered: &ItemSet, ready: u64, consumers: u64) -> Verdict {
        let (run, open) = (run(10, 10), ItemSet::range(BATCH, 1, 10));
        let evidence = Evidence {
            run: &run,
            open: &open,
            repeated: 0,
            pages,
            dead_lettered,
            foreign_dead_lettered: 0,
            ready,
            consumers,
            leftover: 0,
        };
        evidence.judge()
    }

    #[test]
    fn all_items_done_are_proven_whoever_consumes() {
        let verdict = judge(&done(10), &ItemSet::default(), 0, 3);
        assert_eq!((verdict.proof, verdict.done, verdict.missing), (Proof::Items, Some(10), 0));
    }

    #[test]
    fn items_that_are_gone_without_an_outcome_are_missing_and_named() {
        let verdict = judge(&done(8), &ItemSet::default(), 0, 0);
        assert_eq!((verdict.proof, verdict.missing), (Proof::Items, 2));
        assert_eq!(verdict.missing_ids, ["k2x9bcdf.9", "k2x9bcdf.10"]);
        let held = judge(&done(8), &ItemSet::default(), 0, 1);
        assert_eq!(held.proof, Proof::None, "the consumer may hold them");
        let left = judge(&done(8), &ItemSet::default(), 2, 0);
        assert_eq!((left.missing, left.ready), (0, Some(2)));
        let some_left = judge(&done(7), &ItemSet::default(), 2, 0);
        assert_eq!((some_left.missing, some_left.missing_ids.len()), (1, 0));
    }

    #[test]
    fn a_run_that_was_opened_without_items_is_not_proven_by_counts() {
        let judge = |open: &ItemSet| {
            let (run, pages) = (run(0, 0), done(10));
            let evidence = Evidence {
                run: &run,
                open,
                repeated: 0,
                pages: &pages,
                dead_lettered: &ItemSet::default(),
                foreign_dead_lettered: 0,
                ready: 0,
                consumers: 0,
                leftover: 0,
            };
            evidence.judge()
        };
        assert_eq!(judge(&ItemSet::range(BATCH, 1, 10)).proof, Proof::Items, "the book knows them");
        let unknown = judge(&ItemSet::default());
        assert_eq!((unknown.proof, unknown.doubt.is_some()), (Proof::None, true));
    }

    #[test]
    fn done_beats_failed_and_dead_letters_count_as_failed() {
        let mut pages = done(8);
        pages.settle("k2x9bcdf.8", Status::Failed, 0);
        pages.settle("k2x9bcdf.9", Status::Failed, 1);
        let verdict = judge(&pages, &ItemSet::range(BATCH, 10, 10), 0, 0);
        assert_eq!((verdict.done, verdict.failed, verdict.missing), (Some(8), 2, 0));
        assert_eq!(verdict.failed_ids, ["k2x9bcdf.9", "k2x9bcdf.10"]);
    }

    #[test]
    fn items_of_others_are_proven_by_counts_alone() {
        let mut pages = done(10);
        pages.settle("order 7", Status::Done, 0);
        let verdict = judge(&pages, &ItemSet::default(), 0, 0);
        assert_eq!((verdict.proof, verdict.done), (Proof::Counts, Some(11)));
        assert_eq!(judge(&pages, &ItemSet::default(), 0, 1).proof, Proof::None);
        // More in the queue than the book knew, unless copies explain it.
        let judge = |items: u64, outcomes: u64, repeated: u64, purged: u64| {
            let run = BookRun { purged, ..run(items, 10) };
            let pages = LedgerPage { outcomes, ..done(10) };
            let evidence = Evidence {
                run: &run,
                open: &ItemSet::range(BATCH, 1, 10),
                repeated,
                pages: &pages,
                dead_lettered: &ItemSet::default(),
                foreign_dead_lettered: 0,
                ready: 0,
                consumers: 0,
                leftover: 0,
            };
            evidence.judge()
        };
        assert_eq!(judge(12, 12, 2, 0).proof, Proof::Items);
        assert_eq!(judge(12, 12, 0, 0).proof, Proof::Counts);
        let gone = judge(12, 11, 0, 0);
        assert_eq!((gone.proof, gone.doubt.is_some()), (Proof::None, true), "one of the two is gone");
        assert_eq!(judge(12, 12, 0, 1).proof, Proof::None, "one was purged, and nobody knows which");
    }
}
