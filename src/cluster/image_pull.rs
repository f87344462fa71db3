//! Why an image cannot be pulled, from the words of kubelets, container runtimes and registries.
//!
//! Kubernetes has one reason for all failures, `ErrImagePull`; the cause is only in the message, whose
//! words differ between Docker, containerd and CRI-O. What is not known to be definite may pass.

/// Why an image cannot be pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullFailure {
    /// The registry has no such image, or no such tag.
    NotFound,
    /// The registry refuses the credentials, or asks for some.
    Denied,
    /// No image can have this name.
    InvalidName,
    /// The image is for another operating system or architecture than the node.
    WrongPlatform,
    /// The node lacks the image, and must not pull it.
    NotOnNode,
    /// Anything else, such as a registry that does not answer: it may pass.
    Other,
}

/// Words of failures that may pass. They come first: a message can name several failures, as when a
/// mirror does not answer and the registry itself does not know the image.
const PASSING: [&str; 28] = [
    "timeout",
    "timed out",
    "deadline exceeded",
    "connection refused",
    "connection reset",
    "broken pipe",
    "no such host",
    "name or service not known",
    "temporary failure",
    "server misbehaving",
    "no route to host",
    "network is unreachable",
    "proxyconnect",
    "x509:",
    "tls:",
    "http response to https client",
    "toomanyrequests",
    "too many requests",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway time-out",
    "status code 5",
    "eof",
    "canceled",
    "no space left",
    "qps exceeded",
    "registry is unavailable",
];

/// Words of definite failures. An image's platform comes before its absence: containerd reports `no
/// match for platform in manifest: not found`.
const DEFINITE: [(PullFailure, &[&str]); 4] = [
    (
        PullFailure::WrongPlatform,
        &[
            "no match for platform",
            "no matching manifest for",
            "no image found in manifest list for architecture",
            "no image found in image index for architecture",
            "does not match the specified platform",
            "cannot be used on this platform",
            "exec format error",
        ],
    ),
    (
        PullFailure::Denied,
        &[
            "pull access denied",
            "access to the resource is denied",
            "access to the requested resource is not authorized",
            "authorization failed",
            "authentication required",
            "no basic auth credentials",
            "unauthorized",
            "denied:",
            "403 forbidden",
            "403 (forbidden)",
        ],
    ),
    (
        PullFailure::NotFound,
        &[
            "manifest unknown",
            "manifest_unknown",
            "name unknown",
            "name_unknown",
            "repository does not exist",
            "does not exist or no pull access",
            "404 not found",
            "404 (not found)",
        ],
    ),
    (PullFailure::InvalidName, &["invalid reference format", "couldn't parse image reference"]),
];

impl PullFailure {
    /// Reads the state of a container that waits for its image; `None` for any other state, and for a
    /// back-off that does not repeat its reason. `image` is the name in the pod.
    pub fn of(reason: &str, message: &str, image: &str) -> Option<Self> {
        Some(match reason {
            "ErrImageNeverPull" => Self::NotOnNode,
            "InvalidImageName" => Self::InvalidName,
            "RegistryUnavailable" | "SignatureValidationFailed" | "ImageInspectError" => Self::Other,
            "ErrImagePull" => Self::read(message, image),
            // Kubelets from 1.32 on append the reason.
            "ImagePullBackOff" => Self::read(message.split_once("ErrImagePull: ")?.1, image),
            _ => return None,
        })
    }

    /// Reads a runtime's message.
    pub fn read(message: &str, image: &str) -> Self {
        let text = without_name(message, image).to_lowercase();
        if PASSING.iter().any(|words| text.contains(words)) {
            return Self::Other;
        }
        let says = |words: &&[&str]| words.iter().any(|words| text.contains(words));
        if let Some((failure, _)) = DEFINITE.iter().find(|(_, words)| says(words)) {
            return *failure;
        }
        // containerd: a layer that is "not found" is another fault.
        let unresolved = text.contains("failed to resolve") && text.trim_end().ends_with("not found");
        // Docker: "manifest for IMAGE not found", "repository IMAGE not found", "image IMAGE not found".
        let docker = ["manifest for", "repository", "image"].iter().any(|what| {
            let mut rest = text.split(*what).skip(1);
            rest.any(|rest| rest.trim_start().starts_with("not found"))
        });
        if unresolved || docker { Self::NotFound } else { Self::Other }
    }

    /// Whether another attempt fails likewise, until somebody changes the image or its registry.
    pub fn is_definite(self) -> bool {
        self != Self::Other
    }
}

/// A message without the image's name, which may contain any word.
fn without_name(message: &str, image: &str) -> String {
    let repository = image.split('@').next().unwrap_or(image);
    let repository = match repository.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => repository,
    };
    let mut text = message.to_owned();
    let path = repository.split_once('/').map_or(repository, |(_, path)| path);
    let tag = image.strip_prefix(repository).unwrap_or_default();
    // From the longest to the shortest. Runtimes name the tag without its repository, too.
    for name in [image, repository, &format!("{path}{tag}"), path, tag.trim_start_matches([':', '@'])] {
        if name.len() > 2 {
            text = text.replace(name, "");
        }
    }
    // What runtimes put before short names.
    text.replace("docker.io/", "").replace("library/", "")
}

#[cfg(test)]
mod tests;
