//! The build context: a directory with a Dockerfile, or a lone program with one written for it.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Error;
use super::dockerfile::{Program, dockerfile, worker_only};
use super::shebang::{DEBIAN, Kind, kind, suggestion};
use super::worker::{NAME, Worker};
use workqueue_core::names::random_suffix;

/// The names under which engines look for instructions; docker itself knows the first alone.
const DOCKERFILES: [&str; 2] = ["Dockerfile", "Containerfile"];

/// Bytes read of a file to tell what it is; Linux looks at no more than 256 for the first line.
const HEAD: u64 = 512;

/// What to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// A directory of the user's.
    Directory {
        /// The directory.
        path: PathBuf,
        /// The Dockerfile in it.
        dockerfile: PathBuf,
    },
    /// Executable files, and the Dockerfile that was written for them.
    Written {
        /// The files, with their names in the context.
        files: Vec<(PathBuf, String)>,
        /// The Dockerfile.
        dockerfile: String,
    },
}

impl Context {
    /// Looks at what the user named, and writes the Dockerfile of a lone program.
    ///
    /// # Errors
    /// What cannot be read, a directory without a Dockerfile, a file that Linux could not start,
    /// an interpreter without a known image.
    pub fn open(path: &Path, base_image: Option<&str>, worker: Option<&Worker>) -> Result<Self, Error> {
        let metadata = fs::metadata(path).map_err(read_error(path))?;
        if metadata.is_dir() { directory(path) } else { program(path, base_image, worker) }
    }

    /// The context of an image that holds nothing but the worker.
    pub fn of_worker(worker: &Worker) -> Self {
        Self::Written { files: vec![worker_file(worker)], dockerfile: worker_only() }
    }

    /// The text of the Dockerfile.
    ///
    /// # Errors
    /// A Dockerfile of the user's that cannot be read.
    pub fn dockerfile(&self) -> Result<String, Error> {
        match self {
            Self::Directory { dockerfile, .. } => {
                fs::read_to_string(dockerfile).map_err(read_error(dockerfile))
            }
            Self::Written { dockerfile, .. } => Ok(dockerfile.clone()),
        }
    }

    /// The directory to build, and the file with the instructions if it has an unusual name.
    pub(super) fn location(&self) -> (&Path, Option<&Path>) {
        match self {
            Self::Directory { path, dockerfile } => {
                // The name that every engine looks for needs no flag.
                (path, (!dockerfile.ends_with(DOCKERFILES[0])).then_some(dockerfile))
            }
            Self::Written { .. } => (Path::new("DIRECTORY"), None),
        }
    }

    /// Puts the context on disk where it is not there already.
    ///
    /// # Errors
    /// A directory for temporary files that cannot be written.
    pub fn prepare(&self) -> Result<Prepared, Error> {
        match self {
            Self::Directory { .. } => {
                let (path, dockerfile) = self.location();
                Ok(Prepared {
                    path: path.to_owned(),
                    dockerfile: dockerfile.map(Path::to_owned),
                    temporary: false,
                })
            }
            Self::Written { files, dockerfile } => stage(files, dockerfile),
        }
    }
}

/// A context on disk; a temporary one goes when this does.
#[derive(Debug)]
pub struct Prepared {
    pub(super) path: PathBuf,
    pub(super) dockerfile: Option<PathBuf>,
    temporary: bool,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if self.temporary {
            // A copy of one script left behind is no reason for an error.
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Read { path, source }
}

fn directory(path: &Path) -> Result<Context, Error> {
    // The engine would complain in its own words: listing it here names the directory.
    let entries: Vec<PathBuf> =
        fs::read_dir(path).map_err(read_error(path))?.flatten().map(|entry| entry.path()).collect();
    let found = DOCKERFILES.iter().map(|name| path.join(name)).find(|file| file.is_file());
    if let Some(dockerfile) = found {
        return Ok(Context::Directory { path: path.to_owned(), dockerfile });
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

fn program(path: &Path, base_image: Option<&str>, worker: Option<&Worker>) -> Result<Context, Error> {
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
    let has_worker = worker.is_some();
    let dockerfile = dockerfile(&Program { name: name.clone(), interpreter, base_image, has_worker });
    let files = worker.map(worker_file).into_iter().chain([(path.to_owned(), name)]).collect();
    Ok(Context::Written { files, dockerfile })
}

fn worker_file(worker: &Worker) -> (PathBuf, String) {
    (worker.path().to_owned(), NAME.to_owned())
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    fs::File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// The file's name as a word that no Dockerfile and no shell takes apart.
fn image_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let legal = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(legal).collect();
    let name = name.trim_start_matches(['-', '.']);
    // These mean something else in a context.
    if name.is_empty() || name == NAME || DOCKERFILES.contains(&name) {
        "program".to_owned()
    } else {
        name.to_owned()
    }
}

fn stage(files: &[(PathBuf, String)], dockerfile: &str) -> Result<Prepared, Error> {
    let path = std::env::temp_dir().join(format!("kubectl-workqueue-{}", random_suffix(10)));
    let write_error = |source| Error::Write { path: path.clone(), source };
    fs::DirBuilder::new().mode(0o700).create(&path).map_err(write_error)?;
    let prepared = Prepared { path: path.clone(), dockerfile: None, temporary: true };
    fs::write(path.join(DOCKERFILES[0]), dockerfile).map_err(write_error)?;
    for (file, name) in files {
        let copy = path.join(name);
        fs::copy(file, &copy).map_err(read_error(file))?;
        // The run bit that people forget; readable for the user of the image, who owns nothing in it.
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).map_err(write_error)?;
    }
    Ok(prepared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        assert_eq!(image_name(Path::new("/a/worker.py")), "worker.py");
        assert_eq!(image_name(Path::new("my worker's.py")), "my-worker-s.py");
        assert_eq!(image_name(Path::new("--help")), "help");
        assert_eq!(image_name(Path::new("Dockerfile")), "program");
    }

    #[test]
    fn a_script_is_staged_with_its_run_bit_and_goes_again() {
        let script = std::env::temp_dir().join(format!("workqueue-context-{}.py", std::process::id()));
        fs::write(&script, "#!/usr/bin/env python\n").expect("writable");
        let context = Context::open(&script, None, None).expect("a script");
        let prepared = context.prepare().expect("writable");
        let staged = prepared.path.join(script.file_name().expect("it has one"));
        let mode = fs::metadata(&staged).expect("staged").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        let path = prepared.path.clone();
        drop(prepared);
        assert!(!path.exists());
        fs::remove_file(&script).expect("ours");
    }
}
