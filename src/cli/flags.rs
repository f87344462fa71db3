//! Flags that several commands share, with kubectl's and Helm's names.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, Args, Command, ValueEnum, ValueHint};

use crate::cluster::{Cluster, Target};
use crate::error::Error;
use crate::release::manifests::ChartPlan;
use crate::release::remembered::Remember;
use crate::ui::commands::DEFAULT_QUEUE;
use crate::ui::failure::Failure;
use workqueue_amqp::topology::{DELIVERY_LIMIT, QueueSpec};
use workqueue_core::names::{QueueName, ReleaseName};

pub use workqueue_core::duration::duration;

/// Headings of flags in the help. Each flag names its own: clap applies a heading of a group to the
/// flags after the group too.
const CLUSTER: &str = "Cluster";
const CHART: &str = "Chart";

/// Which cluster, namespace and release.
#[derive(Debug, Args)]
pub struct ClusterFlags {
    /// Work in this namespace (default: the one of the context)
    #[arg(help_heading = CLUSTER, short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Use this context of the kubeconfig
    #[arg(help_heading = CLUSTER, long, value_name = "NAME")]
    context: Option<String>,
    /// Use this kubeconfig file (default: $KUBECONFIG or ~/.kube/config)
    #[arg(help_heading = CLUSTER, long, value_name = "FILE", value_parser = path(), value_hint = ValueHint::FilePath)]
    kubeconfig: Option<PathBuf>,
    /// Use this release, one installation by `up`
    #[arg(help_heading = CLUSTER, long, value_name = "NAME", default_value = "workqueue")]
    pub release: ReleaseName,
}

impl ClusterFlags {
    /// The same flags for the command line as a whole: users of kubectl write them before the command.
    /// Hidden, because each command shows its own.
    pub fn before_command() -> Vec<Arg> {
        let flags = Self::augment_args(Command::new(""));
        flags.get_arguments().map(|flag| flag.clone().global(true).hide(true)).collect()
    }

    pub async fn connect(&self) -> Result<Cluster, Failure> {
        Cluster::connect(&self.target()).await.map_err(|error| Error::from(error).into())
    }

    /// The namespace, without contacting a cluster.
    pub async fn offline_namespace(&self) -> String {
        Cluster::namespace_of(&self.target()).await
    }

    /// The cluster and namespace of the flags.
    pub fn target(&self) -> Target {
        target(&self.kubeconfig, &self.context, &self.namespace)
    }
}

/// kubectl and helm take an empty value, which scripts produce, for none.
fn target(kubeconfig: &Option<PathBuf>, context: &Option<String>, namespace: &Option<String>) -> Target {
    Target {
        kubeconfig: kubeconfig.clone().filter(|path| !path.as_os_str().is_empty()),
        context: context.clone().filter(|name| !name.is_empty()),
        namespace: namespace.clone().filter(|name| !name.is_empty()),
    }
}

/// A path that may be empty.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Which cluster, for commands that work without one.
#[derive(Debug, Args)]
pub struct ContextFlags {
    /// Taken as by all commands; an image belongs to no namespace
    #[arg(help_heading = CLUSTER, short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Use this context of the kubeconfig
    #[arg(help_heading = CLUSTER, long, value_name = "NAME")]
    context: Option<String>,
    /// Use this kubeconfig file (default: $KUBECONFIG or ~/.kube/config)
    #[arg(help_heading = CLUSTER, long, value_name = "FILE", value_parser = path(), value_hint = ValueHint::FilePath)]
    kubeconfig: Option<PathBuf>,
}

impl ContextFlags {
    /// The cluster of the flags.
    pub fn target(&self) -> Target {
        target(&self.kubeconfig, &self.context, &self.namespace)
    }
}

#[derive(Debug, Args)]
pub struct QueueFlags {
    /// Use this queue
    #[arg(long, value_name = "NAME", default_value = DEFAULT_QUEUE)]
    pub queue: QueueName,
}

