//! Command lines that are wrong, and what is written where.

use super::sandbox::Sandbox;
use super::{SCRIPT, assert_fails};

#[test]
fn an_image_reference_that_is_not_one() {
    let cases = [
        ("host:port/worker", "the registry is HOST or HOST:PORT"),
        ("team/Worker:1", "a repository's name is in lowercase"),
        ("https://example.org/worker", "a reference has no scheme: leave out everything up to \"://\""),
        (
            "worker:",
            "a tag has 1 to 128 letters, digits, \"_\", \".\" and \"-\", and starts with none of the last two",
        ),
        ("", "it lacks the repository's name"),
    ];
    for (reference, rule) in cases {
        let outcome = Sandbox::new().run(&["build", "--image", reference]);
        let expected = format!(
            "\
error: invalid value '{reference}' for '--image <REF>': {reference:?} is not an image reference: {rule}

For more information, try '--help'.
"
        );
        assert_fails(&outcome, 2, &expected);
    }
}

#[test]
fn flags_of_a_build_without_one() {
    let outcome = Sandbox::new().run(&["run", "--image", "worker:1", "--no-cache", "apple"]);
    let expected = "\
error: there is nothing to build
hint: name a Dockerfile's directory or a script with --build
";
    assert_fails(&outcome, 2, expected);
}

#[test]
fn a_digest_of_what_is_yet_to_be_built() {
    let image = format!("worker@sha256:{}", "a".repeat(64));
    let sandbox = Sandbox::new();
    sandbox.file("worker.py", SCRIPT);
    let outcome = sandbox.run(&["run", "--build", "worker.py", "--image", &image, "apple"]);
    let expected = "\
error: an image that is not built yet has no digest
hint: name it with a tag
";
    assert_fails(&outcome, 2, expected);
}

#[test]
fn a_chart_into_a_directory_that_is_not_empty() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["chart", "mine"]).code, Some(0));
    assert!(
        sandbox.path("mine/Chart.yaml").is_file() && sandbox.path("mine/presets/tutorial.yaml").is_file()
    );
    let expected = "\
error: directory mine is not empty
hint: --force overwrites files of the same names and keeps all others
";
    assert_fails(&sandbox.run(&["chart", "mine"]), 1, expected);
    assert_eq!(sandbox.run(&["chart", "mine", "--force"]).code, Some(0));
    sandbox.file("plain", "");
    let expected = "error: cannot write plain: Not a directory (os error 20)\n";
    assert_fails(&sandbox.run(&["chart", "plain"]), 1, expected);
}
