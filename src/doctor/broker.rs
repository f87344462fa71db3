//! The broker of a release, if there is one: whether it can be reached, its version, alarms and
//! permissions, the arguments of its queues, and its feature flags.

use super::finding::Finding;
use super::trial::forward_failed;
use crate::cluster::{self, Cluster};
use crate::error::Error;
use crate::queue::connection::BrokerConnection;
use workqueue_amqp as amqp;
use workqueue_amqp::publisher::{self, Probe, ProbeAnswer};
use workqueue_amqp::topology::{self, Ensured, QueueSpec};
use workqueue_core::causes::with_causes;
use workqueue_core::names::{QueueName, ReleaseName, random_suffix};

const BROKER: &str = "broker";
const FORWARD: &str = "port-forward";
const ALARM: &str = "alarm";
const PERMISSION: &str = "permission";
const QUEUE: &str = "queue";
const FLAGS: &str = "feature-flags";

/// The name of our connections in the broker's own tools.
const PURPOSE: &str = "kubectl-workqueue doctor";

/// How a broker names the refusal of a permission.
const NO_PERMISSION: &str = "ACCESS_REFUSED";

/// The oldest and the newest series of RabbitMQ that were tried.
const OLDEST: (u32, u32) = (3, 10);
const NEWEST: (u32, u32) = (4, 3);

/// What is known of the broker.
pub(super) struct BrokerFindings {
    pub(super) findings: Vec<Finding>,
    /// Whether a connection through a port-forward was opened.
    pub(super) forwarded: bool,
}

/// Checks the broker of a release.
pub(super) async fn check(cluster: &Cluster, release: &ReleaseName, queue: &QueueSpec) -> BrokerFindings {
    match BrokerConnection::open(cluster, release, PURPOSE).await {
        Ok(connection) => {
            let mut findings = vec![Finding::ok(FORWARD, "port-forward over WebSocket works")];
            findings.extend(checks(cluster, &connection, queue).await);
            connection.close().await;
            BrokerFindings { findings, forwarded: true }
        }
        Err(error) => BrokerFindings { findings: vec![not_open(release, &error)], forwarded: false },
    }
}

/// Why there is no connection.
fn not_open(release: &ReleaseName, error: &Error) -> Finding {
    use cluster::Error as E;
    match error {
        Error::Cluster(E::NotInstalled { .. }) => Finding::ok(
            BROKER,
            format!("there is no broker of release {release} yet: `kubectl workqueue up` installs one"),
        ),
        Error::Cluster(error @ E::BrokerNotReady { diagnosis, .. }) => {
            let why = diagnosis.pods.first().map_or_else(
                || "it has no pods yet".to_owned(),
                |pod| {
                    let last = pod.events.last().map(|event| format!("; {event}")).unwrap_or_default();
                    format!("pod {}: {}{last}", pod.name, pod.state)
                },
            );
            Finding::error(BROKER, format!("{error}: {why}"), hint(error.hint()))
        }
        Error::Cluster(error @ E::Tunnel { .. }) => forward_failed(error),
        Error::Cluster(error) => Finding::not_seen(BROKER, error),
        error => Finding::error(BROKER, with_causes(error), hint(error.hint())),
    }
}

fn hint(hint: Option<String>) -> String {
    hint.unwrap_or_else(|| "`kubectl workqueue status` shows more".to_owned())
}

async fn checks(cluster: &Cluster, connection: &BrokerConnection, queue: &QueueSpec) -> Vec<Finding> {
    // The tool takes long to start.
    let (probed, rehearsed, compared, flags) = tokio::join!(
        probe(cluster, connection),
        rehearse(connection, &queue.name),
        topology::compare(&connection.broker, queue),
        cluster.disabled_feature_flags(connection.pod()),
    );
    let mut findings = match &probed {
        Ok(probe) => vec![version(probe), alarm(&probe.answer)],
        Err(error) => vec![Finding::error(BROKER, with_causes(error), hint(error.hint()))],
    };
    // A permission that lacks is red once.
    if !probed.is_ok_and(|probe| matches!(probe.answer, ProbeAnswer::Refused(_))) {
        findings.push(permission(rehearsed.as_ref().err()));
    }
    findings.push(arguments(&queue.name, &compared));
    findings.push(feature_flags(connection.pod(), flags.as_deref()));
    findings
}

