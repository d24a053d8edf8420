//! IAM users with everything that hangs on them.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{code, run};
use crate::proxy::decode;

/// An IAM user with everything on it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) path: String,
    /// ARNs of attached managed policies.
    pub(crate) attached: BTreeSet<String>,
    /// Documents of inline policies, by name.
    pub(crate) inline: BTreeMap<String, String>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Ids of access keys.
    pub(crate) keys: BTreeSet<String>,
}

impl User {
    /// Looks a user up; `None` when there is none.
    pub(super) fn find(iam: &aws_sdk_iam::Client, name: &str) -> Option<Self> {
        run(async {
            let found = match iam.get_user().user_name(name).send().await {
                Ok(found) => found.user?,
                Err(error) if code(&error) == "NoSuchEntity" => return None,
                Err(error) => panic!("GetUser: {error:?}"),
            };
            let attached = iam
                .list_attached_user_policies()
                .user_name(name)
                .send()
                .await
                .expect("ListAttachedUserPolicies");
            let inline_names = iam
                .list_user_policies()
                .user_name(name)
                .send()
                .await
                .expect("ListUserPolicies")
                .policy_names;
            let mut inline = BTreeMap::new();
            for policy in inline_names {
                let found = iam
                    .get_user_policy()
                    .user_name(name)
                    .policy_name(&policy)
                    .send()
                    .await
                    .expect("GetUserPolicy");
                inline.insert(policy, decode(&found.policy_document));
            }
            let groups = iam
                .list_groups_for_user()
                .user_name(name)
                .send()
                .await
                .expect("ListGroupsForUser")
                .groups;
            let tags = iam
                .list_user_tags()
                .user_name(name)
                .send()
                .await
                .expect("ListUserTags")
                .tags;
            let keys = iam
                .list_access_keys()
                .user_name(name)
                .send()
                .await
                .expect("ListAccessKeys")
                .access_key_metadata;
            Some(Self {
                path: found.path,
                attached: attached
                    .attached_policies
                    .into_iter()
                    .flatten()
                    .filter_map(|policy| policy.policy_arn)
                    .collect(),
                inline,
                groups: groups.into_iter().map(|group| group.group_name).collect(),
                tags: tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
                keys: keys
                    .into_iter()
                    .filter_map(|key| key.access_key_id)
                    .collect(),
            })
        })
    }
}
