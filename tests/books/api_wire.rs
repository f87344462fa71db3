//! A way to the API server that is cut again and again, in the middle of what is being sent: TCP in
//! front of it, on this machine.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use workqueue_test_support::{Sandbox, kubectl, run};

pub struct ApiWire {
    /// Cuts that are to come.
    cuts: Arc<AtomicUsize>,
    files: Sandbox,
}

impl ApiWire {
    pub fn new() -> Self {
        let view = ["config", "view", "--raw", "--minify", "--flatten", "-o", "json"];
        let mut kubeconfig = run(kubectl().args(view)).ok().json();
        let cluster = &mut kubeconfig["clusters"][0]["cluster"];
        let server = cluster["server"].as_str().and_then(|url| url.strip_prefix("https://"));
        let server = server.expect("an API server with TLS").trim_end_matches('/').to_owned();
        let server = if server.contains(':') { server } else { format!("{server}:443") };
        let host = server.rsplit_once(':').map_or(server.as_str(), |(host, _)| host).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        cluster["server"] = json!(format!("https://{address}"));
        cluster["tls-server-name"] = json!(host);
        let wire = Self { cuts: Arc::default(), files: Sandbox::new() };
        wire.files.file("kubeconfig", kubeconfig.to_string());
        let cuts = wire.cuts.clone();
        std::thread::spawn(move || listen(&listener, &server, &cuts));
        wire
    }

    /// A kubeconfig that leads through it.
    pub fn kubeconfig(&self) -> std::path::PathBuf {
        self.files.path("kubeconfig")
    }

    /// Cuts so many connections from now on, those that are open among them.
    pub fn cut(&self, count: usize) {
        self.cuts.store(count, Ordering::Relaxed);
    }

    /// Cuts that have not come yet.
    pub fn cuts_left(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

fn listen(listener: &TcpListener, server: &str, cuts: &Arc<AtomicUsize>) {
    for (number, near) in listener.incoming().enumerate() {
        let (Ok(near), Ok(far)) = (near, TcpStream::connect(server)) else { continue };
        // A handshake has about 5 kB: some are cut in it, and some long after it.
        let length = 2_000 + 5_003 * (number % 5);
        for ends in [(&near, &far), (&far, &near)] {
            let ends = (ends.0.try_clone().expect("a socket"), ends.1.try_clone().expect("a socket"));
            let cuts = cuts.clone();
            std::thread::spawn(move || {
                pass(&ends.0, &ends.1, length, &cuts);
                ends.0.shutdown(Shutdown::Both).ok();
                ends.1.shutdown(Shutdown::Both).ok();
            });
        }
    }
}

/// Passes bytes on until one end closes, or it is to be cut after at least `length` bytes. What was read
/// last is passed on in half.
fn pass(mut near: &TcpStream, mut far: &TcpStream, length: usize, cuts: &AtomicUsize) {
    let (mut buffer, mut passed) = (vec![0; 1 << 16], 0);
    loop {
        let Ok(size @ 1..) = near.read(&mut buffer) else { return };
        passed += size;
        let take = |left: usize| left.checked_sub(1);
        if passed > length && cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            far.write_all(&buffer[..size / 2]).ok();
            return;
        }
        if far.write_all(&buffer[..size]).is_err() {
            return;
        }
    }
}
