//! Chooses how the emitter writes a string: plain, quoted or as a block.

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// The properties of a text that determine which styles it can have.
#[derive(Debug, Clone, Copy)]
struct Analysis {
    multiline: bool,
    plain: bool,
    single: bool,
    block: bool,
}

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether go-yaml writes the character as it is.
pub(super) fn is_printable(c: char) -> bool {
    match c {
        '\n' | ' '..='~' => true,
        '\u{a0}'..='\u{fffd}' => c != '\u{feff}',
        _ => false,
    }
}

/// Which go-yaml the emitter follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// go-yaml 2, for `toYaml`.
    V2,
    /// go-yaml 3, for `toYamlPretty`.
    V3,
}

fn analyze(text: &str, version: Version) -> Analysis {
    if text.is_empty() {
        return Analysis { multiline: false, plain: true, single: true, block: false };
    }
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let (mut line_breaks, mut special) = (false, false);
    let (mut break_space, mut space_break) = (false, false);
    let mut previous = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let followed = chars
            .peek()
            .is_none_or(|next| matches!(next, ' ' | '\t') || (version == Version::V3 && is_break(*next)));
        let preceded = previous.is_none_or(|p| matches!(p, ' ' | '\t' | '\0') || is_break(p));
        indicators |= match (c, previous) {
            (
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`',
                None,
            ) => true,
            ('?' | '-', None) | (':', _) => followed,
            ('#', Some(_)) => preceded,
            _ => false,
        };
        let is_tab = version == Version::V3 && c == '\t';
        special |= !(is_printable(c) || is_tab);
        if is_break(c) {
            line_breaks = true;
            space_break |= previous == Some(' ');
        }
        break_space |= c == ' ' && previous.is_some_and(is_break);
        previous = Some(c);
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c == ' ' || is_break(c));
    let outer = edge(text.chars().next()) || edge(previous);
    let tabs = version == Version::V3 && text.contains('\t');
    Analysis {
        multiline: line_breaks,
        plain: !(outer || break_space || space_break || special || line_breaks || indicators || tabs),
        single: !(break_space || space_break || special || tabs),
        block: !(previous == Some(' ') || space_break || special),
    }
}

/// The style of a string; `needs_quotes` if a plain one would be read as something else.
pub(super) fn choose(text: &str, needs_quotes: bool, simple_key: bool, version: Version) -> Style {
    let analysis = analyze(text, version);
    let mut style = match (text.contains('\n'), needs_quotes) {
        (true, _) => Style::Literal,
        (false, true) => Style::Double,
        (false, false) => Style::Plain,
    };
    if simple_key && analysis.multiline {
        style = Style::Double;
    }
    if style == Style::Plain && (!analysis.plain || (text.is_empty() && simple_key)) {
        style = Style::Single;
    }
    if style == Style::Single && !analysis.single {
        style = Style::Double;
    }
    if style == Style::Literal && (!analysis.block || simple_key) {
        style = Style::Double;
    }
    style
}

/// Whether the key fits on one line with its colon.
pub(super) fn is_simple_key(key: &str) -> bool {
    key.len() <= 128 && !key.contains(is_break)
}
