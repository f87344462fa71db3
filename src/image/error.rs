//! Why an image cannot be built or does not reach the nodes, and what the user can do about it.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The context, or a file in it, cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The temporary directory for a generated Dockerfile cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// `script` is a script in the directory that could be built on its own.
    #[error("{} has no Dockerfile", path.display())]
    NoDockerfile { path: PathBuf, script: Option<PathBuf> },
    /// `suggestion` is a first line that fits the file's name.
    #[error("{} is not an executable, and its first line names no interpreter", path.display())]
    NoShebang { path: PathBuf, suggestion: &'static str },
    /// Linux takes the carriage return for a part of the interpreter's name.
    #[error("the first line of {} ends in a carriage return, as on Windows", path.display())]
    CarriageReturn { path: PathBuf },
    #[error("there is no default base image for {interpreter:?}, the interpreter of {}", path.display())]
    NoBaseImage { path: PathBuf, interpreter: String },
    /// The worker needs a loader and libraries, which an image may not have.
    #[error("{} is not a static executable", .0.display())]
    WorkerNotStatic(PathBuf),
    #[error("there is no static workqueue-worker next to the program or on PATH")]
    NoWorker,
    /// A `--worker` for an image with several architectures.
    #[error("--worker names one file, and an image for several platforms needs a worker for each")]
    OneWorker,
    /// The engine's way to build for several platforms is not known here.
    #[error("{program} builds images for one platform at a time")]
    OnePlatform { program: String },
    /// An image for several platforms that would not go to a registry, but to `place`.
    #[error("an image for several platforms exists in a registry only, and not in {place}")]
    SeveralPlatforms { place: String },
    /// A program is missing, or cannot be started.
    #[error("cannot start {program:?}")]
    Start { program: String, tool: Tool, source: std::io::Error },
    /// The engine's daemon does not answer.
    #[error("{program} cannot reach its daemon: {reason}")]
    EngineDown { program: String, reason: String },
    /// A command failed. `command` is shortened to its verb; `last_lines` is empty if the output was
    /// shown.
    #[error("`{command}` failed ({status}){}", indented(.last_lines))]
    Failed { command: String, status: String, last_lines: Vec<String> },
    /// The registry does not let the user push.
    #[error("{registry} refused the push of {image}: {reason}")]
    PushDenied { image: String, registry: String, reason: String },
    /// The push failed for any other reason.
    #[error("the push of {image} failed: {reason}")]
    PushFailed { image: String, registry: String, reason: String },
    /// Nobody says what an image starts.
    #[error("{program} does not tell what the image {image} starts")]
    NoEntryPoint { image: String, program: String },
    #[error("`{0}` was interrupted")]
    Interrupted(String),
}

/// What an external program is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Builds and pushes images.
    Engine,
    /// Loads images onto the nodes of a local cluster.
    Loader,
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

impl Error {
    /// Whether a file that the command line names is wrong.
    pub fn is_about_files(&self) -> bool {
        matches!(
            self,
            Self::Read { .. }
                | Self::NoDockerfile { .. }
                | Self::NoShebang { .. }
                | Self::CarriageReturn { .. }
                | Self::NoBaseImage { .. }
                | Self::WorkerNotStatic(_)
        )
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
        Self::NoDockerfile { script: Some(script), .. } => {
            format!("write one, or build only the script: `kubectl workqueue build {}`", script.display())
        }
        Self::NoDockerfile { .. } => {
            "write one, or name a script: its Dockerfile is generated (see --print-dockerfile)"
                .to_owned()
        }
        Self::NoShebang { suggestion, .. } => format!("begin it with a line such as {suggestion}"),
        Self::CarriageReturn { path } => format!("fix it with: sed -i 's/\\r$//' {}", path.display()),
        Self::NoBaseImage { .. } => "name an image that has it with --base-image".to_owned(),
        Self::WorkerNotStatic(_) | Self::NoWorker => {
            "the installer includes one; in a checkout, `scripts/build-worker` builds it and --worker names it"
                .to_owned()
        }
        Self::OneWorker => {
            "omit --worker: the workers next to kubectl-workqueue are taken, workqueue-worker-linux-ARCHITECTURE"
                .to_owned()
        }
        Self::OnePlatform { .. } => {
            "build with docker, which makes a list of them; or make one yourself, and run it with --image".to_owned()
        }
        Self::SeveralPlatforms { .. } => {
            "push it with --push, or name one platform with --platform".to_owned()
        }
        Self::Start { tool: Tool::Engine, .. } => {
            "install Docker, or name another engine with --docker podman".to_owned()
        }
        Self::Start { tool: Tool::Loader, .. } => {
            "put it on PATH, or push the image to a registry that the cluster pulls from with --push"
                .to_owned()
        }
        Self::EngineDown { program, .. } => {
            format!("start the daemon; `{program} version` shows whether it answers")
        }
        Self::PushDenied { registry, image, .. } if registry == "docker.io" && !image.contains('/') => {
            format!("name a repository of your own: --image USER/{image}, and log in with `docker login`")
        }
        Self::PushDenied { registry, .. } => {
            format!("log in with `docker login {registry}`, with an account that may push there")
        }
        Self::PushFailed { registry, .. } => {
            format!(
                "check that {registry} is a registry and can be reached. The image is built: you can push it later"
            )
        }
        Self::NoEntryPoint { image, program } => {
            format!(
                "name the program after --; `{program} pull {image} && {program} image inspect --format \
                 '{{{{json .Config.Entrypoint}}}} {{{{json .Config.Cmd}}}}' {image}` prints it"
            )
        }
        Self::Read { .. } | Self::Write { .. } | Self::Failed { .. } | Self::Interrupted(_) => return None,
    })
    }
}
