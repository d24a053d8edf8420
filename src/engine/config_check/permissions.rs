//! Whether the permissions are there for what the roles make use of.

use std::collections::BTreeMap;

use futures_util::join;

use super::answer::Report;
use super::looks;
use super::principal::{Kind, Principal};
use super::simulations::{Judgement, Simulator};
use super::uses::Uses;
use super::verdict::Verdict;
use super::wanted::{Feature, Wanted, Wishes};
use crate::aws::limit::{Class, LimitedIam};
use crate::aws::{self, Iam as _, UserName};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::clients::Connected;
use crate::engine::error::explain;
use crate::engine::roles::CredentialType;
use crate::logical::Storage;

/// For whom it is looked at.
pub(super) struct Asked<'a> {
    pub(super) engine: &'a Engine,
    pub(super) storage: &'a dyn Storage,
    pub(super) caller: &'a Caller,
    pub(super) clients: &'a Connected,
    pub(super) uses: &'a Uses,
    /// Who we are, if AWS takes us for anybody.
    pub(super) principal: Option<&'a Principal>,
    /// Whose the access key is, with clients that sign with it.
    pub(super) key_holder: Option<(&'a Connected, &'a Principal)>,
}

/// What is told of permissions.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    judged_by: Option<Verdict>,
    of: BTreeMap<Feature, Verdict>,
}

impl Permissions {
    pub(super) fn tell(self, report: &mut Report) {
        const JUDGED_BY: &str = "permissions_judged_by";
        let judged_by = self.judged_by.map(|verdict| (JUDGED_BY, verdict));
        let features = self
            .of
            .into_iter()
            .map(|(of, verdict)| (of.field(), verdict));
        for (field, verdict) in judged_by.into_iter().chain(features) {
            report.tell(field, verdict.text);
            report.is_problem(field, verdict.is_problem);
        }
    }

    fn put(&mut self, feature: Feature, verdict: Option<Verdict>) {
        let Some(verdict) = verdict else {
            return;
        };
        let before = self.of.remove(&feature);
        let verdict = match before {
            Some(before) => before.and(verdict),
            None => verdict,
        };
        self.of.insert(feature, verdict);
    }
}

/// Looks at all that the roles make use of.
pub(super) async fn look(asked: &Asked<'_>) -> Permissions {
    let Some(principal) = asked.principal else {
        let nobody = Verdict::good("nobody: AWS does not say who the engine is");
        return Permissions {
            judged_by: Some(nobody),
            ..Permissions::default()
        };
    };
    let (engine, storage, uses) = (asked.engine, asked.storage, asked.uses);
    let (clients, caller) = (asked.clients, asked.caller);
    let mut permissions = Permissions::default();
    let mut wishes = Wishes::default();
    let example = add_roles(asked, principal, &mut wishes);
    let users = looks::static_roles(engine, storage, uses, caller, &mut wishes).await;
    let iam = clients.iam.for_request(Class::Background, caller);
    let judged = async {
        match principal.kind {
            Kind::RootUser => Ok(vec![Judgement::Granted; wishes.all.len()]),
            _ => judge(&iam, &clients.root.role_arns(), principal, &wishes.all).await,
        }
    };
    let (judged, abroad, assumed, federated, rotation) = join!(
        judged,
        looks::static_roles_cross_account(engine, storage, uses, caller),
        looks::assumed_role(clients, uses, caller),
        looks::federation_token(clients, principal, uses, caller),
        rotation(asked),
    );
    permissions.put(Feature::StaticRolesCrossAccount, abroad);
    permissions.put(Feature::AssumedRole, assumed);
    permissions.put(Feature::FederationToken, federated);
    permissions.put(Feature::SessionToken, looks::session_token(principal, uses));
    permissions.put(Feature::RotateRoot, rotation);
    match judged {
        Ok(judgements) => {
            // What AWS itself has said of users is not said twice.
            let looked_at = users.filter(|verdict| verdict.is_problem || wishes.all.is_empty());
            permissions.put(Feature::StaticRoles, looked_at);
            let judged = wishes.all.iter().zip(&judgements);
            put_judged(&mut permissions, judged);
            if !wishes.all.is_empty() {
                permissions.judged_by = Some(Verdict::good(match principal.kind {
                    Kind::RootUser => "the account's root user may do everything",
                    _ => "iam:SimulatePrincipalPolicy",
                }));
            }
        }
        Err(why) => {
            permissions.put(Feature::StaticRoles, users);
            let (user, groups) = join!(
                async { Some(looks::read_a_user(&iam, example.as_ref()?).await) },
                looks::read_groups(&iam, uses)
            );
            permissions.put(Feature::IamUser, user);
            permissions.put(Feature::GroupPolicies, groups);
            for ended in [Feature::RevocableSessions, Feature::RevocableFederation] {
                if wishes.all.iter().any(|wanted| wanted.feature == ended) {
                    let unknown = Verdict::good("not known without iam:SimulatePrincipalPolicy");
                    permissions.put(ended, Some(unknown));
                }
            }
            if !wishes.all.is_empty() {
                permissions.judged_by = Some(Verdict::good(format!("harmless reads: {why}")));
            }
        }
    }
    permissions
}

