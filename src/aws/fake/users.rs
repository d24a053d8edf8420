//! IAM's rules for users.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::scene::FakeUser;
use super::world::{Caller, Principal, Refused, World};
use crate::aws::{Arn, CreateUser, Tag, User, UserName};

impl World {
    pub(super) fn create_user(
        &mut self,
        caller: &Caller,
        request: CreateUser,
    ) -> Result<User, Refused> {
        let CreateUser {
            user_name,
            path,
            permissions_boundary,
            tags,
        } = request;
        let path = path.unwrap_or_else(|| "/".to_owned());
        if user_name.as_str().len() > UserName::MAX_NEW_CHARS {
            return Err(Refused::invalid(format!(
                "1 validation error detected: Value '{user_name}' at 'userName' failed to satisfy \
                 constraint: Member must have length less than or equal to {}",
                UserName::MAX_NEW_CHARS
            )));
        }
        check_path(&path)?;
        check_tags(&tags)?;
        if self.user(&caller.account, &user_name).is_ok() {
            return Err(Refused::new(
                "EntityAlreadyExists",
                format!("User with name {user_name} already exists."),
            ));
        }
        if let Some(boundary) = &permissions_boundary
            && !self.policy_exists(&caller.account, boundary)
        {
            return Err(Refused::not_found(format!(
                "Scope ARN: {boundary} does not exist or is not attachable."
            )));
        }
        let user = self.add_user(&caller.account, &user_name, &path);
        user.permissions_boundary = permissions_boundary;
        user.tags = tags;
        Ok(user.describe())
    }

    pub(super) fn get_user(
        &mut self,
        caller: &Caller,
        user_name: Option<&UserName>,
    ) -> Result<User, Refused> {
        let name = match (user_name, &caller.principal) {
            (Some(name), _) => name.clone(),
            (None, Principal::User { name } | Principal::UserSession { name, .. }) => {
                UserName::from_aws(name)
            }
            (None, Principal::AccountRoot) => {
                return Ok(User {
                    user_name: None,
                    user_id: caller.account.clone(),
                    arn: Arn::from_aws(&caller.arn),
                    path: "/".to_owned(),
                    create_date: self.now(),
                    tags: Vec::new(),
                });
            }
            (None, _) => {
                return Err(Refused::invalid(
                    "Must specify userName when calling with non-User credentials",
                ));
            }
        };
        Ok(self.user(&caller.account, &name)?.describe())
    }

    /// AWS leaves the tags out of a list.
    pub(super) fn list_users(&mut self, caller: &Caller) -> Vec<User> {
        let users = self.account(&caller.account).users.values();
        users
            .map(|user| User {
                tags: Vec::new(),
                ..user.describe()
            })
            .collect()
    }

