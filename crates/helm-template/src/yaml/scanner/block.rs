//! Literal and folded block scalars.

use super::Scanner;
use crate::yaml::cursor::{END, is_blank, is_break};

/// What becomes of the line breaks at the end.
#[derive(PartialEq, Eq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}

impl Scanner<'_> {
    pub(super) fn block_scalar(&mut self, literal: bool) -> Result<String, String> {
        self.cursor.next();
        let (chomping, increment) = self.block_header()?;
        if !self.cursor.skip_to_line_end() {
            return self.cursor.error("did not find expected comment or line break");
        }
        let mut indent = increment.map(|increment| self.indent.unwrap_or(0) + increment);
        let mut text = String::new();
        let (mut first_break, mut more_breaks) = (None, String::new());
        let mut indented_before = false;
        let column = self.block_breaks(&mut indent, &mut more_breaks)?;
        while self.cursor.mark.column == column && self.cursor.peek() != END {
            // Lines that are indented further are not folded.
            let indented = is_blank(self.cursor.peek());
            let folds = !literal && !indented_before && !indented && first_break == Some('\n');
            if !folds {
                text.extend(first_break);
            } else if more_breaks.is_empty() {
                text.push(' ');
            }
            text.push_str(&more_breaks);
            more_breaks.clear();
            indented_before = indented;
            text.push_str(&self.cursor.take_while(|c| !is_break(c)));
            first_break = self.cursor.next_break();
            self.block_breaks(&mut indent, &mut more_breaks)?;
        }
        if chomping != Chomping::Strip {
            text.extend(first_break);
        }
        if chomping == Chomping::Keep {
            text.push_str(&more_breaks);
        }
        Ok(text)
    }

    /// The indicators after `|` or `>`, in any order.
    fn block_header(&mut self) -> Result<(Chomping, Option<usize>), String> {
        let mut chomping = self.chomping();
        let mut increment = None;
        if let Some(digit) = self.cursor.peek().to_digit(10) {
            if digit == 0 {
                return self.cursor.error("found an indentation indicator equal to 0");
            }
            increment = Some(digit as usize);
            self.cursor.next();
            chomping = chomping.or_else(|| self.chomping());
        }
        Ok((chomping.unwrap_or(Chomping::Clip), increment))
    }

    fn chomping(&mut self) -> Option<Chomping> {
        let chomping = match self.cursor.peek() {
            '+' => Chomping::Keep,
            '-' => Chomping::Strip,
            _ => return None,
        };
        self.cursor.next();
        Some(chomping)
    }

    /// Reads empty lines and the indentation of the next line that is not empty. The first such line
    /// decides on the indentation, if the header did not.
    fn block_breaks(&mut self, indent: &mut Option<usize>, breaks: &mut String) -> Result<usize, String> {
        let mut widest = 0;
        loop {
            while indent.is_none_or(|indent| self.cursor.mark.column < indent) && self.cursor.peek() == ' ' {
                self.cursor.next();
            }
            let column = self.cursor.mark.column;
            widest = widest.max(column);
            if indent.is_none_or(|indent| column < indent) && self.cursor.peek() == '\t' {
                return self.cursor.error("found a tab character where an indentation space is expected");
            }
            match self.cursor.next_break() {
                Some(found) => breaks.push(found),
                None => break,
            }
        }
        let least = self.indent.map_or(1, |indent| indent + 1);
        Ok(*indent.get_or_insert(widest.max(least)))
    }
}
