//! What IAM groups let their members do, for sessions, which cannot join a group.

use futures_util::future::try_join_all;
use futures_util::try_join;

use super::Asked;
use crate::aws::limit::Class;
use crate::aws::{self, Arn, GroupName, Iam};
use crate::engine::Engine;
use crate::engine::error::refused;
use crate::engine::policies::combine;
use crate::logical::{Error, Request};

/// The policies of each kind are listed; how many must then be read shows only there.
const CALLS_FOR_A_GROUP: usize = 2;

/// What narrows a session: one policy document, and managed policies.
pub(super) struct SessionPolicies {
    pub(super) document: Option<String>,
    pub(super) arns: Vec<Arn>,
}

impl SessionPolicies {
    /// The role's own policies with those of its groups. Without groups, IAM is not asked.
    pub(super) async fn of_role(
        engine: &Engine,
        request: &Request,
        asked: &Asked,
    ) -> Result<Self, Error> {
        let role = &asked.role;
        let mut arns = role
            .policy_arns()
            .iter()
            .map(|text| {
                // AWS says what it thinks of it, and another service may take it.
                Arn::of_any_service(text).map_err(|error| asked.invalid("policy_arns", &error))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut document = role.policy_document.clone();
        let groups = role
            .iam_groups()
            .iter()
            .map(|text| GroupName::new(text).map_err(|error| asked.invalid("iam_groups", &error)))
            .collect::<Result<Vec<_>, _>>()?;
        if !groups.is_empty() {
            let iam = &engine.clients.get(&*request.storage).await?.iam;
            let iam = iam
                .for_request(Class::Issue, &request.caller)
                .expecting(CALLS_FOR_A_GROUP * groups.len())
                .beginning();
            let (documents, of_groups) = of_groups(&iam, &groups).await?;
            for arn in of_groups {
                // AWS counts them, and groups share policies.
                if !arns.contains(&arn) {
                    arns.push(arn);
                }
            }
            if !documents.is_empty() {
                let all = documents
                    .iter()
                    .map(String::as_str)
                    .chain([document.as_str()]);
                document = combine(all).map_err(Error::invalid)?;
            }
        }
        Ok(Self {
            document: (!document.is_empty()).then_some(document),
            arns,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.document.is_none() && self.arns.is_empty()
    }
}

/// Inline documents and managed policies of all groups, in the order of the groups.
async fn of_groups(iam: &dyn Iam, groups: &[GroupName]) -> Result<(Vec<String>, Vec<Arn>), Error> {
    let fetched = try_join_all(groups.iter().map(|group| async move {
        of_group(iam, group).await.map_err(|error| {
            refused(
                &format!("Error reading the policies of IAM group {group}"),
                &error,
            )
        })
    }))
    .await?;
    let (documents, arns): (Vec<_>, Vec<_>) = fetched.into_iter().unzip();
    Ok((documents.concat(), arns.concat()))
}

async fn of_group(iam: &dyn Iam, group: &GroupName) -> Result<(Vec<String>, Vec<Arn>), aws::Error> {
    try_join!(
        async {
            let names = iam.list_group_policies(group).await?;
            try_join_all(names.iter().map(|name| iam.get_group_policy(group, name))).await
        },
        iam.list_attached_group_policies(group),
    )
}
