//! The words of runtimes.

use super::*;
use PullFailure as P;

/// Messages as clusters have printed them, by the runtime that did.
#[test]
fn the_words_of_runtimes_are_understood() {
    const CASES: [(PullFailure, &str, &str); 34] = [
        // Docker, through dockershim.
        (
            P::NotFound,
            "127.0.0.1:5000/nonesuch:1",
            "rpc error: code = Unknown desc = Error response from daemon: manifest for 127.0.0.1:5000/nonesuch:1 not found: manifest unknown: manifest unknown",
        ),
        (
            P::NotFound,
            "lachlanevenson/k8s-kubectl:v1.18.20",
            "rpc error: code = Unknown desc = Error response from daemon: manifest for lachlanevenson/k8s-kubectl:v1.18.20 not found: manifest unknown: manifest unknown",
        ),
        (P::NotFound, "nonesuch:1", "rpc error: code = 2 desc = Error: image library/nonesuch:1 not found"),
        (
            P::Denied,
            "griggheo/flask-by-example:v1",
            "rpc error: code = Unknown desc = Error response from daemon: pull access denied for griggheo/flask-by-example, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
        ),
        (
            P::Denied,
            "1.dkr.ecr.eu-west-1.amazonaws.com/a:1",
            "rpc error: code = Unknown desc = Error response from daemon: Get https://1.dkr.ecr.eu-west-1.amazonaws.com/v2/a/manifests/1: no basic auth credentials",
        ),
        (
            P::Denied,
            "quay.io/a/b:1",
            "rpc error: code = Unknown desc = Error response from daemon: unauthorized: access to the requested resource is not authorized",
        ),
        (
            P::WrongPlatform,
            "a/b:1",
            "rpc error: code = Unknown desc = Error response from daemon: no matching manifest for linux/arm64/v8 in the manifest list entries",
        ),
        (
            P::WrongPlatform,
            "a/b:1",
            "rpc error: code = Unknown desc = Error response from daemon: image operating system \"windows\" cannot be used on this platform",
        ),
        (
            P::Other,
            "127.0.0.1:5999/busybox:1",
            "rpc error: code = Unknown desc = Error response from daemon: Get \"http://127.0.0.1:5999/v2/\": dial tcp 127.0.0.1:5999: connect: connection refused",
        ),
        (
            P::Other,
            "registry.invalid/busybox:1",
            "rpc error: code = Unknown desc = Error response from daemon: Get \"https://registry.invalid/v2/\": dial tcp: lookup registry.invalid on 10.255.255.53:53: no such host",
        ),
        (
            P::Other,
            "a/b:1",
            "rpc error: code = Unknown desc = Error response from daemon: toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit",
        ),
        (
            P::Other,
            "r.example/b:1",
            "rpc error: code = Unknown desc = Error response from daemon: received unexpected HTTP status: 503 Service Unavailable",
        ),
        (
            P::Other,
            "a/b:1",
            "rpc error: code = Unknown desc = Error response from daemon: Get https://registry-1.docker.io/v2/: net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
        ),
        (
            P::Other,
            "a/b:1",
            "rpc error: code = Unknown desc = failed to register layer: Error processing tar file(exit status 1): write /usr/lib/x: no space left on device",
        ),
        // containerd.
        (
            P::NotFound,
            "docker.io/salesforce/salesforcedx:latest",
            "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/salesforce/salesforcedx:latest\": failed to resolve reference \"docker.io/salesforce/salesforcedx:latest\": docker.io/salesforce/salesforcedx:latest: not found",
        ),
        (
            P::Denied,
            "docker.io/a/b:1",
            "failed to pull and unpack image \"docker.io/a/b:1\": failed to resolve reference \"docker.io/a/b:1\": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        ),
        (
            P::Denied,
            "x.azurecr.io/b:1",
            "failed to pull and unpack image \"x.azurecr.io/b:1\": failed to resolve reference \"x.azurecr.io/b:1\": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://x.azurecr.io/oauth2/token?scope=repository%3Ab%3Apull: 401 Unauthorized",
        ),
        (
            P::Denied,
            "ghcr.io/a/b:1",
            "failed to pull and unpack image \"ghcr.io/a/b:1\": failed to resolve reference \"ghcr.io/a/b:1\": unexpected status from HEAD request to https://ghcr.io/v2/a/b/manifests/1: 403 Forbidden",
        ),
        (
            P::WrongPlatform,
            "1.dkr.ecr.x.amazonaws.com/api:latest",
            "rpc error: code = NotFound desc = failed to pull and unpack image \"1.dkr.ecr.x.amazonaws.com/api:latest\": no match for platform in manifest: not found",
        ),
        (
            P::Other,
            "r.example/b:1",
            "rpc error: code = Unknown desc = failed to pull and unpack image \"r.example/b:1\": failed to resolve reference \"r.example/b:1\": failed to do request: Head \"https://r.example/v2/b/manifests/1\": dial tcp: lookup r.example: no such host",
        ),
        (
            P::Other,
            "r.example/b:1",
            "failed to pull and unpack image \"r.example/b:1\": failed to resolve reference \"r.example/b:1\": unexpected status from HEAD request to https://r.example/v2/b/manifests/1: 502 Bad Gateway",
        ),
        (
            P::Other,
            "r.example/b:1",
            "failed to pull and unpack image \"r.example/b:1\": failed to resolve reference \"r.example/b:1\": failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://auth.r.example/token: 503 Service Unavailable",
        ),
        (
            P::Other,
            "r.example/b:1",
            "failed to pull and unpack image \"r.example/b:1\": failed to resolve reference \"r.example/b:1\": failed to do request: Head \"https://r.example/v2/b/manifests/1\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
        (
            P::Other,
            "r.example/b:1",
            "failed to pull and unpack image \"r.example/b:1\": failed to copy: httpReadSeeker: failed open: could not fetch content descriptor sha256:4444 (application/vnd.oci.image.layer.v1.tar+gzip) from remote: not found",
        ),
        (
            P::Other,
            "r.example/b:1",
            "failed to pull and unpack image \"r.example/b:1\": failed to copy: read tcp 10.0.0.1:55892->1.2.3.4:443: read: connection reset by peer",
        ),
        // CRI-O.
        (
            P::NotFound,
            "registry.mydomain/image",
            "rpc error: code = Unknown desc = Error reading manifest latest in registry.mydomain/image: manifest unknown: manifest unknown",
        ),
        (
            P::NotFound,
            "quay.io/a/b:1",
            "initializing source docker://quay.io/a/b:1: reading manifest 1 in quay.io/a/b: name unknown: repository not found",
        ),
        (
            P::Denied,
            "docker.io/library/solver:latest",
            "rpc error: code = Unknown desc = Error reading manifest latest in docker.io/library/solver: errors: denied: requested access to the resource is denied unauthorized: authentication required",
        ),
        (
            P::WrongPlatform,
            "k8s.gcr.io/pause:3.1",
            "rpc error: code = Unknown desc = Error choosing image instance: no image found in manifest list for architecture arm64, variant v8, OS linux",
        ),
        (
            P::WrongPlatform,
            "a/b:1",
            "choosing image instance: no image found in image index for architecture \"amd64\", variant \"\", OS \"linux\"",
        ),
        (
            P::Other,
            "docker.io/a/b:1",
            "(Mirrors also failed: [mirror.example/a/b:1: pinging container registry mirror.example: Get \"https://mirror.example/v2/\": dial tcp 10.0.0.9:443: connect: no route to host]): docker.io/a/b:1: reading manifest 1 in docker.io/a/b: manifest unknown",
        ),
        (
            P::Other,
            "r.example/b:1",
            "copying system image from manifest list: parsing image configuration: Get \"https://r.example/blob\": EOF",
        ),
        // Names that sound like failures.
        (
            P::Other,
            "r.example/unauthorized/denied:1",
            "failed to pull and unpack image \"r.example/unauthorized/denied:1\": failed to resolve reference \"r.example/unauthorized/denied:1\": something new",
        ),
        (
            P::NotFound,
            "r.example/timeout:eof",
            "rpc error: code = NotFound desc = failed to pull and unpack image \"r.example/timeout:eof\": failed to resolve reference \"r.example/timeout:eof\": r.example/timeout:eof: not found",
        ),
    ];
    for (expected, image, message) in CASES {
        assert_eq!(P::of("ErrImagePull", message, image), Some(expected), "{message}");
    }
}

#[test]
fn a_back_off_is_understood_if_it_repeats_its_reason() {
    assert_eq!(P::of("ImagePullBackOff", "Back-off pulling image \"a/b:1\"", "a/b:1"), None);
    let repeated = "Back-off pulling image \"a/b:1\": ErrImagePull: failed to pull and unpack image \"a/b:1\": \
                    failed to resolve reference \"a/b:1\": a/b:1: not found";
    assert_eq!(P::of("ImagePullBackOff", repeated, "a/b:1"), Some(P::NotFound));
    assert_eq!(P::of("InvalidImageName", "", "A/b"), Some(P::InvalidName));
    assert_eq!(P::of("ErrImageNeverPull", "", "a/b"), Some(P::NotOnNode));
    assert_eq!(P::of("CreateContainerConfigError", "secret \"s\" not found", "a/b"), None);
    assert!(P::NotFound.is_definite() && !P::Other.is_definite());
}