/// How a queue is created that does not exist yet.
#[derive(Debug, Args)]
pub struct QueueSpecFlags {
    #[command(flatten)]
    queue: QueueFlags,
    /// Let the broker dead-letter an item to QUEUE.failed once it was delivered this often. Brokers
    /// also count lost connections, and before 4.3 items that are requeued, so it is the last
    /// resort: workers count deaths themselves (`--max-deaths`). Fixed when the queue is created
    #[arg(long, value_name = "N", default_value_t = DELIVERY_LIMIT)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    delivery_limit: u32,
}

impl QueueSpecFlags {
    /// The queue and its settings.
    pub fn spec(&self) -> QueueSpec {
        QueueSpec { name: self.queue.queue.clone(), delivery_limit: self.delivery_limit }
    }
}

/// The chart and its values, but for `--values`: in some commands `-f` is for items.
#[derive(Debug, Args)]
pub struct ValueFlags {
    /// Use the chart in this directory instead of the bundled one
    #[arg(help_heading = CHART, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    chart: Option<PathBuf>,
    /// Start from one of the chart's presets: ephemeral, hardened, production, tutorial
    #[arg(help_heading = CHART, long, value_name = "NAME")]
    preset: Option<String>,
    /// Set a value, in Helm's syntax: a.b=c,d={x,y}
    #[arg(help_heading = CHART, long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Set a value as a string, even if it looks like another type
    #[arg(help_heading = CHART, long, value_name = "KEY=VALUE")]
    set_string: Vec<String>,
    /// Set a value to the contents of a file
    #[arg(help_heading = CHART, long, value_name = "KEY=FILE")]
    set_file: Vec<String>,
    /// Set values from JSON: an object, or a.b=JSON
    #[arg(help_heading = CHART, long, value_name = "JSON")]
    set_json: Vec<String>,
}

impl ValueFlags {
    /// The chart and its values.
    pub fn plan(&self, files: &[PathBuf]) -> ChartPlan {
        ChartPlan {
            chart: self.chart.clone(),
            preset: self.preset.clone(),
            values: files.to_vec(),
            set: self.set.clone(),
            set_string: self.set_string.clone(),
            set_file: self.set_file.clone(),
            set_json: self.set_json.clone(),
        }
    }
}

/// The chart and its values, for commands that read no items: here `-f` is for values.
#[derive(Debug, Args)]
pub struct ChartFlags {
    /// Read values from this file (`-` is standard input); later files override earlier ones
    #[arg(short = 'f', long = "values", value_name = "FILE", value_delimiter = ',', help_heading = CHART)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    values: ValueFlags,
}

impl ChartFlags {
    /// The chart and its values.
    pub fn plan(&self) -> ChartPlan {
        self.values.plan(&self.files)
    }
}

/// What becomes of the values that a release was given before, with Helm's names.
#[derive(Debug, Clone, Copy, Args)]
pub struct RememberFlags {
    /// Merge the values that are given over those that the release was given before (default: use the
    /// ones of before if none are given, and otherwise only those that are)
    #[arg(help_heading = CHART, long)]
    reuse_values: bool,
    /// Drop the values that the release was given before, even if none are given
    #[arg(help_heading = CHART, long, conflicts_with = "reuse_values")]
    reset_values: bool,
}

impl RememberFlags {
    /// What the flags ask for.
    pub fn remember(self) -> Remember {
        match (self.reuse_values, self.reset_values) {
            (true, _) => Remember::Always,
            (_, true) => Remember::Never,
            _ => Remember::UnlessGiven,
        }
    }
}

/// The format of the report.
#[derive(Debug, Clone, Copy, Args, Default)]
pub struct OutputFlags {
    /// Print JSON on stdout, and nothing else there
    #[arg(short, long = "output", value_name = "FORMAT")]
    output: Option<OutputFormat>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutputFormat {
    /// JSON, documented in docs/reference/json.md
    Json,
}

impl OutputFlags {
    /// Whether stdout is for JSON only.
    pub fn is_json(self) -> bool {
        self.output.is_some()
    }
}
