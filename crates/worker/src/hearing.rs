//! What becomes of the two outputs of one attempt: passed on, captured, kept and held back.

use std::path::PathBuf;

use super::held_output::HeldOutput;
use super::output::{Console, KeptOutput, Listener, Passing};
use super::program::{End, Ran};
use workqueue_core::record::CapturedOutput;

/// What becomes of them.
pub(super) struct OutputPlan {
    /// A directory for a copy of both.
    pub capture: Option<PathBuf>,
    /// Hold them back.
    pub grouped: bool,
    /// Keep so many bytes of standard output, and pass on none of it.
    pub keep: Option<usize>,
    /// How they are passed on.
    pub passing: Passing,
}

/// Listens to both.
pub(super) struct Hearing<'a> {
    pub out: Listener<'a>,
    pub err: Listener<'a>,
}

impl<'a> Hearing<'a> {
    /// # Errors
    /// The directory of the copy cannot be written.
    pub(super) async fn new(console: &'a Console, plan: &OutputPlan) -> std::io::Result<Self> {
        let (mut out, mut err) =
            (Listener::new(console, &plan.passing), Listener::new(console, &plan.passing));
        if let Some(directory) = &plan.capture {
            tokio::fs::create_dir_all(directory).await?;
            out.file = Some(tokio::fs::File::create(directory.join("stdout")).await?);
            err.file = Some(tokio::fs::File::create(directory.join("stderr")).await?);
        }
        out.kept = plan.keep.map(KeptOutput::new);
        if plan.grouped {
            (out.held, err.held) = (Some(HeldOutput::default()), Some(HeldOutput::default()));
        }
        Ok(Self { out, err })
    }

    /// What was heard of an attempt that ended like this.
    pub(super) fn into_ran(mut self, end: End) -> Ran {
        let held = self.out.held.zip(self.err.held).map(|(out, err)| [out, err]);
        let whole = self.out.kept.take().map(|kept| kept.bytes);
        let stdout = CapturedOutput { whole, ..self.out.tail.into_captured() };
        Ran { end, stdout, stderr: self.err.tail.into_captured(), held }
    }
}
