//! Pipelines, calls and operands: what stands in an action beside keywords.

use super::{KEYWORDS, Parser, unexpected};
use crate::template::Fault;
use crate::template::functions;
use crate::template::lex::{Kind, Token};
use crate::template::tree::{Call, Expression, ExpressionKind, Pipeline, Variable};
use crate::template::value::Value;

/// What ends a pipeline.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Closer {
    Action,
    Parenthesis,
}

impl<'t> Parser<'t> {
    pub(super) fn pipeline(&mut self, context: &str, closer: Closer) -> Result<Pipeline, Fault> {
        let offset = self.ahead(0).offset;
        let variable = self.variable(context)?;
        let first = self.command(context)?;
        let mut calls = Vec::new();
        loop {
            let token = self.next();
            match (&token.kind, closer) {
                // Go takes a | with nothing behind it.
                (Kind::Pipe, _) if self.at_end_of_pipeline() => {}
                (Kind::Pipe, _) => calls.push(self.stage()?),
                (Kind::Close, Closer::Action) | (Kind::CloseParen, Closer::Parenthesis) => break,
                (Kind::Close, Closer::Parenthesis) => {
                    return Err(Fault::new(offset, "this parenthesis is not closed"));
                }
                _ => return Err(unexpected(&token, context)),
            }
        }
        if let Some(Variable {
            name,
            declared: true,
        }) = &variable
        {
            self.variables.push(name.clone());
        }
        Ok(Pipeline {
            offset,
            variable,
            first,
            calls,
        })
    }

    /// The `$name :=` or `$name =` in front of a pipeline.
    fn variable(&mut self, context: &str) -> Result<Option<Variable>, Fault> {
        let &Token {
            kind: Kind::Variable(name),
            offset,
            ..
        } = self.ahead(0)
        else {
            return Ok(None);
        };
        let declared = match self.ahead(1).kind {
            Kind::Declare => true,
            Kind::Assign => false,
            Kind::Comma if context == "range" => {
                return Err(Fault::new(
                    offset,
                    "only numbers can be ranged over, and that takes one variable",
                ));
            }
            Kind::Comma => return Err(Fault::new(offset, "only one variable can be set")),
            _ => return Ok(None),
        };
        if !declared {
            self.check_variable(name, offset)?;
        }
        self.index += 2;
        Ok(Some(Variable {
            name: name.to_owned(),
            declared,
        }))
    }

