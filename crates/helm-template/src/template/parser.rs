//! Parses blocks: text, conditions, loops and definitions. The inside of actions is parsed in
//! `pipeline`; the two files implement one parser and refer to each other.

use std::borrow::Cow;

use super::ast::{self, Branch, FindFunction, Node, Pos};
use super::lexer;
use super::token::{Keyword, Kind, SyntaxError, Token};
use crate::limits::MAX_SYNTAX_DEPTH;

/// The content of one file.
pub(super) struct Parsed<'a> {
    pub(super) root: Vec<Node<'a>>,
    /// The templates that were defined in the file.
    pub(super) defined: Vec<(Cow<'a, str>, Vec<Node<'a>>)>,
}

pub(super) type Parse<T> = Result<T, SyntaxError>;

/// Parses a file.
pub(super) fn parse(text: &str, functions: FindFunction) -> Parse<Parsed<'_>> {
    let mut parser = Parser {
        functions,
        tokens: lexer::tokens(text)?,
        next: 0,
        variables: vec!["$"],
        loops: 0,
        depth: 0,
        defined: Vec::new(),
    };
    let (root, stop) = parser.nodes(true)?;
    match stop {
        Stop::End(pos) => Err(SyntaxError::new(pos, "unexpected {{end}}")),
        Stop::Else(pos) => Err(SyntaxError::new(pos, "unexpected {{else}}")),
        Stop::Eof => Ok(Parsed { root, defined: parser.defined }),
    }
}

/// Why a list of nodes ended.
enum Stop {
    End(Pos),
    Else(Pos),
    Eof,
}

