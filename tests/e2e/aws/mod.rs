//! AWS seen from beside the engine: preparing it, looking into it, and using keys on it.

mod calls;
mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_iam::operation::create_access_key::CreateAccessKeyOutput;
use aws_sdk_iam::types::StatusType;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::json;

pub(crate) use self::calls::{KeyPair, run};
use self::calls::{code, iam};
pub(crate) use self::user::User;
use crate::moto::moto;
use crate::proxy::decode;

/// The account of the tests, which is moto's default.
pub(crate) const ACCOUNT: &str = "123456789012";
/// Another account.
pub(crate) const ACCOUNT_ABROAD: &str = "210987654321";
/// A managed policy that allows everything.
pub(crate) const ADMINISTRATOR_ACCESS: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
/// A managed policy that allows every read.
pub(crate) const READ_ONLY_ACCESS: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";
/// An inline policy as good as none.
const ALLOW_NOTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:DeleteAccountAlias","Resource":"*"}]}"#;
/// The inline policy by which a root user is denied something.
const DENIALS: &str = "denials";

/// One test's part of AWS: a root user for the engine, and names nobody else uses.
pub(crate) struct Aws {
    /// The IAM user that the engine acts as; it may do everything.
    pub(crate) root_user: String,
    /// Its first key pair.
    pub(crate) root: KeyPair,
    account: &'static str,
    /// Calls as an administrator, past the proxy.
    iam: aws_sdk_iam::Client,
    number: usize,
}

impl Aws {
    /// Makes the root user and its key.
    pub(crate) fn new() -> Self {
        Self::of(ACCOUNT, &moto().administrator)
    }

    /// The same in another account.
    pub(crate) fn abroad() -> Self {
        Self::of(ACCOUNT_ABROAD, &moto().administrator_abroad)
    }

    fn of(account: &'static str, administrator: &KeyPair) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let iam = iam(&moto().address, administrator);
        let root_user = format!("root-{number}");
        let root = run(user_with_key(&iam, account, &root_user));
        Self {
            root_user,
            root,
            account,
            iam,
            number,
        }
    }

    /// The account's id.
    pub(crate) fn account(&self) -> &str {
        self.account
    }

    /// A name that no other test has.
    pub(crate) fn unique(&self, what: &str) -> String {
        format!("{what}-{}", self.number)
    }

    /// From now on the engine's root may not do `actions`, such as `iam:CreateUser`.
    pub(crate) fn deny_root(&self, actions: &[&str]) {
        let document = json!({
            "Version": "2012-10-17",
            "Statement": [{ "Effect": "Deny", "Action": actions, "Resource": "*" }],
        });
        run(self
            .iam
            .put_user_policy()
            .user_name(&self.root_user)
            .policy_name(DENIALS)
            .policy_document(document.to_string())
            .send())
        .expect("the denial is put");
    }

    /// The engine's root may do everything again.
    pub(crate) fn allow_root(&self) {
        run(self
            .iam
            .delete_user_policy()
            .user_name(&self.root_user)
            .policy_name(DENIALS)
            .send())
        .expect("the denial is taken away");
    }

    /// Makes a user without anything.
    pub(crate) fn person(&self, name: &str) {
        run(self.iam.create_user().user_name(name).send()).expect("the user is made");
    }

    /// Makes a group that has the policy of that ARN.
    pub(crate) fn group(&self, name: &str, policy_arn: &str) {
        run(async {
            self.iam.create_group().group_name(name).send().await?;
            self.iam
                .attach_group_policy()
                .group_name(name)
                .policy_arn(policy_arn)
                .send()
                .await
                .map_err(aws_sdk_iam::Error::from)
        })
        .expect("the group is made");
    }

    /// The ids of a user's access keys.
    pub(crate) fn keys_of(&self, user: &str) -> BTreeSet<String> {
        run(self.iam.list_access_keys().user_name(user).send())
            .expect("the keys are listed")
            .access_key_metadata
            .into_iter()
            .filter_map(|key| key.access_key_id)
            .collect()
    }

