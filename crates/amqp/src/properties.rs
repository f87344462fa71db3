//! Properties and headers: what a copy of a message keeps.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use workqueue_core::failed_item::HeaderValue;

/// AMQP's delivery mode for messages that survive a restart of the broker.
pub(crate) const PERSISTENT: u8 = 2;

/// The headers in which a broker keeps a message's past; a publisher's own may begin with `x-` too. <https://www.rabbitmq.com/docs/dlx#effects>, <https://www.rabbitmq.com/docs/quorum-queues>
const SET_BY_BROKER: &[&str] = &[
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
    "x-stream-offset",
];

/// Whether a header comes from a broker and not from the publisher.
pub(crate) fn is_set_by_broker(name: &str) -> bool {
    SET_BY_BROKER.iter().any(|prefix| name.starts_with(prefix))
}

/// A header of ours as AMQP has it.
pub(crate) fn header_value(value: HeaderValue) -> AMQPValue {
    match value {
        HeaderValue::Text(text) => AMQPValue::LongString(text.into()),
        HeaderValue::Number(number) => AMQPValue::LongLongInt(number),
    }
}

/// The headers of a message, in their order.
pub(crate) fn headers(properties: &BasicProperties) -> impl Iterator<Item = (&ShortString, &AMQPValue)> {
    properties.headers().iter().flat_map(FieldTable::inner)
}

/// The properties of a durable copy: the publisher's, with other headers and an id. An expiration
/// would let the broker drop it, and a user id is refused from another user.
pub(crate) fn copy(from: &BasicProperties, id: &str, headers: FieldTable) -> BasicProperties {
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
        assert!(is_set_by_broker("x-delivery-count") && is_set_by_broker("x-first-death-queue"));
        assert!(!is_set_by_broker("x-request-id") && !is_set_by_broker("color"));
    }
}
