//! What the user can do about each error.

use super::Error;
use workqueue_amqp as broker;
use workqueue_core::shell;

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cluster(error) => error.hint(),
            Self::Item(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::QueueBusy { run, .. } => Some(format!(
                "wait for it with `kubectl workqueue attach {run}`, or use another queue with --queue"
            )),
            Self::WorkersStuck { cure: Some(cure), .. } => Some(format!(
                "{cure}; the Job was deleted, and its items are still in the queue: run it again without items"
            )),
            Self::BrokerJump { steps, enable, .. } => Some(format!(
                "upgrade in steps ({}), each with `kubectl workqueue up --reuse-values --set broker.image.tag=TAG`; \
                 before each step enable all stable feature flags: `{enable}`",
                steps.join(" -> ")
            )),
            Self::NotStarted { run, .. } => Some(format!(
                "the Job continues: fix the cause and follow it with `kubectl workqueue attach {run}` and a longer \
                 --start-timeout (0 for no limit), or end it with `kubectl workqueue stop {run}`"
            )),
            Self::OtherChart { directory, .. } => Some(format!(
                "name it with --chart {}, or use the bundled chart and its defaults with --reset-values",
                shell::quoted(directory.as_os_str())
            )),
            Self::NoWorker(Some(architecture)) => Some(format!(
                "put workqueue-worker-linux-{architecture} from a release archive there, or keep the pods off these \
                  nodes with a node selector: --set 'worker.nodeSelector.kubernetes\\.io/arch=ARCHITECTURE'"
            )),
            Self::OtherQueue { its, .. } => Some(format!("name its queue with --queue {its}")),
            Self::RunPaused(run) => Some(format!("resume it first with `kubectl workqueue resume {run}`")),
            _ => self.fixed_hint().map(str::to_owned),
        }
    }

    /// The hint of an error that has the same one every time.
    fn fixed_hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Broker(error) => return broker_hint(error),
            Self::NotEmpty(_) => "--force overwrites files of the same names and keeps all others",
            Self::JobLogExists(_) => {
                "--resume continues with the items that are not in it, --resume-failed with the failed ones, too; \
                 or name another file"
            }
            Self::Program { source, .. } if source.kind() == std::io::ErrorKind::Other => {
                "what it wrote is above; a program that does not speak the Runtime API works without --runtime-api"
            }
            Self::Program { source, .. } if source.kind() != std::io::ErrorKind::NotFound => {
                "`ulimit -n` and `ulimit -u` show the limits of this shell; an executable file has its x permission"
            }
            Self::Program { .. } => "name a program on PATH, or the path of an executable file (./work.sh)",
            Self::NoFirstLine(_) => {
                "begin the script with a line that names its interpreter, such as #!/usr/bin/env python3"
            }
            Self::ScriptTaken(_) => {
                "find out who writes ConfigMaps with the names of Jobs, and run it again, without items"
            }
            Self::Incomplete(_) => {
                "the chart's values disable it: check the output of `kubectl workqueue render`"
            }
            Self::NoWorker(_) => {
                "`cargo install` installs none: put the one from a release archive, or the one that \
                 `scripts/build-worker` builds, next to kubectl-workqueue; or use --worker-in-image if the image has \
                 it, or --worker-image if another one has it"
            }
            Self::OtherWorker { .. } => {
                "put the worker from the same release archive next to kubectl-workqueue"
            }
            Self::ChartLacksWorker => {
                "use --worker-in-image if the image has it; `kubectl workqueue chart` writes out the chart that \
                 brings it"
            }
            Self::OutputsDoNotFit { .. } => {
                "set worker.outputs.size and --output-limit so that they fit, or give the broker a larger volume"
            }
            Self::NoLedgerForOutputs => "RabbitMQ has streams from 3.9 on; run without --outputs",
            Self::NoOutputs { .. } => {
                "`run --outputs` keeps them, until they are collected or the run is deleted"
            }
            Self::AlreadyCollected(_) => "end the other `map` first; each output goes to one of them only",
            Self::NoHome | Self::NoPosition { .. } => {
                "set XDG_STATE_HOME to a directory that can be written and stays, or save nothing with --no-position"
            }
            Self::KeepsNoOutputs(_) => "`map` and `run --outputs` keep them",
            Self::QueueInUse { .. } => {
                "`map` prints outputs of its own items only: name another queue with --queue, or process these with `run`"
            }
            Self::OutputsMissed { .. } => "run it again once nobody else reads them",
            Self::TooManyPods { .. } => {
                "allow more with --max-pods, or combine several units of work into one item"
            }
            Self::LedgerTooLarge { .. } => {
                "the items are still in the queue: delete old runs (`kubectl workqueue delete RUN`), or give the broker \
                 a larger volume (broker.persistence.size)"
            }
            Self::ItemsHeld { .. } => {
                "no Job was created; wait until they have left: `kubectl workqueue queues` shows the queue's consumers"
            }
            Self::ItemsTaken { .. } => {
                "no Job was created; `kubectl workqueue queues` shows the queue's consumers, and --queue names another"
            }
            Self::WorkersStuck { .. } => {
                "the Job was deleted, and its items are still in the queue: fix the image and run it again, without \
                 items"
            }
            Self::NoQueue { known, .. } if known.is_empty() => {
                "`kubectl workqueue enqueue` creates a queue with the items that it is given"
            }
            Self::NoQueue { .. } => "name one of them with --queue",
            Self::NoRun { known, .. } if known.is_empty() => "`kubectl workqueue run` starts one",
            Self::NoRun { .. } => "`kubectl workqueue status` lists the runs",
            Self::SeveralRuns(_) => "name one of them",
            Self::RunEnded(_) => "`kubectl workqueue run` starts another run over the items in the queue",
            Self::NotResumable(_) => "without --resume, the first item is the first one to be enqueued",
            Self::QueueLost { .. } => {
                "a broker without a PVC loses its queues with its pod: see broker.persistence.enabled in the chart's values"
            }
            Self::PvcsDeleted(_) => {
                "run `kubectl workqueue up --reuse-values --set broker.persistence.whenDeleted=Retain` first, or omit \
                 --keep-data"
            }
            Self::BrokerDowngrade { .. } => {
                "keep the version, or use another release (--release) and move the messages with \
                 `kubectl workqueue dump` and `kubectl workqueue enqueue`"
            }
            Self::BrokerPruned(_) => "--yes prunes it, with what is in its queues",
            Self::NothingRemembered { .. } => {
                "give all of its values, without --reuse-values: `helm get values` shows those of a release of helm's"
            }
            Self::Renamed(_) => {
                "omit it and name the release with --release; only `helm install` supports it"
            }
            Self::ScriptTooLarge { .. } => "build an image that contains it with --build",
            Self::ScriptEntry { .. } => {
                "name the one script to start `main`, with any extension: main.py, main.sh"
            }
            Self::NeedsPackages(_) => {
                "build an image that has them with --build, from a directory with a Dockerfile"
            }
            Self::Script { .. } => "rename it, or build an image that contains it with --build",
            Self::Deadline { .. } => "allow more time with --timeout (0 for no limit)",
            _ => return None,
        })
    }
}

fn broker_hint(error: &broker::Error) -> Option<&'static str> {
    use broker::Error as E;
    Some(match error {
        E::LoginRefused => {
            "the broker reads its password from the Secret when it starts: if the Secret has changed since then, \
             restart the broker's pods"
        }
        E::NoQueue(_) => "`kubectl workqueue enqueue` creates a queue with the items that it is given",
        E::NoAnswer { .. } => "its node may be busy, down or starting: try again",
        E::LoginTimeout | E::Connection(_) | E::Unreachable { .. } => {
            "the broker may have been restarted: try again"
        }
        E::Address(_) | E::Refused { .. } => return None,
    })
}
