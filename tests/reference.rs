//! `docs/reference/commands.md` is what the program would write now.

mod sandbox;

use sandbox::{Sandbox, root};

#[test]
fn the_reference_is_current() {
    let written =
        std::fs::read_to_string(root().join("docs/reference/commands.md")).expect("it is in the repository");
    let outcome = Sandbox::new().run(&["__reference"]);
    assert!(
        outcome.stdout == written,
        "docs/reference/commands.md is not current: cargo run -- __reference > docs/reference.md"
    );
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let docs = root().join("docs");
    for entry in std::fs::read_dir(&docs).expect("it is there").flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).expect("text");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with(['#', '<']) && !link.contains("://")) {
            let file = link.split('#').next().unwrap_or(link);
            assert!(docs.join(file).exists(), "{}: {link} leads nowhere", entry.path().display());
        }
    }
}
