//! One handing out of an item: its request id, and the headers that go with it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-next>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::Response;
use hyper::body::Bytes;
use serde_json::json;

/// The deadline of an item without a time limit. Node takes no timer beyond 2^31 ms, 24.8 days, and some
/// handlers make one of the time that is left.
const NO_LIMIT: Duration = Duration::from_secs(24 * 24 * 60 * 60);

/// Account in the function's name, which handlers take apart: AWS's own emulator has the same.
const ACCOUNT: &str = "012345678912";

/// What a handler is told about its item, in the client context under `custom`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub id: &'a str,
    pub attempt: u64,
    pub queue: &'a str,
    pub run: &'a str,
}

/// An item for a program.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    /// The event.
    pub event: Bytes,
    /// JSON in ASCII.
    pub client_context: String,
    /// The name that the function would have.
    pub function_arn: String,
    /// How long the program may take for it.
    pub limit: Option<Duration>,
}

impl Invocation {
    /// The answer that hands it out under a request id.
    pub(super) fn response(self, request_id: &str) -> Response<Bytes> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let deadline = (since_1970 + self.limit.unwrap_or(NO_LIMIT)).as_millis();
        let mut response = Response::new(self.event);
        let headers = response.headers_mut();
        let texts = [
            ("content-type", "application/json".to_owned()),
            ("lambda-runtime-aws-request-id", request_id.to_owned()),
            ("lambda-runtime-deadline-ms", deadline.to_string()),
            ("lambda-runtime-invoked-function-arn", self.function_arn),
            ("lambda-runtime-trace-id", trace_id(since_1970.as_secs())),
            ("lambda-runtime-client-context", self.client_context),
        ];
        for (name, text) in texts {
            // All of them are printable ASCII.
            if let Ok(value) = text.parse() {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// The client context: keys and values of `custom` are strings, as clients demand.
pub(super) fn client_context(told: Told<'_>) -> String {
    let Told { id, attempt, queue, run } = told;
    let custom = json!({"itemId": id, "attempt": attempt.to_string(), "queue": queue, "run": run});
    ascii(&json!({"custom": custom, "env": {}, "environment": {}}).to_string())
}

/// JSON with everything but printable ASCII escaped: a header has nothing else.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

/// The ARN of a function with this name. The region is the one that the environment names.
pub(super) fn function_arn(name: &str) -> String {
    let variable = |name| std::env::var(name).ok().filter(|region| !region.is_empty());
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(c);
    let (region, name): (String, String) =
        (region.chars().filter(is_plain).collect(), name.chars().filter(is_plain).collect());
    format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{name}")
}

/// A random UUID (RFC 9562, version 4).
pub(super) fn request_id() -> String {
    let bits: u128 = rand::random();
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A new trace for X-Ray that is not to be recorded: nobody listens.
fn trace_id(seconds: u64) -> String {
    let (root, parent): (u128, u64) = (rand::random(), rand::random());
    format!("Root=1-{seconds:08x}-{:024x};Parent={parent:016x};Sampled=0", root >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_random_uuids() {
        let ids: std::collections::HashSet<String> = (0..1000).map(|_| request_id()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            let parts: Vec<&str> = id.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
            assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{id}");
        }
    }

    #[test]
    fn headers_hold_any_name_of_an_item() {
        let told = Told { id: "é\n\u{7f}\u{1f600}\"", attempt: 2, queue: "job1", run: "" };
        let invocation = Invocation {
            event: Bytes::from_static(b"{}"),
            client_context: client_context(told),
            function_arn: function_arn("jöb 1"),
            limit: None,
        };
        let response = invocation.response("id");
        let header = |name: &str| response.headers()[name].to_str().expect("ASCII").to_owned();
        assert!(header("lambda-runtime-invoked-function-arn").ends_with(":function:jb1"));
        let context: serde_json::Value =
            serde_json::from_str(&header("lambda-runtime-client-context")).expect("JSON");
        assert_eq!(context["custom"]["itemId"], told.id);
        assert_eq!(context["custom"]["attempt"], "2");
        assert!(header("lambda-runtime-trace-id").starts_with("Root=1-"));
    }

    #[test]
    fn the_deadline_is_that_of_the_time_limit() {
        let deadline = |limit| {
            let invocation = Invocation {
                event: Bytes::new(),
                client_context: String::new(),
                function_arn: String::new(),
                limit,
            };
            let response = invocation.response("id");
            let text = response.headers()["lambda-runtime-deadline-ms"].to_str().expect("ASCII").to_owned();
            Duration::from_millis(text.parse().expect("a number"))
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let limit = Duration::from_secs(1000);
        assert!(deadline(Some(limit)) + Duration::from_millis(1) >= now + limit);
        assert!(deadline(Some(limit)) < now + 2 * limit);
        let left = deadline(None) - now;
        assert!(left > Duration::from_secs(23 * 24 * 3600) && left.as_millis() < 1 << 31);
    }
}
