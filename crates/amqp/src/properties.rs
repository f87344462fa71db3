//! What a copy of a message keeps of its properties.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// AMQP's delivery mode for messages that survive a restart of the broker.
pub(super) const PERSISTENT: u8 = 2;

/// The headers in which a broker tells of a message's past; a publisher's own may begin with `x-`
/// as well. <https://www.rabbitmq.com/docs/dlx#effects>, <https://www.rabbitmq.com/docs/quorum-queues>
const TOLD_BY_BROKER: &[&str] = &[
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
    "x-stream-offset",
];

/// Whether a header is a broker's word rather than the publisher's.
pub(super) fn is_told_by_broker(name: &str) -> bool {
    TOLD_BY_BROKER.iter().any(|prefix| name.starts_with(prefix))
}

/// The headers of a message, in their order.
pub(super) fn headers(properties: &BasicProperties) -> impl Iterator<Item = (&ShortString, &AMQPValue)> {
    properties.headers().iter().flat_map(FieldTable::inner)
}

/// The properties of a durable copy: the publisher's, with other headers and an id. An expiration
/// would let the broker drop it, and a user id is refused from another user.
pub(super) fn copy(from: &BasicProperties, id: &str, headers: FieldTable) -> BasicProperties {
    let mut to = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id.into())
        .with_headers(headers);
    if let Some(value) = from.content_type() {
        to = to.with_content_type(value.clone());
    }
    if let Some(value) = from.content_encoding() {
        to = to.with_content_encoding(value.clone());
    }
    if let Some(value) = from.priority() {
        to = to.with_priority(*value);
    }
    if let Some(value) = from.correlation_id() {
        to = to.with_correlation_id(value.clone());
    }
    if let Some(value) = from.reply_to() {
        to = to.with_reply_to(value.clone());
    }
    if let Some(value) = from.timestamp() {
        to = to.with_timestamp(*value);
    }
    if let Some(value) = from.kind() {
        to = to.with_type(value.clone());
    }
    if let Some(value) = from.app_id() {
        to = to.with_app_id(value.clone());
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_all_that_is_the_publishers() {
        let publishers = BasicProperties::default()
            .with_content_type("text/plain".into())
            .with_content_encoding("gzip".into())
            .with_priority(7)
            .with_correlation_id("c".into())
            .with_reply_to("r".into())
            .with_timestamp(1_700_000_000)
            .with_type("t".into())
            .with_app_id("a".into());
        let given = publishers.clone().with_expiration("5".into()).with_user_id("guest".into());
        let mut headers = FieldTable::default();
        headers.insert("color".into(), AMQPValue::LongString("red".into()));
        let copied = copy(&given, "b.1", headers.clone());
        let kept =
            publishers.with_delivery_mode(PERSISTENT).with_message_id("b.1".into()).with_headers(headers);
        assert_eq!(copied, kept);
    }

    #[test]
    fn publishers_may_have_headers_that_begin_as_the_brokers_do() {
        assert!(is_told_by_broker("x-delivery-count") && is_told_by_broker("x-first-death-queue"));
        assert!(!is_told_by_broker("x-request-id") && !is_told_by_broker("color"));
    }
}
