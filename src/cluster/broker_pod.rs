//! Finds a release's ready broker pod through its Service, and the pod's credentials.

use k8s_openapi::api::core::v1::{EnvVar, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use kube::api::ListParams;

use super::pod_state::is_ready;
use super::pod_stream::PodPort;
use super::secret::{PASSWORD, USERNAME};
use super::{Cluster, Error, MissingRule};
use workqueue_core::credentials::Credentials;
use workqueue_core::names::ReleaseName;

/// Names and numbers of the AMQP ports in the chart's Service, without and with TLS.
const PLAIN: (&str, i32) = ("amqp", 5672);
const TLS: (&str, i32) = ("amqps", 5671);

/// The annotation of a broker's pods that names a Secret: that of a user (`look`, `run`, `workers`), or the
/// cookie's.
pub(crate) fn secret_annotation(name: &str) -> String {
    format!("kubectl-workqueue/{name}-secret")
}

/// A broker pod to open a tunnel to.
#[derive(Debug, Clone)]
pub struct BrokerPod {
    pub pod: String,
    /// The container's AMQP port.
    pub port: PodPort,
    /// The credentials of the user who runs, or else of the one who looks.
    pub credentials: Credentials,
    /// Why they are not those of the user who runs.
    pub limit: Option<LoginLimit>,
}

/// Why the login may only look: the Secret of the user who runs may not be read.
#[derive(Debug, Clone)]
pub struct LoginLimit {
    what: String,
    message: String,
    rule: Option<MissingRule>,
}

impl LoginLimit {
    fn of(error: Error) -> Option<Self> {
        match error {
            Error::Forbidden { what, message, rule } => Some(Self { what, message, rule }),
            _ => None,
        }
    }
}

impl From<LoginLimit> for Error {
    fn from(LoginLimit { what, message, rule }: LoginLimit) -> Self {
        Self::Forbidden { what, message, rule }
    }
}

impl Cluster {
    /// Finds the broker pod of a release.
    ///
    /// # Errors
    /// [`Error::NamespaceMissing`], [`Error::NotInstalled`] without a broker Service, [`Error::BrokerNotReady`] without a ready
    /// pod.
    pub async fn broker_pod(&self, release: &ReleaseName) -> Result<BrokerPod, Error> {
        let selector = release.component_selector("broker");
        let list = ListParams::default().labels(&selector);
        let services = self.call("listing services", self.api::<Service>().list(&list)).await?;
        let plain = services.iter().find_map(|service| Some((service, amqp_port(service, PLAIN)?, false)));
        let with_tls = || services.iter().find_map(|service| Some((service, amqp_port(service, TLS)?, true)));
        let Some((service, port, tls)) = plain.or_else(with_tls) else {
            self.require_namespace().await?;
            let (release, namespace) = (release.to_string(), self.namespace().to_owned());
            return Err(Error::NotInstalled { release, namespace });
        };
        let selector = pod_selector(service);
        let list = ListParams::default().labels(&selector);
        let pods = self.call("listing pods", self.api::<Pod>().list(&list)).await?;
        let Some(pod) = pods.items.iter().find(|pod| is_ready(pod)) else {
            let diagnosis = self.diagnose(&selector).await;
            return Err(Error::BrokerNotReady { seconds: 0, is_late: false, diagnosis });
        };
        let port = PodPort { number: container_port(pod, port), tls };
        let (credentials, limit) = self.credentials(pod).await?;
        Ok(BrokerPod { pod: pod.name_any(), port, credentials, limit })
    }

    /// The credentials of a broker's pod: those of the user who runs, or looks, whichever Secret may be read.
    async fn credentials(&self, pod: &Pod) -> Result<(Credentials, Option<LoginLimit>), Error> {
        let mut refused = None;
        for user in ["run", "look"] {
            let Some(secret) = pod.annotations().get(&secret_annotation(user)) else { continue };
            match self.login_in(secret).await {
                Err(error) if error.is_refusal() => refused = refused.or(Some(error)),
                found => return Ok((found?, refused.and_then(LoginLimit::of))),
            }
        }
        let login = self.default_login(pod).await;
        match refused {
            Some(error) => Ok((login.map_err(|_| error)?, None)),
            None => Ok((login?, None)),
        }
    }

    async fn login_in(&self, secret: &str) -> Result<Credentials, Error> {
        let (username, password) =
            tokio::try_join!(self.secret_value(secret, USERNAME), self.secret_value(secret, PASSWORD))?;
        Ok(Credentials { username, password })
    }

    /// The login of a broker that has only one user: the chart of an earlier version, or another chart.
    async fn default_login(&self, pod: &Pod) -> Result<Credentials, Error> {
        let (username, password) = tokio::try_join!(
            self.pod_env(pod, "RABBITMQ_DEFAULT_USER"),
            self.pod_env(pod, "RABBITMQ_DEFAULT_PASS")
        )?;
        // RabbitMQ's own defaults, for a pod without these variables.
        let guest = || "guest".to_owned();
        Ok(Credentials { username: username.unwrap_or_else(guest), password: password.unwrap_or_else(guest) })
    }

    /// Whether a release has a broker, ready or not.
    pub async fn has_broker(&self, release: &ReleaseName) -> Result<bool, Error> {
        let list = ListParams::default().labels(&release.component_selector("broker"));
        let services = self.call("listing services", self.api::<Service>().list(&list)).await?;
        Ok(!services.items.is_empty())
    }

    /// The value of an environment variable of a pod, which may refer to a Secret.
    async fn pod_env(&self, pod: &Pod, name: &str) -> Result<Option<String>, Error> {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let mut variables = containers.flat_map(|container| container.env.iter().flatten());
        let Some(variable) = variables.find(|variable| variable.name == name) else { return Ok(None) };
        match secret_reference(variable) {
            Some((secret, key)) => self.secret_value(secret, key).await.map(Some),
            None => Ok(variable.value.clone()),
        }
    }
}

fn secret_reference(variable: &EnvVar) -> Option<(&str, &str)> {
    let reference = variable.value_from.as_ref()?.secret_key_ref.as_ref()?;
    Some((&reference.name, &reference.key))
}

/// The AMQP port of a client Service; `None` for the headless Service.
fn amqp_port<'a>(service: &'a Service, (name, number): (&str, i32)) -> Option<&'a ServicePort> {
    let spec = service.spec.as_ref()?;
    if spec.cluster_ip.as_deref() == Some("None") || spec.selector.is_none() {
        return None;
    }
    let mut ports = spec.ports.iter().flatten();
    ports.find(|port| port.name.as_deref() == Some(name) || port.port == number)
}