    fn check_variable(&self, name: &str, offset: usize) -> Result<(), Fault> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        let message = format!("undefined variable {name}: declare it with {name} := …");
        Err(Fault::new(offset, message))
    }

    /// What stands before the first `|`.
    fn command(&mut self, context: &str) -> Result<Expression, Fault> {
        if let Some((name, offset)) = self.function_name() {
            let arguments = self.arguments()?;
            let kind = ExpressionKind::Call(call(name, offset, arguments, 0)?);
            return Ok(Expression { offset, kind });
        }
        if self.at_end_of_pipeline() {
            let message = format!("missing value for {context}");
            return Err(Fault::new(self.ahead(0).offset, message));
        }
        let operand = self.operand()?;
        if matches!(operand.kind, ExpressionKind::Literal(Value::Nil)) {
            return Err(Fault::new(operand.offset, "nil is not a command"));
        }
        match self.arguments()?.first() {
            None => Ok(operand),
            Some(argument) => Err(Fault::new(
                argument.offset,
                "an argument is given to what is not a function",
            )),
        }
    }

    /// What stands after a `|`.
    fn stage(&mut self) -> Result<Call, Fault> {
        let Some((name, offset)) = self.function_name() else {
            let token = self.ahead(0);
            let message = format!("a function is expected after |, not {:?}", token.source);
            return Err(Fault::new(token.offset, message));
        };
        let arguments = self.arguments()?;
        call(name, offset, arguments, 1)
    }

    /// Takes the name of a function that arguments may follow.
    fn function_name(&mut self) -> Option<(&'t str, usize)> {
        let &Token {
            kind: Kind::Word(name),
            offset,
            ..
        } = self.ahead(0)
        else {
            return None;
        };
        if self.field_directly_after(1) {
            // A value of which a field is taken: called without arguments.
            return None;
        }
        self.index += 1;
        Some((name, offset))
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, Fault> {
        let mut arguments = Vec::new();
        loop {
            let token = self.ahead(0);
            match token.kind {
                Kind::Pipe | Kind::Close | Kind::CloseParen => return Ok(arguments),
                Kind::Comma | Kind::Assign | Kind::Declare => {
                    return Err(unexpected(token, "command"));
                }
                _ if token.spaced => arguments.push(self.operand()?),
                _ => {
                    let message = format!("a space is missing before {:?}", token.source);
                    return Err(Fault::new(token.offset, message));
                }
            }
        }
    }

    /// A term with the fields directly after it.
    fn operand(&mut self) -> Result<Expression, Fault> {
        let start = self.next();
        let offset = start.offset;
        let mut names = Vec::new();
        let of = if let Kind::Field(name) = start.kind {
            names.push(name.to_owned());
            let kind = ExpressionKind::Dot;
            Expression { offset, kind }
        } else {
            self.term(&start)?
        };
        while let &Token {
            kind: Kind::Field(name),
            spaced: false,
            ..
        } = self.ahead(0)
        {
            if matches!(start.kind, Kind::Literal(_) | Kind::Dot) {
                let message = format!("{:?} has no field .{name}", start.source);
                return Err(Fault::new(offset, message));
            }
            names.push(name.to_owned());
            self.index += 1;
        }
        if names.is_empty() {
            return Ok(of);
        }
        let kind = ExpressionKind::Fields(Box::new(of), names);
        Ok(Expression { offset, kind })
    }

    fn term(&mut self, token: &Token<'t>) -> Result<Expression, Fault> {
        let offset = token.offset;
        let kind = match &token.kind {
            Kind::Literal(value) => ExpressionKind::Literal(value.clone()),
            Kind::Dot => ExpressionKind::Dot,
            Kind::Variable(name) => {
                self.check_variable(name, offset)?;
                ExpressionKind::Variable((*name).to_owned())
            }
            Kind::Word(name) => ExpressionKind::Call(call(name, offset, Vec::new(), 0)?),
            Kind::OpenParen => {
                let pipeline = self.deeper(offset, |parser| {
                    parser.pipeline("parenthesized pipeline", Closer::Parenthesis)
                })?;
                ExpressionKind::Parenthesized(Box::new(pipeline))
            }
            _ => return Err(unexpected(token, "operand")),
        };
        Ok(Expression { offset, kind })
    }

    fn at_end_of_pipeline(&self) -> bool {
        matches!(self.ahead(0).kind, Kind::Close | Kind::CloseParen)
    }

    fn field_directly_after(&self, tokens: usize) -> bool {
        let token = self.ahead(tokens);
        matches!(token.kind, Kind::Field(_)) && !token.spaced
    }
}

fn call(
    name: &str,
    offset: usize,
    arguments: Vec<Expression>,
    piped: usize,
) -> Result<Call, Fault> {
    if KEYWORDS.contains(&name) {
        return Err(Fault::new(offset, format!("unexpected keyword {name}")));
    }
    let Some(function) = functions::find(name) else {
        let mut message = format!("function {name:?} is not defined");
        if name.starts_with(char::is_uppercase) {
            message.push_str(&format!(": the field is written .{name}"));
        }
        return Err(Fault::new(offset, message));
    };
    let given = arguments.len() + piped;
    if !function.arity.contains(&given) {
        let takes = function.arity_text();
        let message = format!("{name} takes {takes}, not {given}");
        return Err(Fault::new(offset, message));
    }
    Ok(Call {
        offset,
        function,
        arguments,
    })
}
