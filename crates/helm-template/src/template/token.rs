//! The tokens of a template.

use super::ast::Pos;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    LeftDelim,
    RightDelim,
    Space,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    Comma,
    Pipe,
    LeftParen,
    RightParen,
    Dot,
    Nil,
    Bool,
    Number,
    Char,
    String,
    RawString,
    Field,
    Variable,
    Identifier,
    Keyword(Keyword),
    /// Another printable character, which no rule accepts.
    Other,
    End,
}

/// The words that open, split or close a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) pos: Pos,
    pub(super) text: &'a str,
}

/// Why a template does not parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) pos: Pos,
    pub(super) message: String,
}

impl SyntaxError {
    pub(super) fn new(pos: Pos, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { pos, message }
    }
}

/// The kind of a word.
pub(super) fn word(text: &str) -> Kind {
    match text {
        "true" | "false" => Kind::Bool,
        "nil" => Kind::Nil,
        "block" => Kind::Keyword(Keyword::Block),
        "break" => Kind::Keyword(Keyword::Break),
        "continue" => Kind::Keyword(Keyword::Continue),
        "define" => Kind::Keyword(Keyword::Define),
        "else" => Kind::Keyword(Keyword::Else),
        "end" => Kind::Keyword(Keyword::End),
        "if" => Kind::Keyword(Keyword::If),
        "range" => Kind::Keyword(Keyword::Range),
        "template" => Kind::Keyword(Keyword::Template),
        "with" => Kind::Keyword(Keyword::With),
        _ => Kind::Identifier,
    }
}

/// The white space that trim markers remove.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Whether the text starts with a trim marker and a right delimiter: ` -}}`.
pub(super) fn has_right_trim(text: &str) -> bool {
    text.starts_with(is_space) && text[1..].starts_with("-}}")
}
