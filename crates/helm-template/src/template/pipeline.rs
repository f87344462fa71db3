//! Parses the inside of actions: variables, commands and operands.

use std::borrow::Cow;

use super::ast::{Command, Operand, OperandKind, Pipeline, Span};
use super::number;
use super::parser::{Parse, Parser, unexpected};
use super::token::{Kind, SyntaxError, Token};
use crate::golang::quote;

/// The bytes of a string literal.
pub(super) fn string_literal(token: Token<'_>) -> Parse<Cow<'_, [u8]>> {
    let body = &token.text[1..token.text.len() - 1];
    let means_itself = match token.kind {
        Kind::RawString => !body.contains('\r'),
        _ => !body.contains(['\\', '"', '\n']),
    };
    if means_itself {
        return Ok(body.as_bytes().into());
    }
    if token.kind == Kind::RawString {
        return Ok(body.replace('\r', "").into_bytes().into());
    }
    quote::unquote(body, '"')
        .map(Cow::Owned)
        .ok_or_else(|| SyntaxError::new(token.pos, format!("invalid syntax in string {}", token.text)))
}

impl<'a> Parser<'a> {
    /// Parses a pipeline and the token that ends it.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parse<Pipeline<'a>> {
        self.skip_space();
        let start = self.peek().pos;
        let (variables, assigns) = self.declarations(context)?;
        // Most have one, and there are many: capacity for four would be most of a tree's memory.
        let mut commands = Vec::with_capacity(1);
        loop {
            self.skip_space();
            let token = self.peek();
            match token.kind {
                kind if kind == end => {
                    self.next += 1;
                    check_stages(&commands, token, context)?;
                    let span = Span { start, end: token.pos };
                    return Ok(Pipeline { span, variables, assigns, commands });
                }
                Kind::Bool
                | Kind::Char
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    commands.push(self.command()?);
                }
                _ => return Err(unexpected(token, context)),
            }
        }
    }

    /// `$x :=`, `$x =`, or for a loop `$i, $x :=`.
    fn declarations(&mut self, context: &str) -> Parse<(Vec<&'a str>, bool)> {
        let mut variables = Vec::new();
        loop {
            self.skip_space();
            let token = self.peek();
            if token.kind != Kind::Variable {
                return Ok((variables, false));
            }
            let back = self.next;
            self.next += 1;
            self.skip_space();
            match self.peek().kind {
                kind @ (Kind::Assign | Kind::Declare) => {
                    self.next += 1;
                    self.declare(token, &mut variables);
                    return Ok((variables, kind == Kind::Assign));
                }
                Kind::Comma => {
                    self.next += 1;
                    self.declare(token, &mut variables);
                    self.skip_space();
                    if context != "range" || variables.len() > 1 {
                        let message = format!("too many declarations in {context}");
                        return Err(SyntaxError::new(token.pos, message));
                    }
                    if !matches!(self.peek().kind, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                        return Err(SyntaxError::new(token.pos, "range can only initialize variables"));
                    }
                }
                _ => {
                    self.next = back;
                    return Ok((variables, false));
                }
            }
        }
    }

    fn declare(&mut self, token: Token<'a>, variables: &mut Vec<&'a str>) {
        self.variables.push(token.text);
        variables.push(token.text);
    }

    /// Operands up to a pipe or the end of the pipeline.
    fn command(&mut self) -> Parse<Command<'a>> {
        let start = self.peek().pos;
        let mut operands = Vec::new();
        let end = loop {
            self.skip_space();
            if let Some(operand) = self.nested(Self::operand)? {
                operands.push(operand);
            }
            let token = self.peek();
            match token.kind {
                Kind::Space => {}
                Kind::Pipe => {
                    self.next += 1;
                    break token.pos;
                }
                Kind::RightDelim | Kind::RightParen => break token.pos,
                _ => return Err(unexpected(token, "operand")),
            }
        };
        let mut operands = operands.into_iter();
        let first = operands.next().ok_or_else(|| SyntaxError::new(start, "empty command"))?;
        let span = Span { start, end };
        Ok(Command { span, first, arguments: operands.collect() })
    }

    /// A term and the fields taken from it.
    fn operand(&mut self) -> Parse<Option<Operand<'a>>> {
        let Some(mut term) = self.term()? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            let field = self.take();
            term.span.end = field.pos + field.text.len();
            fields.push(&field.text[1..]);
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        match &mut term.kind {
            OperandKind::Field(path) | OperandKind::Variable(_, path) => path.append(&mut fields),
            OperandKind::Function(_) | OperandKind::Parenthesized(_) | OperandKind::Chain(..) => {
                let span = term.span;
                let kind = OperandKind::Chain(Box::new(term), fields);
                return Ok(Some(Operand { span, kind }));
            }
            _ => {
                return Err(SyntaxError::new(term.span.start, "unexpected . after a literal"));
            }
        }
        Ok(Some(term))
    }

    fn term(&mut self) -> Parse<Option<Operand<'a>>> {
        let token = self.peek();
        let kind = match token.kind {
            Kind::Dot => OperandKind::Dot,
            Kind::Nil => OperandKind::Nil,
            Kind::Bool => OperandKind::Bool(token.text == "true"),
            Kind::Char => OperandKind::Number(number::character(token.text).ok_or_else(|| {
                SyntaxError::new(token.pos, format!("malformed character constant: {}", token.text))
            })?),
            Kind::Number => OperandKind::Number(
                number::number(token.text).map_err(|message| SyntaxError::new(token.pos, message))?,
            ),
            Kind::String | Kind::RawString => OperandKind::String(string_literal(token)?),
            Kind::Field => OperandKind::Field(vec![&token.text[1..]]),
            Kind::Variable => self.variable(token)?,
            Kind::Identifier => OperandKind::Function((self.functions)(token.text).ok_or_else(|| {
                SyntaxError::new(token.pos, format!("function {:?} not defined", token.text))
            })?),
            Kind::LeftParen => {
                self.next += 1;
                let pipeline = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                let span = Span { start: token.pos, end: pipeline.span.end + 1 };
                let kind = OperandKind::Parenthesized(Box::new(pipeline));
                return Ok(Some(Operand { span, kind }));
            }
            _ => return Ok(None),
        };
        self.next += 1;
        let span = Span { start: token.pos, end: token.pos + token.text.len() };
        Ok(Some(Operand { span, kind }))
    }

    fn variable(&self, token: Token<'a>) -> Parse<OperandKind<'a>> {
        if !self.variables.contains(&token.text) {
            let message = format!("undefined variable {:?}", token.text);
            return Err(SyntaxError::new(token.pos, message));
        }
        Ok(OperandKind::Variable(token.text, Vec::new()))
    }
}

/// Only the first command of a pipeline may be a plain value.
fn check_stages(commands: &[Command<'_>], end: Token<'_>, context: &str) -> Parse<()> {
    if commands.is_empty() {
        return Err(SyntaxError::new(end.pos, format!("missing value for {context}")));
    }
    for (index, command) in commands.iter().enumerate().skip(1) {
        let executable = !matches!(
            command.first.kind,
            OperandKind::Bool(_)
                | OperandKind::Dot
                | OperandKind::Nil
                | OperandKind::Number(_)
                | OperandKind::String(_)
        );
        if !executable {
            let message = format!("non executable command in pipeline stage {}", index + 1);
            return Err(SyntaxError::new(command.span.start, message));
        }
    }
    Ok(())
}
