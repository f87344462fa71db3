//! Streams of YAML documents, and what stands before a document.

/// Splits a stream at its `---` lines, as helm does with a values file: nothing but a comment may
/// follow on such a line.
pub(crate) fn documents(text: &str) -> Result<Vec<String>, String> {
    let mut documents = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("---").map(str::trim) else {
            current.push_str(line);
            current.push('\n');
            continue;
        };
        if !rest.is_empty() && !rest.starts_with('#') {
            return Err(format!("invalid Yaml document separator: {rest}"));
        }
        if !current.is_empty() {
            documents.push(std::mem::take(&mut current));
        }
    }
    if !current.is_empty() {
        documents.push(current);
    }
    Ok(documents)
}

/// Refuses the directives that go-yaml refuses.
pub(super) fn check_directives(text: &str) -> Result<(), String> {
    let mut lines =
        text.lines().skip_while(|line| line.trim().is_empty() || line.starts_with('#')).peekable();
    if lines.peek() == Some(&"...") {
        return Err("did not find expected node content".into());
    }
    for directive in lines.take_while(|line| line.starts_with('%')) {
        let mut words = directive.split_whitespace();
        match (words.next(), words.next()) {
            (Some("%YAML"), Some("1.1")) | (Some("%TAG"), _) => {}
            (Some("%YAML"), _) => return Err("found incompatible YAML document".into()),
            _ => return Err("found unknown directive name".into()),
        }
    }
    Ok(())
}
