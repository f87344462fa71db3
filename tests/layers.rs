//! Inside the plugin, imports point down.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The plugin's modules, floor by floor from the top. A module imports from floors below its own, and
/// from nothing else. What the crates may import, the compiler checks.
const FLOORS: [&[&str]; 9] = [
    &["cli"],
    &["ui"],
    &["doctor"],
    &["candidates", "local", "run", "build"],
    &["failed", "release"],
    &["results"],
    &["queue"],
    &["notice", "error"],
    &["chart", "cluster", "image", "items"],
];

#[test]
fn imports_point_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    let mut wrong = Vec::new();
    for file in rust_files(&src) {
        let Some(module) = module_of(&src, &file) else { continue };
        let own = floor(&module).unwrap_or_else(|| panic!("module {module} has no floor: give it one"));
        let text = std::fs::read_to_string(&file).expect("our own source");
        for used in used_modules(&text) {
            checked += 1;
            if used != module && floor(&used).is_none_or(|floor| floor <= own) {
                wrong.push(format!("{} uses {used}", file.display()));
            }
        }
    }
    assert!(checked > 50, "only {checked} imports were found: the search is broken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The number of a module's floor, from the top.
fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory of ours") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
    files
}

/// The top-level module of a file; `None` for the roots (`lib.rs`, `main.rs`, `bin/`).
fn module_of(src: &Path, file: &Path) -> Option<String> {
    let first = file.strip_prefix(src).expect("it lies in src").iter().next()?.to_str()?;
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main", "bin"].contains(&module)).then(|| module.to_owned())
}

/// Every module `x` of `crate::x`, in imports, in paths, and in `use crate::{x, y}`.
fn used_modules(text: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                used.extend(list.split(',').map(|name| word(name.trim())));
            }
            None => _ = used.insert(word(rest)),
        }
    }
    used.retain(|name| !name.is_empty() && name.chars().next().is_some_and(char::is_lowercase));
    used
}
