//! How templates see the objects of a cluster, if they see any.

/// Answers the `lookup` function of templates.
///
/// It is shared with the thread that renders, so it has to be [`Sync`].
pub trait Lookup: Sync {
    /// The object of that name, or the list of all objects if the name is empty; an empty
    /// object if there is none. The namespace is empty for objects that live in none.
    ///
    /// # Errors
    /// What kept the cluster from answering; the render fails with that message.
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
