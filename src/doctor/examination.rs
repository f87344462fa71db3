//! Makes the checks in their order, with a time limit each, and says what it waits for.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use tokio::time::Instant;

use super::admission::{self, Tried};
use super::finding::{Finding, State};
use super::subject::{self, PodGroup, Subject};
use super::surroundings::Surroundings;
use super::trial::{self, TrialPlan};
use super::{DoctorPlan, broker, injectors, platforms, rights, server, worker};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::image::{Engine, Reference};
use crate::notice::{Notice, Observer, Wait};

/// How long a group of checks may take, except for pulling images.
const GROUP_TIMEOUT: Duration = Duration::from_secs(45);

/// When it is first said what is waited for, and how often later.
const FIRST_WORD: Duration = Duration::from_secs(1);
const NEXT_WORD: Duration = Duration::from_secs(5);

const SERVER_HINT: &str = "`kubectl cluster-info` shows whether the cluster is up";
const CHART_HINT: &str = "the chart or its values are wrong: see `kubectl workqueue render`";

/// The user has stopped the command.
struct Stop;

/// Why there are no more checks.
pub(super) enum End {
    Stopped,
    Failed(Box<Error>),
}

impl From<Stop> for End {
    fn from(_: Stop) -> Self {
        Self::Stopped
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// The checks of one command, in their order.
pub(super) struct Examination<'a, S> {
    pub(super) cluster: &'a Cluster,
    pub(super) plan: &'a DoctorPlan,
    pub(super) observer: &'a dyn Observer,
    pub(super) found: &'a mut dyn FnMut(&Finding),
    pub(super) stop: Pin<&'a mut S>,
    pub(super) findings: Vec<Finding>,
}

impl<S: Future<Output = ()>> Examination<'_, S> {
    pub(super) async fn run(&mut self) -> Result<(), End> {
        let (cluster, plan) = (self.cluster, self.plan);
        let Some(version) = self.greet().await? else { return Ok(()) };
        let subject = self.subject(&version).await?;
        self.rights(&subject).await?;
        let looking = Surroundings::look(cluster, &plan.release, &subject);
        let Some(around) = self.bounded("namespace", "what is in the namespace", looking).await? else {
            let why = "the API server is too slow: the checks that follow were left out";
            self.note([Finding::unknown("namespace", why)]);
            return Ok(());
        };
        if let Ok(None) = around.namespace {
            let name = cluster.namespace();
            let hint =
                format!("`kubectl create namespace {name}`, or `kubectl workqueue up --create-namespace`");
            self.note([Finding::error("namespace", format!("namespace {name:?} does not exist"), hint)]);
        }
        self.note(around.findings(&subject, server::minor(&version)));
        let room = around.room(cluster, &subject);
        let room = self.bounded("storage-room", "the volumes", room).await?;
        self.note(room.into_iter().flatten());
        self.worker(&subject).await?;
        self.platforms(&subject).await?;
        if !matches!(around.namespace, Ok(None)) {
            self.admission(&subject, &around).await?;
            self.broker_and_pods(&subject).await?;
        }
        Ok(())
    }

    /// Asks for the server's version. `None` if it does not answer: there is nothing more to check then.
    async fn greet(&mut self) -> Result<Option<String>, Stop> {
        let cluster = self.cluster;
        let finding = match self.timed("the API server", cluster.greet()).await? {
            Some(Ok(answer)) => {
                self.note(server::judge(cluster.url(), &answer));
                return Ok(Some(answer.version));
            }
            Some(Err(error)) => {
                let hint = error.hint().unwrap_or_else(|| SERVER_HINT.to_owned());
                Finding::error("server", error.to_string(), hint)
            }
            None => {
                let (url, seconds) = (cluster.url(), GROUP_TIMEOUT.as_secs());
                Finding::error("server", format!("{url} has not answered within {seconds} s"), SERVER_HINT)
            }
        };
        self.note([finding]);
        Ok(None)
    }