/// What roles take, and the name of a user that one of them could make.
fn add_roles(asked: &Asked<'_>, principal: &Principal, wishes: &mut Wishes) -> Option<UserName> {
    let mut examples = BTreeMap::new();
    let mut example = None;
    for (name, role) in asked.uses.of_type(CredentialType::IamUser) {
        let names = &asked.clients.names;
        // Whoever asks for credentials is told what is wrong with the template.
        let Ok(user_name) = names.iam_user(&*asked.engine.clock, "token", name) else {
            continue;
        };
        let has_tags = role.iam_tags.as_ref().is_some_and(|tags| !tags.is_empty())
            || !asked.clients.root.owner_tag.is_empty();
        wishes.add_iam_users(
            principal,
            (role, has_tags),
            &mut examples,
            user_name.as_str(),
        );
        example.get_or_insert(user_name);
    }
    for role in asked.uses.by_groups() {
        wishes.add_group_policies(principal, role);
    }
    for (_, role) in asked.uses.of_type(CredentialType::AssumedRole) {
        if role.revocable_sessions {
            wishes.add_ended_sessions(role);
        }
    }
    let mut federated = asked.uses.of_type(CredentialType::FederationToken);
    let is_a_user = matches!(principal.kind, Kind::IamUser { .. });
    if is_a_user && federated.any(|(_, role)| role.revocable_sessions) {
        wishes.add_ended_federation(principal);
    }
    example
}

/// Whether the holder of the access key may rotate it. It is a problem where nobody does it by hand.
async fn rotation(asked: &Asked<'_>) -> Option<Verdict> {
    let (clients, holder) = asked.key_holder?;
    let Kind::IamUser { name } = &holder.kind else {
        return Some(Verdict::good(format!(
            "config/rotate-root is for the key of an IAM user, and this is one of a {}",
            holder.kind.as_str()
        )));
    };
    let mut wishes = Wishes::default();
    wishes.add_rotation(holder);
    let iam = clients.iam.for_request(Class::Background, asked.caller);
    let verdict = if let Ok(judgements) = judge(&iam, &[], holder, &wishes.all).await {
        let judged: Vec<_> = wishes.all.iter().zip(&judgements).collect();
        Verdict::of(&judged)
    } else {
        let name = UserName::new(name).ok()?;
        let answer = iam.get_user(Some(&name)).await;
        Verdict::of_read(("iam:GetUser", "RotateItsOwnKey"), &answer)
    };
    let is_automatic = clients.root.plan(asked.engine.clock.now()).is_some();
    Some(Verdict {
        is_problem: verdict.is_problem && is_automatic,
        ..verdict
    })
}

/// A judgement for each permission, or why there is none.
async fn judge(
    iam: &LimitedIam,
    assumed: &[&str],
    principal: &Principal,
    wanted: &[Wanted],
) -> Result<Vec<Judgement>, String> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let source = principal.policy_source(assumed);
    let source = source.ok_or_else(|| {
        format!(
            "iam:SimulatePrincipalPolicy has no answer for a {}",
            principal.kind.as_str()
        )
    })?;
    let user_name = match &principal.kind {
        Kind::IamUser { name } => Some(name.clone()),
        _ => None,
    };
    let simulator = Simulator {
        // Should it be silent, there is time left for a read.
        iam: iam.finishing(),
        source,
        user_name,
    };
    let judged = simulator.judge(wanted).await;
    judged.map_err(|error: aws::Error| {
        let source = &simulator.source;
        format!(
            "iam:SimulatePrincipalPolicy of {source}: {}",
            explain(&error)
        )
    })
}

fn put_judged<'a>(
    permissions: &mut Permissions,
    judged: impl Iterator<Item = (&'a Wanted, &'a Judgement)>,
) {
    let mut of: BTreeMap<Feature, Vec<_>> = BTreeMap::new();
    for (wanted, judgement) in judged {
        of.entry(wanted.feature)
            .or_default()
            .push((wanted, judgement));
    }
    for (feature, judged) in of {
        permissions.put(feature, Some(Verdict::of(&judged)));
    }
}
