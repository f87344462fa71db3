//! Forwards a listener on loopback to a pod's port, like `kubectl port-forward` in the process.
//!
//! lapin connects only to TCP sockets, so kube's stream needs the listener as a bridge.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::pod_stream::{Duplex, PodPort};
use super::{Cluster, Error};

/// Bytes per copy in each direction.
const COPY_BUFFER: usize = 64 * 1024;

/// An open tunnel. Dropping it closes the listener and all connections through it.
pub struct Tunnel {
    address: SocketAddr,
    pod: String,
    port: PodPort,
    failure: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl Tunnel {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn pod(&self) -> &str {
        &self.pod
    }

    pub fn port(&self) -> PodPort {
        self.port
    }

    /// Why the tunnel broke, if it did. The client itself only sees "connection reset".
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
    /// Opens a tunnel to a pod's port. Connects to the pod at once, so that a missing permission or
    /// pod is reported here.
    ///
    /// # Errors
    /// [`Error::Forbidden`] with the missing rule, [`Error::Tunnel`].
    pub async fn tunnel(&self, pod: &str, port: PodPort) -> Result<Tunnel, Error> {
        let tunnel_error = |reason: String| Error::Tunnel { pod: pod.to_owned(), reason };
        let first = self.pod_stream(pod, port).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|error| tunnel_error(error.to_string()))?;
        let address = listener.local_addr().map_err(|error| tunnel_error(error.to_string()))?;
        let failure = Arc::new(Mutex::new(None));
        let serving =
            Serving { cluster: self.clone(), pod: pod.to_owned(), port, failure: Arc::clone(&failure) };
        let task = tokio::spawn(serving.serve(listener, first));
        Ok(Tunnel { address, pod: pod.to_owned(), port, failure, task })
    }
}

struct Serving {
    cluster: Cluster,
    pod: String,
    port: PodPort,
    failure: Arc<Mutex<Option<String>>>,
}

impl Serving {
    /// Accepts connections until the tunnel is dropped. Each gets its own stream to the pod.
    async fn serve(self, listener: TcpListener, first: Box<dyn Duplex>) {
        let serving = Arc::new(self);
        let mut first = Some(first);
        // Aborting this task drops the set, and with it every connection.
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let (serving, ready) = (Arc::clone(&serving), first.take());
            connections.spawn(async move {
                let bridged = match ready {
                    Some(stream) => bridge(socket, stream).await,
                    None => match serving.cluster.pod_stream(&serving.pod, serving.port).await {
                        Ok(stream) => bridge(socket, stream).await,
                        Err(error) => Err(error.to_string()),
                    },
                };
                if let Err(reason) = bridged
                    && let Ok(mut failure) = serving.failure.lock()
                {
                    *failure = Some(reason);
                }
            });
        }
    }
}

async fn bridge(
    mut socket: TcpStream,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(), String> {
    // Small frames, such as acks and heartbeats, must be sent without delay.
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    let copied = copy_bidirectional_with_sizes(&mut socket, &mut stream, COPY_BUFFER, COPY_BUFFER).await;
    copied.map(drop).map_err(|error| error.to_string())
}
