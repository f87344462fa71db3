//! `camelcase`, `snakecase` and `kebabcase`.

use super::Type::String as Text;
use super::words::{lower, upper};
use super::{Function, plain};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("camelcase", &[Text], |c| Ok(pascal_case(&c.text(0)).into())),
    plain("snakecase", &[Text], |c| Ok(joined_case(&c.text(0), '_').into())),
    plain("kebabcase", &[Text], |c| Ok(joined_case(&c.text(0), '-').into())),
];

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// `http_server` and `HTTP_SERVER` become `HttpServer`; leading, trailing and doubled connectors stay.
fn pascal_case(text: &str) -> String {
    let start = text.find(|c| !is_connector(c)).unwrap_or(text.len());
    let (leading, rest) = text.split_at(start);
    let mut out = leading.to_owned();
    let mut chars = rest.chars();
    let Some(first) = chars.next() else {
        // As in the original, a text of only connectors gets its last one twice.
        out.extend(text.chars().next_back());
        return out;
    };
    // Whether the word has only capitals so far, which become small except for the first.
    let mut shouted = first.is_uppercase();
    let mut previous = upper(first);
    for c in chars {
        match (is_connector(previous), is_connector(c)) {
            (true, true) => {
                out.push(previous);
                previous = c;
            }
            (true, false) => {
                shouted = c.is_uppercase();
                previous = upper(c);
            }
            (false, _) => {
                out.push(previous);
                shouted = shouted && c.is_uppercase();
                previous = if shouted { lower(c) } else { c };
            }
        }
    }
    out.push(previous);
    out
}

/// What a run of characters is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    /// Starts with a capital.
    Upper,
    Lower,
    Connector,
    Punctuation,
    Other,
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() && (c.is_uppercase() || c.is_lowercase())
}

fn is_punctuation(c: char) -> bool {
    // Go's class P in ASCII: symbols such as + and $ are not in it.
    matches!(c, '!'..='#' | '%'..='*' | ','..='/' | ':' | ';' | '?' | '@' | '['..=']' | '_' | '{' | '}')
}

fn kind(c: char) -> Kind {
    match c {
        c if is_connector(c) => Kind::Connector,
        c if is_punctuation(c) => Kind::Punctuation,
        c if c.is_uppercase() => Kind::Upper,
        c if is_letter(c) => Kind::Lower,
        c if c.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

/// Splits off the next run: a number, a word, an acronym before a word, or other characters.
fn next_run(text: &[char]) -> (Kind, usize) {
    let first = kind(text[0]);
    let same = |from: usize, wanted: Kind| text[from..].iter().take_while(|c| kind(**c) == wanted).count();
    if first != Kind::Upper {
        return (first, 1 + same(1, first));
    }
    let capitals = 1 + same(1, Kind::Upper);
    let small = same(capitals, Kind::Lower);
    match (capitals, small) {
        (1, small) => (first, 1 + small),
        (capitals, 0) => (first, capitals),
        // The last capital belongs to the next word: HTTPServer is HTTP and Server.
        (capitals, _) => (first, capitals - 1),
    }
}

fn runs(text: &str) -> Vec<(Kind, String)> {
    let chars: Vec<char> = text.chars().collect();
    let mut rest = &chars[..];
    let mut runs = Vec::new();
    while !rest.is_empty() {
        let (kind, length) = next_run(rest);
        runs.push((kind, rest[..length].iter().collect()));
        rest = &rest[length..];
    }
    runs
}

/// `HTTPServer` becomes `http_server`. A number joins the word before it, or the small
/// letters after it.
fn joined_case(text: &str, connector: char) -> String {
    let runs = runs(text);
    let mut out = String::new();
    let push = |out: &mut String, (kind, word): &(Kind, String)| match kind {
        Kind::Upper => out.extend(word.chars().map(lower)),
        Kind::Connector => out.extend(word.chars().map(|_| connector)),
        _ => out.push_str(word),
    };
    let joins = |kind: Option<&(Kind, String)>| {
        kind.is_some_and(|(kind, _)| !matches!(kind, Kind::Connector | Kind::Punctuation))
    };
    let mut at = 0;
    while at < runs.len() {
        let here = runs[at].0;
        push(&mut out, &runs[at]);
        at += 1;
        match here {
            Kind::Connector | Kind::Punctuation => {}
            Kind::Number => {
                at = push_measure(&mut out, &runs, at, push);
                if joins(runs.get(at)) {
                    out.push(connector);
                }
            }
            _ => match (runs.get(at), runs.get(at + 1)) {
                (Some((Kind::Number, _)), Some((Kind::Lower, _))) => {
                    out.push(connector);
                    push(&mut out, &runs[at]);
                    at = push_measure(&mut out, &runs, at + 1, push);
                    if joins(runs.get(at)) {
                        out.push(connector);
                    }
                }
                (Some((Kind::Number, _)), Some(next)) => {
                    push(&mut out, &runs[at]);
                    at += 1;
                    if joins(Some(next)) {
                        out.push(connector);
                    }
                }
                (Some((Kind::Number, _)), None) => {}
                (next, _) => {
                    if joins(next) {
                        out.push(connector);
                    }
                }
            },
        }
    }
    out
}

/// Numbers and small letters that belong together, such as `2m3s`.
fn push_measure(
    out: &mut String,
    runs: &[(Kind, String)],
    mut at: usize,
    push: impl Fn(&mut String, &(Kind, String)),
) -> usize {
    while let Some(run @ (Kind::Lower | Kind::Number, _)) = runs.get(at) {
        push(out, run);
        at += 1;
    }
    at
}
