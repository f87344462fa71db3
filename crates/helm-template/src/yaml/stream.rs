//! Streams of YAML documents.

/// Splits a stream at its `---` lines, as helm does with a values file: only a comment may follow on
/// such a line.
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
