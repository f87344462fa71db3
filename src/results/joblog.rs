//! GNU parallel's job log: one tab-separated line per item, as written by `parallel --joblog`.
//!
//! Times and columns follow parallel(1), so that tools that read its logs can read ours.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use workqueue_core::record::{Reason, ResultRecord};

/// The first line of a job log.
pub const HEADER: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// Writes one line. `sequence` counts from 1; `host` is `:` for this machine, as in GNU parallel.
/// Send is the size of the item in bytes, and Receive that of the program's standard output.
///
/// # Errors
/// Those of the writer.
pub fn write_line(
    to: &mut impl Write,
    sequence: &str,
    host: &str,
    record: &ResultRecord,
    command: &str,
) -> std::io::Result<()> {
    let started = record.started.as_millisecond() as f64 / 1000.0;
    // GNU parallel writes -1 for a job that exceeded its time limit.
    let exit = match record.reason {
        Some(Reason::Timeout | Reason::Unstartable | Reason::Deaths) => -1,
        Some(_) if record.exit.is_none() && record.signal.is_none() => 1,
        _ => record.exit.unwrap_or(0),
    };
    writeln!(
        to,
        "{sequence}\t{host}\t{started:.3}\t{:10.3}\t{}\t{}\t{exit}\t{}\t{command}",
        record.seconds(),
        record.size,
        record.stdout.bytes,
        record.signal.unwrap_or(0),
    )
}

/// The numbers of items in a log that need no further attempt: all, or with `only_done` those whose
/// last line says that they were done. A line that a crash has cut off does not count.
pub fn settled(log: &[u8], only_done: bool) -> HashSet<u64> {
    let whole = log.iter().rposition(|&byte| byte == b'\n').map_or(&[][..], |end| &log[..end]);
    let mut settled = HashSet::new();
    for line in whole.split(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let columns: Vec<&str> = line.splitn(9, '\t').map(str::trim).collect();
        let [number, _, _, _, _, _, exit, signal, _] = columns[..] else { continue };
        let Ok(number) = number.parse() else { continue };
        match only_done && (exit, signal) != ("0", "0") {
            false => settled.insert(number),
            true => settled.remove(&number),
        };
    }
    settled
}

/// Opens a log to write more lines. `log` is what it holds: a line that a crash has cut off is
/// removed, and a new log gets its header.
///
/// # Errors
/// The system's error.
pub fn append(path: &Path, log: &[u8]) -> std::io::Result<File> {
    let end = log.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    if end < log.len() {
        // Windows cuts off nothing through a file that is open for appending.
        File::options().write(true).open(path)?.set_len(end as u64)?;
    }
    let mut file = File::options().create(true).append(true).open(path)?;
    if end == 0 {
        file.write_all(HEADER.as_bytes())?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use workqueue_core::record::{CapturedOutput, Status, WorkerLocation};

    #[test]
    fn lines_are_gnu_parallels() {
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).expect("in range");
        let record = ResultRecord {
            id: "3".to_owned(),
            run: None,
            queue: "local".to_owned(),
            status: Status::Failed,
            reason: Some(Reason::Exit),
            exit: Some(3),
            signal: None,
            attempts: 1,
            earlier_deliveries: 0,
            first_started: at(1_700_000_000_125),
            started: at(1_700_000_000_125),
            ended: at(1_700_000_001_625),
            size: 5,
            location: WorkerLocation::default(),
            stdout: CapturedOutput { bytes: 42, ..CapturedOutput::default() },
            stderr: CapturedOutput::default(),
        };
        let mut log = Vec::new();
        write_line(&mut log, "3", ":", &record, "./work 'a b'").expect("memory can be written");
        let line = "3\t:\t1700000000.125\t     1.500\t5\t42\t3\t0\t./work 'a b'\n";
        assert_eq!(String::from_utf8(log).expect("text"), line);
    }

    #[test]
    fn the_last_line_of_an_item_says_whether_it_is_settled() {
        let line = |number: u64, exit: i32, signal: i32| {
            format!("{number}\t:\t1.0\t  0.1\t1\t0\t{exit}\t{signal}\tp a\tb\n")
        };
        let log =
            [HEADER.to_owned(), line(1, 0, 0), line(2, 3, 0), line(3, 0, 9), line(2, 0, 0), line(5, 1, 0)]
                .concat();
        let cut = log.clone() + "6\t:\t1.0\t  0.1\t1\t0\t0\t0\tp";
        assert_eq!(settled(cut.as_bytes(), false), HashSet::from([1, 2, 3, 5]));
        assert_eq!(settled(cut.as_bytes(), true), HashSet::from([1, 2]));
        assert_eq!(settled(b"", false), HashSet::new());
    }
}
