//! From an error to what the user sees: one message, one hint, one exit code.

use std::process::ExitCode;

use crate::{action, cluster, image, items};
use workqueue_amqp as broker;
use workqueue_core::causes::with_causes;

/// How the program ends. The numbers are documented in `docs/exit-codes.md` and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Done.
    Success = 0,
    /// Not done; the message says why.
    Error = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Not every item got into the queue.
    NotEnqueued = 3,
    /// The Job failed, or was deleted.
    JobFailed = 4,
    /// The deadline passed.
    Deadline = 5,
    /// The run is over, but items have failed or are left.
    ItemsFailed = 6,
    /// The user stopped it with Ctrl-C; a run goes on in the cluster.
    Interrupted = 130,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// An error as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, in one or more lines, without `error:`.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code.
    pub status: ExitStatus,
}

impl Failure {
    /// A failure with a hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()), status: ExitStatus::Error }
    }

    /// The same with another exit code.
    pub fn with_status(self, status: ExitStatus) -> Self {
        Self { status, ..self }
    }
}

impl From<action::Error> for Failure {
    fn from(error: action::Error) -> Self {
        use action::Error as E;
        let status = match &error {
            E::Deadline { .. } | E::Cluster(cluster::Error::Deadline { .. }) => ExitStatus::Deadline,
            E::Cluster(cluster::Error::BrokerNotReady { seconds, .. }) if *seconds > 0 => {
                ExitStatus::Deadline
            }
            E::WorkersStuck { .. } => ExitStatus::JobFailed,
            E::Item(_) | E::QueueLost { .. } => ExitStatus::NotEnqueued,
            E::Image(image::Error::Interrupted(_)) => ExitStatus::Interrupted,
            _ => ExitStatus::Error,
        };
        let hint = match &error {
            E::Cluster(error) => cluster_hint(error),
            E::Broker(error) => broker_hint(error),
            E::Item(error) => Some(item_hint(error)),
            E::Image(error) => image_hint(error),
            E::Chart(_) | E::NoPreset { .. } | E::Read { .. } | E::Write { .. } => None,
            E::NotEmpty(_) => {
                Some("--force writes over the files of the same names, and leaves the others".to_owned())
            }
            E::Program { .. } => Some(
                "name a program on PATH, or a file with its path (./work.sh), that is executable".to_owned(),
            ),
            E::NoFirstLine(_) => {
                Some("its first line names its interpreter, as in #!/usr/bin/env python3".to_owned())
            }
            E::Incomplete(_) => {
                Some("the chart's values switch it off: see `kubectl workqueue render`".to_owned())
            }
            E::NoWorkerImage => Some(
                "name one with --worker-image, or for all runs with `up --set worker.inject.image=REF`; \
                 `kubectl workqueue build --worker-only --image REF --push` makes it"
                    .to_owned(),
            ),
            E::QueueBusy { run, .. } => Some(format!(
                "wait for it with `kubectl workqueue attach {run}`, or name another queue with --queue"
            )),
            E::TooManyPods { .. } => {
                Some("allow more with --max-pods, or put several units of work into one item".to_owned())
            }
            E::WorkersStuck { .. } => Some(
                "the Job was deleted, and what is left to do is still in the queue: mend the image and run again"
                    .to_owned(),
            ),
            E::NoRun(_) => Some("`kubectl workqueue status` lists the runs".to_owned()),
            E::RunEnded(_) => {
                Some("`kubectl workqueue run` starts another over what is in the queue".to_owned())
            }
            E::RunPaused(run) => Some(format!("`kubectl workqueue resume {run}` first")),
            E::NotResumable(_) => Some("without --resume it starts with the first item".to_owned()),
            E::QueueLost { .. } => Some(
                "the broker keeps its data in the pod alone (a preset or a value says so): enqueue everything again"
                    .to_owned(),
            ),
            E::ClaimsGo(_) => Some(
                "`kubectl workqueue up --set broker.persistence.whenDeleted=Retain` first; or leave --keep-data out"
                    .to_owned(),
            ),
            E::Renamed(_) => Some("leave it out, and name the --release; helm install can use it".to_owned()),
            E::Script { .. } => Some("rename it, or build an image with it: see run --build".to_owned()),
            E::Deadline { .. } => Some("give it more time with --timeout (0 for no limit)".to_owned()),
        };
        Self { message: message(&error), hint, status }
    }
}

