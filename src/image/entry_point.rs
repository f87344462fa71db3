//! What an image starts, as the container engine or a registry says.

use serde_json::Value;

/// Reads the configuration of an image: `image inspect` and `buildx imagetools inspect` print it with an
/// `Entrypoint` and a `Cmd`, directly or below `config`; of several platforms, one each.
///
/// Returns `None` if there is nothing to start, or if platforms differ.
pub(super) fn read(text: &str) -> Option<Vec<String>> {
    let document: Value = serde_json::from_str(text).ok()?;
    if let Some(words) = words(&document) {
        return Some(words);
    }
    let mut platforms = document.as_object()?.values().filter_map(words);
    let first = platforms.next()?;
    platforms.all(|other| other == first).then_some(first)
}

fn words(image: &Value) -> Option<Vec<String>> {
    let config = image.get("config").unwrap_or(image);
    let list = |name: &str| {
        let words = config[name].as_array().into_iter().flatten();
        words.filter_map(|word| word.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let words = program([list("Entrypoint"), list("Cmd")].concat());
    (!words.is_empty()).then_some(words)
}

/// An image that was built for a worker starts one, which starts the program. For amqp-consume it is a line of
/// shell, and not clear.
fn program(mut words: Vec<String>) -> Vec<String> {
    let is_worker = words.first().is_some_and(|word| word.ends_with("workqueue-worker"));
    match words.iter().position(|word| word == "--") {
        Some(at) if is_worker => words.split_off(at + 1),
        _ if is_worker || words.iter().any(|word| word.contains("amqp-consume")) => Vec::new(),
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_point_comes_before_the_command() {
        let lambda = r#"{"Entrypoint": ["/lambda-entrypoint.sh"], "Cmd": ["app.handler"], "Env": []}"#;
        let expected = Some(vec!["/lambda-entrypoint.sh".to_owned(), "app.handler".to_owned()]);
        assert_eq!(read(lambda), expected);
        assert_eq!(read(&format!(r#"{{"architecture": "amd64", "config": {lambda}}}"#)), expected);
        let both =
            format!(r#"{{"linux/amd64": {{"config": {lambda}}}, "linux/arm64": {{"config": {lambda}}}}}"#);
        assert_eq!(read(&both), expected);
        assert_eq!(read(r#"{"Entrypoint": null, "Cmd": ["sh"]}"#), Some(vec!["sh".to_owned()]));
    }

    #[test]
    fn the_worker_of_an_image_is_not_its_program() {
        let command = |words: &str| read(&format!(r#"{{"Cmd": [{words}]}}"#));
        let worker = r#""/usr/local/bin/workqueue-worker", "--once", "--", "/app/x", "y""#;
        assert_eq!(command(worker), Some(vec!["/app/x".to_owned(), "y".to_owned()]));
        assert_eq!(command(r#""workqueue-worker", "--once""#), None);
        assert_eq!(command(r#""sh", "-c", "amqp-consume -q $QUEUE -c 1 /app/x""#), None);
    }

    #[test]
    fn what_is_not_clear_is_not_guessed() {
        for text in ["", "null", "{}", r#"{"Entrypoint": null, "Cmd": null}"#, r#"{"config": {"Cmd": []}}"#] {
            assert_eq!(read(text), None, "{text}");
        }
        let differ =
            r#"{"linux/amd64": {"config": {"Cmd": ["a"]}}, "linux/arm64": {"config": {"Cmd": ["b"]}}}"#;
        assert_eq!(read(differ), None);
    }
}
