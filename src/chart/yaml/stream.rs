//! Streams of YAML documents, and what stands before a document.

/// Splits a stream at its `---` lines, as helm does with a values file.
pub(crate) fn documents(text: &str) -> Vec<String> {
    let mut documents = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        let is_separator = line.strip_prefix("---").is_some_and(|rest| {
            let rest = rest.trim();
            rest.is_empty() || rest.starts_with('#')
        });
        if !is_separator {
            current.push_str(line);
            current.push('\n');
        } else if !current.is_empty() {
            documents.push(std::mem::take(&mut current));
        }
    }
    if !current.is_empty() {
        documents.push(current);
    }
    documents
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
