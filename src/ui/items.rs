//! Prints items with what they wrote, each as a whole: `map` and `local` share it.

use std::ops::Deref;

use crate::results::printing::ItemSink;
use crate::ui::Ui;
use crate::ui::json::line;
use crate::ui::json::output::OutputJson;
use crate::ui::table::plain;
use workqueue_core::output::OutputEntry;
use workqueue_core::record::Status;

/// How an item is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ItemFormat {
    /// Its output as it is; none for an item that failed.
    #[default]
    Plain,
    /// The same, with the item and a tab before each line.
    Tagged,
    /// A JSON document on a line, of failed items too.
    JsonLines,
}

impl ItemFormat {
    fn bytes(self, entry: &OutputEntry) -> Vec<u8> {
        match self {
            Self::Plain => entry.output.clone(),
            Self::Tagged => tagged(entry),
            Self::JsonLines => (line(&OutputJson::from(entry)) + "\n").into_bytes(),
        }
    }
}

/// Prints items on stdout.
pub struct ItemPrinter<U> {
    /// The user interface, or a pointer to it.
    pub ui: U,
    pub format: ItemFormat,
}

impl<U: Deref<Target = Ui>> ItemSink for ItemPrinter<U> {
    fn wants(&self, entry: &OutputEntry) -> bool {
        self.format == ItemFormat::JsonLines || (entry.status == Status::Done && !entry.output.is_empty())
    }

    fn print(&self, entry: &OutputEntry) -> bool {
        match self.format {
            ItemFormat::Plain => self.ui.bytes(&entry.output),
            format => self.ui.bytes(&format.bytes(entry)),
        }
    }
}

/// Each line after the item and a tab; the last one ends with a newline then.
fn tagged(entry: &OutputEntry) -> Vec<u8> {
    let tag = match &entry.item {
        Some(item) => plain(&String::from_utf8_lossy(item)),
        None => plain(&entry.id),
    };
    let mut bytes = Vec::with_capacity(entry.output.len() + tag.len() + 2);
    for part in entry.output.split_inclusive(|&byte| byte == b'\n') {
        bytes.extend_from_slice(tag.as_bytes());
        bytes.push(b'\t');
        bytes.extend_from_slice(part);
    }
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(item: Option<&[u8]>, output: &[u8]) -> OutputEntry {
        OutputEntry {
            id: "k2x9bcdf.1".to_owned(),
            status: Status::Done,
            item: item.map(<[u8]>::to_vec),
            written: output.len() as u64,
            output: output.to_vec(),
        }
    }

    fn printed(format: ItemFormat, item: Option<&[u8]>, output: &[u8]) -> String {
        String::from_utf8(format.bytes(&entry(item, output))).expect("text")
    }

    #[test]
    fn lines_are_tagged_with_the_item_and_the_last_gets_a_newline() {
        let tagged = |item, output| printed(ItemFormat::Tagged, item, output);
        assert_eq!(tagged(Some(b"a b".as_slice()), b"x\n\ny".as_slice()), "a b\tx\na b\t\na b\ty\n");
        assert_eq!(tagged(Some(b"a\nb"), b"x\n"), "a\\nb\tx\n");
        assert_eq!(tagged(None, b"x\n"), "k2x9bcdf.1\tx\n");
        assert_eq!(tagged(Some(b"a"), b""), "");
    }

    #[test]
    fn json_is_text_where_it_can_be() {
        let json = |item, output| printed(ItemFormat::JsonLines, item, output);
        assert_eq!(
            json(Some(b"a".as_slice()), b"x\n".as_slice()),
            "{\"id\":\"k2x9bcdf.1\",\"status\":\"done\",\"item\":\"a\",\"output\":\"x\\n\",\"cut\":false}\n"
        );
        let binary = json(Some(b"\xff"), b"\xff");
        assert!(binary.contains("\"itemBase64\":\"/w==\",\"outputBase64\":\"/w==\""), "{binary}");
        let large = json(None, b"");
        assert!(!large.contains("item") && large.contains("\"output\":\"\""), "{large}");
    }
}
