//! Tokens to a tree in which every function is known and given a possible number of arguments,
//! and every variable is declared before its use.

mod pipeline;

use self::pipeline::Closer;
use super::Fault;
use super::lex::{self, Kind, Token};
use super::tree::{Branch, Node, Range};

/// How deep blocks and parentheses may stand in one another. It bounds the stack.
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

    fn ahead(&self, tokens: usize) -> &Token<'t> {
        self.tokens.get(self.index + tokens).unwrap_or(&self.end)
    }

    fn next(&mut self) -> Token<'t> {
        let token = self.ahead(0).clone();
        self.index += 1;
        token
    }
}

fn unexpected(token: &Token<'_>, context: &str) -> Fault {
    let mut message = format!("unexpected {:?} in {context}", token.source);
    if matches!(token.kind, Kind::Assign) {
        message.push_str(": values are compared with eq");
    }
    Fault::new(token.offset, message)
}
