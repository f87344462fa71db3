//! The chart engine against templates, values and `--set` arguments made at random: it prints or
//! refuses any of them in bounded time and memory, and nothing panics.
//!
//! Runs for a few seconds with the other tests; `make fuzz-charts` runs it for ten minutes, or for
//! `FUZZ_SECONDS`, from `FUZZ_SEED` on. A failure names the seed that shows it again.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use helm_template::{Chart, KubeVersion, NoCluster, Release, ValueSources, ValuesFile, render};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// No render may take longer: the engine counts its steps.
const HANGS: Duration = Duration::from_secs(120);

/// Peak memory that all renders may come to, in KiB: the engine bounds what it makes, and the test
/// is no release build.
const MEMORY: u64 = 4 * 1024 * 1024;

const YAML: [&str; 34] = [
    "a", "b: ", ": ", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", "&x ", "*x", "<<: ", "|\n",
    ">-\n", "\"", "'", "# ", "---\n", "!!str ", "~", "null", "yes", "0x1F", "1e3", ".5", "-", "\t", "é",
    "? ", "%", "\\u0041",
];

const TEMPLATE: [&str; 48] = [
    "{{ ",
    " }}",
    "{{- ",
    " -}}",
    "if ",
    "else ",
    "else if ",
    "with ",
    "range ",
    "range $k, $v := ",
    "end",
    "define \"t\"",
    "include \"t\" .",
    "template \"t\" .",
    "block \"b\" .",
    "break",
    "continue",
    ".",
    "$",
    ".Values",
    ".Values.a",
    ".Release.Name",
    ".Files.Get \"x\"",
    "$x := ",
    "$x = ",
    "$x",
    " | ",
    "(",
    ")",
    "\"s\"",
    "`raw`",
    "'c'",
    "1",
    "-1",
    "0x1F",
    "1e300",
    "true",
    "nil",
    "/* c */",
    "dict \"a\" ",
    "list ",
    "tpl ",
    "index ",
    "printf \"%v%d%s\" ",
    "toYaml ",
    "until 3",
    "\n",
    "a: ",
];

fn words<'a>(random: &mut StdRng, of: &[&'a str], most: usize) -> Vec<&'a str> {
    let count = random.random_range(0..=most);
    (0..count).map(|_| of[random.random_range(0..of.len())]).collect()
}

/// The names of functions that templates of ours and of the probes use.
fn functions() -> &'static Vec<String> {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names: Vec<String> = snippets()
            .iter()
            .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()))
            .filter(|word| word.len() > 2 && word.starts_with(|c: char| c.is_ascii_lowercase()))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    })
}

/// The recorded cases of a folder: texts that mean something to helm, or nearly.
fn recorded(folder: &str, field: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(folder);
    let files = std::fs::read_dir(folder).expect("there are cases");
    let mut paths: Vec<_> = files.map(|file| file.expect("readable").path()).collect();
    // A seed has to find the same texts everywhere.
    paths.sort();
    let text = |path| {
        let case: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
        case[field].as_str().expect("text").to_owned()
    };
    paths.iter().map(text).collect()
}

fn snippets() -> &'static Vec<String> {
    static SNIPPETS: OnceLock<Vec<String>> = OnceLock::new();
    SNIPPETS.get_or_init(|| recorded("snippets", "template"))
}

fn documents() -> &'static Vec<String> {
    static DOCUMENTS: OnceLock<Vec<String>> = OnceLock::new();
    DOCUMENTS.get_or_init(|| recorded("documents", "document"))
}

/// Cuts, repeats and replaces parts of a text.
fn damage(random: &mut StdRng, text: &str, words: &[&str]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..random.random_range(1..6) {
        let from = random.random_range(0..=characters.len());
        let to = (from + random.random_range(0..20)).min(characters.len());
        let new: Vec<char> = match random.random_range(0..3) {
            0 => Vec::new(),
            1 => words[random.random_range(0..words.len())].chars().collect(),
            _ => characters[from..to].repeat(2),
        };
        characters.splice(from..to, new);
    }
    characters.into_iter().collect()
}

fn release() -> Release {
    Release::new("rel", "ns")
}

