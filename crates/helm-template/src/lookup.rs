//! How templates look up objects of a cluster.

/// Answers the `lookup` function of templates.
///
/// The thread that renders uses it, so it has to be [`Sync`].
pub trait Lookup: Sync {
    /// The object of that name, or the list of all objects if the name is empty; an empty
    /// object if there is none. The namespace is empty for objects without one.
    ///
    /// # Errors
    /// Why the cluster did not answer. The render fails with that message.
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<serde_json::Value, String>;
}

/// Finds nothing, as `helm template` does.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCluster;

impl Lookup for NoCluster {
    fn lookup(&self, _: &str, _: &str, _: &str, _: &str) -> Result<serde_json::Value, String> {
        Ok(serde_json::json!({}))
    }
}
