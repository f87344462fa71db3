//! The readers against inputs made at random: whatever the bytes and however they arrive, the
//! items are those that a simple reading gives, and nothing panics.
//!
//! Runs for a second with the other tests; `make fuzz` runs it for ten minutes, or for
//! `FUZZ_SECONDS`, from `FUZZ_SEED` on. A failure names the seed that shows it again.

use std::io::{Cursor, Read, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kubectl_workqueue::items::{BlankLines, Framing, Items, Reading};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use serde_json::de::StrRead;

/// Larger items are refused in these tests; bytes.
const LIMIT: usize = 300;

/// Gives as many bytes at a time as chance says.
struct Pieces {
    input: Cursor<Vec<u8>>,
    random: StdRng,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = *[1, 2, 3, 5, 17, 64, 1 << 16].get(self.random.random_range(0..7)).expect("in bounds");
        let most = most.min(buffer.len());
        self.input.read(&mut buffer[..most])
    }
}

type Outcome = (Vec<Vec<u8>>, Option<String>);

fn read(input: &[u8], framing: &Framing, raw: bool, random: &mut StdRng) -> Outcome {
    let pieces =
        Pieces { input: Cursor::new(input.to_vec()), random: StdRng::seed_from_u64(random.random()) };
    let reading = Reading { framing: framing.clone(), blank_lines: BlankLines::Refuse, raw };
    let mut items = Items::from_reader(pieces, "f", reading, LIMIT);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut bodies = Vec::new();
        loop {
            match items.next_chunk().await {
                Ok(Some(batch)) => bodies.extend(batch.into_iter().map(|item| item.body.to_vec())),
                Ok(None) => return (bodies, None),
                Err(error) => return (bodies, Some(error.to_string())),
            }
        }
    })
}

/// Bytes from a small alphabet, in which delimiters and JSON's signs are frequent.
fn bytes(random: &mut StdRng, most: usize) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ab\n\n\r\0,,[]{}\"\"\\:01 tnu-\xff\xc3\x1f\x8b(";
    let size = random.random_range(0..=most);
    (0..size).map(|_| ALPHABET[random.random_range(0..ALPHABET.len())]).collect()
}

/// Splits at a delimiter in the simplest way. In text, lines of white space are empty.
fn split(mut input: &[u8], delimiter: &[u8], text: bool) -> Outcome {
    let mut bodies = Vec::new();
    while !input.is_empty() {
        let end = input.windows(delimiter.len()).position(|window| window == delimiter);
        let body = &input[..end.unwrap_or(input.len())];
        let number = bodies.len() + 1;
        if body.is_empty() || delimiter == b"\n" && text && body.trim_ascii().is_empty() {
            return (bodies, Some(format!("f:{number}: the item is empty")));
        }
        if body.len() > LIMIT {
            return (bodies, Some(format!("f:{number}: the item is larger than {LIMIT} bytes")));
        }
        bodies.push(body.to_vec());
        input = &input[end.map_or(input.len(), |end| end + delimiter.len())..];
    }
    (bodies, None)
}

fn delimited(random: &mut StdRng) {
    let input = bytes(random, 2000);
    let mut delimiter = bytes(random, 3);
    if delimiter.is_empty() {
        delimiter.push(b'\n');
    }
    let framing = Framing::Delimiter(Arc::from(&delimiter[..]));
    assert_eq!(
        read(&input, &framing, true, random),
        split(&input, &delimiter, false),
        "{delimiter:?} in {input:?}"
    );
    assert_eq!(read(&input, &Framing::Lines, true, random), split(&input, b"\n", true), "lines of {input:?}");
}

fn compressed(random: &mut StdRng) {
    let mut plain = bytes(random, 2000);
    // What is not text, is compressed twice, or has lines that end with CR, is another test's business.
    plain.iter_mut().filter(|byte| [0, 0x1f, b'\r'].contains(*byte)).for_each(|byte| *byte = b'z');
    let mut packed = if random.random() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).expect("memory");
        encoder.finish().expect("memory")
    } else {
        ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest)
    };
    assert_eq!(read(&packed, &Framing::Lines, false, random), split(&plain, b"\n", true), "{plain:?}");
    // Damaged, it ends in some way, and the same way each time.
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(4..packed.len());
        packed[at] = random.random();
    }
    packed.truncate(random.random_range(4..=packed.len()));
    read(&packed, &Framing::Lines, false, random);
}

