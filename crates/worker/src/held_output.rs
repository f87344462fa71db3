//! The output of one attempt, held back until its program has ended: in memory, and what is large in a
//! file that nobody else sees.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

use super::output::{Console, OutputStream};

/// Bytes that are kept in memory.
const IN_MEMORY: usize = 256 * 1024;

/// Bytes that are passed on at a time.
const CHUNK: usize = 64 * 1024;

/// What a program wrote to one of its outputs.
#[derive(Debug, Default)]
pub(super) struct HeldOutput {
    memory: Vec<u8>,
    /// What came before the part in memory.
    file: Option<File>,
}

impl HeldOutput {
    /// Adds what was written.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > IN_MEMORY && self.spill().is_ok() {
            self.memory.clear();
        }
    }

    /// Moves what is in memory into the file. If the disk is full, it stays in memory.
    fn spill(&mut self) -> std::io::Result<()> {
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile()?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let start = file.stream_position()?;
        file.write_all(&self.memory).or_else(|error| {
            file.set_len(start)?;
            file.seek(std::io::SeekFrom::Start(start))?;
            Err(error)
        })
    }

    /// Passes everything on, as it was written.
    pub(super) async fn write_to(self, console: &Console, stream: OutputStream) -> std::io::Result<()> {
        if let Some(mut file) = self.file {
            file.rewind()?;
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = file.read(&mut chunk)?;
                if read == 0 {
                    break;
                }
                chunk.truncate(read);
                console.write(stream, chunk).await;
            }
        }
        if !self.memory.is_empty() {
            console.write(stream, self.memory).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::console;

    #[tokio::test]
    async fn small_and_large_outputs_come_out_as_they_went_in() {
        for size in [0, 10, IN_MEMORY, 3 * IN_MEMORY + 7] {
            let written: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let mut held = HeldOutput::default();
            written.chunks(1000).for_each(|part| held.push(part));
            assert!(held.memory.len() <= IN_MEMORY);
            let (console, mut chunks_rx) = console();
            let reading = tokio::spawn(async move {
                let mut all = Vec::new();
                while let Some(chunk) = chunks_rx.recv().await {
                    all.extend(chunk.bytes);
                }
                all
            });
            held.write_to(&console, OutputStream::Stdout).await.expect("a temporary file");
            drop(console);
            assert_eq!(reading.await.expect("no panic"), written);
        }
    }
}
