//! `docs/reference/commands.md` is what the program would write now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use workqueue_test_support::{Sandbox, root};

#[test]
fn the_reference_is_current() {
    let path = root().join("docs/reference/commands.md");
    let outcome = Sandbox::new().run(&["__reference"]).ok();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &outcome.stdout).expect("writable");
    }
    let written = std::fs::read_to_string(&path).expect("it is in the repository");
    assert!(
        outcome.stdout == written,
        "docs/reference/commands.md is not current: UPDATE_REFERENCE=1 cargo test --test reference"
    );
}

#[test]
fn paths_that_the_pages_name_exist() {
    let mut named = 0;
    for page in ["docs/design/architecture.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(page)).expect("text");
        for path in text.split('`').skip(1).step_by(2) {
            let is_path = ["src/", "crates/", "tests/", "docs/", "chart-templates/", "scripts/"]
                .iter()
                .any(|folder| path.starts_with(folder));
            if is_path && !path.contains(['<', ' ', '…', '\n']) {
                named += 1;
                assert!(root().join(path).exists(), "{page}: {path} does not exist");
            }
        }
    }
    assert!(named > 30, "only {named} paths were found");
}

/// Those in strings of the plugin's sources: errors, hints and reports.
#[test]
fn commands_that_messages_name_exist() {
    let mut named = BTreeSet::new();
    for file in sources(&root().join("src")) {
        let text = std::fs::read_to_string(file).expect("our own source");
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let words = line.split("kubectl workqueue ").skip(1);
            let word = |rest: &str| rest.chars().take_while(char::is_ascii_lowercase).collect::<String>();
            named.extend(words.map(word).filter(|word| !word.is_empty()));
        }
    }
    assert!(named.len() > 10, "only {named:?} were found");
    for command in named {
        Sandbox::new().run(&[&command, "--help"]).ok();
    }
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory of ours");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let mut pages =
        vec![root().join("README.md"), root().join("CONTRIBUTING.md"), root().join("SECURITY.md")];
    add_pages(&root().join("docs"), &mut pages);
    assert!(pages.len() > 20, "only {} pages were found", pages.len());
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("text");
        let folder = page.parent().expect("a folder");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with(['#', '<']) && !link.contains("://")) {
            let file = link.split('#').next().unwrap_or(link);
            assert!(folder.join(file).exists(), "{}: {link} leads nowhere", page.display());
        }
    }
}

fn add_pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            add_pages(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}
