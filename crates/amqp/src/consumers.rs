//! The consumers of one session: what is wanted of them, and what they bring.

use std::task::{Context, Poll};

use futures_util::stream::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};

use super::Error;
use super::consumer::Options;
use super::topology::{self, short};
use workqueue_core::queue::Consuming;

/// What a consumer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Brings as many items as there are slots.
    Worker,
    /// Brings some more, while items are quick: their confirms take longer than they do.
    LookAhead,
    /// Is only there to be counted. If nobody else takes items it is given one, which goes back
    /// when the worker has left.
    Leaving,
}

impl Role {
    const ALL: [Self; 3] = [Self::Worker, Self::LookAhead, Self::Leaving];

    fn is_wanted(self, options: &Options) -> bool {
        match self {
            Self::Worker => options.consuming == Consuming::Active,
            Self::LookAhead => options.consuming == Consuming::Active && options.quick,
            Self::Leaving => options.consuming == Consuming::Leaving,
        }
    }

    fn prefetch(self, options: &Options) -> u16 {
        match self {
            Self::Worker => options.concurrency,
            Self::LookAhead => options.concurrency.saturating_mul(4).clamp(16, 256),
            Self::Leaving => 1,
        }
    }

    /// Its name in the broker's own tools.
    fn tag(self, options: &Options) -> String {
        let role = match self {
            Self::Worker => "items",
            Self::LookAhead => "look-ahead",
            Self::Leaving => "leaving",
        };
        format!("{} {role}", options.purpose)
    }
}

/// The consumers that there are now.
#[derive(Default)]
pub(super) struct Consumers {
    current: Vec<(Role, Consumer)>,
}

impl Consumers {
    /// Brings the consumers in line with what is wanted; gives what was on its way to those that
    /// end. New ones come before old ones go, so that this worker counts as a consumer throughout.
    ///
    /// # Errors
    /// [`Error::NoQueue`], and everything that breaks the session.
    pub(super) async fn set(
        &mut self,
        channel: &Channel,
        options: &Options,
    ) -> Result<Vec<(Role, Message)>, Error> {
        for role in Role::ALL {
            if role.is_wanted(options) && self.current.iter().all(|(other, _)| *other != role) {
                let consumer = start(channel, role, options).await?;
                self.current.push((role, consumer));
            }
        }
        let mut late = Vec::new();
        for (role, mut consumer) in self.current.extract_if(.., |(role, _)| !role.is_wanted(options)) {
            let cancelled = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await;
            cancelled.map_err(|error| Error::from_lapin("ending a consumer", &error))?;
            while let Some(message) = consumer.next().await {
                late.push((role, message.map_err(|error| Error::from_lapin("receiving", &error))?));
            }
        }
        Ok(late)
    }

    /// The next message. A consumer that ends by itself was cancelled by the broker: that breaks
    /// the session, and says nothing about what is in the queue. Safe to cancel.
    pub(super) async fn next(&mut self) -> Result<(Role, Message), Error> {
        let poll = |context: &mut Context<'_>| {
            for (role, consumer) in &mut self.current {
                let message = match consumer.poll_next_unpin(context) {
                    Poll::Pending => continue,
                    Poll::Ready(Some(Ok(message))) => Ok((*role, message)),
                    Poll::Ready(Some(Err(error))) => Err(Error::from_lapin("receiving", &error)),
                    Poll::Ready(None) => Err(Error::Connection("the broker ended the consumer".to_owned())),
                };
                return Poll::Ready(message);
            }
            Poll::Pending
        };
        std::future::poll_fn(poll).await
    }
}

async fn start(channel: &Channel, role: Role, options: &Options) -> Result<Consumer, Error> {
    let failure = |error: lapin::Error| refusal(options, "consuming", &error);
    let mut arguments = FieldTable::default();
    if role == Role::Leaving {
        arguments.insert("x-priority".into(), AMQPValue::LongInt(-1000));
    }
    // Applies to consumers that start after it.
    let prefetch = channel.basic_qos(role.prefetch(options), BasicQosOptions::default());
    prefetch.await.map_err(failure)?;
    let (queue, tag) = (short(&options.queue), role.tag(options).into());
    channel.basic_consume(queue, tag, BasicConsumeOptions::default(), arguments).await.map_err(failure)
}

pub(super) fn refusal(options: &Options, operation: &str, error: &lapin::Error) -> Error {
    if topology::is_not_found(error) {
        return Error::NoQueue(options.queue.clone());
    }
    Error::from_lapin(format!("{operation} from queue {}", options.queue), error)
}
