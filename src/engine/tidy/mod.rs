//! `tidy`: what AWS has and nobody owns, and what is remembered and AWS does not have.
//!
//! It works within one request and remembers nothing: whatever it could not look at in its time, the
//! next request goes on with, and one that was cut off is simply asked again.

mod look;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Value, json};

use self::look::{Fate, Found, Nobodys, look};
use super::Engine;
use super::stored::date_time;
use crate::framework::{
    Answer, Field, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::logical::{JsonObject, Operation, Request, Response};

const DRY_RUN: Field<bool> = Field::new(
    "dry_run",
    "Only tell what was found, and change nothing. With false, users that carry this mount's owner_tag are removed, and records of users that AWS does not know.",
)
.default(|| true)
.label("Dry run");
const AFTER: Field<String> = Field::new(
    "after",
    "Go on after the user of this name, as the answer before said.",
)
.label("After");

/// So many of each kind are told of.
const TOLD: usize = 1000;

const RESPONSE: &[ResponseField] = &[
    ResponseField::new("dry_run", FieldType::Bool, "Whether nothing was changed"),
    ResponseField::new(
        "aws_users",
        FieldType::Int,
        "How many users the AWS account has",
    ),
    ResponseField::new(
        "users",
        FieldType::Map,
        "Users without a record, at most 1000: path, when they were made, whether they carry the owner_tag, and what becomes of them",
    ),
    ResponseField::new(
        "records",
        FieldType::Map,
        "Records of users that AWS does not know, at most 1000: role, when they were asked for, and what becomes of them",
    ),
    ResponseField::new(
        "users_removed",
        FieldType::Int,
        "How many users were removed",
    ),
    ResponseField::new(
        "records_removed",
        FieldType::Int,
        "How many records were removed",
    ),
    ResponseField::new(
        "after",
        FieldType::String,
        "Where to go on, because the time for this request was over, or AWS failed; else it is missing",
    ),
];

pub(super) fn path() -> Path<Engine> {
    Path::new("tidy")
        .field(&DRY_RUN)
        .field(&AFTER)
        .on_with(
            Operation::Update,
            OperationDocs {
                verb: "tidy",
                response: RESPONSE,
                of_active_node: true,
                ..OperationDocs::NONE
            },
            tidy,
        )
        .docs(PathDocs {
            synopsis: "Find IAM users that nobody owns, and remove those of this mount.",
            description: "Compares the users of the AWS account with the register of this mount: \
                users that carry its owner_tag (config/root), or are under the user_path of one of \
                its roles, and have no record; and records of users that AWS does not know. It \
                only tells of them unless dry_run=false. Then users are removed that carry the \
                owner_tag, and no others; users of the last hour are left alone, for somebody \
                may be making them. Needs iam:ListUsers, and iam:GetUser for the tags.",
            operation_suffix: "users",
        })
}

async fn tidy(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    data.must_not_be_empty(&DRY_RUN)?;
    let dry_run = data.value(&DRY_RUN);
    let after = data.value(&AFTER);
    let found = look(&engine, &request, dry_run, &after).await?;
    Ok(Some(answer(found, dry_run)))
}

fn answer(found: Found, dry_run: bool) -> Response {
    let mut warnings = found.warnings;
    let mut told = |what: &str, all: Vec<Nobodys>| {
        if all.len() > TOLD {
            warnings.push(format!(
                "{} {what} were found, and the first {TOLD} are told of",
                all.len()
            ));
        }
        let told = all.into_iter().take(TOLD).map(|one| {
            let mut shown = JsonObject::from_iter([
                (one.kind.0.to_owned(), Value::from(one.kind.1)),
                ("since".to_owned(), Value::from(date_time(one.since))),
                ("outcome".to_owned(), Value::from(one.fate.to_string())),
            ]);
            if let Some(tagged) = one.tagged {
                shown.insert("owner_tag".to_owned(), Value::from(tagged));
            }
            (one.name, Value::from(shown))
        });
        told.collect::<JsonObject>()
    };
    let removed = |all: &[Nobodys]| {
        let removed = all.iter().filter(|one| matches!(one.fate, Fate::Removed));
        removed.count()
    };
    let (users_removed, records_removed) = (removed(&found.users), removed(&found.records));
    let mut data = JsonObject::from_iter([
        ("dry_run".to_owned(), Value::from(dry_run)),
        ("aws_users".to_owned(), Value::from(found.aws_users)),
        ("users".to_owned(), json!(told("users", found.users))),
        ("records".to_owned(), json!(told("records", found.records))),
        ("users_removed".to_owned(), Value::from(users_removed)),
        ("records_removed".to_owned(), Value::from(records_removed)),
    ]);
    if let Some(after) = found.after {
        warnings.push(format!(
            "not all was looked at within this request: go on with after={after}"
        ));
        data.insert("after".to_owned(), Value::from(after));
    }
    Response {
        data,
        warnings,
        ..Response::default()
    }
}
