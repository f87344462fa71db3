//! The requests of AWS Lambda's Runtime API, version 2018-06-01, and the answers to them.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>. What that leaves open is as in AWS's
//! emulator (github.com/aws/aws-lambda-runtime-interface-emulator, `internal/lambda/rapi`).

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use super::endpoint::{Answer, Endpoint};
use super::reported::ReportedError;

/// The paths of this version.
const ROOT: &str = "/2018-06-01/runtime/";

/// The most bytes of a response, as many as an item has at most by default. AWS allows 6 MiB.
const LARGEST_RESPONSE: usize = 16 << 20;

/// The most bytes of an error that are looked at.
const LARGEST_ERROR: usize = 1 << 20;

/// Bytes beyond the limit that are read, so that the client comes to reading the answer.
const LARGEST_REST: usize = 64 << 20;

/// How long the next part of a body may take.
const STALLS_AFTER: Duration = Duration::from_secs(30);

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// An answer to a client.
pub(super) type Reply = Response<Full<Bytes>>;

/// Answers a request.
pub(super) async fn reply(endpoint: &Endpoint, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let Some(path) = head.uri.path().strip_prefix(ROOT) else { return not_found() };
    let (first, last) = path.rsplit_once('/').unwrap_or((path, ""));
    let id = first.strip_prefix("invocation/").filter(|id| !id.contains('/'));
    match (first, id, last) {
        ("invocation", _, "next") if head.method == Method::GET => next(endpoint).await,
        ("init", _, "error") if head.method == Method::POST => {
            init_error(endpoint, &head.headers, body).await
        }
        (_, Some(id), "response") if head.method == Method::POST => {
            response(endpoint, id, &head.headers, body).await
        }
        (_, Some(id), "error") if head.method == Method::POST => {
            error(endpoint, id, &head.headers, body).await
        }
        ("invocation", _, "next") | ("init", _, "error") | (_, Some(_), "response" | "error") => {
            refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "this path has another method")
        }
        _ => not_found(),
    }
}

async fn next(endpoint: &Endpoint) -> Reply {
    let (id, invocation) = endpoint.next().await;
    invocation.response(&id).map(Full::new)
}

async fn response(endpoint: &Endpoint, id: &str, headers: &HeaderMap, body: Incoming) -> Reply {
    if !endpoint.is_under_way(id) {
        read(body, 0).await;
        return unknown_id();
    }
    if headers.contains_key(RESPONSE_MODE) {
        let message = "the program streams its response, which this endpoint does not take";
        endpoint.answer(id, Answer::Error(ReportedError::new("InvalidFunctionResponseMode", message)));
        read(body, 0).await;
        return refused(StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", message);
    }
    match read(body, LARGEST_RESPONSE).await {
        Body::Whole(bytes) => accepted(endpoint.answer(id, Answer::Response(bytes))),
        Body::Cut(_) => {
            let message = format!("the response is larger than {LARGEST_RESPONSE} bytes");
            let error = ReportedError::new("Function.ResponseSizeTooLarge", message.as_str());
            endpoint.answer(id, Answer::Error(error));
            refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
        }
        Body::Broken => broken(),
    }
}

async fn error(endpoint: &Endpoint, id: &str, headers: &HeaderMap, body: Incoming) -> Reply {
    match read(body, LARGEST_ERROR).await {
        Body::Whole(bytes) | Body::Cut(bytes) => {
            let error = ReportedError::read(error_type(headers), &bytes);
            accepted(endpoint.answer(id, Answer::Error(error)))
        }
        Body::Broken => broken(),
    }
}

async fn init_error(endpoint: &Endpoint, headers: &HeaderMap, body: Incoming) -> Reply {
    match read(body, LARGEST_ERROR).await {
        Body::Whole(bytes) | Body::Cut(bytes) => {
            if endpoint.init_error(ReportedError::read(error_type(headers), &bytes)) {
                return accepted(true);
            }
            let message = "the program has started: it has asked for items";
            refused(StatusCode::FORBIDDEN, "InvalidStateTransition", message)
        }
        Body::Broken => broken(),
    }
}

fn error_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(ERROR_TYPE)?.to_str().ok()
}

/// What came of a body.
enum Body {
    Whole(Bytes),
    /// It was larger than the limit; this is its start.
    Cut(Bytes),
    /// It broke off, or nothing came for too long.
    Broken,
}

/// Reads a body to its end, and keeps at most so many bytes.
async fn read(mut body: Incoming, limit: usize) -> Body {
    let (mut kept, mut rest) = (Vec::new(), 0);
    loop {
        let frame = match timeout(STALLS_AFTER, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) | Err(_) => return Body::Broken,
            Ok(None) if rest > 0 => return Body::Cut(kept.into()),
            Ok(None) => return Body::Whole(kept.into()),
        };
        // Trailers come with streaming only.
        let Ok(data) = frame.into_data() else { continue };
        let room = data.len().min(limit - kept.len());
        kept.extend_from_slice(&data[..room]);
        rest += data.len() - room;
        if rest > LARGEST_REST {
            return Body::Cut(kept.into());
        }
    }
}

fn accepted(is_accepted: bool) -> Reply {
    if is_accepted { json_reply(StatusCode::ACCEPTED, &json!({"status": "OK"})) } else { unknown_id() }
}

fn unknown_id() -> Reply {
    refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "no item with this request id waits for an answer")
}

fn broken() -> Reply {
    refused(StatusCode::REQUEST_TIMEOUT, "TruncatedHTTPRequest", "the body did not come to its end")
}

fn not_found() -> Reply {
    refused(StatusCode::NOT_FOUND, "NotFound", "only the Runtime API is here: no extensions, no telemetry")
}

fn refused(status: StatusCode, kind: &str, message: &str) -> Reply {
    json_reply(status, &json!({"errorType": kind, "errorMessage": message}))
}

fn json_reply(status: StatusCode, document: &serde_json::Value) -> Reply {
    let mut reply = Response::new(Full::from(document.to_string()));
    *reply.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    reply.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    reply
}