pub(super) struct Parser<'a> {
    pub(super) functions: FindFunction,
    pub(super) tokens: Vec<Token<'a>>,
    pub(super) next: usize,
    /// The variables that can be used here.
    pub(super) variables: Vec<&'a str>,
    /// How many loops are open.
    loops: usize,
    pub(super) depth: usize,
    defined: Vec<(Cow<'a, str>, Vec<Node<'a>>)>,
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> Token<'a> {
        self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    pub(super) fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next += 1;
        token
    }

    pub(super) fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parse<Token<'a>> {
        self.skip_space();
        let token = self.take();
        if token.kind == kind { Ok(token) } else { Err(unexpected(token, context)) }
    }

    /// Runs a rule one level deeper.
    pub(super) fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        self.depth += 1;
        if self.depth > MAX_SYNTAX_DEPTH {
            let message = format!("nested deeper than {MAX_SYNTAX_DEPTH} levels");
            return Err(SyntaxError::new(self.peek().pos, message));
        }
        let result = rule(self);
        self.depth -= 1;
        result
    }

    /// Parses nodes up to `{{end}}`, `{{else}}` or the end of the file.
    fn nodes(&mut self, top: bool) -> Parse<(Vec<Node<'a>>, Stop)> {
        let mut nodes = Vec::new();
        let stop = self.nodes_into(&mut nodes, top)?;
        // They live until the render ends, and most lists are short.
        nodes.shrink_to_fit();
        Ok((nodes, stop))
    }

    fn nodes_into(&mut self, nodes: &mut Vec<Node<'a>>, top: bool) -> Parse<Stop> {
        loop {
            let token = self.take();
            match token.kind {
                Kind::Text => nodes.push(Node::Text(token.text)),
                Kind::LeftDelim => {
                    self.skip_space();
                    let start = self.peek();
                    let Kind::Keyword(keyword) = start.kind else {
                        let pipeline = self.pipeline("command", Kind::RightDelim)?;
                        nodes.push(Node::Action(pipeline));
                        continue;
                    };
                    self.next += 1;
                    match keyword {
                        Keyword::End => {
                            self.expect(Kind::RightDelim, "end")?;
                            return Ok(Stop::End(start.pos));
                        }
                        Keyword::Else => return Ok(Stop::Else(start.pos)),
                        Keyword::Define if top => self.define()?,
                        Keyword::Define => return Err(unexpected(start, "command")),
                        _ => nodes.push(self.nested(|p| p.block(keyword, start.pos))?),
                    }
                }
                _ => return Ok(Stop::Eof),
            }
        }
    }

    fn block(&mut self, keyword: Keyword, pos: Pos) -> Parse<Node<'a>> {
        match keyword {
            Keyword::If => self.branch(keyword).map(Node::If),
            Keyword::With => self.branch(keyword).map(Node::With),
            Keyword::Range => self.branch(keyword).map(Node::Range),
            Keyword::Template => self.call(pos),
            Keyword::Block => self.block_definition(pos),
            Keyword::Break | Keyword::Continue => {
                let name = if keyword == Keyword::Break { "break" } else { "continue" };
                self.expect(Kind::RightDelim, name)?;
                if self.loops == 0 {
                    return Err(SyntaxError::new(pos, format!("{{{{{name}}}}} outside {{{{range}}}}")));
                }
                Ok(if keyword == Keyword::Break { Node::Break } else { Node::Continue })
            }
            Keyword::Define | Keyword::Else | Keyword::End => {
                Err(SyntaxError::new(pos, "unexpected keyword"))
            }
        }
    }

    /// The rest of `{{if}}`, `{{with}}` or `{{range}}`, up to its `{{end}}`.
    fn branch(&mut self, keyword: Keyword) -> Parse<Branch<'a>> {
        let visible = self.variables.len();
        let context = match keyword {
            Keyword::If => "if",
            Keyword::With => "with",
            _ => "range",
        };
        let pipeline = self.pipeline(context, Kind::RightDelim)?;
        let in_loop = usize::from(keyword == Keyword::Range);
        self.loops += in_loop;
        let (body, stop) = self.nodes(false)?;
        self.loops -= in_loop;
        let otherwise = match stop {
            Stop::End(_) => Vec::new(),
            Stop::Else(_) => self.otherwise(keyword)?,
            Stop::Eof => return Err(self.unexpected_eof()),
        };
        self.variables.truncate(visible);
        Ok(Branch { pipeline, body, otherwise })
    }

    fn unexpected_eof(&self) -> SyntaxError {
        SyntaxError::new(self.peek().pos, "unexpected EOF: a block is not closed by {{end}}")
    }

    /// What follows `{{else`: another condition of the same kind, or a list of nodes.
    fn otherwise(&mut self, keyword: Keyword) -> Parse<Vec<Node<'a>>> {
        self.skip_space();
        let token = self.peek();
        match (token.kind, keyword) {
            (Kind::Keyword(Keyword::If), Keyword::If) => {
                self.next += 1;
                let branch = self.nested(|p| p.branch(Keyword::If))?;
                return Ok(vec![Node::If(branch)]);
            }
            (Kind::Keyword(Keyword::With), Keyword::With) => {
                self.next += 1;
                let branch = self.nested(|p| p.branch(Keyword::With))?;
                return Ok(vec![Node::With(branch)]);
            }
            _ => self.expect(Kind::RightDelim, "else")?,
        };
        match self.nodes(false)? {
            (nodes, Stop::End(_)) => Ok(nodes),
            (_, Stop::Else(pos)) => Err(SyntaxError::new(pos, "expected end; found {{else}}")),
            (_, Stop::Eof) => Err(self.unexpected_eof()),
        }
    }

    fn name(&mut self, context: &str) -> Parse<Cow<'a, str>> {
        self.skip_space();
        let token = self.take();
        match token.kind {
            Kind::String | Kind::RawString => Ok(match super::pipeline::string_literal(token)? {
                Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
                Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
            }),
            _ => Err(unexpected(token, context)),
        }
    }

    /// `{{template "name" pipeline}}`
    fn call(&mut self, pos: Pos) -> Parse<Node<'a>> {
        let name = self.name("template clause")?;
        self.skip_space();
        let argument = if self.peek().kind == Kind::RightDelim {
            self.next += 1;
            None
        } else {
            Some(self.pipeline("template clause", Kind::RightDelim)?)
        };
        Ok(Node::Call { pos, name, argument })
    }

    /// `{{block "name" pipeline}}`: a definition that is called in place.
    fn block_definition(&mut self, pos: Pos) -> Parse<Node<'a>> {
        let name = self.name("block clause")?;
        let argument = Some(self.pipeline("block clause", Kind::RightDelim)?);
        self.definition(name.clone(), pos)?;
        Ok(Node::Call { pos, name, argument })
    }

    /// `{{define "name"}}`
    fn define(&mut self) -> Parse<()> {
        let pos = self.peek().pos;
        let name = self.name("define clause")?;
        self.expect(Kind::RightDelim, "define clause")?;
        self.nested(|p| p.definition(name, pos))
    }

    /// The body of a definition, which does not see the variables around it.
    fn definition(&mut self, name: Cow<'a, str>, pos: Pos) -> Parse<()> {
        let variables = std::mem::replace(&mut self.variables, vec!["$"]);
        let loops = std::mem::take(&mut self.loops);
        let (nodes, stop) = self.nodes(false)?;
        self.variables = variables;
        self.loops = loops;
        match stop {
            Stop::End(_) => {}
            Stop::Else(pos) => {
                return Err(SyntaxError::new(pos, "unexpected {{else}} in define clause"));
            }
            Stop::Eof => return Err(self.unexpected_eof()),
        }
        let old = self.defined.iter_mut().find(|(old, _)| *old == name);
        match old {
            Some((_, body)) if ast::is_empty(body) => *body = nodes,
            Some(_) if ast::is_empty(&nodes) => {}
            Some(_) => {
                let message = format!("multiple definition of template {name:?}");
                return Err(SyntaxError::new(pos, message));
            }
            None => self.defined.push((name, nodes)),
        }
        Ok(())
    }
}

pub(super) fn unexpected(token: Token<'_>, context: &str) -> SyntaxError {
    let what = match token.kind {
        Kind::End => "EOF".to_owned(),
        Kind::RightDelim => "\"}}\"".to_owned(),
        _ => format!("{:?}", token.text),
    };
    SyntaxError::new(token.pos, format!("unexpected {what} in {context}"))
}