    pub(super) fn delete_user(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<(), Refused> {
        let user = self.user(&caller.account, user_name)?;
        let attached = [
            (!user.access_keys.is_empty(), "delete access keys"),
            (!user.inline_policies.is_empty(), "delete policies"),
            (!user.managed_policies.is_empty(), "detach all policies"),
            (!user.groups.is_empty(), "remove users from group"),
            (user.has_login_profile, "delete login profile"),
            (!user.mfa_devices.is_empty(), "delete MFA device"),
            (!user.ssh_public_keys.is_empty(), "delete SSH public keys"),
            (
                !user.signing_certificates.is_empty(),
                "delete signing certificates",
            ),
            (
                !user.service_specific_credentials.is_empty(),
                "delete service specific credentials",
            ),
        ];
        if let Some((_, first)) = attached.into_iter().find(|(attached, _)| *attached) {
            return Err(Refused::new(
                "DeleteConflict",
                format!("Cannot delete entity, must {first} first."),
            ));
        }
        let key = user_name.as_str().to_lowercase();
        self.account(&caller.account).users.remove(&key);
        Ok(())
    }

    /// Refuses a call about a user that is younger than `age`. `target` begins with its name, if the
    /// call is about one.
    pub(super) fn know_user(
        &mut self,
        caller: &Caller,
        target: &str,
        age: Duration,
    ) -> Result<(), Refused> {
        let name = UserName::from_aws(target.split(' ').next().unwrap_or_default());
        let old_enough = self.now() - age;
        match self.user(&caller.account, &name) {
            Ok(user) if user.create_date > old_enough => Err(unknown(&name)),
            _ => Ok(()),
        }
    }

    /// Tags of the same key are replaced.
    pub(super) fn tag_user(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        tags: Vec<Tag>,
    ) -> Result<(), Refused> {
        check_tags(&tags)?;
        let user = self.user(&caller.account, user_name)?;
        let mut all = user.tags.clone();
        all.retain(|old| tags.iter().all(|new| new.key != old.key));
        all.extend(tags);
        check_tags(&all)?;
        user.tags = all;
        Ok(())
    }

    /// Makes a user without further ado.
    pub(super) fn add_user(&mut self, account: &str, name: &UserName, path: &str) -> &mut FakeUser {
        let user = FakeUser {
            user_id: self.next_id("AIDA", 17),
            arn: Arn::from_aws(format!("arn:aws:iam::{account}:user{path}{name}")),
            path: path.to_owned(),
            create_date: self.now(),
            permissions_boundary: None,
            tags: Vec::new(),
            managed_policies: Vec::new(),
            inline_policies: BTreeMap::new(),
            groups: BTreeSet::new(),
            access_keys: Vec::new(),
            has_login_profile: false,
            mfa_devices: BTreeMap::new(),
            ssh_public_keys: BTreeSet::new(),
            signing_certificates: BTreeSet::new(),
            service_specific_credentials: BTreeSet::new(),
            user_name: name.clone(),
        };
        self.account(account)
            .users
            .entry(name.as_str().to_lowercase())
            .insert_entry(user)
            .into_mut()
    }

    pub(super) fn user(
        &mut self,
        account: &str,
        name: &UserName,
    ) -> Result<&mut FakeUser, Refused> {
        self.account(account)
            .users
            .get_mut(&name.as_str().to_lowercase())
            .ok_or_else(|| unknown(name))
    }
}

fn unknown(name: &UserName) -> Refused {
    Refused::not_found(format!("The user with name {name} cannot be found."))
}

impl FakeUser {
    fn describe(&self) -> User {
        User {
            user_name: Some(self.user_name.clone()),
            user_id: self.user_id.clone(),
            arn: self.arn.clone(),
            path: self.path.clone(),
            create_date: self.create_date,
            tags: self.tags.clone(),
        }
    }
}

/// `/`, or `/` and up to 510 visible characters and `/`.
fn check_path(path: &str) -> Result<(), Refused> {
    let inner = path.strip_prefix('/').and_then(|rest| {
        if rest.is_empty() {
            Some("")
        } else {
            rest.strip_suffix('/')
        }
    });
    match inner {
        Some(inner) if inner.len() <= 510 && inner.chars().all(|c| ('!'..='\x7f').contains(&c)) => {
            Ok(())
        }
        _ => Err(Refused::invalid(
            "The specified value for path is invalid. It must begin and end with / and contain \
             only alphanumeric characters and/or / characters.",
        )),
    }
}

/// The rules for tags of users and of sessions.
pub(super) fn check_tags(tags: &[Tag]) -> Result<(), Refused> {
    if tags.len() > 50 {
        return Err(Refused::limit("Cannot exceed quota for TagsPerUser: 50"));
    }
    let mut keys = BTreeSet::new();
    for Tag { key, value } in tags {
        let (key_chars, value_chars) = (key.chars().count(), value.chars().count());
        if key_chars == 0 || key_chars > 128 || value_chars > 256 || key.starts_with("aws:") {
            return Err(Refused::invalid(format!(
                "1 validation error detected: Value at 'tags' failed to satisfy constraint: \
                 '{key}'"
            )));
        }
        if !keys.insert(key.to_lowercase()) {
            return Err(Refused::new(
                "InvalidInput",
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
    }
    Ok(())
}
