//! What nobody can judge but AWS itself: a session is opened as a client would get it, but for one
//! that may do nothing, and thrown away; users and groups are looked at.

use std::time::Duration;

use futures_util::future::join_all;

use super::principal::Principal;
use super::simulations::Simulator;
use super::uses::Uses;
use super::verdict::Verdict;
use super::wanted::{Feature, Wishes};
use crate::aws::limit::LimitedIam;
use crate::aws::{
    Arn, AssumeRole, ErrorKind, FederatedUserName, GetFederationToken, GroupName, Iam as _,
    RoleSessionName, Tag, User, UserName,
};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::clients::Connected;
use crate::engine::error::explain;
use crate::engine::roles::{self, CredentialType, RoleRecord};
use crate::engine::static_roles::LookedAt;
use crate::logical::Storage;

/// How many of a kind AWS is asked about one by one.
const MOST: usize = 5;

const SESSION: &str = "vault-config-check";
/// AWS's shortest.
const SHORTEST: Duration = Duration::from_mins(15);
const NOTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// Asks AWS for a session of each role that roles of ours name.
pub(super) async fn assumed_role(
    clients: &Connected,
    uses: &Uses,
    caller: &Caller,
) -> Option<Verdict> {
    let mut asked: Vec<(String, String, Vec<Tag>)> = Vec::new();
    for (_, role) in uses.of_type(CredentialType::AssumedRole) {
        for arn in role.role_arns() {
            let tags = roles::tags(role.session_tags.as_ref());
            let one = (arn.clone(), role.external_id.clone(), tags);
            if !asked.contains(&one) {
                asked.push(one);
            }
        }
    }
    if asked.is_empty() {
        return None;
    }
    let sts = match clients.sts(caller).await {
        Ok(sts) => sts,
        Err(error) => return Some(Verdict::bad(error.to_string())),
    };
    let all = asked.len();
    let answers = asked.into_iter().take(MOST).map(async |(arn, external_id, tags)| {
        let (Ok(role_arn), Ok(name)) = (Arn::of_any_service(&arn), RoleSessionName::new(SESSION))
        else {
            return Some(format!("role_arns: {arn} is not the ARN of a role"));
        };
        let opened = sts.assume_role(AssumeRole {
            duration: Some(SHORTEST),
            policy: Some(NOTHING.to_owned()),
            external_id: (!external_id.is_empty()).then_some(external_id),
            tags,
            ..AssumeRole::new(role_arn, name)
        });
        let error = opened.await.err()?;
        Some(if error.kind() == ErrorKind::Denied {
            let action = match error.message() {
                text if text.contains("sts:TagSession") => "sts:TagSession",
                _ => "sts:AssumeRole",
            };
            format!(
                "missing {action} of AssumeTheseRoles on {arn}, or its trust policy does not let the engine in: {error}"
            )
        } else {
            format!("{arn}: {}", explain(&error))
        })
    });
    let failed: Vec<_> = join_all(answers).await.into_iter().flatten().collect();
    Some(told("AWS gives sessions of", "role_arns", all, &failed))
}

/// Asks AWS for a federation token.
pub(super) async fn federation_token(
    clients: &Connected,
    principal: &Principal,
    uses: &Uses,
    caller: &Caller,
) -> Option<Verdict> {
    uses.of_type(CredentialType::FederationToken).next()?;
    if !principal.is_user() {
        return Some(for_users_only(principal, CredentialType::FederationToken));
    }
    let sts = match clients.sts(caller).await {
        Ok(sts) => sts,
        Err(error) => return Some(Verdict::bad(error.to_string())),
    };
    let name = FederatedUserName::new(SESSION).ok()?;
    let opened = sts.get_federation_token(GetFederationToken {
        duration: Some(SHORTEST),
        policy: Some(NOTHING.to_owned()),
        ..GetFederationToken::new(name)
    });
    Some(match opened.await {
        Ok(_) => Verdict::good("granted"),
        Err(error) if error.kind() == ErrorKind::Denied => Verdict::bad(format!(
            "missing sts:GetFederationToken of FederateItself: {error}"
        )),
        Err(error) => Verdict::bad(explain(&error)),
    })
}

/// No permission is needed, and no role's session gets one.
pub(super) fn session_token(principal: &Principal, uses: &Uses) -> Option<Verdict> {
    uses.of_type(CredentialType::SessionToken).next()?;
    Some(if principal.is_user() {
        Verdict::good("granted: AWS asks for no permission")
    } else {
        for_users_only(principal, CredentialType::SessionToken)
    })
}

fn for_users_only(principal: &Principal, of: CredentialType) -> Verdict {
    Verdict::bad(format!(
        "AWS gives a {} to IAM users only, and the engine is a {}: assumed_role works",
        of.as_str(),
        principal.kind.as_str()
    ))
}

