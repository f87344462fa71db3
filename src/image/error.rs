//! What keeps an image from being built or from reaching the nodes, and what to do about it.

use std::path::PathBuf;

/// What keeps an image from being built or from reaching the nodes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The context, or a file in it, cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The directory that holds a generated Dockerfile cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A directory without a Dockerfile.
    #[error("{} has no Dockerfile", path.display())]
    NoDockerfile {
        /// The directory.
        path: PathBuf,
        /// A script in it that could be built by itself.
        script: Option<PathBuf>,
    },
    /// A file that is no executable and whose first line names no interpreter.
    #[error("{} is no executable, and its first line names no interpreter", path.display())]
    NoShebang {
        /// The file.
        path: PathBuf,
        /// The first line that its name suggests.
        suggestion: &'static str,
    },
    /// A first line that ends in a carriage return, which Linux takes for a part of the
    /// interpreter's name.
    #[error("the first line of {} ends in a carriage return, as on Windows", path.display())]
    CarriageReturn {
        /// The file.
        path: PathBuf,
    },
    /// No base image is known for the interpreter.
    #[error("there is no default base image for {interpreter:?}, the interpreter of {}", path.display())]
    NoBaseImage {
        /// The file.
        path: PathBuf,
        /// The interpreter.
        interpreter: String,
    },
    /// The worker needs a loader and libraries, which an image may not have.
    #[error("{} is no static executable", .0.display())]
    WorkerNotStatic(PathBuf),
    /// There is no worker to make an image of.
    #[error("there is no static workqueue-worker beside the program or on PATH")]
    NoWorker,
    /// A program is not there, or cannot be started.
    #[error("cannot start {program:?}")]
    Start {
        /// The program.
        program: String,
        /// What it is to the user: the engine, or the tool of a local cluster.
        role: Role,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The engine's daemon does not answer.
    #[error("{program} does not reach its daemon: {reason}")]
    EngineDown {
        /// The engine's program.
        program: String,
        /// The engine's words.
        reason: String,
    },
    /// A command failed; its output, shown above, tells why.
    #[error("`{command}` failed ({status}){}", indented(.last_lines))]
    Failed {
        /// The command line, shortened to its verb.
        command: String,
        /// How it ended.
        status: String,
        /// The end of its output where it was not shown.
        last_lines: Vec<String>,
    },
    /// The registry does not let the user push.
    #[error("{registry} refused the push of {image}: {reason}")]
    PushDenied {
        /// The image.
        image: String,
        /// The registry.
        registry: String,
        /// The registry's words.
        reason: String,
    },
    /// The push failed for any other reason.
    #[error("the push of {image} failed: {reason}")]
    PushFailed {
        /// The image.
        image: String,
        /// The registry.
        registry: String,
        /// The engine's last words.
        reason: String,
    },
    /// The user stopped it.
    #[error("`{0}` was interrupted")]
    Interrupted(String),
}

/// What a program is to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It builds and pushes images.
    Engine,
    /// It brings images to the nodes of a cluster on this machine.
    Loader,
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
        Self::NoDockerfile { script: Some(script), .. } => {
            format!("write one, or build the script alone: `kubectl workqueue build {}`", script.display())
        }
        Self::NoDockerfile { .. } => {
            "write one, or name a script: for that the Dockerfile is written (see --print-dockerfile)"
                .to_owned()
        }
        Self::NoShebang { suggestion, .. } => format!("begin it with a line such as {suggestion}"),
        Self::CarriageReturn { path } => format!("mend it with: sed -i 's/\\r$//' {}", path.display()),
        Self::NoBaseImage { .. } => "name an image that has it with --base-image".to_owned(),
        Self::WorkerNotStatic(_) | Self::NoWorker => {
            "the installer brings one; from a checkout `scripts/build-worker` makes it, and --worker names it"
                .to_owned()
        }
        Self::Start { role: Role::Engine, .. } => {
            "install Docker, or name another engine with --docker podman".to_owned()
        }
        Self::Start { role: Role::Loader, .. } => {
            "put it on PATH, or push the image to a registry that the cluster pulls from with --push"
                .to_owned()
        }
        Self::EngineDown { program, .. } => {
            format!("start the daemon; `{program} version` tells whether it answers")
        }
        Self::PushDenied { registry, image, .. } if registry == "docker.io" && !image.contains('/') => {
            format!("name a repository of your own: --image USER/{image}, and log in with `docker login`")
        }
        Self::PushDenied { registry, .. } => {
            format!("log in with `docker login {registry}`, with an account that may push there")
        }
        Self::PushFailed { registry, .. } => {
            format!(
                "is {registry} a registry, and does it answer? The image itself is built: push it again later"
            )
        }
        Self::Read { .. } | Self::Write { .. } | Self::Failed { .. } | Self::Interrupted(_) => return None,
    })
    }
}
