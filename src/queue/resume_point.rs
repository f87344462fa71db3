//! How far an enqueue of files has progressed, saved on disk so that `--resume` continues there.
//!
//! The file is replaced atomically ten times a second. After a crash, at most the publisher's window
//! and what was confirmed since the last save is published again, under the same ids.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::items::{InputSource, Reading};
use crate::queue::connection::BrokerTarget;
use crate::queue::state_dir::state_dir;
use workqueue_core::names::QueueName;

/// In bytes: how much of the start of a file identifies it.
const HEAD_SIZE: u64 = 64 * 1024;

pub(crate) struct ResumePoint {
    path: PathBuf,
    state: SavedState,
    /// Items settled by an earlier attempt that this one does not resume.
    abandoned: Option<u64>,
}

/// What the file on disk holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedState {
    files: Vec<Identity>,
    batch: String,
    /// How many items from the start are settled without a gap.
    settled: u64,
}

/// Identifies a file's contents: if nothing of this has changed, its items are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    path: PathBuf,
    size: u64,
    /// Time of the last change, in nanoseconds since 1970.
    modified: u64,
    /// SHA-256 of the first [`HEAD_SIZE`] bytes.
    head: String,
}

impl ResumePoint {
    /// The resume point for a source; `None` if the source cannot be read a second time, or if
    /// there is no directory to save it in. With `resume`, that of the last attempt.
    ///
    /// # Errors
    /// [`Error::NotResumable`], only with `resume`.
    pub(crate) fn open(
        target: &BrokerTarget,
        queue: &QueueName,
        source: &InputSource,
        batch: &str,
        resume: bool,
    ) -> Result<Option<Self>, Error> {
        let refuse = |reason: &str| Err(Error::NotResumable(reason.to_owned()));
        let Some((files, reading)) = identities(source) else {
            return if resume { refuse("only files can be read a second time") } else { Ok(None) };
        };
        let Some(path) = state_dir().map(|dir| dir.join(file_name(target, queue, &files, reading))) else {
            return if resume { refuse("there is no home directory to save the state in") } else { Ok(None) };
        };
        let saved =
            std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<SavedState>(&text).ok());
        if !resume {
            let earlier = saved.filter(|saved| saved.files == files && saved.settled > 0);
            let state = SavedState { files, batch: batch.to_owned(), settled: 0 };
            return Ok(Some(Self { path, state, abandoned: earlier.map(|saved| saved.settled) }));
        }
        let Some(state) = saved else { return refuse("no earlier attempt for this queue is known") };
        if state.files != files {
            return refuse("the file has changed since then, so its items may differ");
        }
        Ok(Some(Self { path, state, abandoned: None }))
    }

    /// Items settled by an earlier attempt at the same files that this one does not resume.
    pub(crate) fn abandoned(&self) -> Option<u64> {
        self.abandoned
    }

    /// The batch that the items belong to.
    pub(crate) fn batch(&self) -> &str {
        &self.state.batch
    }

    /// How many items from the start an earlier attempt settled.
    pub(crate) fn settled(&self) -> u64 {
        self.state.settled
    }

    /// Saves the progress. The file of an earlier attempt stays until there is any. Failures are
    /// ignored: a full disk must not stop the transfer, and at worst more items are repeated.
    pub(crate) fn save(&mut self, settled: u64) {
        if settled == 0 && self.abandoned.is_some() {
            return;
        }
        self.state.settled = settled;
        let Ok(text) = serde_json::to_vec(&self.state) else { return };
        let Some(dir) = self.path.parent() else { return };
        let draft = self.path.with_extension(format!("{}.tmp", std::process::id()));
        let written = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&draft, text));
        if written.and_then(|()| std::fs::rename(&draft, &self.path)).is_err() {
            std::fs::remove_file(&draft).ok();
        }
    }

    /// Deletes the file: there is nothing to resume.
    pub(crate) fn remove(self) {
        std::fs::remove_file(&self.path).ok();
    }
}

fn identities(source: &InputSource) -> Option<(Vec<Identity>, &Reading)> {
    let InputSource::Files { paths, reading } = source else { return None };
    let files = paths.iter().map(|path| identity(path)).collect::<Option<Vec<_>>>()?;
    Some((files, reading))
}

fn identity(path: &Path) -> Option<Identity> {
    let path = path.canonicalize().ok()?;
    let file = std::fs::File::open(&path).ok()?;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos() as u64;
    let mut head = Vec::new();
    file.take(HEAD_SIZE).read_to_end(&mut head).ok()?;
    Some(Identity { path, size: metadata.len(), modified, head: hex(&Sha256::digest(&head)) })
}

/// The file name, unique to this broker, queue, files and way to read them.
fn file_name(target: &BrokerTarget, queue: &QueueName, files: &[Identity], reading: &Reading) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{}\n{queue}\n{reading:?}\n", target.identity()));
    for file in files {
        hash.update(format!("{}\n", file.path.display()));
    }
    format!("enqueue-{}.json", &hex(&hash.finalize())[..32])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use workqueue_amqp::Endpoint;

    #[test]
    fn a_resume_point_is_valid_only_while_its_file_is_unchanged() {
        let dir = std::env::temp_dir().join(format!("workqueue-resume-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let (file, path) = (dir.join("items"), dir.join("state/resume.json"));
        std::fs::write(&file, "a\nb\n").expect("writable");
        let source = InputSource::Files { paths: vec![file.clone()], reading: Reading::default() };
        let target = BrokerTarget::Direct(Endpoint::parse("amqp://mq", None).expect("legal"));
        let queue = "job1".parse().expect("legal");
        let mut resume_point =
            ResumePoint::open(&target, &queue, &source, "b1", false).expect("no refusal").expect("a file");
        resume_point.path = path.clone();
        resume_point.save(7);
        let saved: SavedState = serde_json::from_slice(&std::fs::read(&path).expect("kept")).expect("JSON");
        assert_eq!((saved.settled, saved.batch.as_str()), (7, "b1"));
        assert_eq!(saved.files, identities(&source).expect("files").0);

        std::fs::write(&file, "a\nc\n").expect("writable");
        assert_ne!(saved.files, identities(&source).expect("files").0, "its head has changed");
        resume_point.remove();
        assert!(!path.exists());
        let pipe = InputSource::Files { paths: vec!["-".into()], reading: Reading::default() };
        assert!(
            ResumePoint::open(&target, &queue, &pipe, "b1", true).is_err(),
            "a pipe cannot be read again"
        );
        std::fs::remove_dir_all(&dir).expect("removable");
    }
}
