//! Limits that keep a hostile chart from exhausting memory, stack or time.

use std::cell::Cell;

use super::error::{Error, ErrorKind};

/// How deep YAML, JSON and values may be nested.
pub(crate) const MAX_DATA_DEPTH: usize = 1_000;
/// How deep blocks and parentheses may be nested in one template.
pub(crate) const MAX_SYNTAX_DEPTH: usize = 1_000;
/// How deep templates may call each other; helm stops a name at 1,000 includes.
pub(crate) const MAX_CALL_DEPTH: usize = 2_000;
/// How deep blocks and pipelines may be nested during execution, across all templates.
pub(crate) const MAX_LEVELS: usize = 40_000;
/// How often one name may be in the chain of includes.
pub(crate) const MAX_INCLUDES_OF_ONE_NAME: usize = 1_000;
/// How long a string or a list that a function makes may be.
pub(crate) const MAX_LENGTH: usize = 32 << 20;
/// How much all functions and templates of one render may produce in total, in bytes.
const MAX_PRODUCED: usize = 512 << 20;
/// How many nodes of templates one render may execute.
const MAX_STEPS: usize = 10_000_000;
/// How large a file of a chart may be; the same as in helm.
pub(crate) const MAX_FILE: usize = 5 << 20;
/// How many nodes a YAML document may have once its aliases are expanded.
pub(crate) const MAX_YAML_NODES: usize = 2_000_000;
/// The stack of the thread that renders, enough for all depths above in a debug build.
pub(crate) const STACK_SIZE: usize = 512 << 20;

/// What one render has used up so far.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    produced: Cell<usize>,
    steps: Cell<usize>,
}

impl Budget {
    /// Accounts for `bytes` that are about to be made, or have just been made.
    pub(crate) fn produce(&self, bytes: usize) -> Result<(), String> {
        let produced = self.produced.get().saturating_add(bytes);
        self.produced.set(produced);
        if bytes > MAX_LENGTH {
            return Err(format!("a value of {bytes} bytes is longer than the limit of {MAX_LENGTH}"));
        }
        if produced > MAX_PRODUCED {
            return Err(format!("the templates produced more than {MAX_PRODUCED} bytes in all"));
        }
        Ok(())
    }

    /// Accounts for one executed node.
    pub(crate) fn step(&self) -> Result<(), Error> {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps > MAX_STEPS {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("the templates took more than {MAX_STEPS} steps"),
            ));
        }
        Ok(())
    }
}
