//! Text to tokens: literal text, and what stands between `{{` and `}}`.

use super::Fault;
use super::literal;
use super::value::Value;

/// What Go trims at `{{-` and `-}}`, and skips between the words of an action.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// A piece of a template.
#[derive(Clone, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    /// What is written there.
    pub(super) source: &'t str,
    /// Where it starts, in bytes.
    pub(super) offset: usize,
    /// Whether space stands before it, within its action.
    pub(super) spaced: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Kind<'t> {
    Text(&'t str),
    Open,
    Close,
    /// A keyword or the name of a function.
    Word(&'t str),
    /// `.Name`, here without its dot.
    Field(&'t str),
    /// `$name` or `$`.
    Variable(&'t str),
    Dot,
    Literal(Value),
    Pipe,
    Declare,
    Assign,
    Comma,
    OpenParen,
    CloseParen,
    /// The end of the template; no token of this kind is among those of [`tokens`].
    End,
}

/// Splits a whole template. Each action is closed.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut lexer = Lexer {
        text,
        offset: 0,
        tokens: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    offset: usize,
    tokens: Vec<Token<'t>>,
}

impl<'t> Lexer<'t> {
    fn run(&mut self) -> Result<(), Fault> {
        while let Some(length) = self.rest().find("{{") {
            let (text, action) = self.rest().split_at(length);
            let trims = action[2..].starts_with('-') && action[3..].starts_with(SPACE);
            self.literal_text(if trims {
                text.trim_end_matches(SPACE)
            } else {
                text
            });
            let start = self.offset + length;
            self.offset = start + 2 + if trims { 2 } else { 0 };
            if self.rest().starts_with("/*") {
                self.comment(start)?;
            } else {
                self.token(Kind::Open, start, false);
                self.action(start)?;
            }
        }
        self.literal_text(self.rest());
        Ok(())
    }

    fn rest(&self) -> &'t str {
        &self.text[self.offset..]
    }

    /// Adds the token from `start` up to here.
    fn token(&mut self, kind: Kind<'t>, start: usize, spaced: bool) {
        self.tokens.push(Token {
            kind,
            source: &self.text[start..self.offset],
            offset: start,
            spaced,
        });
    }

    fn literal_text(&mut self, text: &'t str) {
        if !text.is_empty() {
            self.tokens.push(Token {
                kind: Kind::Text(text),
                source: text,
                offset: self.offset,
                spaced: false,
            });
        }
    }

    fn skip_space(&mut self) -> bool {
        let trimmed = self.rest().trim_start_matches(SPACE);
        let skipped = self.rest().len() - trimmed.len();
        self.offset += skipped;
        skipped > 0
    }

    fn comment(&mut self, start: usize) -> Result<(), Fault> {
        let Some(length) = self.rest()[2..].find("*/") else {
            return Err(Fault::new(start, "unclosed comment"));
        };
        self.offset += length + 4;
        if self.rest().starts_with("}}") {
            self.offset += 2;
        } else if self.rest().starts_with(SPACE) && self.rest()[1..].starts_with("-}}") {
            self.offset += 4;
            self.skip_space();
        } else {
            return Err(Fault::new(
                start,
                "nothing may stand between the end of a comment and }} or \" -}}\"",
            ));
        }
        Ok(())
    }

    fn action(&mut self, start: usize) -> Result<(), Fault> {
        loop {
            let spaced = self.skip_space();
            let offset = self.offset;
            if self.rest().starts_with("}}") {
                self.offset += 2;
                self.token(Kind::Close, offset, spaced);
                return Ok(());
            }
            if spaced && self.rest().starts_with("-}}") {
                self.offset += 3;
                self.token(Kind::Close, offset, spaced);
                self.skip_space();
                return Ok(());
            }
            let Some(first) = self.rest().chars().next() else {
                return Err(Fault::new(start, "unclosed action: }} is missing"));
            };
            let kind = self.word(first)?;
            self.token(kind, offset, spaced);
        }
    }

    fn word(&mut self, first: char) -> Result<Kind<'t>, Fault> {
        let start = self.offset;
        let after = &self.rest()[first.len_utf8()..];
        let (kind, length) = match first {
            '|' => (Kind::Pipe, 1),
            ',' => (Kind::Comma, 1),
            '(' => (Kind::OpenParen, 1),
            ')' => (Kind::CloseParen, 1),
            '=' => (Kind::Assign, 1),
            ':' if after.starts_with('=') => (Kind::Declare, 2),
            '"' => {
                let body = self.until_quote('"')?;
                let bytes = literal::quoted(body).map_err(|why| Fault::new(start, why))?;
                (Kind::Literal(Value::text(bytes)), body.len() + 2)
            }
            '\'' => {
                let body = self.until_quote('\'')?;
                let number = literal::character(body).map_err(|why| Fault::new(start, why))?;
                (Kind::Literal(Value::Int(number)), body.len() + 2)
            }
            '`' => {
                let length = after
                    .find('`')
                    .ok_or_else(|| Fault::new(start, "unterminated raw quoted string"))?;
                let body = after[..length].replace('\r', "");
                (Kind::Literal(Value::text(body)), length + 2)
            }
            '+' | '-' | '0'..='9' => self.number()?,
            '.' if after.starts_with(|char: char| char.is_ascii_digit()) => self.number()?,
            '.' => match self.name(after)? {
                "" => (Kind::Dot, 1),
                name => (Kind::Field(name), 1 + name.len()),
            },
            '$' => {
                let name = self.name(after)?;
                (Kind::Variable(&self.rest()[..=name.len()]), 1 + name.len())
            }
            char if is_name(char) => match self.name(self.rest())? {
                "true" => (Kind::Literal(Value::Bool(true)), 4),
                "false" => (Kind::Literal(Value::Bool(false)), 5),
                "nil" => (Kind::Literal(Value::Nil), 3),
                word => (Kind::Word(word), word.len()),
            },
            '/' if after.starts_with('*') => {
                return Err(Fault::new(
                    start,
                    "a comment must directly follow {{ or \"{{- \"",
                ));
            }
            char => return Err(Fault::new(start, format!("unexpected {char:?}"))),
        };
        self.offset += length;
        Ok(kind)
    }

    /// The longest name that `text` starts with, followed by what may follow a name.
    fn name(&self, text: &'t str) -> Result<&'t str, Fault> {
        let length = text.find(|char| !is_name(char)).unwrap_or(text.len());
        let (name, after) = text.split_at(length);
        match after.chars().next() {
            Some(char) if !after.starts_with("}}") && !SPACE.contains(&char) => {
                if matches!(char, '.' | ',' | '|' | ':' | '(' | ')') {
                    Ok(name)
                } else {
                    let offset = self.text.len() - after.len();
                    Err(Fault::new(offset, format!("unexpected {char:?} in a name")))
                }
            }
            _ => Ok(name),
        }
    }

    fn number(&self) -> Result<(Kind<'t>, usize), Fault> {
        let rest = self.rest();
        // All that could belong to a number of any kind, so that the message shows it whole.
        let length = rest
            .find(|char: char| !is_name(char) && !matches!(char, '.' | '+' | '-'))
            .unwrap_or(rest.len());
        let number =
            literal::integer(&rest[..length]).map_err(|why| Fault::new(self.offset, why))?;
        Ok((Kind::Literal(Value::Int(number)), length))
    }

    /// The text between the quote here and the next one that no backslash precedes.
    fn until_quote(&self, quote: char) -> Result<&'t str, Fault> {
        let body = &self.rest()[1..];
        let mut escaped = false;
        for (length, char) in body.char_indices() {
            match char {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                char if char == quote => return Ok(&body[..length]),
                _ => {}
            }
        }
        let what = if quote == '"' {
            "unterminated quoted string"
        } else {
            "unterminated character constant"
        };
        Err(Fault::new(self.offset, what))
    }
}

fn is_name(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}
