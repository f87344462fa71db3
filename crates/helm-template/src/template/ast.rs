//! The syntax tree of a template, which borrows from its text.

use std::borrow::Cow;

/// A byte offset in a template's text.
pub(crate) type Pos = usize;

/// A piece of a template.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    Text(&'a str),
    /// `{{ pipeline }}`
    Action(Pipeline<'a>),
    If(Branch<'a>),
    With(Branch<'a>),
    Range(Branch<'a>),
    /// `{{ template "name" pipeline }}`
    Call {
        pos: Pos,
        name: Cow<'a, str>,
        argument: Option<Pipeline<'a>>,
    },
    Break,
    Continue,
}

/// A block with an alternative.
#[derive(Debug)]
pub(crate) struct Branch<'a> {
    pub(crate) pipeline: Pipeline<'a>,
    pub(crate) body: Vec<Node<'a>>,
    pub(crate) otherwise: Vec<Node<'a>>,
}

/// Commands that pass their results on, and the variables that get the last one.
#[derive(Debug)]
pub(crate) struct Pipeline<'a> {
    pub(crate) span: Span,
    pub(crate) variables: Vec<&'a str>,
    /// `=` rather than `:=`.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command<'a>>,
}

/// A function or an operand, and its arguments.
#[derive(Debug)]
pub(crate) struct Command<'a> {
    pub(crate) span: Span,
    pub(crate) first: Operand<'a>,
    pub(crate) arguments: Vec<Operand<'a>>,
}

/// An operand and its place.
#[derive(Debug)]
pub(crate) struct Operand<'a> {
    pub(crate) span: Span,
    pub(crate) kind: OperandKind<'a>,
}

#[derive(Debug)]
pub(crate) enum OperandKind<'a> {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    /// The bytes that a literal stands for.
    String(Cow<'a, [u8]>),
    /// `.a.b`
    Field(Vec<&'a str>),
    /// `$x.a.b`
    Variable(&'a str, Vec<&'a str>),
    /// `(pipeline).a.b`
    Chain(Box<Operand<'a>>, Vec<&'a str>),
    Function(FunctionId),
    Parenthesized(Box<Pipeline<'a>>),
}

/// A function, by its index in the table of functions. The parser only knows that it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FunctionId(pub(crate) usize);

/// Finds a function by its name.
pub(crate) type FindFunction = fn(&str) -> Option<FunctionId>;

/// A numeric literal; it can be an integer and a float at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) float: Option<f64>,
    /// Written as a float: it is a float unless an integer is wanted.
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
pub(crate) fn is_empty(nodes: &[Node<'_>]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
