//! Whose session it is, and so whose policy denies what it asks for: an AWS role, or the engine's own
//! user for sessions of `sts:GetFederationToken`.

use std::time::Duration;

use crate::aws::{self, Arn, ErrorKind, Iam, PolicyName, RoleName, UserName};
use crate::caller::Caller;
use crate::engine::busy;
use crate::engine::clients::Connected;
use crate::excerpt::excerpt;
use crate::logical::Error;

/// An AWS role or user that has sessions of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Holder {
    arn: Arn,
    name: Name,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Role(RoleName),
    User(UserName),
}

impl Holder {
    /// The role or user of that ARN.
    pub(in crate::engine) fn of(arn: &str) -> Result<Self, Error> {
        let sent = excerpt(arn);
        let invalid = |reason: &dyn std::fmt::Display| {
            Error::invalid(format!("sessions of {sent} cannot be ended: {reason}"))
        };
        let arn = Arn::of_any_service(arn).map_err(|error| invalid(&error))?;
        // Else what is stored of it would be in a folder.
        if [arn.partition(), arn.account()].concat().contains('/') {
            return Err(invalid(
                &"there is a / before the resource, which AWS has in no ARN of a role or user",
            ));
        }
        let (kind, path) = arn.resource().split_once('/').unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let name = match kind {
            "role" => RoleName::new(last).map(Name::Role),
            "user" => UserName::new(last).map(Name::User),
            _ => {
                return Err(invalid(
                    &"it is neither an AWS role nor an IAM user, and nobody else has policies",
                ));
            }
        };
        let name = name.map_err(|error| invalid(&error))?;
        Ok(Self { arn, name })
    }

    pub(in crate::engine) fn arn(&self) -> &Arn {
        &self.arn
    }

    /// By what it is stored: names are unique in an account, whatever the path.
    pub(super) fn id(&self) -> String {
        let (partition, account) = (self.arn.partition(), self.arn.account());
        match &self.name {
            Name::Role(name) => format!("{partition}:{account}:role:{name}"),
            Name::User(name) => format!("{partition}:{account}:user:{name}"),
        }
    }

    /// How many characters AWS takes in all inline policies together.
    pub(super) fn room(&self) -> usize {
        match self.name {
            Name::Role(_) => 10_240,
            Name::User(_) => 2048,
        }
    }

    /// No session of it lives longer.
    pub(super) fn longest_session(&self) -> Duration {
        match self.name {
            Name::Role(_) => Duration::from_hours(12),
            Name::User(_) => Duration::from_hours(36),
        }
    }

    /// What the ids of its sessions begin with where others than those that are meant are judged by its
    /// policies, too: the user itself, and its sessions of `sts:GetSessionToken`.
    pub(super) fn ids_of_sessions(&self) -> Option<String> {
        match self.name {
            Name::Role(_) => None,
            Name::User(_) => Some(format!("{}:*", self.arn.account())),
        }
    }

    /// Whether the engine itself acts as a session of this role, as far as AWS tells.
    pub(super) async fn is_ours(&self, clients: &Connected, caller: &Caller) -> bool {
        let Name::Role(name) = &self.name else {
            return false;
        };
        let root = &clients.root;
        if !root.access_key.is_empty() && root.assume_role_arn.is_empty() {
            // The key of a user.
            return false;
        }
        let Some(us) = clients.caller(caller).await else {
            return false;
        };
        let mut parts = us.arn.resource().split('/');
        us.account == self.arn.account()
            && parts.next() == Some("assumed-role")
            && parts.next() == Some(name.as_str())
    }

    /// Refuses a holder whose policies the engine's credentials cannot change.
    pub(in crate::engine) async fn must_be_ours(
        &self,
        clients: &Connected,
        caller: &Caller,
    ) -> Result<(), Error> {
        let account = self.arn.account();
        match clients.other_account(account, caller).await {
            Some(ours) => Err(Error::invalid(format!(
                "{} is of AWS account {account}, and the AWS credentials of this engine belong to account {ours}, from where its policies cannot be changed and so its sessions not be ended: let assume_role_arn in config/root lead into account {account}",
                self.arn
            ))),
            None => Ok(()),
        }
    }

    /// The document of the inline policy; `None` where there is none, or no such holder.
    pub(super) async fn get(
        &self,
        iam: &dyn Iam,
        policy: &PolicyName,
    ) -> Result<Option<String>, aws::Error> {
        let document = busy::retry(|| async {
            match &self.name {
                Name::Role(role) => iam.get_role_policy(role, policy).await,
                Name::User(user) => iam.get_user_policy(user, policy).await,
            }
        });
        match document.await {
            Ok(document) => Ok(Some(document)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn put(
        &self,
        iam: &dyn Iam,
        policy: &PolicyName,
        document: &str,
    ) -> Result<(), aws::Error> {
        busy::retry(|| async {
            match &self.name {
                Name::Role(role) => iam.put_role_policy(role, policy, document).await,
                Name::User(user) => iam.put_user_policy(user, policy, document).await,
            }
        })
        .await
    }

    /// Also when it is gone already.
    pub(super) async fn delete(
        &self,
        iam: &dyn Iam,
        policy: &PolicyName,
    ) -> Result<(), aws::Error> {
        let deleted = busy::retry(|| async {
            match &self.name {
                Name::Role(role) => iam.delete_role_policy(role, policy).await,
                Name::User(user) => iam.delete_user_policy(user, policy).await,
            }
        });
        match deleted.await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// How many characters the other inline policies have.
    pub(super) async fn others(
        &self,
        iam: &dyn Iam,
        ours: &PolicyName,
    ) -> Result<usize, aws::Error> {
        let names = match &self.name {
            Name::Role(role) => iam.list_role_policies(role).await?,
            Name::User(user) => iam.list_user_policies(user).await?,
        };
        let mut characters = 0;
        for name in names.iter().filter(|name| *name != ours) {
            let document = self.get(iam, name).await?.unwrap_or_default();
            // AWS does not count white space.
            characters += document.chars().filter(|c| !c.is_whitespace()).count();
        }
        Ok(characters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_a_role_or_a_user_whatever_its_path() {
        for (arn, id) in [
            (
                "arn:aws:iam::111122223333:role/deploy",
                "aws:111122223333:role:deploy",
            ),
            (
                "arn:aws-cn:iam::111122223333:role/a/b/deploy",
                "aws-cn:111122223333:role:deploy",
            ),
            (
                "arn:aws:iam::111122223333:user/vault/root",
                "aws:111122223333:user:root",
            ),
        ] {
            assert_eq!(Holder::of(arn).unwrap().id(), id);
        }
        for arn in [
            "arn:aws:iam::111122223333:root",
            "arn:aws:sts::111122223333:assumed-role/deploy/x",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::1111/2222:role/deploy",
            "deploy",
        ] {
            let error = Holder::of(arn).unwrap_err().to_string();
            assert!(error.contains("cannot be ended"), "{error}");
        }
    }
}
