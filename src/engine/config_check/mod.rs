//! `config/check`: whether the root works, field by field.
//!
//! It changes nothing, and no secret leaves it. First AWS is asked who we are, then what that
//! principal may do, as far as the roles that exist make use of it.

mod answer;
mod looks;
mod permissions;
mod principal;
mod simulations;
#[cfg(test)]
mod tests;
mod uses;
mod verdict;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use futures_util::join;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use self::answer::{RESPONSE, Report};
use self::principal::{Kind, Principal};
use self::uses::Uses;
use super::Engine;
use super::clients::root_config::RootConfig;
use super::clients::{Connected, StsAnswer};
use super::error::explain;
use super::rotate_root::Failures;
use crate::aws::limit::Class;
use crate::aws::{self, AccessKeyMetadata, ErrorKind, Iam as _, User, UserName};
use crate::caller::Caller;
use crate::framework::{Answer, FieldData, OperationDocs, Path, PathDocs};
use crate::go_duration::GoDuration;
use crate::logical::{Error, Operation, Request, Response};

/// By which it is seen whether the services take our credentials.
const ASKED_OF_STS: &str = "sts:GetCallerIdentity";
const ASKED_OF_IAM: &str = "iam:GetUser";

/// From here on a difference of the clocks is worth a word: AWS refuses what is five minutes off.
const CLOCKS_DIFFER: time::Duration = time::Duration::MINUTE;
/// What the way and the form of a date explain.
const CLOCKS_AGREE: time::Duration = time::Duration::seconds(3);