/// Templates made of words, and damaged ones.
fn templates(random: &mut StdRng) {
    let mut template = if random.random() {
        let mut text = String::new();
        for word in words(random, &TEMPLATE, 40) {
            text += word;
            if random.random_range(0..6) == 0 {
                text += &functions()[random.random_range(0..functions().len())];
                text.push(' ');
            }
        }
        text
    } else {
        let snippet = &snippets()[random.random_range(0..snippets().len())];
        damage(random, snippet, &TEMPLATE)
    };
    if random.random() {
        template = format!("{{{{ define \"t\" }}}}{template}{{{{ end }}}}{{{{ include \"t\" . }}}}");
    }
    let values = words(random, &YAML, 12).concat();
    let files = [
        ("Chart.yaml", "apiVersion: v2\nname: test\nversion: 1.0.0\n"),
        ("values.yaml", &values),
        ("templates/t.yaml", &template),
        ("x", "text"),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    let Ok(chart) = Chart::from_files(files) else { return };
    // What it says is another test's business.
    render(&chart, &ValueSources::default(), &release(), &KubeVersion::default(), &NoCluster).ok();
}

/// A chart of ours with values that are damaged, and with `--set` arguments of any kind.
fn values(random: &mut StdRng) {
    static CHART: OnceLock<(Chart, String)> = OnceLock::new();
    let (chart, defaults) = CHART.get_or_init(|| {
        let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/charts/shop");
        let values = std::fs::read_to_string(shop.join("values.yaml")).expect("it has some");
        (Chart::from_dir(&shop).expect("valid"), values)
    });
    let text = match random.random_range(0..3) {
        0 => damage(random, defaults, &YAML),
        1 => {
            let document = &documents()[random.random_range(0..documents().len())];
            damage(random, document, &YAML)
        }
        _ => words(random, &YAML, 30).concat(),
    };
    let arguments = |random: &mut StdRng| {
        const WORDS: [&str; 16] = [
            "image.tag",
            "service",
            ".",
            "=",
            ",",
            "[0]",
            "[999999999]",
            "{a,b}",
            "\\",
            "null",
            "true",
            "1e9",
            "\"",
            "{",
            "replicas",
            "x",
        ];
        (0..random.random_range(0..3)).map(|_| words(random, &WORDS, 6).concat()).collect::<Vec<_>>()
    };
    let sources = ValueSources {
        files: vec![ValuesFile { name: "f".to_owned(), text }],
        set: arguments(random),
        set_string: arguments(random),
        set_json: arguments(random),
        ..ValueSources::default()
    };
    let first = render(chart, &sources, &release(), &KubeVersion::default(), &NoCluster);
    // The names of its objects do not depend on chance.
    if let Ok(first) = first {
        let again = render(chart, &sources, &release(), &KubeVersion::default(), &NoCluster);
        let names = |rendered: &helm_template::Rendered| -> Vec<String> {
            rendered
                .manifests
                .iter()
                .map(|manifest| manifest.object["metadata"]["name"].to_string())
                .collect()
        };
        assert_eq!(names(&first), names(&again.expect("it was rendered a moment ago")));
    }
}

/// Ends the process when one seed takes too long: a thread cannot be stopped.
fn watch(current: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = current.load(Ordering::Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > HANGS {
                eprintln!("hangs; again with FUZZ_SEED={now}");
                std::process::abort();
            }
        }
    });
}

fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[test]
fn any_chart_and_any_values_are_rendered_or_refused() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let duration = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(3));
    let first = number("FUZZ_SEED").unwrap_or(1);
    let (started, mut seed, mut slowest) = (Instant::now(), first, (Duration::ZERO, first));
    let current = Arc::new(AtomicU64::new(seed));
    watch(Arc::clone(&current));
    while started.elapsed() < duration {
        current.store(seed, Ordering::Relaxed);
        let began = Instant::now();
        let result = std::panic::catch_unwind(|| {
            let mut random = StdRng::seed_from_u64(seed);
            if seed % 4 == 0 { values(&mut random) } else { templates(&mut random) }
        });
        assert!(result.is_ok(), "see above; again with FUZZ_SEED={seed}");
        slowest = slowest.max((began.elapsed(), seed));
        if let Some(peak) = peak_memory() {
            assert!(peak < MEMORY, "{peak} KiB; again with FUZZ_SEED={seed}");
        }
        seed += 1;
    }
    println!(
        "{} inputs in {:.0?}, the slowest {:.1?} (seed {}), peak memory {} MiB",
        seed - first,
        started.elapsed(),
        slowest.0,
        slowest.1,
        peak_memory().unwrap_or(0) / 1024
    );
}
