//! The report of `results --outputs`.

use crate::error::Error;
use crate::results::outputs::{OutputSink, OutputsReport};
use crate::ui::Ui;
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::reports::run_end::{CUT, outputs_cut};
use workqueue_core::output::OutputEntry;
use workqueue_core::words::{count, have, were};

/// Prints outputs one after the other, as they are.
pub struct Printed<'a>(pub &'a Ui);

impl OutputSink for Printed<'_> {
    fn take(&mut self, entry: &OutputEntry) -> Result<bool, Error> {
        Ok(self.0.bytes(&entry.output))
    }
}

/// What was read, in words and as an exit code.
///
/// # Errors
/// Outputs that are not whole.
pub fn read(report: &OutputsReport) -> Result<(String, ExitStatus), Failure> {
    let OutputsReport { run, items, bytes, repeated, cut, cut_ids, absent } = report;
    let mut text = format!("run {run}: {}, {bytes} bytes", count(*items, "output"));
    if *repeated > 0 {
        text += &format!("\n{} left out: that item's output had been written", were(*repeated, "output"));
    }
    if *absent > 0 {
        text += &format!(
            "\n{} no output here: collected before, or still on its way",
            have(*absent, "done item")
        );
    }
    match outputs_cut(*cut, cut_ids) {
        None => Ok((text, ExitStatus::Success)),
        Some(cut) => Err(Failure::new(format!("{text}\n{cut}"), CUT).with_status(ExitStatus::OutputsCut)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_is_cut_makes_the_exit_code_tell() {
        let report = OutputsReport { run: "r1".to_owned(), items: 2, bytes: 7, ..OutputsReport::default() };
        assert_eq!(read(&report), Ok(("run r1: 2 outputs, 7 bytes".to_owned(), ExitStatus::Success)));
        let report = OutputsReport { cut: 1, cut_ids: vec!["b.2".to_owned()], absent: 1, ..report };
        let failure = read(&report).expect_err("one is cut");
        assert_eq!(failure.status, ExitStatus::OutputsCut);
        assert_eq!(
            failure.message,
            "run r1: 2 outputs, 7 bytes\n1 done item has no output here: collected before, or still on its way\n\
             1 output is cut, or not kept at all (b.2)"
        );
    }
}
