//! A pod's port behind a listener on loopback: `kubectl port-forward` inside the process.
//!
//! lapin connects TCP sockets alone, so kube's stream needs the listener as a bridge.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Portforwarder};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Cluster, Error};

/// Bytes copied at one time in each direction.
const COPY_BUFFER: usize = 64 * 1024;

/// An open tunnel. Dropping it closes the listener and all connections through it.
pub struct Tunnel {
    address: SocketAddr,
    pod: String,
    failure: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The pod that it leads to.
    pub fn pod(&self) -> &str {
        &self.pod
    }

    /// Why the tunnel broke, if it did: what is behind a client's "connection reset".
    pub fn failure(&self) -> Option<Error> {
        let reason = self.failure.lock().ok()?.clone()?;
        Some(Error::Tunnel { pod: self.pod.clone(), reason })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    /// Opens a tunnel to a pod's port. The first connection to the pod is made at once, so that
    /// a missing right or pod is this call's error.
    ///
    /// # Errors
    /// [`Error::Forbidden`] with the rule that is missing, [`Error::Tunnel`], and as for every request.
    pub async fn tunnel(&self, pod: &str, port: u16) -> Result<Tunnel, Error> {
        let tunnel_error = |reason: String| Error::Tunnel { pod: pod.to_owned(), reason };
        let api: Api<Pod> = self.api();
        let what = format!("forwarding port {port} of pod {pod}");
        let first = self.call(what, api.portforward(pod, &[port])).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|error| tunnel_error(error.to_string()))?;
        let address = listener.local_addr().map_err(|error| tunnel_error(error.to_string()))?;
        let failure = Arc::new(Mutex::new(None));
        let serving = Serving { api, pod: pod.to_owned(), port, failure: Arc::clone(&failure) };
        let task = tokio::spawn(serving.serve(listener, first));
        Ok(Tunnel { address, pod: pod.to_owned(), failure, task })
    }
}

struct Serving {
    api: Api<Pod>,
    pod: String,
    port: u16,
    failure: Arc<Mutex<Option<String>>>,
}

impl Serving {
    /// Accepts connections until the tunnel is dropped; each gets a stream of its own to the pod.
    async fn serve(self, listener: TcpListener, first: Portforwarder) {
        let serving = Arc::new(self);
        let mut first = Some(first);
        // Aborting this task drops the set, and with it every connection.
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let (serving, ready) = (Arc::clone(&serving), first.take());
            connections.spawn(async move {
                if let Err(reason) = serving.bridge(socket, ready).await
                    && let Ok(mut failure) = serving.failure.lock()
                {
                    *failure = Some(reason);
                }
            });
        }
    }

    async fn bridge(&self, mut socket: TcpStream, ready: Option<Portforwarder>) -> Result<(), String> {
        let mut forwarder = match ready {
            Some(forwarder) => forwarder,
            None => self.api.portforward(&self.pod, &[self.port]).await.map_err(|error| error.to_string())?,
        };
        // Small frames, such as confirms' answers and heartbeats, must not wait for more.
        socket.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut stream = forwarder.take_stream(self.port).ok_or("the port has no stream")?;
        let reported = forwarder.take_error(self.port);
        let copied = copy_bidirectional_with_sizes(&mut socket, &mut stream, COPY_BUFFER, COPY_BUFFER).await;
        drop(stream);
        // The kubelet's own words say more than what the sockets saw.
        if let Some(Some(message)) = futures_util::FutureExt::now_or_never(async { reported?.await }) {
            return Err(message);
        }
        forwarder.join().await.map_err(|error| error.to_string())?;
        copied.map(drop).map_err(|error| error.to_string())
    }
}