fn value(random: &mut StdRng, depth: u32) -> Value {
    match random.random_range(0..if depth > 3 { 4 } else { 6 }) {
        0 => Value::Null,
        1 => random.random::<bool>().into(),
        2 => random.random_range(-1000..1000).into(),
        3 => String::from_utf8_lossy(&bytes(random, 8)).into_owned().into(),
        4 => (0..random.random_range(0..4)).map(|_| value(random, depth + 1)).collect(),
        _ => {
            let pairs = 0..random.random_range(0..4);
            Value::Object(pairs.map(|key| (format!("k{key}"), value(random, depth + 1))).collect())
        }
    }
}

/// The value as text, with white space of any kind where it may stand.
fn spaced(value: &Value, random: &mut StdRng, space: &[&str]) -> String {
    let gap = |random: &mut StdRng| space[random.random_range(0..space.len())].to_owned();
    match value {
        Value::Array(values) => {
            let texts: Vec<String> = values.iter().map(|value| spaced(value, random, space)).collect();
            let gap = gap(random);
            format!("[{gap}{}{gap}]", texts.join(&format!("{gap},{gap}")))
        }
        Value::Object(pairs) => {
            let text =
                |(key, value): (&String, &Value)| format!("\"{key}\":{}", spaced(value, random, space));
            let texts: Vec<String> = pairs.iter().map(text).collect();
            format!("{{{}}}", texts.join(" , "))
        }
        other => format!("{}{other}{}", gap(random), gap(random)),
    }
}

fn json(random: &mut StdRng) {
    let values: Vec<Value> = (0..random.random_range(0..8)).map(|_| value(random, 0)).collect();
    let body = |value: &Value| match value {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    let expected: Vec<Vec<u8>> = values.iter().map(body).collect();
    if expected.iter().any(|body| body.is_empty() || body.len() > LIMIT) {
        return;
    }
    let array = spaced(&Value::Array(values.clone()), random, &["", " ", "\n", "\r\n\t"]);
    assert_eq!(read(array.as_bytes(), &Framing::Json, false, random), (expected.clone(), None), "{array}");
    // As values one after the other, unless the first starts like an array of everything.
    let lines: String = values.iter().map(|value| spaced(value, random, &["", " ", "\n\t"]) + "\n").collect();
    if !lines.trim_start().starts_with('[') {
        assert_eq!(read(lines.as_bytes(), &Framing::Json, false, random), (expected, None), "{lines}");
    }
    damaged_json(array.into_bytes(), random);
}

/// Damaged JSON is read to the same end however it arrives, and passes as an array only if it is one.
fn damaged_json(mut text: Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..text.len());
        match bytes(random, 1).first() {
            Some(&byte) => text[at] = byte,
            None => _ = text.remove(at),
        }
        if text.is_empty() {
            return;
        }
    }
    let outcome = read(&text, &Framing::Json, false, random);
    assert_eq!(read(&text, &Framing::Json, false, random), outcome, "{:?}", String::from_utf8_lossy(&text));
    if let (Ok(text), None) = (std::str::from_utf8(&text), &outcome.1)
        && text.trim_start_matches([' ', '\n', '\r', '\t']).starts_with('[')
    {
        let mut values = serde_json::Deserializer::new(StrRead::new(text)).into_iter::<Value>();
        assert!(values.all(|value| value.is_ok()), "{text:?} passed as {:?}", outcome.0);
    }
}

#[test]
fn readers_agree_with_a_simple_reading() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let duration = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(1));
    let first = number("FUZZ_SEED").unwrap_or(1);
    let started = Instant::now();
    let mut seed = first;
    while started.elapsed() < duration {
        let result = std::panic::catch_unwind(|| {
            let mut random = StdRng::seed_from_u64(seed);
            match seed % 3 {
                0 => delimited(&mut random),
                1 => compressed(&mut random),
                _ => json(&mut random),
            }
        });
        assert!(result.is_ok(), "see above; again with FUZZ_SEED={seed}");
        seed += 1;
    }
    println!("{} inputs in {:.0?}, none misread", seed - first, started.elapsed());
}
