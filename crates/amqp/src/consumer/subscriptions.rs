//! The AMQP consumers of one session: which of them the worker wants, and what they deliver.

use std::task::{Context, Poll};

use futures_util::stream::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};

use super::request::{ConsumerOptions, refusal};
use crate::Error;
use crate::broker::short;
use workqueue_core::queue::Consuming;

/// What a consumer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConsumerRole {
    /// Receives as many items as there are slots.
    Items,
    /// Receives some more while items are quick: settling takes longer than they do.
    Extra,
    /// Exists only to be counted. If there is no other consumer it receives one item, which is
    /// requeued when the worker has left.
    Leaving,
}

impl ConsumerRole {
    const ALL: [Self; 3] = [Self::Items, Self::Extra, Self::Leaving];

    fn is_wanted(self, options: &ConsumerOptions) -> bool {
        match self {
            Self::Items => options.consuming == Consuming::Active,
            Self::Extra => options.consuming == Consuming::Active && options.prefetch_extra,
            Self::Leaving => options.consuming == Consuming::Leaving,
        }
    }

    fn prefetch(self, options: &ConsumerOptions) -> u16 {
        match self {
            Self::Items => options.concurrency,
            Self::Extra => options.concurrency.saturating_mul(4).clamp(16, 256),
            Self::Leaving => 1,
        }
    }

    /// Its name in the broker's own tools.
    fn tag(self, options: &ConsumerOptions) -> String {
        let role = match self {
            Self::Items => "items",
            Self::Extra => "prefetch",
            Self::Leaving => "leaving",
        };
        format!("{} {role}", options.purpose)
    }
}

/// The current consumers.
#[derive(Default)]
pub(super) struct Subscriptions {
    current: Vec<(ConsumerRole, Consumer)>,
}

impl Subscriptions {
    /// Starts and cancels consumers as the options require; returns what was on its way to the
    /// cancelled ones. New ones start before old ones are cancelled, so that this worker counts as
    /// a consumer throughout.
    ///
    /// # Errors
    /// [`Error::NoQueue`], and all errors that break the session.
    pub(super) async fn apply(
        &mut self,
        channel: &Channel,
        options: &ConsumerOptions,
    ) -> Result<Vec<(ConsumerRole, Message)>, Error> {
        for role in ConsumerRole::ALL {
            if role.is_wanted(options) && self.current.iter().all(|(other, _)| *other != role) {
                let consumer = start(channel, role, options).await?;
                self.current.push((role, consumer));
            }
        }
        let mut late = Vec::new();
        for (role, mut consumer) in self.current.extract_if(.., |(role, _)| !role.is_wanted(options)) {
            let cancelled = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await;
            cancelled.map_err(|error| Error::from_lapin("cancelling a consumer", &error))?;
            while let Some(message) = consumer.next().await {
                late.push((role, message.map_err(|error| Error::from_lapin("receiving", &error))?));
            }
        }
        Ok(late)
    }

    /// The next message. A consumer that ends by itself was cancelled by the broker: that breaks
    /// the session, and does not mean that the queue is empty. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<(ConsumerRole, Message), Error> {
        let poll = |context: &mut Context<'_>| {
            for (role, consumer) in &mut self.current {
                let message = match consumer.poll_next_unpin(context) {
                    Poll::Pending => continue,
                    Poll::Ready(Some(Ok(message))) => Ok((*role, message)),
                    Poll::Ready(Some(Err(error))) => Err(Error::from_lapin("receiving", &error)),
                    Poll::Ready(None) => {
                        Err(Error::Connection("the broker cancelled the consumer".to_owned()))
                    }
                };
                return Poll::Ready(message);
            }
            Poll::Pending
        };
        std::future::poll_fn(poll).await
    }
}

async fn start(channel: &Channel, role: ConsumerRole, options: &ConsumerOptions) -> Result<Consumer, Error> {
    let failure = |error: lapin::Error| refusal(options, "consuming", &error);
    let mut arguments = FieldTable::default();
    if role == ConsumerRole::Leaving {
        arguments.insert("x-priority".into(), AMQPValue::LongInt(-1000));
    }
    // Applies to consumers that start after it.
    let prefetch = channel.basic_qos(role.prefetch(options), BasicQosOptions::default());
    prefetch.await.map_err(failure)?;
    let (queue, tag) = (short(&options.queue), role.tag(options).into());
    channel.basic_consume(queue, tag, BasicConsumeOptions::default(), arguments).await.map_err(failure)
}
