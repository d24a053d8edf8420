//! Walks a tree and writes what it renders.

use rand::Rng;

use super::budget::{Budget, check_length};
use super::functions::{Arguments, Body, Surroundings};
use super::tree::{Branch, Call, Expression, ExpressionKind, Node, Pipeline, Range, Variable};
use super::value::Value;
use super::{Fault, Fields};
use crate::clock::Clock;

/// The bytes that `nodes` render to.
pub(super) fn render(
    nodes: &[Node],
    fields: &Fields,
    clock: &dyn Clock,
    random: &mut dyn Rng,
) -> Result<Vec<u8>, Fault> {
    let dot = Value::Struct(fields.clone());
    let mut evaluation = Evaluation {
        variables: vec![("$", dot.clone())],
        surroundings: Surroundings {
            clock,
            random,
            budget: Budget::new(),
        },
        output: Vec::new(),
    };
    evaluation.walk(nodes, &dot)?;
    Ok(evaluation.output)
}

/// How a list of nodes was left.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Done,
    Break,
    Continue,
}

struct Evaluation<'t, 'r> {
    /// A stack: the newest variable of a name hides the others.
    variables: Vec<(&'t str, Value)>,
    surroundings: Surroundings<'r>,
    output: Vec<u8>,
}

impl<'t> Evaluation<'t, '_> {
    fn walk(&mut self, nodes: &'t [Node], dot: &Value) -> Result<Flow, Fault> {
        for node in nodes {
            let flow = match node {
                Node::Text { offset, text } => {
                    self.spend(*offset, text.len())?;
                    self.output.extend_from_slice(text.as_bytes());
                    self.check_output(*offset)?;
                    Flow::Done
                }
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variable.is_none() {
                        value.write_to(&mut self.output);
                        self.check_output(pipeline.offset)?;
                    }
                    Flow::Done
                }
                Node::Branch(branch) => {
                    let scope = self.variables.len();
                    let flow = self.branch(branch, dot)?;
                    self.variables.truncate(scope);
                    flow
                }
                Node::Range(range) => {
                    let scope = self.variables.len();
                    let flow = self.range(range, dot)?;
                    self.variables.truncate(scope);
                    flow
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Done {
                return Ok(flow);
            }
        }
        Ok(Flow::Done)
    }

    fn branch(&mut self, branch: &'t Branch, dot: &Value) -> Result<Flow, Fault> {
        for (decider, body) in &branch.arms {
            let value = self.pipeline(decider, dot)?;
            if value.is_true() {
                return self.walk(body, if branch.sets_dot { &value } else { dot });
            }
        }
        self.walk(&branch.otherwise, dot)
    }

    fn range(&mut self, range: &'t Range, dot: &Value) -> Result<Flow, Fault> {
        let over = self.pipeline(&range.over, dot)?;
        let offset = range.over.offset;
        let count = match &over {
            Value::Nil => 0,
            Value::Int(count) => *count,
            Value::Byte(count) => i64::from(*count),
            other => {
                let message = format!("only numbers can be ranged over, not {}", other.describe());
                return Err(Fault::new(offset, message));
            }
        };
        if count <= 0 {
            // A break there leaves this range, though it does not loop; a continue is for the one
            // around it.
            let flow = self.walk(&range.otherwise, dot)?;
            return Ok(if flow == Flow::Break {
                Flow::Done
            } else {
                flow
            });
        }
        let scope = self.variables.len();
        for item in 0..count {
            let item = match (&over, u8::try_from(item)) {
                (Value::Byte(_), Ok(item)) => Value::Byte(item),
                _ => Value::Int(item),
            };
            self.spend(offset, 1)?;
            if let Some(variable) = &range.over.variable {
                self.set(&variable.name, item.clone(), offset)?;
            }
            let flow = self.walk(&range.body, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Done)
    }

    fn pipeline(&mut self, pipeline: &'t Pipeline, dot: &Value) -> Result<Value, Fault> {
        let mut value = self.expression(&pipeline.first, dot)?;
        for call in &pipeline.calls {
            value = self.call(call, Some(value), dot)?;
        }
        match &pipeline.variable {
            None => {}
            Some(Variable {
                name,
                declared: true,
            }) => self.variables.push((name, value.clone())),
            Some(Variable {
                name,
                declared: false,
            }) => {
                self.set(name, value.clone(), pipeline.offset)?;
            }
        }
        Ok(value)
    }

    fn expression(&mut self, expression: &'t Expression, dot: &Value) -> Result<Value, Fault> {
        let offset = expression.offset;
        let value = match &expression.kind {
            ExpressionKind::Literal(value) => value.clone(),
            ExpressionKind::Dot => dot.clone(),
            ExpressionKind::Variable(name) => self.get(name, offset)?.clone(),
            ExpressionKind::Fields(of, names) => {
                let of = self.expression(of, dot)?;
                let value = names.iter().try_fold(of, |of, name| field(&of, name));
                value.map_err(|why| Fault::new(offset, why))?
            }
            ExpressionKind::Call(call) => self.call(call, None, dot)?,
            ExpressionKind::Parenthesized(pipeline) => self.pipeline(pipeline, dot)?,
        };
        self.spend(offset, value.size())?;
        Ok(value)
    }

    fn call(&mut self, call: &'t Call, piped: Option<Value>, dot: &Value) -> Result<Value, Fault> {
        let body = match call.function.body {
            Body::Plain(body) => body,
            Body::ShortCircuit(decisive) => {
                let mut value = Value::Nil;
                for argument in &call.arguments {
                    value = self.expression(argument, dot)?;
                    if value.is_true() == decisive {
                        return Ok(value);
                    }
                }
                return Ok(piped.unwrap_or(value));
            }
        };
        let mut values = Vec::with_capacity(call.arguments.len() + 1);
        for argument in &call.arguments {
            values.push(self.expression(argument, dot)?);
        }
        values.extend(piped);
        let value = body(&mut Arguments::new(values, &mut self.surroundings))
            .and_then(|value| check_length(value.size()).map(|()| value))
            .map_err(|why| Fault::new(call.offset, format!("{}: {why}", call.function.name)))?;
        self.spend(call.offset, value.size())?;
        Ok(value)
    }

    fn get(&mut self, name: &str, offset: usize) -> Result<&mut Value, Fault> {
        self.spend(offset, self.variables.len())?;
        // The parser knows only declared names, but `and` and `or` may have passed over one.
        self.variables
            .iter_mut()
            .rev()
            .find_map(|(known, value)| (*known == name).then_some(value))
            .ok_or_else(|| Fault::new(offset, format!("undefined variable {name}")))
    }

    fn set(&mut self, name: &str, value: Value, offset: usize) -> Result<(), Fault> {
        *self.get(name, offset)? = value;
        Ok(())
    }

    /// Every step costs something, also where no byte is handled.
    fn spend(&mut self, offset: usize, bytes: usize) -> Result<(), Fault> {
        let spent = self.surroundings.budget.spend(bytes + 1);
        spent.map_err(|why| Fault::new(offset, why))
    }

    fn check_output(&self, offset: usize) -> Result<(), Fault> {
        check_length(self.output.len()).map_err(|why| Fault::new(offset, why))
    }
}

fn field(of: &Value, name: &str) -> Result<Value, String> {
    let Value::Struct(fields) = of else {
        return Err(format!("no field .{name} in {}", of.describe()));
    };
    if let Some(text) = fields.find(name) {
        return Ok(Value::Text(text.clone()));
    }
    let known: Vec<_> = fields.iter().map(|(name, _)| format!(".{name}")).collect();
    Err(format!(
        "no field .{name}: the fields are {}",
        known.join(", ")
    ))
}
