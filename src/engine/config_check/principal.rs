//! Whom AWS takes the engine for.

use crate::aws::Arn;

/// A principal of AWS, by its ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Principal {
    pub(super) arn: Arn,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    IamUser {
        name: String,
    },
    /// Of the role of that name; its path nobody tells.
    RoleSession {
        role: String,
    },
    FederatedUser,
    /// The account's own.
    RootUser,
    Other,
}

impl Principal {
    pub(super) fn of(arn: Arn) -> Self {
        let last = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
        let resource = arn.resource();
        let kind = if let Some(path) = resource.strip_prefix("user/") {
            Kind::IamUser { name: last(path) }
        } else if let Some(rest) = resource.strip_prefix("assumed-role/") {
            let role = rest.split('/').next().unwrap_or_default().to_owned();
            Kind::RoleSession { role }
        } else if resource.starts_with("federated-user/") {
            Kind::FederatedUser
        } else if resource == "root" {
            Kind::RootUser
        } else {
            Kind::Other
        };
        Self { arn, kind }
    }

    /// The ARN of something of IAM in the account: `user/u`, `group/g`.
    pub(super) fn iam(&self, resource: &str) -> String {
        let (partition, account) = (self.arn.partition(), self.arn.account());
        format!("arn:{partition}:iam::{account}:{resource}")
    }

    /// Whose policies IAM's simulator is to look at: no session has any of its own. `assumed` are the
    /// roles that the configuration names.
    pub(super) fn policy_source(&self, assumed: &[&str]) -> Option<Arn> {
        match &self.kind {
            Kind::IamUser { .. } => Some(self.arn.clone()),
            Kind::RoleSession { role } => {
                let named = assumed.iter().filter_map(|text| Arn::new(*text).ok());
                let is_it = |arn: &Arn| {
                    arn.account() == self.arn.account()
                        && arn.resource().rsplit('/').next() == Some(role)
                };
                let unnamed = || Arn::new(self.iam(&format!("role/{role}"))).ok();
                named.into_iter().find(is_it).or_else(unnamed)
            }
            Kind::FederatedUser | Kind::RootUser | Kind::Other => None,
        }
    }

    /// Whether it is an IAM user or the account's root user, to whom alone AWS gives sessions of
    /// their own.
    pub(super) fn is_user(&self) -> bool {
        matches!(self.kind, Kind::IamUser { .. } | Kind::RootUser)
    }
}

impl Kind {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::IamUser { .. } => "IAM user",
            Self::RoleSession { .. } => "session of a role",
            Self::FederatedUser => "federated user",
            Self::RootUser => "root user of the account",
            Self::Other => "something else",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(resource: &str) -> Principal {
        Principal::of(Arn::new(format!("arn:aws-cn:iam::111122223333:{resource}")).unwrap())
    }

    #[test]
    fn an_arn_tells_what_kind_of_principal_it_is() {
        let user = |name: &str| Kind::IamUser {
            name: name.to_owned(),
        };
        for (resource, kind) in [
            ("user/vault", user("vault")),
            ("user/service/deep/vault", user("vault")),
            (
                "assumed-role/web/i-0123",
                Kind::RoleSession {
                    role: "web".to_owned(),
                },
            ),
            ("federated-user/x", Kind::FederatedUser),
            ("root", Kind::RootUser),
            ("banana/x", Kind::Other),
        ] {
            assert_eq!(principal(resource).kind, kind, "{resource}");
        }
    }

    #[test]
    fn the_policies_of_a_session_are_those_of_its_role_with_the_path_that_the_configuration_knows()
    {
        let session = principal("assumed-role/web/i-0123");
        let source = |assumed: &[&str]| session.policy_source(assumed).unwrap().to_string();
        let named = "arn:aws-cn:iam::111122223333:role/service/web";
        assert_eq!(source(&["", named]), named);
        for other in [
            "",
            "arn:aws-cn:iam::111122223333:role/other",
            "arn:aws-cn:iam::444455556666:role/web",
        ] {
            assert_eq!(source(&[other]), "arn:aws-cn:iam::111122223333:role/web");
        }
        assert_eq!(principal("root").policy_source(&[named]), None);
    }
}
