//! What is told of a feature.

use super::simulations::Judgement;
use super::wanted::Wanted;
use crate::aws::{self, ErrorKind};
use crate::engine::error::explain;

/// What is told of a feature, and whether somebody has to do something about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) text: String,
    pub(super) is_problem: bool,
}

impl Verdict {
    pub(super) fn good(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_problem: false,
        }
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_problem: true,
        }
    }

    /// Both, one after the other.
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        let Self { text, is_problem } = other;
        Self {
            text: format!("{}; {text}", self.text),
            is_problem: self.is_problem || is_problem,
        }
    }

    /// What the judgements of a feature come to.
    pub(super) fn of(judged: &[(&Wanted, &Judgement)]) -> Self {
        let mut missing = Groups::default();
        let mut left_out = Groups::default();
        let mut depends = Groups::default();
        let mut unknown = 0;
        for (wanted, judgement) in judged {
            let on = wanted.on.as_ref();
            let on = on.map_or_else(String::new, |on| format!(" on {on}"));
            let place = format!("of {}{on}", wanted.statement);
            match judgement {
                Judgement::Granted => {}
                Judgement::Missing(why) => {
                    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                    let groups = if wanted.may_be_left_out {
                        &mut left_out
                    } else {
                        &mut missing
                    };
                    groups.add(wanted.action, format!("{place}{why}"));
                }
                Judgement::DependsOn(keys) => {
                    depends.add(wanted.action, format!("{place} on {}", keys.join(", ")));
                }
                Judgement::Unknown => unknown += 1,
            }
        }
        let is_problem = !missing.0.is_empty();
        let mut parts = Vec::new();
        if is_problem {
            parts.push(format!("missing {missing}"));
        } else if depends.0.is_empty() && unknown == 0 {
            parts.push("granted".to_owned());
        }
        if !depends.0.is_empty() {
            parts.push(format!(
                "nobody knows before the request whether it has {depends}"
            ));
        }
        if unknown > 0 {
            parts.push(format!("{unknown} more were not asked about"));
        }
        if !left_out.0.is_empty() {
            parts.push(format!("without {left_out}, which may be left out"));
        }
        Self {
            text: parts.join("; "),
            is_problem,
        }
    }

    /// What a harmless read says, where nobody judges the rest. AWS looks at permissions first, so
    /// what does not exist may be read.
    pub(super) fn of_read<T>(
        (action, statement): (&str, &str),
        answer: &Result<T, aws::Error>,
    ) -> Self {
        const REST: &str = "the rest is not known without iam:SimulatePrincipalPolicy";
        match answer {
            Err(error) if error.kind() == ErrorKind::Denied => {
                Self::bad(format!("missing {action} of {statement}; {REST}"))
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Self::bad(format!("{action}: {}", explain(error)))
            }
            _ => Self::good(format!("{action} of {statement} is granted; {REST}")),
        }
    }
}

/// Actions by what they have in common, in the order in which they came.
#[derive(Debug, Default)]
struct Groups(Vec<(String, Vec<&'static str>)>);

impl Groups {
    fn add(&mut self, action: &'static str, place: String) {
        let known = self.0.iter_mut().find(|(known, _)| *known == place);
        match known {
            Some((_, actions)) if actions.contains(&action) => {}
            Some((_, actions)) => actions.push(action),
            None => self.0.push((place, vec![action])),
        }
    }
}

impl std::fmt::Display for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (place, actions)) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { ", " };
            write!(f, "{between}{} {place}", actions.join(", "))?;
        }
        Ok(())
    }
}
