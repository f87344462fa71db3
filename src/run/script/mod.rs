//! Scripts that are mounted into the pods: one file, or the files of a directory.

mod files;

use std::ffi::OsString;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::image;
use files::{File, read_all, refused, take_file, walk};
use workqueue_worker::script::digest;

/// Files at the top of a directory that say which packages a program needs.
const PACKAGE_FILES: [&str; 12] = [
    "Cargo.toml",
    "Gemfile",
    "Pipfile",
    "composer.json",
    "cpanfile",
    "environment.yml",
    "go.mod",
    "package.json",
    "pyproject.toml",
    "renv.lock",
    "requirements.txt",
    "setup.py",
];

/// A script, and the files that it comes with.
#[derive(Debug, Clone)]
pub struct Script {
    /// The path of the file to start, below the directory in the pods where the files are mounted.
    pub entry: String,
    files: Vec<File>,
    is_directory: bool,
}

impl Script {
    /// Reads a script, or a directory with the script `main` or `main.*` in it. Files and directories
    /// whose names begin with a dot are left out, and so is `__pycache__`.
    ///
    /// # Errors
    /// Files that cannot be read or mounted, that do not fit into a ConfigMap, or that need packages; a
    /// script without an interpreter in its first line.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let script = if path.is_dir() { Self::directory(path)? } else { Self::file(path)? };
        let content = script.entry_content();
        let path = if script.is_directory { path.join(&script.entry) } else { path.to_owned() };
        check_first_line(&path, content)?;
        if names_packages(content) {
            return Err(Error::NeedsPackages(path.display().to_string()));
        }
        Ok(script)
    }

    fn file(path: &Path) -> Result<Self, Error> {
        let mut files = Vec::new();
        take_file(path, String::new(), &mut files)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // The name is the key in the ConfigMap.
        if name.is_empty() || !name.chars().all(is_key) {
            return Err(refused(path, "its name may contain only letters, digits, '-', '_' and '.'"));
        }
        let mut files = read_all(path, files)?;
        files.iter_mut().for_each(|file| name.clone_into(&mut file.path));
        Ok(Self { entry: name.to_owned(), files, is_directory: false })
    }

    fn directory(path: &Path) -> Result<Self, Error> {
        if let Some(file) = PACKAGE_FILES.iter().map(|name| path.join(name)).find(|file| file.exists()) {
            return Err(Error::NeedsPackages(file.display().to_string()));
        }
        let mut found = Vec::new();
        walk(path, "", &mut found)?;
        let files = read_all(path, found)?;
        let mut entries = files.iter().filter(|file| file.path == "main" || file.path.starts_with("main."));
        let entries = entries.by_ref().filter(|file| !file.path.contains('/')).map(|file| file.path.clone());
        match <[String; 1]>::try_from(entries.collect::<Vec<_>>()) {
            Ok([entry]) => Ok(Self { entry, files, is_directory: true }),
            Err(found) => Err(Error::ScriptEntry { path: path.display().to_string(), found }),
        }
    }

    /// The command that starts it on this machine, from the path where it was read: what the kernel makes of
    /// the first line, although the file may not be executable here.
    ///
    /// # Errors
    /// The system's: there is no working directory.
    pub fn command(&self, path: &Path) -> std::io::Result<Vec<OsString>> {
        let entry = if self.is_directory { path.join(&self.entry) } else { path.to_owned() };
        let words = interpreter(self.entry_content()).into_iter().map(OsString::from);
        Ok(words.chain([std::path::absolute(entry)?.into_os_string()]).collect())
    }

    fn entry_content(&self) -> &[u8] {
        let entry = self.files.iter().find(|file| file.path == self.entry);
        entry.map(|file| file.content.as_slice()).unwrap_or_default()
    }

    /// The digest of the files, as the worker computes it.
    pub(crate) fn sha256(&self) -> String {
        digest(self.files.iter().map(|file| (file.path.as_str(), file.content.as_slice())))
    }

    /// The ConfigMap with the files, for a Job that owns it and gives it its name.
    pub(crate) fn config_map(&self, job: &Value, uid: &str) -> Value {
        let name = &job["metadata"]["name"];
        let (mut data, mut binary) = (Map::new(), Map::new());
        for (number, file) in self.files.iter().enumerate() {
            let key = self.key(number, file);
            match text(&file.content) {
                Some(text) => data.insert(key, json!(text)),
                None => binary.insert(key, json!(STANDARD.encode(&file.content))),
            };
        }
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": job["metadata"]["labels"],
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}],
            },
            "immutable": true,
            "data": data,
            "binaryData": binary,
        })
    }

    /// Which key of the ConfigMap is mounted at which path: the chart's value `worker.script.items`. Empty
    /// if each key is its path.
    pub(crate) fn items(&self) -> Vec<Value> {
        if !self.is_directory {
            return Vec::new();
        }
        let files = self.files.iter().enumerate();
        files.map(|(number, file)| json!({"key": self.key(number, file), "path": file.path})).collect()
    }

    /// Keys have fewer characters than paths: no `/`, for one.
    fn key(&self, number: usize, file: &File) -> String {
        if !self.is_directory {
            return file.path.clone();
        }
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let name: String = name.chars().map(|c| if is_key(c) { c } else { '_' }).take(200).collect();
        format!("{number}-{name}")
    }
}

