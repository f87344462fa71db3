//! Changes the parallelism of a Job, and adds Jobs to a run. A Job's completions cannot be changed,
//! and a run that drains a queue needs one completion per pod.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::job::{INPUT_CUT_ANNOTATION, JobState, PAUSED_ANNOTATION, STOPPED_ANNOTATION};
use super::pod_state::has_ended;
use super::{Cluster, Error, FIELD_MANAGER};

/// The volume with which the chart mounts a script into the pods.
const SCRIPT_VOLUME: &str = "worker-script";

impl Cluster {
    /// Sets a Job's parallelism. `paused` is the parallelism to restore later, if the Job is paused.
    pub async fn set_parallelism(
        &self,
        name: &str,
        parallelism: u32,
        paused: Option<u32>,
    ) -> Result<(), Error> {
        let paused = paused.map(|pods| pods.to_string());
        let patch = json!({
            "metadata": {"annotations": {PAUSED_ANNOTATION: paused}},
            "spec": {"parallelism": parallelism},
        });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let jobs = self.api::<Job>();
        self.call(format!("scaling job {name}"), jobs.patch(name, &params, &Patch::Merge(&patch))).await?;
        Ok(())
    }

    /// Ends a Job as a deadline that has passed would: its pods are stopped, and it stays, failed. Deleting
    /// it would lose its state.
    pub async fn stop_job(&self, name: &str) -> Result<(), Error> {
        let patch = json!({
            "metadata": {"annotations": {STOPPED_ANNOTATION: "true"}},
            "spec": {"activeDeadlineSeconds": 1},
        });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let jobs = self.api::<Job>();
        self.call(format!("stopping job {name}"), jobs.patch(name, &params, &Patch::Merge(&patch))).await?;
        Ok(())
    }

