//! How far an enqueue of files has come, kept on disk, so that `--resume` goes on from there.
//!
//! The file is written ten times a second and replaced as a whole: after a crash at most the
//! window, and what was confirmed since, is published again, under the same ids.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::items::{Framing, InputSource};
use crate::queue::connection::Reach;
use workqueue_core::names::QueueName;

/// Bytes from the start of a file that tell it from another.
const HEAD: u64 = 64 * 1024;

/// A journal on disk, and what stands in it.
pub(crate) struct ResumePoint {
    path: PathBuf,
    record: Record,
    /// Items that an earlier attempt had settled which this one does not go on with.
    left_behind: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    files: Vec<Identity>,
    batch: String,
    /// Items from the first on that are settled, without a gap.
    settled: u64,
}

/// What must not have changed for the items to be the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    path: PathBuf,
    size: u64,
    /// Time of the last change, in nanoseconds since 1970.
    modified: u64,
    /// SHA-256 of the first bytes.
    head: String,
}

impl ResumePoint {
    /// The journal of a source; `None` if it cannot be read a second time, or if there is no
    /// place to keep one. With `resume` it is the one of the last attempt.
    ///
    /// # Errors
    /// [`Error::NotResumable`], with `resume` alone.
    pub(crate) fn open(
        reach: &Reach,
        queue: &QueueName,
        source: &InputSource,
        batch: &str,
        resume: bool,
    ) -> Result<Option<Self>, Error> {
        let refuse = |reason: &str| Err(Error::NotResumable(reason.to_owned()));
        let Some((files, framing)) = identities(source) else {
            return if resume { refuse("only files can be read a second time") } else { Ok(None) };
        };
        let Some(path) = state_dir().map(|dir| dir.join(name(reach, queue, &files, framing))) else {
            return if resume { refuse("there is no home directory to keep states in") } else { Ok(None) };
        };
        let kept = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        if !resume {
            let same = kept.filter(|kept| kept.files == files && kept.settled > 0);
            let record = Record { files, batch: batch.to_owned(), settled: 0 };
            return Ok(Some(Self { path, record, left_behind: same.map(|kept| kept.settled) }));
        }
        let Some(record) = kept else { return refuse("no earlier attempt at this queue is known") };
        if record.files != files {
            return refuse("the file has changed since, and its items with it");
        }
        Ok(Some(Self { path, record, left_behind: None }))
    }

    /// Items of an earlier attempt at the same files that it has settled, if this is a new one.
    pub(crate) fn left_behind(&self) -> Option<u64> {
        self.left_behind
    }

    /// The batch that the items belong to.
    pub(crate) fn batch(&self) -> &str {
        &self.record.batch
    }

    /// Items from the first on that are settled already.
    pub(crate) fn settled(&self) -> u64 {
        self.record.settled
    }

    /// Writes down how far it has come; an earlier attempt's journal stays until it has come
    /// anywhere. A full disk must not stop the transfer: the worst that comes of it is that more is
    /// repeated.
    pub(crate) fn keep(&mut self, settled: u64) {
        if settled == 0 && self.left_behind.is_some() {
            return;
        }
        self.record.settled = settled;
        let Ok(text) = serde_json::to_vec(&self.record) else { return };
        let Some(dir) = self.path.parent() else { return };
        let draft = self.path.with_extension(format!("{}.tmp", std::process::id()));
        let written = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&draft, text));
        if written.and_then(|()| std::fs::rename(&draft, &self.path)).is_err() {
            std::fs::remove_file(&draft).ok();
        }
    }

    /// Everything is settled: there is nothing to go on with.
    pub(crate) fn remove(self) {
        std::fs::remove_file(&self.path).ok();
    }
}

/// The directory for states: `$XDG_STATE_HOME/kubectl-workqueue`, by default under `~/.local/state`.
fn state_dir() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(home.join("kubectl-workqueue"))
}

fn identities(source: &InputSource) -> Option<(Vec<Identity>, &Framing)> {
    let InputSource::Files { paths, framing } = source else { return None };
    let files = paths.iter().map(|path| identity(path)).collect::<Option<Vec<_>>>()?;
    Some((files, framing))
}

fn identity(path: &Path) -> Option<Identity> {
    let path = path.canonicalize().ok()?;
    let file = std::fs::File::open(&path).ok()?;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos() as u64;
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head).ok()?;
    Some(Identity { path, size: metadata.len(), modified, head: hex(&Sha256::digest(&head)) })
}

/// The journal's file name: of this broker, this queue, these files, cut this way.
fn name(reach: &Reach, queue: &QueueName, files: &[Identity], framing: &Framing) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{}\n{queue}\n{framing:?}\n", reach.identity()));
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
    fn a_journal_is_found_again_as_long_as_its_file_is_the_same() {
        let dir = std::env::temp_dir().join(format!("workqueue-journal-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        let (file, path) = (dir.join("items"), dir.join("state/journal.json"));
        std::fs::write(&file, "a\nb\n").expect("writable");
        let source = InputSource::Files { paths: vec![file.clone()], framing: Framing::Lines };
        let reach = Reach::Direct(Endpoint::parse("amqp://mq", None).expect("legal"));
        let queue = "job1".parse().expect("legal");
        let mut journal =
            ResumePoint::open(&reach, &queue, &source, "b1", false).expect("no refusal").expect("a file");
        journal.path = path.clone();
        journal.keep(7);
        let kept: Record = serde_json::from_slice(&std::fs::read(&path).expect("kept")).expect("JSON");
        assert_eq!((kept.settled, kept.batch.as_str()), (7, "b1"));
        assert_eq!(kept.files, identities(&source).expect("files").0);

        std::fs::write(&file, "a\nc\n").expect("writable");
        assert_ne!(kept.files, identities(&source).expect("files").0, "its head is another one");
        journal.remove();
        assert!(!path.exists());
        let pipe = InputSource::Files { paths: vec!["-".into()], framing: Framing::Lines };
        assert!(ResumePoint::open(&reach, &queue, &pipe, "b1", true).is_err(), "a pipe cannot be read again");
        std::fs::remove_dir_all(&dir).expect("ours");
    }
}
