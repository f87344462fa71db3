//! The syntax tree of a template.

use std::rc::Rc;

use crate::chart::functions::Function;
use crate::chart::value::Value;

/// A byte offset in the template's text.
pub(crate) type Pos = usize;

/// A piece of a template.
#[derive(Debug)]
pub(crate) enum Node {
    Text(Rc<str>),
    /// `{{ pipeline }}`
    Action(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    /// `{{ template "name" pipeline }}`
    Call {
        pos: Pos,
        name: Rc<str>,
        argument: Option<Pipeline>,
    },
    Break,
    Continue,
}

/// A block with an alternative.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipeline: Pipeline,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// Commands that hand their results on, with the variables that take the last one.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) span: Span,
    pub(crate) variables: Vec<Rc<str>>,
    /// `=` rather than `:=`.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

/// A function or an operand, and its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) span: Span,
    pub(crate) first: Operand,
    pub(crate) arguments: Vec<Operand>,
}

/// An operand and where it stands.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) span: Span,
    pub(crate) kind: OperandKind,
}

/// What an operand is.
#[derive(Debug)]
pub(crate) enum OperandKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    String(Value),
    /// `.a.b`
    Field(Vec<Rc<str>>),
    /// `$x.a.b`
    Variable(Rc<str>, Vec<Rc<str>>),
    /// `(pipeline).a.b`
    Chain(Box<Operand>, Vec<Rc<str>>),
    Function(&'static Function),
    Parenthesized(Box<Pipeline>),
}

/// A numeric literal; it can be an integer and a float at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) float: Option<f64>,
    /// Written as a float: it is one unless an integer is asked for.
    pub(crate) is_float: bool,
}

/// A part of the template's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Pos,
    pub(crate) end: Pos,
}

impl Span {
    pub(crate) fn text(self, source: &str) -> &str {
        source.get(self.start..self.end).unwrap_or("")
    }
}

/// Whether the nodes print nothing but white space.
pub(crate) fn is_empty(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