    /// Makes one more key for a user.
    pub(crate) fn add_key(&self, user: &str) -> KeyPair {
        key_pair(run(self.iam.create_access_key().user_name(user).send()).expect("the key is made"))
    }

    /// Makes an IAM role that `user` may assume and that has the policy of that ARN; its ARN.
    pub(crate) fn assumable_role(&self, name: &str, user: &str, policy_arn: &str) -> String {
        run(async {
            let user = self.iam.get_user().user_name(user).send().await?.user;
            let trust = json!({
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": { "AWS": user.expect("the answer has a user").arn },
                    "Action": "sts:AssumeRole",
                }],
            });
            let role = self
                .iam
                .create_role()
                .role_name(name)
                .assume_role_policy_document(trust.to_string())
                .send()
                .await?
                .role;
            self.iam
                .attach_role_policy()
                .role_name(name)
                .policy_arn(policy_arn)
                .send()
                .await?;
            Ok::<_, aws_sdk_iam::Error>(role.expect("the answer has a role").arn)
        })
        .expect("the role is made")
    }

    /// The inline policies of a role: documents by name.
    pub(crate) fn inline_policies_of_role(&self, role: &str) -> BTreeMap<String, String> {
        let names = run(self.iam.list_role_policies().role_name(role).send());
        let names = names.expect("the policies are listed").policy_names;
        // One may go meanwhile.
        let document = |name: &String| {
            let policy = self.iam.get_role_policy().role_name(role).policy_name(name);
            match run(policy.send()) {
                Ok(found) => Some(decode(&found.policy_document)),
                Err(error) if code(&error) == "NoSuchEntity" => None,
                Err(error) => panic!("GetRolePolicy: {error:?}"),
            }
        };
        names
            .into_iter()
            .filter_map(|name| Some((name.clone(), document(&name)?)))
            .collect()
    }

    /// Hangs on a user whatever a person may hang on it in the console.
    pub(crate) fn tamper_with(&self, user: &str) {
        self.add_key(user);
        let group = self.unique("by-hand");
        self.group(&group, READ_ONLY_ACCESS);
        run(async {
            self.iam
                .create_login_profile()
                .user_name(user)
                .password("Correct-horse-9")
                .send()
                .await?;
            self.iam
                .attach_user_policy()
                .user_name(user)
                .policy_arn(ADMINISTRATOR_ACCESS)
                .send()
                .await?;
            self.iam
                .put_user_policy()
                .user_name(user)
                .policy_name("by-hand")
                .policy_document(ALLOW_NOTHING)
                .send()
                .await?;
            self.iam
                .add_user_to_group()
                .user_name(user)
                .group_name(group)
                .send()
                .await
                .map_err(aws_sdk_iam::Error::from)
        })
        .expect("the user is tampered with");
    }

    /// Puts a user into one more group.
    pub(crate) fn join_new_group(&self, user: &str, number: usize) {
        let group = self.unique(&format!("group-{number}"));
        self.group(&group, READ_ONLY_ACCESS);
        run(self
            .iam
            .add_user_to_group()
            .user_name(user)
            .group_name(group)
            .send())
        .expect("the user joins");
    }

    /// Switches all of a user's keys off.
    pub(crate) fn disable_keys_of(&self, user: &str) {
        for key in self.keys_of(user) {
            run(self
                .iam
                .update_access_key()
                .user_name(user)
                .access_key_id(key)
                .status(StatusType::Inactive)
                .send())
            .expect("the key is switched off");
        }
    }

    /// Removes a user as a person would in the console.
    pub(crate) fn delete_by_hand(&self, user: &str) {
        let found = self.user(user).expect("the user is there");
        run(async {
            for key in found.keys {
                self.iam
                    .delete_access_key()
                    .user_name(user)
                    .access_key_id(key)
                    .send()
                    .await?;
            }
            for arn in found.attached {
                self.iam
                    .detach_user_policy()
                    .user_name(user)
                    .policy_arn(arn)
                    .send()
                    .await?;
            }
            for name in found.inline.into_keys() {
                self.iam
                    .delete_user_policy()
                    .user_name(user)
                    .policy_name(name)
                    .send()
                    .await?;
            }
            for group in found.groups {
                self.iam
                    .remove_user_from_group()
                    .user_name(user)
                    .group_name(group)
                    .send()
                    .await?;
            }
            self.iam
                .delete_user()
                .user_name(user)
                .send()
                .await
                .map_err(aws_sdk_iam::Error::from)
        })
        .expect("the user is deleted by hand");
    }

    /// Whether there is such a user.
    pub(crate) fn has_user(&self, name: &str) -> bool {
        match run(self.iam.get_user().user_name(name).send()) {
            Ok(_) => true,
            Err(error) if code(&error) == "NoSuchEntity" => false,
            Err(error) => panic!("GetUser: {error:?}"),
        }
    }

    /// The names of all users of the account, those of other tests too.
    pub(crate) fn user_names(&self) -> BTreeSet<String> {
        // All in one page, for others come and go meanwhile.
        let users = self.iam.list_users().max_items(1000).into_paginator();
        let users = users.items().send();
        run(users.collect::<Result<Vec<_>, _>>())
            .expect("the users are listed")
            .into_iter()
            .map(|user| user.user_name)
            .collect()
    }

    /// Looks a user up with all that hangs on it; `None` when there is none.
    pub(crate) fn user(&self, name: &str) -> Option<User> {
        User::find(&self.iam, name)
    }
}

