//! An error and its causes in one line.

use std::error::Error;

/// An error and its sources in one line. Some errors print their source themselves: a text that is in
/// the line already is not repeated.
pub fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        source = inner.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn causes_are_named_once() {
        let refused = Layer("connection refused", None);
        let dial = Layer("cannot dial: connection refused", Some(Box::new(refused)));
        let error = Layer("no broker", Some(Box::new(dial)));
        assert_eq!(with_causes(&error), "no broker: cannot dial: connection refused");
    }
}
