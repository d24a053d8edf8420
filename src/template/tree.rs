//! A parsed template.

use super::functions::Function;
use super::value::Value;

/// One step of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text { offset: usize, text: String },
    Action(Pipeline),
    Branch(Branch),
    Range(Range),
    Break,
    Continue,
}

/// `if` or `with`, with all its `else if` or `else with`.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    /// Whether the value that decides becomes `.` in its body, as in `with`.
    pub(super) sets_dot: bool,
    pub(super) arms: Vec<(Pipeline, Vec<Node>)>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) over: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `$name := first | call | call`.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) offset: usize,
    pub(super) variable: Option<Variable>,
    pub(super) first: Expression,
    /// Each takes the value before it as its last argument.
    pub(super) calls: Vec<Call>,
}

/// What a pipeline gives its value to.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    /// With its `$`.
    pub(super) name: String,
    /// `:=` rather than `=`.
    pub(super) declared: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) offset: usize,
    pub(super) kind: ExpressionKind,
}

#[derive(Clone, Debug)]
pub(super) enum ExpressionKind {
    Literal(Value),
    Dot,
    /// With its `$`.
    Variable(String),
    /// `.Name.Name` of what stands before it.
    Fields(Box<Expression>, Vec<String>),
    Call(Call),
    Parenthesized(Box<Pipeline>),
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) offset: usize,
    pub(super) function: &'static Function,
    pub(super) arguments: Vec<Expression>,
}