pub(super) fn path() -> Path<Engine> {
    Path::new("config/check")
        .on_with(
            Operation::Read,
            OperationDocs {
                suffix: "root-iam-credentials-check",
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            read,
        )
        .docs(PathDocs {
            synopsis: "Check whether the engine's own credentials work, and what they may do.",
            description: "Asks AWS who the engine is and how its clock stands, looks at the age of \
                the access key, and asks for each feature that the roles make use of whether the \
                permissions are there: of iam:SimulatePrincipalPolicy, or where that is not granted, \
                by a harmless read. `problems` names the fields in which something is to be done; \
                what is missing is named as in docs/permissions.md. It changes nothing: sessions that \
                it opens, to see whether AWS gives them, may do nothing and are thrown away.",
            operation_suffix: "",
        })
}

async fn read(engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    let (engine, storage, caller) = (&*engine, &*request.storage, &request.caller);
    let clients = engine.clients.get(storage).await?;
    let root = &clients.root;
    // Whose access key it is, where that is not who we are.
    let of_key = (root.has_access_key() && !root.assume_role_arn.is_empty())
        .then(|| engine.clients.connect(root.clone().without_role()))
        .transpose()?;
    let of_key = async {
        match &of_key {
            Some(of_key) => Some((of_key, ask_iam(of_key, caller).await)),
            None => None,
        }
    };
    let (uses, sts, iam, of_key) = join!(
        Uses::of(storage),
        clients.every_sts(caller),
        ask_iam(&clients, caller),
        of_key
    );
    let uses = uses?;
    let mut report = Report::default();
    tell_services(&mut report, &sts, &iam);
    tell_clocks(&mut report, engine.clock.now(), &sts, &iam);
    let principal = principal(&sts, &iam);
    tell_principal(&mut report, root, principal.as_ref(), &sts);
    // Whose key is rotated, and the way to IAM as it.
    let of_the_key = match &of_key {
        _ if !root.has_access_key() => None,
        Some((of_key, answer)) => {
            let user = answer.answer.as_ref().ok();
            Some((*of_key, user.map(|user| Principal::of(user.arn.clone()))))
        }
        None => Some((&*clients, principal.clone())),
    };
    let key = async {
        let (clients, holder) = of_the_key.as_ref()?;
        Some(list_keys(clients, holder.as_ref(), caller).await)
    };
    let asked = permissions::Asked {
        engine,
        storage,
        caller,
        clients: &clients,
        uses: &uses,
        principal: principal.as_ref(),
        key_holder: of_the_key
            .as_ref()
            .and_then(|(clients, holder)| Some((*clients, holder.as_ref()?))),
    };
    let (keys, permissions) = join!(key, permissions::look(&asked));
    tell_keys(&mut report, root, keys, engine.clock.now());
    tell_rotation(&mut report, engine, &request, root).await?;
    report.tell("roles", uses.told());
    permissions.tell(&mut report);
    Ok(Some(Response::data(report.into_data())))
}

/// What IAM answers when it is asked who we are.
struct IamAnswer {
    /// The way to it.
    road: String,
    took: Duration,
    answer: Result<User, aws::Error>,
}

impl IamAnswer {
    /// Whether it takes our credentials, whatever it says of the question.
    fn takes_us(&self) -> bool {
        match &self.answer {
            Ok(_) => true,
            Err(error) => {
                is_answer(error, ASKED_OF_IAM) && error.kind() != ErrorKind::InvalidCredentials
            }
        }
    }
}

/// Whether AWS itself has said this, and of this call: credentials may be had by another one.
fn is_answer(error: &aws::Error, asked: &str) -> bool {
    error.operation() == asked && error.code().is_some() && error.kind() != ErrorKind::Throttled
}

async fn ask_iam(clients: &Connected, caller: &Caller) -> IamAnswer {
    let iam = clients
        .iam
        .for_request(Class::Background, caller)
        .beginning();
    let began = Instant::now();
    let answer = iam.get_user(None).await;
    IamAnswer {
        road: clients.iam.road().to_string(),
        took: began.elapsed(),
        answer,
    }
}

/// Who we are, by STS or else by IAM.
fn principal(sts: &[StsAnswer], iam: &IamAnswer) -> Option<Principal> {
    let of_sts = sts.iter().find_map(|sts| sts.answer.as_ref().ok());
    let arn =
        of_sts
            .map(|identity| &identity.arn)
            .or(iam.answer.as_ref().ok().map(|user| &user.arn))?;
    Some(Principal::of(arn.clone()))
}

fn tell_services(report: &mut Report, sts: &[StsAnswer], iam: &IamAnswer) {
    let each: Vec<_> = sts
        .iter()
        .map(|sts| answered(&sts.road, sts.took, ASKED_OF_STS, sts.answer.as_ref().err()))
        .collect();
    report.tell("sts", each.join("; "));
    report.is_problem("sts", sts.iter().any(|sts| sts.answer.is_err()));
    let refusal = iam.answer.as_ref().err().filter(|_| !iam.takes_us());
    report.tell("iam", answered(&iam.road, iam.took, ASKED_OF_IAM, refusal));
    report.is_problem("iam", refusal.is_some());
}

fn answered(road: &str, took: Duration, asked: &str, error: Option<&aws::Error>) -> String {
    let ms = took.as_millis();
    match error {
        None => format!("{road} answered in {ms} ms"),
        Some(error) if is_answer(error, asked) => {
            format!("{road} answered in {ms} ms and refuses: {}", explain(error))
        }
        Some(error) if error.operation() != asked || error.kind() == ErrorKind::NoCredentials => {
            format!("{road} was not asked: {}", explain(error))
        }
        Some(error) => format!("{road} did not answer in {ms} ms: {}", explain(error)),
    }
}

fn tell_clocks(report: &mut Report, now: OffsetDateTime, sts: &[StsAnswer], iam: &IamAnswer) {
    let of_sts = sts.iter().find_map(|sts| {
        let told = match &sts.answer {
            Ok(identity) => identity.aws_time,
            Err(error) => error.aws_time(),
        };
        Some(told? - (now - sts.answered.elapsed()))
    });
    let of_iam = || iam.answer.as_ref().err()?.aws_time().map(|told| told - now);
    let Some(difference) = of_sts.or_else(of_iam) else {
        return;
    };
    let rounded = difference.abs() + time::Duration::milliseconds(500);
    let apart = GoDuration(Duration::from_secs(rounded.whole_seconds().unsigned_abs()));
    let told = match difference {
        _ if difference.abs() <= CLOCKS_AGREE => "none".to_owned(),
        _ if difference.is_positive() => format!("the server's clock is {apart} behind AWS's"),
        _ => format!("the server's clock is {apart} ahead of AWS's"),
    };
    let differ = difference.abs() >= CLOCKS_DIFFER;
    let step = if differ {
        ": correct it, AWS refuses what is signed five minutes off"
    } else {
        ""
    };
    report.tell("clock_difference", format!("{told}{step}"));
    report.is_problem("clock_difference", differ);
}

fn tell_principal(
    report: &mut Report,
    root: &RootConfig,
    principal: Option<&Principal>,
    sts: &[StsAnswer],
) {
    if let Some(principal) = principal {
        report.tell("account", principal.arn.account());
        report.tell("arn", principal.arn.as_str());
        report.tell("kind", principal.kind.as_str());
    }
    let found = sts.iter().find_map(|sts| match &sts.answer {
        Ok(identity) => identity.credentials_from,
        Err(error) => error.credentials_from(),
    });
    let mut from = if root.is_keyless() {
        format!(
            "a token that this mount signs, with the role {}",
            root.role_arn
        )
    } else if !root.identity_token_audience.is_empty() {
        format!(
            "an identity token of the server, with the role {}",
            root.role_arn
        )
    } else if root.has_access_key() {
        "access_key of config/root".to_owned()
    } else {
        found.unwrap_or("the server's environment").to_owned()
    };
    if !root.assume_role_arn.is_empty() {
        from = format!("{from}, which assumes {}", root.assume_role_arn);
    }
    report.tell("credentials", from);
}

/// The keys of whoever the access key belongs to.
async fn list_keys(
    clients: &Connected,
    holder: Option<&Principal>,
    caller: &Caller,
) -> Result<Vec<AccessKeyMetadata>, String> {
    let Some(holder) = holder else {
        return Err("not known: AWS does not say whose access_key is".to_owned());
    };
    let Kind::IamUser { name } = &holder.kind else {
        return Err(format!(
            "not known: it is the key of a {}",
            holder.kind.as_str()
        ));
    };
    let name = UserName::new(name).map_err(|error| error.to_string())?;
    let iam = clients.iam.for_request(Class::Background, caller);
    let listed = iam.list_access_keys(&name).await;
    listed.map_err(|error| format!("not known: {}", explain(&error)))
}

fn tell_keys(
    report: &mut Report,
    root: &RootConfig,
    keys: Option<Result<Vec<AccessKeyMetadata>, String>>,
    now: OffsetDateTime,
) {
    let Some(keys) = keys else {
        return;
    };
    report.tell("access_key", root.access_key.as_str());
    let keys = match keys {
        Ok(keys) => keys,
        Err(why) => return report.tell("access_key_age", why),
    };
    report.tell("access_keys", keys.len());
    let ours = |key: &&AccessKeyMetadata| key.access_key_id.as_str() == root.access_key;
    if let Some(key) = keys.iter().find(ours) {
        report.tell_time("access_key_create_date", Some(key.create_date));
        report.tell("access_key_age", age(now - key.create_date));
    }
    let is_rotated = root.plan(now).is_some();
    report.is_problem("access_keys", is_rotated && keys.len() > 1);
}

/// In days, where there are some.
fn age(age: time::Duration) -> String {
    const DAYS: i64 = 2;
    if age.whole_days() >= DAYS {
        return format!("{}d", age.whole_days());
    }
    let seconds = age.whole_seconds().try_into().unwrap_or_default();
    GoDuration(Duration::from_secs(seconds)).to_string()
}

async fn tell_rotation(
    report: &mut Report,
    engine: &Engine,
    request: &Request,
    root: &RootConfig,
) -> Result<(), Error> {
    let planned = root.plan(engine.clock.now()).is_some();
    let told = match root.next_rotation {
        _ if root.is_keyless() => "the signing key, by itself".to_owned(),
        _ if !root.has_access_key() => "there is no access_key to rotate".to_owned(),
        _ if root.disable_automated_rotation => {
            "by hand: disable_automated_rotation is set".to_owned()
        }
        _ if !planned => "by hand: no rotation_period and no rotation_schedule".to_owned(),
        None => "by the server's rotation manager".to_owned(),
        Some(_) if root.rotation_schedule.is_empty() => {
            format!("every {}", GoDuration(root.rotation_period))
        }
        Some(_) => format!("at {} (UTC)", root.rotation_schedule),
    };
    report.tell("rotation", told);
    report.tell_time("last_vault_rotation", root.rotated_at);
    report.tell_time("next_vault_rotation", root.next_rotation);
    if let Some(due) = root.next_rotation {
        let failures = Failures::of(&*request.storage, due).await?;
        if !failures.last_error.is_empty() {
            report.tell("last_rotation_error", Value::from(failures.last_error));
            report.is_problem("last_rotation_error", true);
        }
    }
    Ok(())
}
