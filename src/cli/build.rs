//! `build`: builds a worker image and brings it to where the nodes find it.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::flags::ContextFlags;
use crate::build::{BuildPlan, ImageSource, Push, build};
use crate::cluster::Target;
use crate::image::{BuildOptions, Engine, OutputMode, Reference};
use crate::ui::failure::{ExitStatus, Failure};
use crate::ui::{Ui, reports};

/// Build a worker image, from a Dockerfile or from a single script
///
/// CONTEXT is a directory with a Dockerfile, or a single program: a script with an interpreter in
/// its first line, or an executable. For a program a Dockerfile is generated (--print-dockerfile
/// shows it). The image starts the program once per item, with the item on its standard input; the
/// item is done when the program exits with 0. The program runs as user 65532, in /tmp.
///
/// An image that is not pushed is loaded into the cluster if the kubeconfig's context belongs to
/// kind, minikube or k3d. The image's reference is printed on stdout, with its digest if the
/// registry reported one.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// A directory with a Dockerfile, a script or an executable
    #[arg(value_name = "CONTEXT", default_value = ".", value_hint = ValueHint::AnyPath)]
    source: PathBuf,
    /// Name the image like this: [REGISTRY/]REPOSITORY[:TAG]
    #[arg(long, value_name = "REF", required_unless_present = "print_dockerfile", value_parser = image_name)]
    image: Option<Reference>,
    /// Push the image to its registry
    #[arg(long)]
    push: bool,
    /// Build an image that holds only the static worker, for `run --worker-image`
    #[arg(long, conflicts_with_all = ["source", "base_image"])]
    worker_only: bool,
    /// Print the Dockerfile and the commands, and build nothing
    #[arg(long)]
    print_dockerfile: bool,
    #[command(flatten)]
    build: BuildFlags,
    #[command(flatten)]
    context: ContextFlags,
}

/// How an image is built, by `build` and by `run --build`.
#[derive(Debug, Args)]
pub struct BuildFlags {
    /// Build for this platform, such as linux/arm64, or for several, such as linux/amd64,linux/arm64: these
    /// are pushed as they are built
    #[arg(help_heading = "Build", long, value_name = "OS/ARCH", value_delimiter = ',')]
    platform: Vec<String>,
    /// Set an ARG of the Dockerfile; can be repeated
    #[arg(help_heading = "Build", long, value_name = "NAME=VALUE")]
    build_arg: Vec<String>,
    /// Give the build a secret, as the engine takes it: id=NAME[,src=FILE]; can be repeated
    #[arg(help_heading = "Build", long, value_name = "SPEC")]
    secret: Vec<String>,
    /// Give the build an SSH agent or key, as the engine takes it: default or ID=FILE; can be repeated
    #[arg(help_heading = "Build", long, value_name = "SPEC")]
    ssh: Vec<String>,
    /// Build without the cache
    #[arg(help_heading = "Build", long)]
    no_cache: bool,
    /// Build a single program on this image (default: one that has its interpreter)
    #[arg(help_heading = "Build", long, value_name = "REF")]
    base_image: Option<Reference>,
    /// Put this static worker into the image of a single program (default: workqueue-worker next to
    /// the plugin or on PATH; if there is none, amqp-consume is installed)
    #[arg(help_heading = "Build", long)]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    worker: Option<PathBuf>,
    /// Use this container engine, which has the command line of docker (default: docker)
    #[arg(help_heading = "Build", long, value_name = "PROGRAM", value_hint = ValueHint::CommandName)]
    docker: Option<String>,
}

impl BuildFlags {
    /// Whether any of them was given, without the engine where it is used for something else.
    pub fn is_given(&self, uses_engine: bool) -> bool {
        self.no_cache
            || !self.build_arg.is_empty()
            || !self.secret.is_empty()
            || !self.ssh.is_empty()
            || !self.platform.is_empty()
            || self.base_image.is_some()
            || self.worker.is_some()
            || self.docker.is_some() && !uses_engine
    }

    /// The container engine.
    pub fn engine(&self, output: OutputMode) -> Engine {
        Engine { program: self.docker.clone().unwrap_or_else(|| "docker".to_owned()), output }
    }

    /// The build that the flags ask for.
    pub fn plan(&self, source: ImageSource, image: Reference, push: Push, ui: &Ui) -> BuildPlan {
        let output = if ui.is_quiet() { OutputMode::Kept } else { OutputMode::Shown };
        BuildPlan {
            source,
            worker: self.worker.clone(),
            base_image: self.base_image.clone(),
            image,
            engine: self.engine(output),
            options: BuildOptions {
                platforms: self.platform.clone(),
                build_args: self.build_arg.clone(),
                secrets: self.secret.clone(),
                ssh: self.ssh.clone(),
                no_cache: self.no_cache,
            },
            push,
        }
    }
}

/// Parses the name of an image to build.
pub fn image_name(text: &str) -> Result<Reference, String> {
    let reference: Reference =
        text.parse().map_err(|error: crate::image::ReferenceError| error.to_string())?;
    if reference.has_digest() {
        return Err("an image that is not built yet has no digest".to_owned());
    }
    Ok(reference)
}

pub async fn run(args: BuildArgs, ui: &Ui) -> Result<ExitStatus, Failure> {
    let target = args.context.target();
    let push = if args.push { Push::Always } else { Push::Never };
    // A name is missing only if nothing is built.
    let image = args.image.unwrap_or_else(|| "worker".parse().expect("a word is a reference"));
    let source = if args.worker_only { ImageSource::Worker } else { ImageSource::Path(args.source) };
    let plan = args.build.plan(source, image, push, ui);
    if args.print_dockerfile {
        return print(&plan, &target, ui);
    }
    let report = build(&plan, &target, ui, ui.interrupted()).await?;
    ui.data(report.image.to_string().as_bytes());
    ui.status(&reports::build::summary(&plan, &report));
    Ok(ExitStatus::Success)
}

fn print(plan: &BuildPlan, target: &Target, ui: &Ui) -> Result<ExitStatus, Failure> {
    let context = plan.open_context()?;
    let dockerfile = context.dockerfile().map_err(crate::error::Error::from)?;
    ui.data(dockerfile.strip_suffix('\n').unwrap_or(&dockerfile).as_bytes());
    for line in plan.command_lines(&context, target) {
        ui.status(&format!("would run: {line}"));
    }
    Ok(ExitStatus::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_to_build_has_no_digest() {
        assert!(image_name("127.0.0.1:5000/worker:1").is_ok());
        let digest = format!("worker@sha256:{}", "a".repeat(64));
        assert_eq!(image_name(&digest), Err("an image that is not built yet has no digest".to_owned()));
    }
}