fn pod_selector(service: &Service) -> String {
    let labels = service.spec.iter().flat_map(|spec| spec.selector.iter().flatten());
    labels.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// The number of the container port behind a Service's port.
fn container_port(pod: &Pod, port: &ServicePort) -> u16 {
    let number = match &port.target_port {
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => named_port(pod, name).unwrap_or(port.port),
        None => port.port,
    };
    u16::try_from(number).unwrap_or(PLAIN.1 as u16)
}

fn named_port(pod: &Pod, name: &str) -> Option<i32> {
    let containers = &pod.spec.as_ref()?.containers;
    let mut ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
    Some(ports.find(|port| port.name.as_deref() == Some(name))?.container_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_named_target_port_is_looked_up_in_the_pod() {
        let service: Service = serde_json::from_value(json!({"spec": {
            "clusterIP": "10.0.0.1", "selector": {"a": "b"},
            "ports": [{"name": "amqp", "port": 5672, "targetPort": "amqp"}]}}))
        .expect("a service");
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [
            {"name": "c", "ports": [{"name": "amqp", "containerPort": 15672}]}]}}))
        .expect("a pod");
        let port = amqp_port(&service, PLAIN).expect("it has one");
        assert_eq!(amqp_port(&service, TLS), None);
        assert_eq!(container_port(&pod, port), 15672);
        assert_eq!(pod_selector(&service), "a=b");
    }

    #[test]
    fn headless_services_are_skipped() {
        let service: Service = serde_json::from_value(json!({"spec": {
            "clusterIP": "None", "selector": {"a": "b"}, "ports": [{"name": "amqp", "port": 5672}]}}))
        .expect("a service");
        assert_eq!(amqp_port(&service, PLAIN), None);
    }
}