fn is_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._".contains(c)
}

/// The content as text, unless JSON would escape much of it.
fn text(content: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content).ok()?;
    text.chars().all(|c| !c.is_control() || "\t\n\r".contains(c)).then_some(text)
}

fn check_first_line(path: &Path, content: &[u8]) -> Result<(), Error> {
    if first_line(content).ends_with(b"\r") {
        return Err(image::Error::CarriageReturn { path: path.to_owned() }.into());
    }
    if interpreter(content).is_empty() {
        return Err(Error::NoFirstLine(path.display().to_string()));
    }
    Ok(())
}

fn first_line(content: &[u8]) -> &[u8] {
    content.split(|&byte| byte == b'\n').next().unwrap_or_default()
}

/// The interpreter in the first line, and what Linux gives it as a single argument: all that follows. Empty
/// if the line names none.
fn interpreter(content: &[u8]) -> Vec<String> {
    let Some(line) = first_line(content).strip_prefix(b"#!") else { return Vec::new() };
    let line = String::from_utf8_lossy(line);
    let words = line.trim_matches([' ', '\t']).split_once([' ', '\t']);
    let (program, argument) = words.unwrap_or((line.trim_matches([' ', '\t']), ""));
    let words = [program, argument.trim_start_matches([' ', '\t'])];
    words.into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a Python script lists packages in its own comments, and is not started by a tool that installs
/// them. <https://packaging.python.org/en/latest/specifications/inline-script-metadata/>
fn names_packages(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if ["uv", "pipx", "hatch", "pdm"].iter().any(|tool| first.split([' ', '/']).any(|word| word == *tool)) {
        return false;
    }
    let block = lines.skip_while(|line| *line != "# /// script").skip(1).take_while(|line| *line != "# ///");
    let settings: String = block.map(|line| line.trim_start_matches('#').trim()).collect();
    settings.split_once("dependencies").is_some_and(|(_, rest)| {
        let rest = rest.trim_start().trim_start_matches('=').trim_start();
        rest.strip_prefix('[').is_some_and(|list| !list.trim_start().starts_with(']'))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::cluster::config_maps::MAX_VALUES;

    /// A directory of a test.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("workqueue-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a temporary directory");
            Self(path)
        }

        fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
            fs::write(&path, content).expect("writable");
            path
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn scripts_that_cannot_be_mounted_are_refused() {
        let dir = Dir::new("scripts");
        let read = |name: &str, text: &str| Script::read(&dir.file(name, text));
        assert_eq!(read("work.sh", "#!/bin/sh\n").expect("valid").entry, "work.sh");
        assert!(matches!(read("my work.sh", "#!/bin/sh\n"), Err(Error::Script { .. })));
        assert!(matches!(read("no.sh", "echo\n"), Err(Error::NoFirstLine(_))));
        assert!(matches!(
            read("cr.sh", "#!/bin/sh\r\n"),
            Err(Error::Image(image::Error::CarriageReturn { .. }))
        ));
        let full = format!("#!/bin/sh\n{}", "#".repeat(MAX_VALUES - 10));
        assert!(read("full.sh", &full).is_ok());
        assert!(matches!(read("large.sh", &format!("{full}#")), Err(Error::ScriptTooLarge { .. })));
    }

    #[test]
    fn a_script_is_started_here_as_linux_starts_it() {
        let words = |line: &str| interpreter(format!("{line}\ncode\n").as_bytes()).join("|");
        assert_eq!(words("#!/bin/sh"), "/bin/sh");
        assert_eq!(words("#! /usr/bin/env -S python3 -u "), "/usr/bin/env|-S python3 -u");
        assert_eq!(words("#!\t/bin/awk\t -f"), "/bin/awk|-f");
        assert_eq!(words("#! "), "");
        let dir = Dir::new("started");
        dir.file("main.sh", "#!/bin/sh -e\n");
        let command = Script::read(&dir.0).expect("valid").command(&dir.0).expect("a directory");
        assert_eq!(command, ["/bin/sh".into(), "-e".into(), dir.0.join("main.sh").into_os_string()]);
        let nothing = dir.file("nothing.sh", "#! \n");
        assert!(matches!(Script::read(&nothing), Err(Error::NoFirstLine(_))));
    }

    #[test]
    fn a_directory_keeps_its_paths() {
        let dir = Dir::new("tree");
        dir.file("main.py", "#!/usr/bin/env python3\nimport lib.words\n");
        dir.file("lib/words.py", "WORDS = 'ü'\n");
        dir.file("lib/main.py", "not started\n");
        dir.file("data/a b.bin", [0, 255]);
        for left_out in [".git/config", ".env", "__pycache__/x.pyc", "lib/__pycache__/y.pyc"] {
            dir.file(left_out, "left out");
        }
        let script = Script::read(&dir.0).expect("valid");
        assert_eq!(script.entry, "main.py");
        let paths = [
            json!({"key": "0-a_b.bin", "path": "data/a b.bin"}),
            json!({"key": "1-main.py", "path": "lib/main.py"}),
            json!({"key": "2-words.py", "path": "lib/words.py"}),
            json!({"key": "3-main.py", "path": "main.py"}),
        ];
        assert_eq!(script.items(), paths);
        let map = script.config_map(&json!({"metadata": {"name": "j", "labels": {}}}), "u");
        assert_eq!(map["binaryData"], json!({"0-a_b.bin": "AP8="}));
        assert_eq!(map["data"]["2-words.py"], "WORDS = 'ü'\n");
    }

    #[test]
    fn a_directory_has_one_script_to_start() {
        let dir = Dir::new("entries");
        dir.file("work.py", "#!/usr/bin/env python3\n");
        let found = |dir: &Dir| match Script::read(&dir.0) {
            Err(Error::ScriptEntry { found, .. }) => found.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found(&dir), 0);
        dir.file("main.py", "#!/usr/bin/env python3\n");
        assert!(Script::read(&dir.0).is_ok());
        dir.file("main", "#!/bin/sh\n");
        assert_eq!(found(&dir), 2);
    }

    #[test]
    fn what_needs_packages_is_refused() {
        let dir = Dir::new("packages");
        dir.file("main.py", "#!/usr/bin/env python3\n");
        dir.file("requirements.txt", "numpy\n");
        assert!(
            matches!(Script::read(&dir.0), Err(Error::NeedsPackages(file)) if file.ends_with("requirements.txt"))
        );
        let script = |first: &str, list: &str| {
            let text = format!(
                "{first}\n# /// script\n# requires-python = \">=3.11\"\n# dependencies = {list}\n# ///\n"
            );
            Script::read(&dir.file("work.py", text)).is_err()
        };
        assert!(script("#!/usr/bin/env python3", "[\n#   \"requests\",\n# ]"));
        assert!(!script("#!/usr/bin/env python3", "[]"));
        assert!(!script("#!/usr/bin/env -S uv run --script", "[\"requests\"]"), "uv installs them");
    }
}