    /// Notes at a Job why its input was not enqueued to its end: whoever follows the run must not call it
    /// complete. It is not an error if the Job does not exist.
    pub async fn note_input_cut(&self, name: &str, reason: &str) -> Result<(), Error> {
        let patch = json!({"metadata": {"annotations": {INPUT_CUT_ANNOTATION: reason}}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let jobs = self.api::<Job>();
        match self
            .call(format!("changing job {name}"), jobs.patch(name, &params, &Patch::Merge(&patch)))
            .await
        {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// How many pods of a run have not ended yet.
    pub async fn pods_left(&self, run: &JobState) -> Result<usize, Error> {
        let list = ListParams::default().labels(&run.pod_selector());
        let pods = self.call("listing pods", self.api::<Pod>().list(&list)).await?;
        Ok(pods.iter().filter(|pod| !has_ended(pod)).count())
    }

    /// Adds a Job with `pods` pods to the run of the Job `name`.
    pub async fn add_job(&self, name: &str, new: &str, pods: u32) -> Result<JobState, Error> {
        let job = self.call(format!("reading job {name}"), self.api::<Job>().get(name)).await?;
        let unreadable = |error: serde_json::Error| Error::Api {
            what: format!("reading job {name}"),
            message: error.to_string(),
            code: None,
        };
        let mut manifest = copy_of(serde_json::to_value(&job).map_err(unreadable)?, new, pods);
        let script = rename_script(&mut manifest, new);
        let added = self.create_job(&manifest).await?;
        if let Some(script) = script
            && let Err(error) = self.copy_script(&script, &added).await
        {
            // Its pods would wait for the script for ever. The first error matters more than a Job that stays.
            self.delete_job(&added.name).await.ok();
            return Err(error);
        }
        Ok(added)
    }

    /// A script is deleted with the Job that owns it. The added Job gets a copy of its own: for that, nobody
    /// needs the right to change ConfigMaps.
    async fn copy_script(&self, script: &str, job: &JobState) -> Result<(), Error> {
        let maps = self.api::<ConfigMap>();
        let mut copy = self.call(format!("reading config map {script}"), maps.get(script)).await?;
        let owner = OwnerReference {
            api_version: "batch/v1".to_owned(),
            kind: "Job".to_owned(),
            name: job.name.clone(),
            uid: job.uid.clone(),
            ..OwnerReference::default()
        };
        copy.metadata = ObjectMeta {
            name: Some(job.name.clone()),
            labels: copy.metadata.labels,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        self.create_config_map(&copy).await
    }
}

/// Gives the volume with a script another ConfigMap. Returns the one that it had, if there is a script.
fn rename_script(manifest: &mut Value, new: &str) -> Option<String> {
    let volumes = manifest.pointer_mut("/spec/template/spec/volumes")?.as_array_mut()?;
    let script = volumes.iter_mut().find(|volume| volume["name"] == SCRIPT_VOLUME)?;
    let name = script["configMap"]["name"].as_str()?.to_owned();
    script["configMap"]["name"] = json!(new);
    Some(name)
}

/// The manifest of a Job with the template of another, without the fields that the server has set.
fn copy_of(mut job: Value, name: &str, pods: u32) -> Value {
    let mut labels = job["metadata"]["labels"].clone();
    if let Some(labels) = labels.as_object_mut() {
        labels.retain(|name, _| !is_of_job_controller(name));
    }
    let mut annotations = job["metadata"]["annotations"].clone();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove(PAUSED_ANNOTATION);
        annotations.retain(|name, _| !name.starts_with("kubectl.kubernetes.io/"));
    }
    let mut spec = job["spec"].take();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("selector");
        spec.remove("manualSelector");
    }
    spec["completions"] = json!(pods);
    spec["parallelism"] = json!(pods);
    let of_pods = &mut spec["template"]["metadata"];
    if let Some(labels) = of_pods["labels"].as_object_mut() {
        labels.retain(|name, _| !is_of_job_controller(name));
    }
    if let Some(of_pods) = of_pods.as_object_mut() {
        of_pods.remove("creationTimestamp");
    }
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": spec,
    })
}

/// Labels with which the controller identifies the pods of a Job.
fn is_of_job_controller(label: &str) -> bool {
    matches!(label, "controller-uid" | "job-name") || label.starts_with("batch.kubernetes.io/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::job::ITEMS_ANNOTATION;
    use workqueue_core::names::RUN_LABEL;

    #[test]
    fn an_added_job_has_a_script_of_its_own() {
        let volumes = json!([{"name": "other", "configMap": {"name": "c"}},
            {"name": SCRIPT_VOLUME, "configMap": {"name": "w-r1", "defaultMode": 365}}]);
        let mut manifest = json!({"spec": {"template": {"spec": {"volumes": volumes}}}});
        assert_eq!(rename_script(&mut manifest, "w-r1-2").as_deref(), Some("w-r1"));
        let volumes = &manifest["spec"]["template"]["spec"]["volumes"];
        assert_eq!(volumes[1]["configMap"], json!({"name": "w-r1-2", "defaultMode": 365}));
        assert_eq!(volumes[0]["configMap"]["name"], "c");
        assert_eq!(rename_script(&mut json!({"spec": {}}), "x"), None);
    }

    #[test]
    fn a_copied_job_has_no_labels_of_the_controller() {
        let job = json!({
            "metadata": {"name": "w-r1", "uid": "u", "resourceVersion": "7",
                "labels": {RUN_LABEL: "r1", "batch.kubernetes.io/job-name": "w-r1"},
                "annotations": {ITEMS_ANNOTATION: "9", PAUSED_ANNOTATION: "4"}},
            "spec": {"completions": 4, "parallelism": 0, "backoffLimit": 20,
                "selector": {"matchLabels": {"controller-uid": "u"}},
                "template": {
                    "metadata": {"creationTimestamp": null,
                        "labels": {RUN_LABEL: "r1", "controller-uid": "u", "job-name": "w-r1"}},
                    "spec": {"containers": []}}},
            "status": {"active": 4},
        });
        assert_eq!(
            copy_of(job, "w-r1-2", 3),
            json!({
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "w-r1-2", "labels": {RUN_LABEL: "r1"}, "annotations": {ITEMS_ANNOTATION: "9"}},
                "spec": {"completions": 3, "parallelism": 3, "backoffLimit": 20,
                    "template": {"metadata": {"labels": {RUN_LABEL: "r1"}}, "spec": {"containers": []}}},
            })
        );
    }
}
