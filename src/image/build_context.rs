//! The build context: a directory with a Dockerfile, or a single program for which one is generated.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Error;
use super::dockerfile::{Program, Worker, dockerfile, worker_only};
use super::modes::{make_executable, private_directory};
use super::shebang::{DEBIAN, Kind, kind, suggestion};
use super::worker_binary::{NAME, WorkerBinary};

/// The file names that engines look for; docker itself knows only the first.
const DOCKERFILES: [&str; 2] = ["Dockerfile", "Containerfile"];

/// Bytes read from a file to find out what it is. Linux reads at most 256 of the first line.
const HEAD: u64 = 512;

/// What to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildContext {
    /// A directory of the user's, and the Dockerfile in it.
    Directory { path: PathBuf, dockerfile: PathBuf },
    /// Executable files with their names in the context, and the text of their Dockerfile.
    Generated { files: Vec<(PathBuf, String)>, dockerfile: String },
}

impl BuildContext {
    /// Inspects the path that the user named. For a single program, generates the Dockerfile.
    ///
    /// # Errors
    /// A file that cannot be read, a directory without a Dockerfile, a file that Linux cannot
    /// execute, an interpreter without a known base image.
    pub fn open(path: &Path, base_image: Option<&str>, workers: &[WorkerBinary]) -> Result<Self, Error> {
        let metadata = fs::metadata(path).map_err(read_error(path))?;
        if metadata.is_dir() { directory(path) } else { program(path, base_image, workers) }
    }

    /// The context of an image that contains only the worker.
    pub fn of_worker(workers: &[WorkerBinary]) -> Self {
        let (files, worker) = worker_files(workers);
        Self::Generated { files, dockerfile: worker_only(worker) }
    }

    /// The text of the Dockerfile.
    ///
    /// # Errors
    /// The user's Dockerfile cannot be read.
    pub fn dockerfile(&self) -> Result<String, Error> {
        match self {
            Self::Directory { dockerfile, .. } => {
                fs::read_to_string(dockerfile).map_err(read_error(dockerfile))
            }
            Self::Generated { dockerfile, .. } => Ok(dockerfile.clone()),
        }
    }

    /// The directory to build, and the Dockerfile if its name is not the default.
    pub(super) fn location(&self) -> (&Path, Option<&Path>) {
        match self {
            Self::Directory { path, dockerfile } => {
                // Every engine finds the default name without a flag.
                (path, (!dockerfile.ends_with(DOCKERFILES[0])).then_some(dockerfile))
            }
            Self::Generated { .. } => (Path::new("DIRECTORY"), None),
        }
    }

    /// Writes a generated context to a temporary directory.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn prepare(&self) -> Result<PreparedContext, Error> {
        match self {
            Self::Directory { .. } => {
                let (path, dockerfile) = self.location();
                Ok(PreparedContext {
                    path: path.to_owned(),
                    dockerfile: dockerfile.map(Path::to_owned),
                    _temporary: None,
                })
            }
            Self::Generated { files, dockerfile } => stage(files, dockerfile),
        }
    }
}

/// A context on disk. A temporary one is deleted on drop.
#[derive(Debug)]
pub struct PreparedContext {
    pub(super) path: PathBuf,
    pub(super) dockerfile: Option<PathBuf>,
    _temporary: Option<TempDir>,
}

fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Read { path, source }
}

fn directory(path: &Path) -> Result<BuildContext, Error> {
    // Listing it here gives an error that names the directory; the engine's own may not.
    let entries: Vec<PathBuf> =
        fs::read_dir(path).map_err(read_error(path))?.flatten().map(|entry| entry.path()).collect();
    let found = DOCKERFILES.iter().map(|name| path.join(name)).find(|file| file.is_file());
    if let Some(dockerfile) = found {
        return Ok(BuildContext::Directory { path: path.to_owned(), dockerfile });
    }
    let is_script = |file: &&PathBuf| matches!(head(file).as_deref().map(kind), Ok(Kind::Script(_)));
    let mut scripts: Vec<&PathBuf> =
        entries.iter().filter(|entry| entry.is_file()).filter(is_script).collect();
    scripts.sort();
    Err(Error::NoDockerfile {
        path: path.to_owned(),
        script: scripts.first().map(|script| script.to_path_buf()),
    })
}