fn cluster_hint(error: &cluster::Error) -> Option<String> {
    use cluster::Error as E;
    Some(match error {
        E::Config(_) => "`kubectl config get-contexts` lists the contexts; choose a file with --kubeconfig".to_owned(),
        E::Unreachable { .. } => "`kubectl cluster-info` tells whether the cluster is up".to_owned(),
        E::Unauthorized { .. } => "log in to the cluster again; `kubectl auth whoami` tells who you are".to_owned(),
        E::Forbidden { rule, .. } => {
            let rule = rule.as_ref()?;
            format!("ask for a Role with this rule: {{{rule}}} (the chart brings one with all that is needed: see operatorRole in its values)")
        }
        E::NamespaceMissing(name) => format!("`kubectl create namespace {name}`, or `up --create-namespace`"),
        E::NotInstalled { .. } => {
            "`kubectl workqueue up` installs one; --namespace and --release name another".to_owned()
        }
        E::BrokerNotReady { seconds: 0, .. } => "`kubectl workqueue up` waits until it is".to_owned(),
        E::BrokerNotReady { .. } => {
            "when the cause is mended, `kubectl workqueue up` goes on from here (--timeout gives it more time)".to_owned()
        }
        E::Secret { .. } => "see auth in `kubectl workqueue render --help` and the chart's values".to_owned(),
        E::Conflict { .. } => "--force-conflicts takes the fields over".to_owned(),
        E::Immutable { message, .. } if message.contains("updates to statefulset spec") => {
            "nothing was applied. The claims' size and class, among others, are fixed once the broker \
             exists: leave these values as they are; or let the claims grow with `kubectl edit pvc`, where \
             their class allows it; or start anew with `kubectl workqueue down`, which loses the messages"
                .to_owned()
        }
        E::Immutable { .. } => "nothing was applied: change the values, see `kubectl workqueue diff`".to_owned(),
        E::NotOurs(_) => "choose another --release, or change it with helm".to_owned(),
        E::Tunnel { .. } => "the pod may have been restarted: try again".to_owned(),
        E::Deadline { .. } => "give it more time with --timeout".to_owned(),
        E::Api { .. } => return None,
    })
}

fn broker_hint(error: &broker::Error) -> Option<String> {
    use broker::Error as E;
    Some(match error {
        E::LoginRefused => {
            "the broker keeps the user of its first start: if its Secret was changed or made anew, put the old \
             password back, or delete the claim with `kubectl workqueue down`"
                .to_owned()
        }
        E::NoQueue(_) => "`kubectl workqueue enqueue` makes it".to_owned(),
        E::LoginTimeout | E::NoAnswer { .. } | E::Connection(_) | E::Unreachable { .. } => "the broker may have been restarted: try again".to_owned(),
        E::Address(_) | E::Refused { .. } => return None,
    })
}

fn item_hint(error: &items::Error) -> String {
    use items::Error as E;
    match error {
        E::Empty { .. } => "remove the empty line; items before it are in the queue".to_owned(),
        E::TooLarge { .. } => {
            "put the data where the workers can read it and enqueue its address; a larger limit is set with \
             --max-item-size, and must fit the broker's max_message_size"
                .to_owned()
        }
        E::Json { .. } => "write one value a line, or one array; items before it are in the queue".to_owned(),
        E::Open { .. } | E::Read { .. } => "items before it are in the queue".to_owned(),
    }
}

fn image_hint(error: &image::Error) -> Option<String> {
    use image::Error as E;
    Some(match error {
        E::NoDockerfile { script: Some(script), .. } => {
            format!("write one, or build the script alone: `kubectl workqueue build {}`", script.display())
        }
        E::NoDockerfile { .. } => {
            "write one, or name a script: for that the Dockerfile is written (see --print-dockerfile)"
                .to_owned()
        }
        E::NoShebang { suggestion, .. } => format!("begin it with a line such as {suggestion}"),
        E::CarriageReturn { path } => format!("mend it with: sed -i 's/\\r$//' {}", path.display()),
        E::NoBaseImage { .. } => "name an image that has it with --base-image".to_owned(),
        E::WorkerNotStatic(_) | E::NoWorker => {
            "the installer brings one; from a checkout `scripts/build-worker` makes it, and --worker names it"
                .to_owned()
        }
        E::Start { role: image::Role::Engine, .. } => {
            "install Docker, or name another engine with --docker podman".to_owned()
        }
        E::Start { role: image::Role::Loader, .. } => {
            "put it on PATH, or push the image to a registry that the cluster pulls from with --push"
                .to_owned()
        }
        E::EngineDown { program, .. } => {
            format!("start the daemon; `{program} version` tells whether it answers")
        }
        E::PushDenied { registry, image, .. } if registry == "docker.io" && !image.contains('/') => {
            format!("name a repository of your own: --image USER/{image}, and log in with `docker login`")
        }
        E::PushDenied { registry, .. } => {
            format!("log in with `docker login {registry}`, with an account that may push there")
        }
        E::PushFailed { registry, .. } => {
            format!(
                "is {registry} a registry, and does it answer? The image itself is built: push it again later"
            )
        }
        E::Read { .. } | E::Write { .. } | E::Failed { .. } | E::Interrupted(_) => return None,
    })
}

/// The message: the error with its causes, and the state of pods in lines of its own.
fn message(error: &action::Error) -> String {
    let line = with_causes(error);
    match error {
        action::Error::Cluster(cluster::Error::BrokerNotReady { diagnosis, .. }) => {
            format!("{line}\n{diagnosis}")
        }
        _ => line,
    }
}