/// Asks over a connection of its own, which a broker with an alarm does not answer any more.
async fn probe(cluster: &Cluster, connection: &BrokerConnection) -> Result<Probe, Error> {
    let Some(tunnel) = &connection.tunnel else { return Err(amqp::Error::Address(String::new()).into()) };
    let stream = cluster.pod_stream(tunnel.pod(), tunnel.port()).await?;
    Ok(publisher::probe(Box::new(stream), &connection.endpoint, PURPOSE).await?)
}

/// Tries a queue whose name begins as that of the real one: permissions go by names.
async fn rehearse(connection: &BrokerConnection, queue: &QueueName) -> Result<(), amqp::Error> {
    topology::rehearse(&connection.broker, &queue.trial(&random_suffix(6))).await
}

/// The series of a version: `(4, 0)` for `4.0.5`.
fn series(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn version(probe: &Probe) -> Finding {
    let product = probe.product.as_deref().unwrap_or("a broker that does not say its name");
    let version = probe.version.as_deref().unwrap_or("of an unknown version");
    let name = format!("{product} {version}");
    let series = series(version).filter(|_| product == "RabbitMQ");
    match series {
        Some(series) if series < OLDEST => {
            let hint = "upgrade it in steps: `kubectl workqueue up --reuse-values --set broker.image.tag=TAG` names them";
            Finding::error(BROKER, format!("{name} is too old: failed items could get lost"), hint)
        }
        Some(series) if series <= NEWEST => Finding::ok(BROKER, format!("{name} accepts the login")),
        _ => {
            let hint = format!("use RabbitMQ {}.{} to {}.{}", OLDEST.0, OLDEST.1, NEWEST.0, NEWEST.1);
            Finding::warning(BROKER, format!("{name} accepts the login, and was never tried"), hint)
        }
    }
}

fn alarm(answer: &ProbeAnswer) -> Finding {
    match answer {
        ProbeAnswer::Confirmed => Finding::ok(ALARM, "the broker takes messages"),
        ProbeAnswer::Refused(reason) => Finding::error(
            PERMISSION,
            format!("the broker's user may not publish: {reason}"),
            "give it permission to write: `rabbitmqctl set_permissions USER .* .* .*`",
        ),
        ProbeAnswer::Blocked(reason) => {
            let hint = if reason.contains("disk") {
                "empty queues (`kubectl workqueue queues`), or enlarge the broker's PVC"
            } else {
                "empty queues (`kubectl workqueue queues`), or give the broker more memory: \
                 `kubectl workqueue up --reuse-values --set broker.resources.limits.memory=SIZE`"
            };
            Finding::error(ALARM, format!("an alarm of the broker blocks all publishers: {reason}"), hint)
        }
    }
}

fn permission(error: Option<&amqp::Error>) -> Finding {
    match error {
        None => Finding::ok(PERMISSION, "the broker's user may declare, read and delete quorum queues"),
        Some(amqp::Error::Refused { reason, .. }) if reason.contains(NO_PERMISSION) => Finding::error(
            PERMISSION,
            format!("the broker's user lacks a permission: {reason}"),
            "`rabbitmqctl set_permissions USER .* .* .*` gives all, up to the virtual host",
        ),
        Some(amqp::Error::Refused { reason, .. }) => Finding::error(
            QUEUE,
            format!("the broker takes no queue as `enqueue` declares it: {reason}"),
            "use RabbitMQ 3.10 or later, and enable its feature flags: `rabbitmqctl enable_feature_flag all`",
        ),
        Some(error) => Finding::unknown(PERMISSION, format!("could not look: {}", with_causes(error))),
    }
}

/// Whether a queue is declared as it should be.
fn arguments(queue: &QueueName, compared: &Result<Option<Ensured>, amqp::Error>) -> Finding {
    match compared {
        Ok(None) => Finding::ok(QUEUE, format!("there is no queue {queue} yet: `enqueue` declares it")),
        Ok(Some(Ensured::Different(reason))) if reason.contains(NO_PERMISSION) => {
            Finding::unknown(QUEUE, format!("not allowed to look at queue {queue}: {reason}"))
        }
        Ok(Some(Ensured::Different(reason))) => Finding::warning(
            QUEUE,
            format!("queue {queue} was created with other arguments: {reason}"),
            "items may not survive a crash of the broker, or be dead-lettered early: use another --queue, or delete \
             this one once it is empty",
        ),
        Ok(Some(_)) => Finding::ok(QUEUE, format!("queue {queue} has the arguments that keep items safe")),
        Err(error) => {
            Finding::unknown(QUEUE, format!("could not look at queue {queue}: {}", with_causes(error)))
        }
    }
}

fn feature_flags(pod: &str, disabled: Result<&[String], &cluster::Error>) -> Finding {
    match disabled {
        Err(error) => Finding::not_seen(FLAGS, error),
        Ok([]) => Finding::ok(FLAGS, "all stable feature flags are enabled"),
        Ok(disabled) => Finding::warning(
            FLAGS,
            format!("stable feature flags are disabled: {}", disabled.join(", ")),
            format!(
                "later versions require them: `kubectl exec {pod} -- rabbitmqctl enable_feature_flag all`"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn versions_from_3_10_to_4_3_were_tried() {
        let state = |product: &str, number: &str| {
            let (product, number) = (Some(product.to_owned()), Some(number.to_owned()));
            version(&Probe { product, version: number, answer: ProbeAnswer::Confirmed }).state
        };
        assert_eq!(state("RabbitMQ", "3.10.8"), State::Ok);
        assert_eq!(state("RabbitMQ", "4.3.0"), State::Ok);
        assert_eq!(state("RabbitMQ", "3.9.29"), State::Error);
        assert_eq!(state("RabbitMQ", "4.4.0-rc.1"), State::Warning);
        assert_eq!(state("LavinMQ", "3.9.0"), State::Warning);
    }

    #[test]
    fn alarms_and_missing_permissions_are_red() {
        let finding = alarm(&ProbeAnswer::Blocked("low on memory".to_owned()));
        assert_eq!((finding.state, finding.check), (State::Error, "alarm"));
        assert!(finding.hint.is_some_and(|hint| hint.contains("limits.memory")));
        let refused = |reason: &str| {
            let (operation, reason) = ("declaring queue q".to_owned(), reason.to_owned());
            permission(Some(&amqp::Error::Refused { operation, reason }))
        };
        let finding = refused("ACCESS_REFUSED - configure access to queue 'q' in vhost '/' refused");
        assert_eq!((finding.state, finding.check), (State::Error, "permission"));
        assert_eq!(refused("PRECONDITION_FAILED - invalid arg 'x-queue-type'").check, "queue");
        let lost = amqp::Error::Connection("reset".to_owned());
        assert_eq!(permission(Some(&lost)).state, State::Unknown);
    }

    #[test]
    fn queues_and_flags_that_differ_are_warnings() {
        let queue = "job1".parse().expect("legal");
        let different = Ok(Some(Ensured::Different("inequivalent arg 'x-queue-type'".to_owned())));
        assert_eq!(arguments(&queue, &different).state, State::Warning);
        assert_eq!(arguments(&queue, &Ok(Some(Ensured::Present))).state, State::Ok);
        let forbidden = Ok(Some(Ensured::Different("ACCESS_REFUSED - access to queue 'job1'".to_owned())));
        assert_eq!(arguments(&queue, &forbidden).state, State::Unknown);
        assert_eq!(feature_flags("p", Ok(&["khepri_db".to_owned()])).state, State::Warning);
        assert_eq!(feature_flags("p", Ok(&[])).state, State::Ok);
    }

    #[test]
    fn a_broker_that_is_not_there_is_no_fault() {
        let release: ReleaseName = "workqueue".parse().expect("legal");
        let missing =
            cluster::Error::NotInstalled { release: "workqueue".to_owned(), namespace: "n".to_owned() };
        assert_eq!(not_open(&release, &missing.into()).state, State::Ok);
        assert_eq!(not_open(&release, &amqp::Error::LoginRefused.into()).state, State::Error);
    }
}