fn program(path: &Path, base_image: Option<&str>, workers: &[WorkerBinary]) -> Result<BuildContext, Error> {
    let interpreter = match kind(&head(path).map_err(read_error(path))?) {
        Kind::Executable => None,
        Kind::Script(interpreter) => Some(interpreter),
        Kind::CarriageReturn => return Err(Error::CarriageReturn { path: path.to_owned() }),
        Kind::Neither => {
            return Err(Error::NoShebang { path: path.to_owned(), suggestion: suggestion(path) });
        }
    };
    let default = match &interpreter {
        None => Some(DEBIAN.to_owned()),
        Some(interpreter) => interpreter.base_image(),
    };
    let Some(base_image) = base_image.map(str::to_owned).or(default) else {
        let interpreter = interpreter.map(|interpreter| interpreter.name).unwrap_or_default();
        return Err(Error::NoBaseImage { path: path.to_owned(), interpreter });
    };
    let name = image_name(path);
    let (mut files, worker) = worker_files(workers);
    let dockerfile = dockerfile(&Program { name: name.clone(), interpreter, base_image, worker });
    files.push((path.to_owned(), name));
    Ok(BuildContext::Generated { files, dockerfile })
}

/// The workers' files with their names in the context, and what the Dockerfile does with them.
fn worker_files(workers: &[WorkerBinary]) -> (Vec<(PathBuf, String)>, Worker) {
    let of_each =
        |worker: &WorkerBinary| (worker.path().to_owned(), format!("{NAME}-linux-{}", worker.architecture()));
    match workers {
        [] => (Vec::new(), Worker::None),
        [worker] => (vec![(worker.path().to_owned(), NAME.to_owned())], Worker::One),
        workers => (workers.iter().map(of_each).collect(), Worker::OfEach),
    }
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    fs::File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// The file's name as one word, both in a Dockerfile and in a shell.
fn image_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let legal = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(legal).collect();
    let name = name.trim_start_matches(['-', '.']);
    // These names have a meaning of their own in a context.
    let is_worker =
        name.strip_prefix(NAME).is_some_and(|rest| rest.is_empty() || rest.starts_with("-linux-"));
    if name.is_empty() || is_worker || DOCKERFILES.contains(&name) {
        "program".to_owned()
    } else {
        name.to_owned()
    }
}

fn stage(files: &[(PathBuf, String)], dockerfile: &str) -> Result<PreparedContext, Error> {
    let create_error = |source| Error::Write { path: std::env::temp_dir(), source };
    let directory = private_directory().map_err(create_error)?;
    let path = directory.path().to_owned();
    let write_error = |source| Error::Write { path: path.clone(), source };
    fs::write(path.join(DOCKERFILES[0]), dockerfile).map_err(write_error)?;
    for (file, name) in files {
        let copy = path.join(name);
        fs::copy(file, &copy).map_err(read_error(file))?;
        make_executable(&copy).map_err(write_error)?;
    }
    Ok(PreparedContext { path, dockerfile: None, _temporary: Some(directory) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        assert_eq!(image_name(Path::new("/a/worker.py")), "worker.py");
        assert_eq!(image_name(Path::new("my worker's.py")), "my-worker-s.py");
        assert_eq!(image_name(Path::new("--help")), "help");
        for taken in ["Dockerfile", "workqueue-worker", "workqueue-worker-linux-arm64"] {
            assert_eq!(image_name(Path::new(taken)), "program");
        }
    }

    #[test]
    fn a_script_is_staged_and_deleted_again() {
        let script = std::env::temp_dir().join(format!("workqueue-context-{}.py", std::process::id()));
        fs::write(&script, "#!/usr/bin/env python\n").expect("writable");
        let context = BuildContext::open(&script, None, &[]).expect("a script");
        let prepared = context.prepare().expect("writable");
        let staged = prepared.path.join(script.file_name().expect("it has one"));
        assert!(staged.is_file());
        let path = prepared.path.clone();
        drop(prepared);
        assert!(!path.exists());
        fs::remove_file(&script).expect("ours");
    }
}
