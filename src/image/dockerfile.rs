//! Generates the Dockerfile for a single program.
//!
//! At run time the image needs no root user, no home directory, and no writable directory except
//! `/tmp`.

use super::amqp_consume::CONSUME_ONE;
use super::shebang::Interpreter;
use super::worker_binary::NAME as WORKER;

/// The user and group that the program runs as; distroless images use the same number.
const USER: &str = "65532:65532";

/// Installs `amqp-consume`, which [`CONSUME_ONE`] runs, unless the base image has it.
const INSTALL_AMQP_CONSUME: &str = r#"if ! command -v amqp-consume >/dev/null; then \
      if command -v apt-get >/dev/null; then \
        apt-get update && apt-get install -y --no-install-recommends amqp-tools ca-certificates && \
        rm -rf /var/lib/apt/lists/*; \
      elif command -v apk >/dev/null; then \
        apk add --no-cache rabbitmq-c-utils ca-certificates; \
      else \
        echo 'the base image has neither amqp-consume nor apt-get nor apk to install it with' >&2; exit 1; \
      fi; \
    fi"#;

/// The program to put into an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// Its file name in the context: only letters, digits, `.`, `_` and `-`.
    pub(super) name: String,
    /// `None` for an executable.
    pub(super) interpreter: Option<Interpreter>,
    pub(super) base_image: String,
    /// Without one, `amqp-consume` is installed.
    pub(super) worker: Worker,
}

/// The static worker in a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worker {
    None,
    One,
    /// One for each architecture of the image, by its name.
    OfEach,
}

impl Worker {
    /// The instructions that copy it into the image.
    fn copy(self, to: &str) -> String {
        match self {
            Self::None => format!("RUN {INSTALL_AMQP_CONSUME}"),
            Self::One => format!("COPY {WORKER} {to}"),
            Self::OfEach => format!("ARG TARGETARCH\nCOPY {WORKER}-linux-$TARGETARCH {to}"),
        }
    }
}

/// The Dockerfile of an image that contains only the worker.
pub(super) fn worker_only(worker: Worker) -> String {
    let copy = worker.copy(&format!("/{WORKER}"));
    format!(
        "# Written by kubectl workqueue build --worker-only.\nFROM scratch\n{copy}\nUSER {USER}\n\
         ENTRYPOINT [\"/{WORKER}\"]\n"
    )
}

pub(super) fn dockerfile(program: &Program) -> String {
    let Program { name, interpreter, base_image, worker } = program;
    let mut lines = vec![
        "# Written by kubectl workqueue build. BROKER_URL and QUEUE are set by the Job.".to_owned(),
        format!("FROM {base_image}"),
        "USER root".to_owned(),
    ];
    lines.push(worker.copy(&format!("/usr/local/bin/{WORKER}")));
    lines.extend(interpreter.as_ref().map(|interpreter| format!("RUN {}", find_interpreter(interpreter))));
    lines.push(format!("COPY {name} /app/{name}"));
    // Without PYTHONUNBUFFERED, the pod's log stays empty until the program ends.
    let is_python = interpreter.as_ref().is_some_and(Interpreter::is_python);
    lines.push(format!("ENV HOME=/tmp{}", if is_python { " PYTHONUNBUFFERED=1" } else { "" }));
    lines.push("WORKDIR /tmp".to_owned());
    lines.push(format!("USER {USER}"));
    lines.push("ENTRYPOINT []".to_owned());
    lines.push(format!("CMD {}", serde_json::json!(command(&format!("/app/{name}"), *worker))));
    lines.join("\n") + "\n"
}

/// Processes one item and exits. Dead-lettering an item to QUEUE.failed settles it: the pod has
/// then done its work and succeeds.
fn command(program: &str, worker: Worker) -> Vec<String> {
    let words: &[&str] = match worker {
        Worker::None => &["/bin/sh", "-c", CONSUME_ONE, "worker"],
        _ => &["/usr/local/bin/workqueue-worker", "--once", "--settled-is-success", "--"],
    };
    words.iter().copied().chain([program]).map(str::to_owned).collect()
}

/// Makes sure that the interpreter in the script's first line exists, or fails the build. Images
/// keep interpreters in different places: `python:3-slim` has no `/usr/bin/python3`, and Debian has
/// `python3` but no `python`.
fn find_interpreter(Interpreter { path, name }: &Interpreter) -> String {
    let link = path.clone().unwrap_or_else(|| format!("/usr/local/bin/{name}"));
    let test = match path {
        Some(path) => format!("test -x {}", quoted(path)),
        None => format!("command -v {} >/dev/null", quoted(name)),
    };
    let directory = quoted(link.rsplit_once('/').map_or("/", |(directory, _)| directory));
    let found = if name == "python" { "python3" } else { name };
    let message = format!("the base image has no {name}: choose another with --base-image");
    format!(
        "{test} || \\\n    {{ found=$(command -v {}) && mkdir -p {directory} && ln -s \"$found\" {}; }} || \\\n    \
         {{ echo {} >&2; exit 1; }}",
        quoted(found),
        quoted(&link),
        quoted(&message),
    )
}

/// Quotes a word for the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(path: Option<&str>, name: &str) -> Program {
        let interpreter = Interpreter { path: path.map(str::to_owned), name: name.to_owned() };
        Program {
            name: "worker.py".to_owned(),
            interpreter: Some(interpreter),
            base_image: "python:3-slim".to_owned(),
            worker: Worker::None,
        }
    }

    #[test]
    fn the_tutorials_script() {
        let text = dockerfile(&python(None, "python"));
        let expected = [
            "FROM python:3-slim\n",
            "RUN command -v python >/dev/null || \\\n    { found=$(command -v python3) && mkdir -p /usr/local/bin && ",
            "COPY worker.py /app/worker.py\n",
            "ENV HOME=/tmp PYTHONUNBUFFERED=1\nWORKDIR /tmp\nUSER 65532:65532\nENTRYPOINT []\n",
            r#"-q \"$QUEUE\" -c 1 -- "#,
            r#"","worker","/app/worker.py"]"#,
        ];
        for part in expected {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
    }

    #[test]
    fn an_interpreter_by_path_is_linked_where_it_is_missing() {
        let text = dockerfile(&python(Some("/usr/bin/python3"), "python3"));
        assert!(
            text.contains("RUN test -x /usr/bin/python3 || \\\n    { found=$(command -v python3) && "),
            "{text}"
        );
        assert!(text.contains("ln -s \"$found\" /usr/bin/python3; }"), "{text}");
    }

    #[test]
    fn an_executable_needs_no_interpreter() {
        let (name, base_image) = ("w".to_owned(), "scratch".to_owned());
        let text = dockerfile(&Program { name, interpreter: None, base_image, worker: Worker::One });
        // No RUN instruction, so even an empty base image works.
        assert!(!text.contains("RUN") && !text.contains("PYTHON"), "{text}");
        assert!(text.contains("COPY workqueue-worker /usr/local/bin/workqueue-worker\n"), "{text}");
        let command =
            r#"CMD ["/usr/local/bin/workqueue-worker","--once","--settled-is-success","--","/app/w"]"#;
        assert!(text.contains(command), "{text}");
    }

    #[test]
    fn an_image_for_several_architectures_takes_the_worker_of_each() {
        let text = worker_only(Worker::OfEach);
        let copy = "\nARG TARGETARCH\nCOPY workqueue-worker-linux-$TARGETARCH /workqueue-worker\n";
        assert!(text.contains(copy), "{text}");
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("/usr/bin/python3"), "/usr/bin/python3");
        assert_eq!(quoted("a'b c"), r"'a'\''b c'");
    }
}
