//! What IAM's policy simulator says of permissions, asked in as few questions as it takes.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::wanted::Wanted;
use crate::aws::limit::LimitedIam;
use crate::aws::{self, Arn, ContextEntry, Decision, Iam as _, SimulatePrincipalPolicy, Simulated};

/// The most questions at once. Only roles with many different boundaries and policies take as many.
const MOST_QUESTIONS: usize = 10;

/// What is known of a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Granted,
    /// Why, where it is more than that nothing grants it.
    Missing(Option<&'static str>),
    /// On what nobody knows before the request.
    DependsOn(Vec<String>),
    /// Nobody said.
    Unknown,
}

/// Whose policies count, and who is asked about them.
pub(super) struct Simulator {
    pub(super) iam: LimitedIam,
    pub(super) source: Arn,
    /// Of an IAM user, for policies with `${aws:username}`.
    pub(super) user_name: Option<String>,
}

impl Simulator {
    /// A judgement for each permission, or why there is none.
    pub(super) async fn judge(&self, wanted: &[Wanted]) -> Result<Vec<Judgement>, aws::Error> {
        let questions = self.questions(wanted);
        let asked = questions
            .iter()
            .take(MOST_QUESTIONS)
            .map(|question| self.iam.simulate_principal_policy(question));
        let mut answers = Vec::new();
        for (question, answer) in questions.iter().zip(join_all(asked).await) {
            answers.push((question, answer?));
        }
        let judgement = |wanted: &Wanted| {
            let context = self.context(wanted);
            let mut said = answers
                .iter()
                .filter(|(question, _)| question.context == context);
            let found = said.find_map(|(_, answer)| answer.iter().find(|one| is_of(one, wanted)));
            found.map_or(Judgement::Unknown, judged)
        };
        Ok(wanted.iter().map(judgement).collect())
    }

    /// One for each kind of resource and context: AWS takes no others together.
    fn questions(&self, wanted: &[Wanted]) -> Vec<SimulatePrincipalPolicy> {
        let mut questions: BTreeMap<_, SimulatePrincipalPolicy> = BTreeMap::new();
        let mut order = Vec::new();
        for one in wanted {
            let context = self.context(one);
            let kind = one.resource.split('/').next().unwrap_or_default();
            let key = (kind, context.clone());
            let question = questions.entry(key.clone()).or_insert_with(|| {
                order.push(key);
                SimulatePrincipalPolicy {
                    policy_source_arn: self.source.clone(),
                    action_names: Vec::new(),
                    resource_arns: Vec::new(),
                    context,
                }
            });
            if !question.action_names.iter().any(|name| name == one.action) {
                question.action_names.push(one.action.to_owned());
            }
            if !question.resource_arns.contains(&one.resource) {
                question.resource_arns.push(one.resource.clone());
            }
        }
        let in_order = order.into_iter();
        in_order.filter_map(|key| questions.remove(&key)).collect()
    }

    fn context(&self, wanted: &Wanted) -> Vec<ContextEntry> {
        let user_name = self.user_name.as_ref();
        let of_user = user_name.map(|name| ContextEntry::new("aws:username", name));
        wanted.context.iter().cloned().chain(of_user).collect()
    }
}

fn is_of(simulated: &Simulated, wanted: &Wanted) -> bool {
    simulated.action.eq_ignore_ascii_case(wanted.action) && simulated.resource == wanted.resource
}

fn judged(simulated: &Simulated) -> Judgement {
    match simulated.decision {
        Decision::Allowed => Judgement::Granted,
        _ if simulated.organization_forbids => {
            Judgement::Missing(Some("a policy of the organization forbids it"))
        }
        _ if simulated.boundary_forbids => Judgement::Missing(Some(
            "the permissions boundary of the engine's own identity forbids it",
        )),
        Decision::ExplicitDeny => Judgement::Missing(Some("a statement denies it")),
        // The request will not have it: what a role sets is told.
        Decision::ImplicitDeny if simulated.asks_for("iam:PermissionsBoundary") => {
            Judgement::Missing(Some(
                "a condition asks for permissions_boundary_arn, which a role leaves out",
            ))
        }
        Decision::ImplicitDeny if !simulated.missing_context.is_empty() => {
            Judgement::DependsOn(simulated.missing_context.clone())
        }
        Decision::ImplicitDeny => Judgement::Missing(None),
    }
}

impl Simulated {
    fn asks_for(&self, key: &str) -> bool {
        let mut keys = self.missing_context.iter();
        keys.any(|missing| missing.eq_ignore_ascii_case(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulated(decision: Decision) -> Simulated {
        Simulated {
            action: "iam:GetUser".to_owned(),
            resource: "arn:aws:iam::111122223333:user/u".to_owned(),
            decision,
            missing_context: Vec::new(),
            organization_forbids: false,
            boundary_forbids: false,
        }
    }

    #[test]
    fn who_forbids_is_told_apart_from_nobody_who_grants() {
        let denied = simulated(Decision::ImplicitDeny);
        let of_organization = Simulated {
            organization_forbids: true,
            ..denied.clone()
        };
        let of_boundary = Simulated {
            boundary_forbids: true,
            ..denied.clone()
        };
        let of_network = Simulated {
            missing_context: vec!["aws:SourceIp".to_owned()],
            ..denied.clone()
        };
        assert_eq!(judged(&simulated(Decision::Allowed)), Judgement::Granted);
        assert_eq!(judged(&denied), Judgement::Missing(None));
        for (one, part) in [
            (of_organization, "organization"),
            (of_boundary, "boundary"),
            (simulated(Decision::ExplicitDeny), "statement"),
        ] {
            match judged(&one) {
                Judgement::Missing(Some(why)) => assert!(why.contains(part), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        let depends = Judgement::DependsOn(vec!["aws:SourceIp".to_owned()]);
        assert_eq!(judged(&of_network), depends);
    }
}
