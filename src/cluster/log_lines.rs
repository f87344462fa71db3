//! The timestamps of log lines: they show which lines of a log that is read again are new.

use jiff::Timestamp;

/// Splits the timestamp off the front of a line.
fn split_timestamp(line: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let parsed = memchr::memchr(b' ', line).and_then(|space| {
        let time = std::str::from_utf8(&line[..space]).ok()?.parse().ok()?;
        Some((Some(time), &line[space + 1..]))
    });
    parsed.unwrap_or((None, line))
}

/// Finds the timestamps of the pieces of a stream: lines, and parts of long lines.
#[derive(Default)]
pub(super) struct Pieces {
    /// The timestamp of the current line.
    time: Option<Timestamp>,
    /// Whether the next piece continues the current line.
    continued: bool,
}

impl Pieces {
    /// Returns the timestamp of the piece's line, and the piece without it. All pieces of a line get
    /// its timestamp, so that every one of them is recognized if the line is read again.
    pub(super) fn take<'a>(&mut self, piece: &'a [u8]) -> (Option<Timestamp>, &'a [u8]) {
        let mut text = piece;
        if !self.continued {
            (self.time, text) = split_timestamp(piece);
        }
        self.continued = !piece.ends_with(b"\n");
        (self.time, text)
    }
}

/// The timestamp of the last reported line, and how many pieces with that timestamp were reported.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenLines {
    time: Option<Timestamp>,
    pieces: u64,
}

impl SeenLines {
    /// The time from which to read again. Requests have a resolution of one second, and kube rounds
    /// to the nearest second, which may skip lines. So this returns the start of the second; lines
    /// that were reported before are skipped by [`is_new`](Self::is_new).
    pub(super) fn since(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.time?.as_second()).ok()
    }

    /// Whether a piece has not been reported before. `skip` is a copy of the state from when the
    /// stream was opened; repeated pieces use it up.
    pub(super) fn is_new(&mut self, time: Option<Timestamp>, skip: &mut SeenLines) -> bool {
        let Some(time) = time else { return true };
        if skip.time.is_some_and(|before| time < before) {
            return false;
        }
        if skip.time == Some(time) && skip.pieces > 0 {
            skip.pieces -= 1;
            return false;
        }
        if self.time == Some(time) {
            self.pieces += 1;
        } else {
            *self = Self { time: Some(time), pieces: 1 };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_opened_again_repeats_no_line() {
        let lines =
            ["1.5Z a", "2Z b", "2Z c", "2Z d", "3.25Z e"].map(|rest| format!("2026-01-01T00:00:0{rest}"));
        let read = |seen: &mut SeenLines, range: std::ops::Range<usize>| -> Vec<String> {
            let mut skip = seen.clone();
            let fresh = lines[range].iter().filter_map(|line| {
                let (time, text) = split_timestamp(line.as_bytes());
                seen.is_new(time, &mut skip).then(|| String::from_utf8_lossy(text).into_owned())
            });
            fresh.collect()
        };
        let mut seen = SeenLines::default();
        assert_eq!(read(&mut seen, 0..3), ["a", "b", "c"]);
        assert_eq!(read(&mut seen, 1..5), ["d", "e"]);
        assert_eq!(read(&mut seen, 0..5), [""; 0]);
    }

    #[test]
    fn a_second_is_read_again_from_its_start() {
        let since =
            |time: &str| SeenLines { time: time.parse().ok(), pieces: 1 }.since().map(|t| t.to_string());
        assert_eq!(since("2026-01-01T00:00:10.7Z").as_deref(), Some("2026-01-01T00:00:10Z"));
        assert_eq!(since("2026-01-01T00:00:10Z").as_deref(), Some("2026-01-01T00:00:10Z"));
        assert_eq!(SeenLines::default().since(), None);
    }

    #[test]
    fn pieces_of_a_long_line_come_once() {
        let stream = ["2026-01-01T00:00:01Z a", "b", "c\n", "2026-01-01T00:00:02Z d\n", "no time\n"];
        let read = |seen: &mut SeenLines, range: std::ops::Range<usize>| -> Vec<&str> {
            let (mut skip, mut pieces) = (seen.clone(), Pieces::default());
            let fresh = stream[range].iter().filter_map(|piece| {
                let (time, text) = pieces.take(piece.as_bytes());
                seen.is_new(time, &mut skip).then(|| std::str::from_utf8(text).expect("text").trim_end())
            });
            fresh.collect()
        };
        let mut seen = SeenLines::default();
        assert_eq!(read(&mut seen, 0..2), ["a", "b"], "the stream breaks within the line");
        assert_eq!(read(&mut seen, 0..4), ["c", "d"]);
        assert_eq!(read(&mut seen, 0..5), ["no time"], "only lines without a time are repeated");
    }

    #[test]
    fn a_line_without_a_time_stays_whole() {
        assert_eq!(split_timestamp(b"no time"), (None, b"no time".as_slice()));
        assert_eq!(split_timestamp(b""), (None, b"".as_slice()));
    }
}
