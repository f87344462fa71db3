//! What workers tell each other in the stream `QUEUE.starts` about items that were delivered before.
//!
//! `docs/design/deaths.md` shows how deaths are counted from it.

use serde::{Deserialize, Serialize};

use crate::names::fnv1a;

/// An item as marks name it. The id alone is not enough: a retried item keeps its id and starts at zero
/// again, and publishers may give one id to several items.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkedItem {
    /// The item's id.
    pub id: String,
    /// How often it had failed and been put back into the queue.
    pub failures: i64,
    /// The size of its body in bytes.
    pub size: u64,
    /// The FNV-1a hash of its body.
    pub hash: u32,
}

impl MarkedItem {
    /// The item with this id and body that has failed so often before.
    pub fn new(id: &str, failures: i64, body: &[u8]) -> Self {
        Self { id: id.to_owned(), failures, size: body.len() as u64, hash: fnv1a(body) }
    }
}

/// A message of `QUEUE.starts`. All workers of a queue read the same messages in the same order, and
/// each reads its own again: then it has read everything before them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MarkMessage {
    /// A worker holds an item that came back, and wants to know about its marks. Living workers with a
    /// mark of this item answer with [`Alive`](Self::Alive).
    Look {
        /// The item.
        item: MarkedItem,
        /// Who wants to know: a name that no other process has.
        worker: String,
        /// Counts the looks and marks of this worker.
        number: u64,
    },
    /// A mark: the worker starts an item that came back.
    Start {
        /// The item.
        item: MarkedItem,
        /// Who starts it.
        worker: String,
        /// Counts the looks and marks of this worker.
        number: u64,
    },
    /// The worker has marks of this item, and lives.
    Alive {
        /// The item.
        item: MarkedItem,
        /// Who lives.
        worker: String,
    },
    /// Living workers have requeued or lost these items.
    End {
        /// Who held them.
        worker: String,
        /// The items.
        items: Vec<EndedItem>,
    },
    /// The item is done or has failed: nobody needs its marks any more.
    Settled {
        /// The item.
        item: MarkedItem,
    },
}

/// An item that a living worker no longer holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedItem {
    /// The item.
    pub item: MarkedItem,
    /// The number of its mark; `None` if it was not marked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_json_with_the_words_of_the_documentation() {
        let item = MarkedItem { id: "b.7".to_owned(), failures: 0, size: 5, hash: 9 };
        let start = MarkMessage::Start { item, worker: "pod-a/k2x9".to_owned(), number: 2 };
        let json = serde_json::to_string(&start).expect("a mark is JSON");
        let item = r#"{"id":"b.7","failures":0,"size":5,"hash":9}"#;
        assert_eq!(json, format!(r#"{{"start":{{"item":{item},"worker":"pod-a/k2x9","number":2}}}}"#));
        assert_eq!(serde_json::from_str::<MarkMessage>(&json).expect("what we wrote"), start);
    }
}
