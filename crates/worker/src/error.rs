//! What ends a worker before its work is done.

/// What ends a worker before its work is done.
#[derive(Debug, thiserror::Error)]
pub enum Error<Q: std::error::Error> {
    /// The queue has failed.
    #[error(transparent)]
    Queue(Q),
    /// The program cannot be started; the items are still in the queue.
    #[error("cannot start {program}")]
    Program {
        /// The program.
        program: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}
