//! What can go wrong between a client and a broker, and which errors are worth another attempt.

use std::time::Duration;

use lapin::ErrorKind;

use workqueue_core::names::QueueName;

/// How long a broker may take from the TCP connection to the AMQP login.
pub(crate) const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Reply code of a broker that shuts down, or of an operator who closes a connection.
const CONNECTION_FORCED: u16 = 320;

/// Reply code for a queue that does not exist, or of which the broker does not know more.
const NOT_FOUND: u16 = 404;

/// Reply code for arguments that do not fit, or for a stream that is starting.
const PRECONDITION_FAILED: u16 = 406;

/// Reply code for a fault in the broker itself.
const INTERNAL_ERROR: u16 = 541;

/// What can go wrong between a client and a broker.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker refused user and password.
    #[error("the broker refused the login")]
    LoginRefused,
    /// The login took too long.
    #[error("the broker did not answer the login within {} s", LOGIN_TIMEOUT.as_secs())]
    LoginTimeout,
    /// The broker's address cannot be right.
    #[error("the broker's address is not usable: {0}")]
    Address(String),
    /// The connection could not be made, or broke.
    #[error("the connection to the broker failed: {0}")]
    Connection(String),
    /// The broker refused an operation and said why.
    #[error("{operation} was refused by the broker: {reason}")]
    Refused {
        /// The requested operation.
        operation: String,
        /// The broker's words.
        reason: String,
    },
    /// There is no such queue.
    #[error("there is no queue {0}")]
    NoQueue(QueueName),
    /// The leader of a quorum queue is away or too busy: nobody knows what is in the queue.
    #[error("the leader of queue {queue} has not answered for {seconds} s")]
    NoAnswer {
        /// The queue.
        queue: QueueName,
        /// How long it was given.
        seconds: u64,
    },
    /// The broker could not be reached for too long.
    #[error("the broker could not be reached for {seconds} s")]
    Unreachable {
        /// How long it was tried.
        seconds: u64,
        /// The last attempt's error.
        #[source]
        last: Box<Error>,
    },
}

impl Error {
    /// Converts lapin's error; `operation` says what was requested.
    pub(crate) fn from_lapin(operation: impl Into<String>, error: &lapin::Error) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(refusal) => {
                Self::refused(refusal.get_id(), operation, refusal.get_message().to_string())
            }
            ErrorKind::IOError(source) => Self::Connection(source.to_string()),
            _ => Self::Connection(error.to_string()),
        }
    }

    /// A channel or connection that the broker closed, by its reply code: what an operator or a crash
    /// has ended is a lost connection and worth another attempt, everything else is a refusal.
    /// <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>
    pub(crate) fn refused(code: u16, operation: impl Into<String>, reason: String) -> Self {
        match code {
            CONNECTION_FORCED | INTERNAL_ERROR => Self::Connection(reason),
            NOT_FOUND if !says_absent(&reason) => Self::Connection(reason),
            PRECONDITION_FAILED if is_starting(&reason) => Self::Connection(reason),
            _ => Self::Refused { operation: operation.into(), reason },
        }
    }

    /// Whether the broker closed a channel because a message was not acknowledged within its
    /// `consumer_timeout`. <https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout>
    pub fn says_late_ack(reason: &str) -> bool {
        reason.contains("delivery acknowledgement on channel") && reason.contains("timed out")
    }

    /// Whether another attempt on a new connection may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connection(_) | Self::LoginTimeout | Self::NoAnswer { .. })
    }
}

/// Whether a `NOT_FOUND` says that something does not exist. RabbitMQ has the same code for a queue that
/// exists, but whose node is down, whose process is stopped or has crashed, or whose leader did not
/// answer in time (`rabbit_amqqueue:priv_absent` and `not_found`). Other brokers have their own words.
fn says_absent(reason: &str) -> bool {
    let text = reason.strip_prefix("NOT_FOUND - ").unwrap_or(reason).to_lowercase();
    text.starts_with("no ") || text.contains("not found") || text.contains("does not exist")
}

/// Whether a stream cannot be read yet: it was declared a moment ago, or its broker has just started
/// (`rabbit_stream_queue:consume`).
fn is_starting(reason: &str) -> bool {
    reason.contains("does not have a running replica")
}

/// Whether the broker says that a queue does not exist.
pub(crate) fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(refusal)
        if refusal.get_id() == NOT_FOUND && says_absent(refusal.get_message().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_fault_of_the_broker_ended_is_worth_another_attempt() {
        let refused = |code| Error::refused(code, "reading queue q", "why".to_owned());
        assert!(refused(CONNECTION_FORCED).is_transient() && refused(INTERNAL_ERROR).is_transient());
        let starting = "PRECONDITION_FAILED - stream queue 'q' in vhost '/' does not have a running replica on the \
                        local node";
        assert!(Error::refused(406, "reading queue q", starting.to_owned()).is_transient());
        assert!(!refused(406).is_transient());
        assert_eq!(refused(403).to_string(), "reading queue q was refused by the broker: why");
    }

    #[test]
    fn an_ack_that_came_too_late_is_told_from_other_refusals() {
        let late = "PRECONDITION_FAILED - delivery acknowledgement on channel 2 timed out. Timeout value used: \
                    1800000 ms. This timeout value can be configured, see consumers doc guide to learn more";
        assert!(Error::says_late_ack(late));
        assert!(!Error::says_late_ack("PRECONDITION_FAILED - unknown delivery tag 7"));
    }

    #[test]
    fn a_queue_that_is_out_of_reach_is_not_taken_for_a_missing_one() {
        use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPSoftError};
        let answer = |text: &str| {
            let kind = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
            let error = AMQPError::new(kind, format!("NOT_FOUND - {text}").into());
            lapin::Error::from(ErrorKind::ProtocolError(error))
        };
        // RabbitMQ from 3.8 to 4.x.
        for text in [
            "home node 'rabbit@node1' of durable queue 'q' in vhost '/' is down or inaccessible",
            "queue 'q' in vhost '/' process is stopped by supervisor",
            "queue 'q' in vhost '/' has crashed and failed to restart",
            "failed to perform operation on queue 'q' in vhost '/' due to timeout",
            "failed to perform operation on queue 'q' in vhost '/': its master replica <0.1.0> may be stopping \
             or being demoted",
        ] {
            let error = answer(text);
            assert!(!is_not_found(&error), "{text}");
            assert!(Error::from_lapin("counting queue q", &error).is_transient(), "{text}");
        }
        for text in ["no queue 'q' in vhost '/'", "no exchange 'e' in vhost '/'", "queue q does not exist"] {
            let error = answer(text);
            assert!(is_not_found(&error), "{text}");
            assert!(!Error::from_lapin("counting queue q", &error).is_transient(), "{text}");
        }
    }
}
