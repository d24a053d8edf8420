//! Tokens to a tree in which every function is known and given a possible number of arguments,
//! and every variable is declared before its use.

use super::Fault;
use super::functions;
use super::lex::{self, Kind, Token};
use super::tree::{Branch, Call, Expression, ExpressionKind, Node, Pipeline, Range, Variable};
use super::value::Value;

/// How deep blocks, parentheses and fields may stand in one another. It bounds the stack.
const DEEPEST: usize = 50;

/// Words with a meaning of their own at the start of an action.
const KEYWORDS: [&str; 10] = [
    "block", "break", "continue", "define", "else", "end", "if", "range", "template", "with",
];

/// Parses a whole template.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, Fault> {
    let mut parser = Parser {
        tokens: lex::tokens(text)?,
        end: Token {
            kind: Kind::End,
            source: "",
            offset: text.len(),
            spaced: false,
        },
        index: 0,
        variables: vec!["$".to_owned()],
        depth: 0,
        loops: 0,
    };
    match parser.list()? {
        (nodes, Stop::EndOfTemplate) => Ok(nodes),
        (_, Stop::Else(offset)) => Err(Fault::new(offset, "unexpected {{else}}")),
        (_, Stop::End(offset)) => Err(Fault::new(offset, "unexpected {{end}}")),
    }
}

/// What ended a list of nodes, and where.
enum Stop {
    /// `{{else`: what follows the word is still to be read.
    Else(usize),
    End(usize),
    EndOfTemplate,
}

/// What ends a pipeline.
#[derive(Clone, Copy, PartialEq)]
enum Closer {
    Action,
    Parenthesis,
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    /// What stands after the last token, for ever.
    end: Token<'t>,
    index: usize,
    /// The names in scope, the newest last.
    variables: Vec<String>,
    depth: usize,
    /// How many bodies of `range` stand around the current token.
    loops: usize,
}

impl<'t> Parser<'t> {
    fn list(&mut self) -> Result<(Vec<Node>, Stop), Fault> {
        let mut nodes = Vec::new();
        loop {
            let token = self.next();
            let offset = token.offset;
            match token.kind {
                Kind::Text(text) => nodes.push(Node::Text {
                    offset,
                    text: text.to_owned(),
                }),
                Kind::Open => match self.keyword() {
                    None => {
                        let pipeline = self.pipeline("command", Closer::Action)?;
                        nodes.push(Node::Action(pipeline));
                    }
                    Some("else") => return Ok((nodes, Stop::Else(offset))),
                    Some("end") => {
                        self.close("end")?;
                        return Ok((nodes, Stop::End(offset)));
                    }
                    Some(keyword) => nodes.push(self.statement(keyword, offset)?),
                },
                _ => return Ok((nodes, Stop::EndOfTemplate)),
            }
        }
    }

    fn statement(&mut self, keyword: &str, offset: usize) -> Result<Node, Fault> {
        match keyword {
            "if" | "with" => self.block(offset, |parser| parser.branch(keyword, offset)),
            "range" => self.block(offset, |parser| parser.range(offset)),
            "break" | "continue" => {
                self.close(keyword)?;
                match (keyword, self.loops) {
                    (_, 0) => Err(Fault::new(
                        offset,
                        format!("{{{{{keyword}}}}} outside {{{{range}}}}"),
                    )),
                    ("break", _) => Ok(Node::Break),
                    _ => Ok(Node::Continue),
                }
            }
            keyword => Err(Fault::new(
                offset,
                format!("{{{{{keyword}}}}} is not supported: there is one template only"),
            )),
        }
    }

    /// Reads with what it declares forgotten afterwards, one level deeper.
    fn block<T>(
        &mut self,
        offset: usize,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let scope = self.variables.len();
        let node = self.deeper(offset, read)?;
        self.variables.truncate(scope);
        Ok(node)
    }

    fn deeper<T>(
        &mut self,
        offset: usize,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.depth == DEEPEST {
            return Err(Fault::new(
                offset,
                format!("nested more than {DEEPEST} levels deep"),
            ));
        }
        self.depth += 1;
        let node = read(self)?;
        self.depth -= 1;
        Ok(node)
    }

    fn branch(&mut self, keyword: &str, start: usize) -> Result<Node, Fault> {
        let mut arms = Vec::new();
        loop {
            let decider = self.pipeline(keyword, Closer::Action)?;
            let (body, has_else) = self.body(keyword, start)?;
            arms.push((decider, body));
            if has_else && matches!(self.ahead(0).kind, Kind::Word(word) if word == keyword) {
                self.next();
                continue;
            }
            return Ok(Node::Branch(Branch {
                sets_dot: keyword == "with",
                arms,
                otherwise: self.otherwise(has_else, keyword, start)?,
            }));
        }
    }

    fn range(&mut self, start: usize) -> Result<Node, Fault> {
        let over = self.pipeline("range", Closer::Action)?;
        self.loops += 1;
        let (body, has_else) = self.body("range", start)?;
        self.loops -= 1;
        Ok(Node::Range(Range {
            over,
            body,
            otherwise: self.otherwise(has_else, "range", start)?,
        }))
    }

