//! From a message to an item: its id, and how often it was delivered before.

use std::fmt::Write as _;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use sha2::{Digest as _, Sha256};

/// Bytes of the hash in an id: 64 bits tell the items of a queue apart.
const HASH_BYTES: usize = 8;

/// The publisher's id of a message, or a hash of its body: `sha256-` and the first 16 hexadecimal
/// digits that `sha256sum` gives.
pub(crate) fn item_id(properties: &BasicProperties, body: &[u8]) -> String {
    match properties.message_id() {
        Some(id) if !id.as_str().is_empty() => id.as_str().to_owned(),
        _ => {
            let hash = Sha256::digest(body);
            hash.iter().take(HASH_BYTES).fold("sha256-".to_owned(), |mut id, byte| {
                // Writing to a String cannot fail.
                write!(id, "{byte:02x}").ok();
                id
            })
        }
    }
}

/// How often a message was delivered before: quorum queues count (`x-delivery-count`), others
/// only flag a redelivery.
pub(crate) fn earlier_deliveries(properties: &BasicProperties, redelivered: bool) -> u32 {
    let counted = properties.headers().as_ref().and_then(|headers| number(headers, "x-delivery-count"));
    let counted = counted.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    counted.max(redelivered.into())
}

/// How often a message had failed before it was retried.
pub(crate) fn earlier_failures(properties: &BasicProperties) -> i64 {
    properties.headers().as_ref().and_then(|headers| number(headers, "workqueue-failures")).unwrap_or(0)
}

/// A header that is an integer of any width.
pub(crate) fn number(headers: &FieldTable, name: &str) -> Option<i64> {
    match headers.inner().get(name)? {
        AMQPValue::ShortShortInt(number) => Some((*number).into()),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        AMQPValue::ShortInt(number) => Some((*number).into()),
        AMQPValue::ShortUInt(number) => Some((*number).into()),
        AMQPValue::LongInt(number) => Some((*number).into()),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::LongLongInt(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_publishers_id_comes_first() {
        let with_id = BasicProperties::default().with_message_id("b.7".into());
        assert_eq!(item_id(&with_id, b"x"), "b.7");
        // printf apple | sha256sum
        assert_eq!(item_id(&BasicProperties::default(), b"apple"), "sha256-3a7bd3e2360a3d29");
    }

    #[test]
    fn a_redelivered_message_was_delivered_at_least_once() {
        let mut headers = FieldTable::default();
        headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(3));
        let counted = BasicProperties::default().with_headers(headers);
        assert_eq!(earlier_deliveries(&counted, true), 3);
        assert_eq!(earlier_deliveries(&BasicProperties::default(), true), 1);
        assert_eq!(earlier_deliveries(&BasicProperties::default(), false), 0);
    }
}