/// Whether a user has what AWS, but not moto, wants removed before the user: keys, groups, a login
/// profile. moto itself looks for policies.
pub(crate) fn has_keys_groups_or_password(user: &str) -> bool {
    let iam = administrator();
    run(async {
        let keys = iam.list_access_keys().user_name(user).send().await;
        let groups = iam.list_groups_for_user().user_name(user).send().await;
        let profile = iam.get_login_profile().user_name(user).send().await;
        keys.is_ok_and(|keys| !keys.access_key_metadata.is_empty())
            || groups.is_ok_and(|groups| !groups.groups.is_empty())
            || profile.is_ok()
    })
}

/// The documents of a user's inline policies; none where there is no such user.
pub(crate) fn inline_policies_of(user: &str) -> Vec<String> {
    let found = User::find(administrator(), user);
    found.map_or_else(Vec::new, |user| user.inline.into_values().collect())
}

fn administrator() -> &'static aws_sdk_iam::Client {
    // Asked for each user that is deleted, and a new client takes its time.
    static ADMINISTRATOR: OnceLock<aws_sdk_iam::Client> = OnceLock::new();
    ADMINISTRATOR.get_or_init(|| iam(&moto().address, &moto().administrator))
}

/// Makes the administrator of an account of a new AWS at `address`, with three calls that it does
/// not check.
pub(crate) fn seed(address: &str, account: &'static str) -> KeyPair {
    let anybody = KeyPair {
        access_key: "anybody".to_owned(),
        secret_key: "anything".to_owned(),
        session_token: None,
    };
    run(user_with_key(
        &iam(address, &anybody),
        account,
        "administrator",
    ))
}

async fn user_with_key(iam: &aws_sdk_iam::Client, account: &'static str, name: &str) -> KeyPair {
    // By this moto knows the account of a caller that it does not know.
    let in_account = move |request: &mut HttpRequest| {
        request.headers_mut().insert("x-moto-account-id", account);
    };
    iam.create_user()
        .user_name(name)
        .customize()
        .mutate_request(in_account)
        .send()
        .await
        .expect("the user is made");
    iam.attach_user_policy()
        .user_name(name)
        .policy_arn(ADMINISTRATOR_ACCESS)
        .customize()
        .mutate_request(in_account)
        .send()
        .await
        .expect("the policy is attached");
    let key = iam
        .create_access_key()
        .user_name(name)
        .customize()
        .mutate_request(in_account)
        .send()
        .await
        .expect("the key is made");
    key_pair(key)
}

fn key_pair(answer: CreateAccessKeyOutput) -> KeyPair {
    let key = answer.access_key.expect("the answer has a key");
    KeyPair {
        access_key: key.access_key_id,
        secret_key: key.secret_access_key,
        session_token: None,
    }
}