    /// The nodes up to `{{end}}` or `{{else`, and whether it was the latter.
    fn body(&mut self, keyword: &str, start: usize) -> Result<(Vec<Node>, bool), Fault> {
        let scope = self.variables.len();
        let (nodes, stop) = self.list()?;
        self.variables.truncate(scope);
        match stop {
            Stop::End(_) => Ok((nodes, false)),
            Stop::Else(_) => Ok((nodes, true)),
            Stop::EndOfTemplate => Err(Fault::new(
                start,
                format!("this {{{{{keyword}}}}} has no {{{{end}}}}"),
            )),
        }
    }

    /// The nodes between `{{else` and `{{end}}`.
    fn otherwise(
        &mut self,
        has_else: bool,
        keyword: &str,
        start: usize,
    ) -> Result<Vec<Node>, Fault> {
        if !has_else {
            return Ok(Vec::new());
        }
        self.close("else")?;
        match self.body(keyword, start)? {
            (nodes, false) => Ok(nodes),
            (_, true) => Err(Fault::new(
                start,
                format!("this {{{{{keyword}}}}} has a second {{{{else}}}}"),
            )),
        }
    }

    fn pipeline(&mut self, context: &str, closer: Closer) -> Result<Pipeline, Fault> {
        let offset = self.ahead(0).offset;
        let variable = self.variable(context)?;
        let first = self.command(context)?;
        let mut calls = Vec::new();
        loop {
            let token = self.next();
            match (&token.kind, closer) {
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
        let start = self.ahead(0);
        if matches!(start.kind, Kind::Close | Kind::CloseParen) {
            let message = format!("missing value for {context}");
            return Err(Fault::new(start.offset, message));
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
            if matches!(token.kind, Kind::Pipe | Kind::Close | Kind::CloseParen) {
                return Ok(arguments);
            }
            if !token.spaced {
                let message = format!("a space is missing before {:?}", token.source);
                return Err(Fault::new(token.offset, message));
            }
            arguments.push(self.operand()?);
        }
    }

    /// A term with the fields directly after it.
    fn operand(&mut self) -> Result<Expression, Fault> {
        let mut operand = self.term()?;
        let mut fields = 0;
        while let &Token {
            kind: Kind::Field(name),
            offset,
            spaced: false,
            ..
        } = self.ahead(0)
        {
            let of_literal = matches!(
                operand.kind,
                ExpressionKind::Literal(_) | ExpressionKind::Dot
            );
            fields += 1;
            if of_literal || fields > DEEPEST {
                return Err(Fault::new(offset, format!("unexpected .{name}")));
            }
            self.index += 1;
            operand = Expression {
                offset,
                kind: ExpressionKind::Field(Box::new(operand), name.to_owned()),
            };
        }
        Ok(operand)
    }

    fn term(&mut self) -> Result<Expression, Fault> {
        let token = self.next();
        let offset = token.offset;
        let kind = match token.kind {
            Kind::Literal(value) => ExpressionKind::Literal(value),
            Kind::Dot => ExpressionKind::Dot,
            Kind::Field(name) => {
                let kind = ExpressionKind::Dot;
                ExpressionKind::Field(Box::new(Expression { offset, kind }), name.to_owned())
            }
            Kind::Variable(name) => {
                self.check_variable(name, offset)?;
                ExpressionKind::Variable(name.to_owned())
            }
            Kind::Word(name) => ExpressionKind::Call(call(name, offset, Vec::new(), 0)?),
            Kind::OpenParen => {
                let pipeline = self.deeper(offset, |parser| {
                    parser.pipeline("parenthesized pipeline", Closer::Parenthesis)
                })?;
                ExpressionKind::Parenthesized(Box::new(pipeline))
            }
            _ => return Err(unexpected(&token, "operand")),
        };
        Ok(Expression { offset, kind })
    }

    /// Takes the `}}` that must follow `keyword`.
    fn close(&mut self, keyword: &str) -> Result<(), Fault> {
        let token = self.next();
        match token.kind {
            Kind::Close => Ok(()),
            _ => Err(unexpected(&token, keyword)),
        }
    }

    fn keyword(&mut self) -> Option<&'t str> {
        let Kind::Word(word) = self.ahead(0).kind else {
            return None;
        };
        KEYWORDS.contains(&word).then(|| {
            self.index += 1;
            word
        })
    }

    fn field_directly_after(&self, tokens: usize) -> bool {
        let token = self.ahead(tokens);
        matches!(token.kind, Kind::Field(_)) && !token.spaced
    }

    fn ahead(&self, tokens: usize) -> &Token<'t> {
        self.tokens.get(self.index + tokens).unwrap_or(&self.end)
    }

    fn next(&mut self) -> Token<'t> {
        let token = self.ahead(0).clone();
        self.index += 1;
        token
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
        return Err(Fault::new(
            offset,
            format!("function {name:?} is not defined"),
        ));
    };
    let given = arguments.len() + piped;
    if !function.arity.contains(&given) {
        let message = format!(
            "wrong number of arguments for {name}: it takes {}, and {given} are given",
            function.arity_text()
        );
        return Err(Fault::new(offset, message));
    }
    Ok(Call {
        offset,
        function,
        arguments,
    })
}

fn unexpected(token: &Token<'_>, context: &str) -> Fault {
    Fault::new(
        token.offset,
        format!("unexpected {:?} in {context}", token.source),
    )
}
