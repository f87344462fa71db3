//! The endpoint against requests made at random, whole and torn: it lives, and no item is done that was not
//! answered for in full.
//!
//! Runs for a second with the other tests; `make fuzz-runtime` runs it for ten minutes, or for
//! `FUZZ_SECONDS`, from `FUZZ_SEED` on. A failure names the seed that shows it again.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::endpoint::Answer;
use super::tests::{Served, post, read, status};

/// No request may take longer.
const LONGEST: Duration = Duration::from_secs(60);

/// What a whole answer has, and nothing else.
const WHOLE: &str = "whole answer";

/// Parts of requests, some of them right.
const PARTS: [&str; 24] = [
    "GET ",
    "POST ",
    "PUT ",
    "/2018-06-01/runtime/",
    "invocation/next",
    "invocation/ID/response",
    "invocation/ID/error",
    "init/error",
    "invocation/",
    "/",
    " HTTP/1.1",
    " HTTP/1.0",
    "\r\n",
    "\r\n\r\n",
    "Host: x",
    "Content-Length: 5",
    "Content-Length: 18446744073709551616",
    "Transfer-Encoding: chunked",
    "Lambda-Runtime-Function-Response-Mode: streaming",
    "Expect: 100-continue",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "{\"errorType\":",
    "hello",
];

/// Bytes that look like a request, or not at all.
fn request(random: &mut StdRng, id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.random_range(0..24) {
        match random.random_range(0..8) {
            0 => bytes.extend((0..random.random_range(0..40)).map(|_| random.random::<u8>())),
            1 => bytes.extend(vec![b'x'; random.random_range(0..100_000)]),
            _ => {
                let part = PARTS[random.random_range(0..PARTS.len())];
                bytes.extend_from_slice(part.replace("ID", id).as_bytes());
            }
        }
    }
    bytes
}

/// Part of an answer that announces more than comes.
fn torn_answer(random: &mut StdRng, id: &str) -> Vec<u8> {
    let whole = post(&format!("invocation/{id}/response"), "", WHOLE).into_bytes();
    whole[..random.random_range(0..whole.len())].to_vec()
}

async fn round(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let served = Served::new(1).await;
    let mut offered = served.offer();
    let id = served.next().await;
    for _ in 0..random.random_range(1..20) {
        let is_torn = random.random_bool(0.3);
        let bytes = if is_torn { torn_answer(&mut random, &id) } else { request(&mut random, &id) };
        let mut stream = served.connect().await;
        for piece in bytes.chunks(random.random_range(1..=bytes.len().max(1))) {
            if stream.write_all(piece).await.is_err() {
                break;
            }
        }
        if random.random_bool(0.5) {
            stream.shutdown().await.ok();
            timeout(LONGEST, read(&mut stream)).await.unwrap_or_else(|_| panic!("seed {seed}: it hangs"));
        }
    }
    let reply = served.exchange(post(&format!("invocation/{id}/response"), "", WHOLE)).await;
    match offered.answer_rx.try_recv() {
        Ok(Answer::Response(body)) => {
            let is_torn = !body.is_empty() && body != WHOLE && WHOLE.as_bytes().starts_with(&body);
            assert!(!is_torn, "seed {seed}: part of an answer was taken for all of it: {body:?}");
        }
        Ok(Answer::Error(_)) => {}
        Err(_) => panic!("seed {seed}: the answer was not taken: {reply}"),
    }
    assert!(["202", "400"].contains(&status(&reply)), "seed {seed}: {reply}");
}

#[tokio::test]
async fn requests_at_random_do_no_harm() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let end = Instant::now() + Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(1));
    let mut seed = number("FUZZ_SEED").unwrap_or_else(rand::random);
    let mut rounds = 0_u64;
    while Instant::now() < end {
        timeout(LONGEST, round(seed)).await.unwrap_or_else(|_| panic!("seed {seed}: it hangs"));
        seed = seed.wrapping_add(1);
        rounds += 1;
    }
    println!("{rounds} rounds");
}
