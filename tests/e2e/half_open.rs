//! An API server that is gone without a word: connections stay open, and nothing comes through them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use workqueue_test_support::{Bed, Sandbox};

/// A proxy in front of an address. While it swallows, it accepts connections and bytes, and passes
/// nothing on; what it has swallowed is lost.
struct Proxy {
    address: String,
    swallows: Arc<AtomicBool>,
}

impl Proxy {
    fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let swallows = Arc::new(AtomicBool::new(false));
        let (target, swallowing) = (target.to_owned(), Arc::clone(&swallows));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let copies = [(&client, &server), (&server, &client)].map(|(from, to)| {
                    (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"))
                });
                for (from, to) in copies {
                    let swallowing = Arc::clone(&swallowing);
                    std::thread::spawn(move || pass(from, to, &swallowing));
                }
            }
        });
        Self { address, swallows }
    }

    fn swallow(&self, on: bool) {
        self.swallows.store(on, Ordering::Relaxed);
    }
}

/// A connection that has lost a byte stays silent for ever, as one does behind a lost NAT entry.
fn pass(mut from: TcpStream, mut to: TcpStream, swallows: &AtomicBool) {
    let (mut buffer, mut lost) = ([0; 16 * 1024], false);
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        lost |= swallows.load(Ordering::Relaxed);
        if !lost && to.write_all(&buffer[..size]).is_err() {
            break;
        }
    }
    if !lost {
        to.shutdown(std::net::Shutdown::Both).ok();
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn a_half_open_connection_is_noticed_and_replaced() {
    let bed = Bed::with_release("half");
    let mut config = bed.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]).ok().json();
    let server = config["clusters"][0]["cluster"]["server"].as_str().expect("a URL").to_owned();
    let (scheme, target) = server.split_once("://").expect("a URL");
    let proxy = Proxy::start(target);
    let cluster = &mut config["clusters"][0]["cluster"];
    cluster["server"] = format!("{scheme}://{}", proxy.address).into();
    let files = Sandbox::new();
    let path = files.file("kubeconfig", config.to_string()).display().to_string();

    let script = "read n; echo begin $n; sleep 150; echo end $n";
    let started = bed.start_script(&["--detach", "apple"], script).finish().ok();
    println!("{}", started.stderr);
    let mut attached = bed.start(&["attach", "--kubeconfig", &path]);
    attached.wait_for_output("begin apple");
    proxy.swallow(true);
    attached.wait_for("the API server does not answer");
    proxy.swallow(false);
    attached.wait_for("the API server answers again");
    attached.finish().ok().prints("end apple").says("is complete: 1 done");
}