    fn note(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            (self.found)(&finding);
            self.findings.push(finding);
        }
    }

    /// Runs a group of checks, and notes if it takes longer than [`GROUP_TIMEOUT`].
    async fn bounded<T>(
        &mut self,
        check: &'static str,
        what: &str,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, Stop> {
        let done = self.timed(what, work).await?;
        if done.is_none() {
            let seconds = GROUP_TIMEOUT.as_secs();
            self.note([Finding::unknown(check, format!("could not look: no answer within {seconds} s"))]);
        }
        Ok(done)
    }

    /// Does some work, and says what is waited for. `None` after [`GROUP_TIMEOUT`].
    async fn timed<T>(&mut self, what: &str, work: impl Future<Output = T>) -> Result<Option<T>, Stop> {
        let mut work = std::pin::pin!(work);
        let (started, mut pause) = (Instant::now(), FIRST_WORD);
        while started.elapsed() < GROUP_TIMEOUT {
            tokio::select! {
                done = work.as_mut() => return Ok(Some(done)),
                () = self.stop.as_mut() => return Err(Stop),
                () = tokio::time::sleep(pause) => {}
            }
            let text = format!("{what}, for {} s", started.elapsed().as_secs());
            self.observer.on(Notice::Waiting(Wait::Cluster(&text)));
            pause = NEXT_WORD;
        }
        Ok(None)
    }

    /// Renders the release.
    async fn subject(&mut self, version: &str) -> Result<Subject, End> {
        let (cluster, observer) = (self.cluster, self.observer);
        let DoctorPlan { release, chart: plan, remember, images, .. } = self.plan;
        let loading = subject::chart_and_values(cluster, release, plan, *remember, images, observer);
        let (chart, values) = match self.bounded("server", "the values of the release", loading).await? {
            Some(loaded) => loaded?,
            None => {
                let chart = plan.load_chart()?;
                let values = plan.load_values(&chart)?;
                (chart, values)
            }
        };
        let subject = Subject::render(cluster, release, &chart, &values, version)?;
        let fault = |fault: &String| Finding::error("chart", format!("cannot be read: {fault}"), CHART_HINT);
        self.note(subject.faults.iter().map(fault));
        Ok(subject)
    }

    async fn rights(&mut self, subject: &Subject) -> Result<(), Stop> {
        let (cluster, release) = (self.cluster, &self.plan.release);
        let listing = self.bounded("rights-look", "the releases", cluster.releases()).await?;
        let installed = listing.and_then(Result::ok).is_some_and(|names| names.contains(release.as_str()));
        for purpose in rights::purposes(subject, release, installed) {
            let checking = rights::check(cluster, purpose);
            let finding = self.bounded("rights-look", "your rights", checking).await?;
            self.note(finding);
        }
        Ok(())
    }

    async fn platforms(&mut self, subject: &Subject) -> Result<(), Stop> {
        for group in &subject.pods {
            self.platforms_of(group).await?;
        }
        Ok(())
    }

    async fn platforms_of(&mut self, group: &PodGroup) -> Result<(), Stop> {
        let (cluster, plan, selector) = (self.cluster, self.plan, group.node_selector());
        let role = group.role.as_str();
        let nodes = match self.bounded("platform", "the nodes", cluster.node_platforms(&selector)).await? {
            Some(Ok(nodes)) => nodes.into_keys().collect::<BTreeSet<_>>(),
            Some(Err(error)) => {
                self.note([Finding::not_seen("platform", &error)]);
                return Ok(());
            }
            None => return Ok(()),
        };
        if nodes.is_empty() {
            self.note([platforms::no_node(role, &selector)]);
            return Ok(());
        }
        let images = group.images();
        let asking = images.iter().map(|image| platform(&plan.engine, role, image, &nodes));
        let findings = self.bounded("platform", "what the images are for", join_all(asking)).await?;
        self.note(findings.into_iter().flatten());
        Ok(())
    }

    /// Whether there is a worker for the pods of a run, if it is brought.
    async fn worker(&mut self, subject: &Subject) -> Result<(), Stop> {
        if !subject.brings_worker() {
            return Ok(());
        }
        let looking = worker::look(self.cluster, &self.plan.release, subject);
        let finding = self.bounded(worker::CHECK, "the worker", looking).await?;
        self.note(finding);
        Ok(())
    }

    async fn admission(&mut self, subject: &Subject, around: &Surroundings) -> Result<(), Stop> {
        let cluster = self.cluster;
        let red = self.findings.iter().filter(|finding| finding.state == State::Error);
        let red: Vec<&str> = red.map(|finding| finding.check).collect();
        let tried = &Tried { running: around.has_broker(), red: &red };
        let rehearsing = subject.pods.iter().map(|group| async move {
            let name = format!("kubectl-workqueue-doctor-{}", group.role.as_str());
            (group.role, admission::rehearse(cluster, group, &name, tried).await)
        });
        let answers = self.bounded("admission", "the server's rules for pods", join_all(rehearsing)).await?;
        let mut seen = false;
        for (role, rehearsal) in answers.into_iter().flatten() {
            let added = rehearsal.added.map(|added| injectors::judge_added(&added, role.as_str()));
            seen |= added.is_some();
            self.note([rehearsal.finding].into_iter().chain(added));
        }
        if seen {
            return Ok(());
        }
        let listing = cluster.objects_everywhere::<MutatingWebhookConfiguration>();
        let Some(webhooks) = self.bounded("injectors", "the webhooks", listing).await? else { return Ok(()) };
        self.note([match (&around.namespace, webhooks) {
            (Ok(Some(namespace)), Ok(webhooks)) => injectors::judge(namespace, &webhooks),
            (Err(error), _) => Finding::not_seen("injectors", error),
            (_, Err(error)) => Finding::not_seen("injectors", &error),
            (Ok(None), Ok(_)) => return Ok(()),
        }]);
        Ok(())
    }

    async fn broker_and_pods(&mut self, subject: &Subject) -> Result<(), Stop> {
        let (cluster, plan) = (self.cluster, self.plan);
        let checking = broker::check(cluster, &plan.release, &plan.queue);
        let broker = self.bounded("broker", "the broker", checking).await?;
        let forwarded = broker.as_ref().is_some_and(|broker| broker.forwarded);
        self.note(broker.into_iter().flat_map(|broker| broker.findings));
        if plan.pods {
            let trial = TrialPlan { groups: &subject.pods, forward: !forwarded, timeout: plan.timeout };
            let (findings, stopped) = trial::run(cluster, &trial, self.observer, self.stop.as_mut()).await;
            self.note(findings);
            if stopped {
                return Err(Stop);
            }
        }
        Ok(())
    }
}

/// Compares an image with the nodes.
async fn platform(engine: &Engine, role: &str, image: &str, nodes: &BTreeSet<String>) -> Finding {
    let Ok(reference) = image.parse::<Reference>() else {
        return platforms::not_known(role, image, "it is no image reference", None, nodes);
    };
    match engine.platforms(&reference).await {
        Ok(platforms) => platforms::judge(role, image, &platforms, nodes),
        Err(reason) => {
            let (reason, copy) = (format!("{}: {reason}", engine.program), engine.platform(&reference).await);
            platforms::not_known(role, image, &reason, copy.as_deref(), nodes)
        }
    }
}
