//! The template language: from text to a syntax tree.

pub(crate) mod ast;
mod lexer;
mod number;
mod parser;
mod pipeline;
mod scan;
mod token;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::error::{Error, ErrorKind, Location};
use ast::{FindFunction, Node, Pos};

/// The text of a file, for the places in messages.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    /// Path of the file, with the chart's name in front.
    pub(crate) name: String,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// The line and column of a position, with the expression there if it is given.
    pub(crate) fn locate(&self, pos: Pos, expression: Option<&str>) -> Location {
        let before = self.text.get(..pos).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Location {
            template: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            expression: expression.map(shorten),
        }
    }
}

/// Keeps a quoted expression on one line of a message.
fn shorten(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// A piece of a file that can be executed.
#[derive(Debug)]
pub(crate) struct Template<'a> {
    pub(crate) source: Arc<Source<'a>>,
    pub(crate) root: Vec<Node<'a>>,
}

/// A parsed file.
#[derive(Debug)]
pub(crate) struct File<'a> {
    /// The file itself, without the definitions in it.
    pub(crate) own: Template<'a>,
    /// The templates that are defined in it, by name.
    pub(crate) defined: Vec<(Cow<'a, str>, Template<'a>)>,
}

/// Parses a file; its name is for messages, `functions` finds the functions that it may call.
pub(crate) fn parse(name: String, text: &str, functions: FindFunction) -> Result<File<'_>, Error> {
    let source = Arc::new(Source { name, text });
    let parsed = parser::parse(text, functions)
        .map_err(|error| Error::new(ErrorKind::Parse, error.message).at(source.locate(error.pos, None)))?;
    let template = |root| Template { source: Arc::clone(&source), root };
    let defined = parsed.defined.into_iter().map(|(name, root)| (name, template(root)));
    Ok(File { defined: defined.collect(), own: template(parsed.root) })
}

/// The templates that can be called by name. `tpl` works on a scope inside another one: its
/// definitions are not visible outside.
#[derive(Debug, Default)]
pub(crate) struct Scope<'a> {
    parent: Option<&'a Scope<'a>>,
    templates: HashMap<Cow<'a, str>, Template<'a>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn inside(parent: &'a Scope<'a>) -> Self {
        Self { parent: Some(parent), templates: HashMap::default() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Template<'a>> {
        self.templates.get(name).or_else(|| self.parent?.get(name))
    }

    /// Adds a template, unless it is empty and would replace one that is not.
    pub(crate) fn add(&mut self, name: Cow<'a, str>, template: Template<'a>) {
        if !ast::is_empty(&template.root) || self.get(&name).is_none() {
            self.templates.insert(name, template);
        }
    }
}
