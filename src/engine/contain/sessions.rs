//! Sessions that a role has given: which of them are ended, and which live on.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::aws::Arn;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::roles::{CredentialType, RoleName, RoleRecord};
use crate::engine::sessions;
use crate::engine::stored::date_time;
use crate::go_duration::GoDuration;
use crate::logical::{Error, Storage};

/// What became of sessions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// What is to be known, a sentence for each AWS role or kind of session.
    pub(super) sentences: Vec<String>,
    /// Whether something has to be tried again.
    pub(super) failed: bool,
}

/// Ends all sessions of this role that were issued before then, as far as AWS has a way to; of AWS roles
/// that are in `done` they are ended already.
pub(super) async fn end_issued_before(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    (name, role): (&RoleName, &RoleRecord),
    before: OffsetDateTime,
    done: &mut BTreeSet<String>,
) -> Result<Told, Error> {
    let mut told = Told::default();
    let kinds = role.types();
    let mut holders: Vec<Result<Arn, String>> = Vec::new();
    if kinds.contains(&CredentialType::AssumedRole) {
        let arns = role.role_arns().iter();
        holders.extend(arns.map(|arn| Arn::new(arn).map_err(|error| format!("{arn}: {error}"))));
    }
    if kinds.contains(&CredentialType::FederationToken) {
        let clients = engine.clients.get(storage).await?;
        let user = clients.caller(caller).await.map(|identity| identity.arn);
        holders.push(user.ok_or_else(|| {
            "the engine's own user: AWS does not tell at the moment who that is".to_owned()
        }));
    }
    let time = date_time(before);
    for holder in holders {
        // Many roles of ours may lead to one of AWS.
        if let Ok(arn) = &holder
            && !done.insert(arn.to_string())
        {
            continue;
        }
        let (whose, ended) = match holder {
            Ok(arn) => {
                let ended =
                    sessions::end_all_issued_before(engine, storage, caller, &arn, before).await;
                (arn.to_string(), ended.map_err(|error| error.to_string()))
            }
            Err(reason) => (name.to_string(), Err(reason)),
        };
        told.sentences.push(match ended {
            Ok(()) => format!(
                "sessions of {whose} that were opened until {time}, whoever opened them, are denied everything from now on: AWS takes some seconds, at times longer"
            ),
            Err(error) => {
                told.failed = true;
                format!("sessions of {whose} are not ended yet, and it is tried again: {error}")
            }
        });
    }
    told.sentences.extend(living_on(name, role));
    Ok(told)
}

/// What will become of them, without doing anything.
pub(super) fn outlook(name: &RoleName, role: &RoleRecord) -> Vec<String> {
    let kinds = role.types();
    let mut sentences = Vec::new();
    if kinds.contains(&CredentialType::AssumedRole) {
        sentences.push(format!(
            "of {} all sessions that were opened until now end, whoever opened them, by a policy on it: contain-status/ tells whether AWS takes that",
            role.role_arns().join(", ")
        ));
    }
    if kinds.contains(&CredentialType::FederationToken) {
        sentences.push(
            "of the engine's own user all federation tokens that were given until now end, by a policy on it: contain-status/ tells whether AWS takes that"
                .to_owned(),
        );
    }
    sentences.extend(living_on(name, role));
    sentences
}

/// Sessions of `sts:GetSessionToken` are their user itself to AWS.
fn living_on(name: &RoleName, role: &RoleRecord) -> Option<String> {
    role.types()
        .contains(&CredentialType::SessionToken)
        .then(|| {
            let longest = if role.max_sts_ttl.is_zero() {
                "the mount's maximum lease TTL".to_owned()
            } else {
                GoDuration(role.max_sts_ttl).to_string()
            };
            format!(
                "sessions that role {:?} gave as session_token cannot be ended: they live until they end by themselves, within {longest}, or until the engine's own user has no permissions or is removed",
                name.as_str()
            )
        })
}