/// Looks at the users of static roles in the engine's own account; adds what is wanted of them.
pub(super) async fn static_roles(
    engine: &Engine,
    storage: &dyn Storage,
    uses: &Uses,
    caller: &Caller,
    wishes: &mut Wishes,
) -> Option<Verdict> {
    let own = |role: &&LookedAt| role.assume_role_arn().is_none();
    let all = uses.static_roles.iter().filter(own).count();
    if all == 0 {
        return None;
    }
    let looks = uses.static_roles.iter().filter(own).take(MOST);
    let looks = looks.map(async |role| (role, role.find(engine, storage, caller).await));
    let mut failed = Vec::new();
    for (role, found) in join_all(looks).await {
        match found.map(|found| found.user) {
            Ok(Ok(user)) => wishes.add_static_role(Feature::StaticRoles, &user.arn),
            Ok(Err(error)) if error.kind() == ErrorKind::Denied => failed.push(format!(
                "missing iam:GetUser of RotateTheKeysOfTheseUsers on user {}",
                role.user_name()
            )),
            Ok(Err(error)) => failed.push(of_role(role, &explain(&error))),
            Err(error) => failed.push(of_role(role, &error.to_string())),
        }
    }
    Some(told("AWS knows the users of", "static roles", all, &failed))
}

/// Enters the accounts of static roles that are in another one, and looks at their users.
pub(super) async fn static_roles_cross_account(
    engine: &Engine,
    storage: &dyn Storage,
    uses: &Uses,
    caller: &Caller,
) -> Option<Verdict> {
    let abroad = |role: &&LookedAt| role.assume_role_arn().is_some();
    let all = uses.static_roles.iter().filter(abroad).count();
    if all == 0 {
        return None;
    }
    let looks = uses.static_roles.iter().filter(abroad).take(MOST);
    let looks = looks.map(async |role| {
        let found = match role.find(engine, storage, caller).await {
            Ok(found) => found,
            Err(error) => return Some(of_role(role, &error.to_string())),
        };
        let entered = role.assume_role_arn()?;
        match &found.user {
            Ok(user) => missing_abroad(found.iam(), &entered, user).await,
            Err(error) if error.operation() == "sts:AssumeRole" => Some(format!(
                "missing sts:AssumeRole of EnterTheOtherAccount on {entered}, or its trust policy does not let the engine in: {error}"
            )),
            Err(error) if error.kind() == ErrorKind::Denied => Some(format!(
                "missing iam:GetUser of RotateTheKeysOfTheseUsers for {entered} on user {}",
                role.user_name()
            )),
            Err(error) => Some(of_role(role, &explain(error))),
        }
    });
    let failed: Vec<_> = join_all(looks).await.into_iter().flatten().collect();
    Some(told("AWS knows the users of", "static roles", all, &failed))
}

/// What the role by which the account was entered lacks, if it may ask.
async fn missing_abroad(iam: &LimitedIam, entered: &Arn, user: &User) -> Option<String> {
    let mut wishes = Wishes::default();
    wishes.add_static_role(Feature::StaticRolesCrossAccount, &user.arn);
    let simulator = Simulator {
        iam: iam.finishing(),
        source: entered.clone(),
        user_name: None,
    };
    let judgements = simulator.judge(&wishes.all).await.ok()?;
    let judged: Vec<_> = wishes.all.iter().zip(&judgements).collect();
    let verdict = Verdict::of(&judged);
    verdict
        .is_problem
        .then(|| format!("{} for {entered}", verdict.text))
}

/// What a harmless read says of users that the engine makes, without a judge.
pub(super) async fn read_a_user(iam: &LimitedIam, name: &UserName) -> Verdict {
    let answer = iam.get_user(Some(name)).await;
    Verdict::of_read(("iam:GetUser", "RemoveThem"), &answer)
}

/// What a harmless read says of the groups that narrow sessions, without a judge.
pub(super) async fn read_groups(iam: &LimitedIam, uses: &Uses) -> Option<Verdict> {
    let mut names: Vec<_> = uses
        .by_groups()
        .flat_map(RoleRecord::iam_groups)
        .filter_map(|name| GroupName::new(name).ok())
        .collect();
    names.sort_unstable();
    names.dedup();
    let reads = names.iter().take(MOST).map(async |name| {
        let answer = iam.list_attached_group_policies(name).await;
        let of = format!("ReadTheGroupsPolicies on group/{name}");
        Verdict::of_read(("iam:ListAttachedGroupPolicies", &of), &answer)
    });
    join_all(reads).await.into_iter().reduce(Verdict::and)
}

fn of_role(role: &LookedAt, text: &str) -> String {
    format!("static role {}: {text}", role.name())
}

/// What some looks of all that there could be come to.
fn told(what: &str, of: &str, all: usize, failed: &[String]) -> Verdict {
    if !failed.is_empty() {
        return Verdict::bad(failed.join("; "));
    }
    Verdict::good(if all > MOST {
        format!("granted: {what} the first {MOST} of {all} {of}")
    } else {
        format!("granted: {what} {all} {of}")
    })
}
