//! What people who are bound to one of the chart's Roles can do, and what they are told where it ends.

use workqueue_test_support::{Bed, Outcome, Sandbox, seed_worker, worker_image};

/// Somebody with one Role and nothing else.
struct Person<'a> {
    bed: &'a Bed,
    kubeconfig: String,
}

impl<'a> Person<'a> {
    fn new(bed: &'a Bed, files: &Sandbox, name: &str) -> Self {
        let mut config = bed.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]).ok().json();
        config["users"][0]["user"]["as"] = name.into();
        Self { bed, kubeconfig: files.file(name, config.to_string()).display().to_string() }
    }

    #[track_caller]
    fn runs(&self, args: &[&str]) -> Outcome {
        let words = if args[0] == "failed" { 2 } else { 1 };
        let flags = ["--kubeconfig", &self.kubeconfig];
        self.bed.workqueue(&[&args[..words], &flags, &args[words..]].concat())
    }

    /// Fails the test unless the error names the rule for this resource.
    #[track_caller]
    fn lacks(&self, args: &[&str], resource: &str) {
        let said = self.runs(args).exits(1).says("forbidden").says("ask for a Role with this rule");
        said.says(&format!("resources: [\"{resource}\"]"));
    }
}

#[test]
#[ignore = "needs the test bed: run `make e2e`"]
fn each_role_does_its_part_and_no_more() {
    let (bed, files) = (Bed::new("roles"), Sandbox::new());
    let bound = ["look", "run", "install"].map(|role| {
        let user = format!("roles.subjects.{role}[0]");
        format!("{user}.kind=User,{user}.name={role},{user}.apiGroup=rbac.authorization.k8s.io")
    });
    let set = format!("roles.create=true,{}", bound.join(","));
    bed.up(&["--set", &set]).ok();
    let [look, run, install] = ["look", "run", "install"].map(|name| Person::new(&bed, &files, name));

    let program =
        ["--worker-image", worker_image(), "--retries=0", "--", "sh", "-c", "read item; [ $item != bad ]"];
    let image = seed_worker();
    let start = [&["run", "--image", &image, "good", "bad"], &program[..]].concat();
    run.runs(&start).exits(6);
    run.runs(&["enqueue", "more"]).ok();
    run.runs(&["status"]).ok();
    run.runs(&["failed", "retry", "--all"]).ok();
    run.runs(&["purge", "--yes"]).ok();
    run.lacks(&["up", "--set", &set], "secrets");
    run.lacks(&["down", "--yes"], "replicationcontrollers");
    for (verb, object) in [
        ("patch", "configmaps"),
        ("delete", "configmaps"),
        ("get", "secret/workqueue-credentials"),
        ("get", "secret/workqueue-cookie"),
        ("get", "secret/workqueue-look"),
        ("get", "secret/kubectl-workqueue.workqueue"),
        ("patch", "secret/workqueue-run"),
        ("create", "pods/exec"),
    ] {
        let object: Vec<&str> = match object.split_once("/exec") {
            Some((object, _)) => vec![object, "--subresource=exec"],
            None => vec![object],
        };
        for person in ["--as=run", "--as=look"] {
            let asked = bed.kubectl(&[&["auth", "can-i", verb, person], &object[..]].concat()).stdout;
            let may = verb == "get" && object[0] == "secret/workqueue-look" && person == "--as=look";
            assert_eq!(asked.trim() == "yes", may, "{person} {verb} {object:?}");
        }
    }

    look.runs(&["status"]).ok();
    look.runs(&["results"]).ok().prints("failed");
    look.runs(&["logs"]).ok();
    look.runs(&["peek"]).ok();
    look.lacks(&["enqueue", "more"], "secrets");
    look.lacks(&["enqueue", "--queue", "new", "more"], "secrets");
    look.lacks(&["purge", "--yes"], "secrets");
    look.lacks(&start, "secrets");

    install.runs(&["up", "--set", &format!("{set},{}", bed.image_values())]).ok();
    bed.workqueue(&["down", "--yes"]).ok();
}
