//! What the roles of the mount make use of.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::engine::roles::{self, CredentialType, RoleRecord};
use crate::engine::static_roles::{self, LookedAt};
use crate::logical::{Storage, StorageError};

/// The most roles of each kind that are read.
const MOST: usize = 500;
/// How many are read at once.
const AT_ONCE: usize = 16;

/// The roles that exist.
pub(super) struct Uses {
    /// Those that give credentials, by name.
    pub(super) roles: Vec<(String, RoleRecord)>,
    pub(super) static_roles: Vec<LookedAt>,
    /// How many there are of each.
    all: (usize, usize),
}

impl Uses {
    pub(super) async fn of(storage: &dyn Storage) -> Result<Self, StorageError> {
        let names = roles::names(storage).await?;
        let static_names = static_roles::names(storage).await?;
        let all = (names.len(), static_names.len());
        let names = names.iter().map(ToString::to_string).take(MOST);
        let read = stream::iter(names).map(async |name: String| {
            let role = roles::look_at(storage, &name).await?;
            Ok::<_, StorageError>(role.map(|role| (name, role)))
        });
        let roles: Vec<_> = read.buffered(AT_ONCE).try_collect().await?;
        let read = stream::iter(static_names.into_iter().take(MOST))
            .map(async |name: String| LookedAt::load(storage, &name).await);
        let static_roles: Vec<_> = read.buffered(AT_ONCE).try_collect().await?;
        Ok(Self {
            roles: roles
                .into_iter()
                .flatten()
                .filter(|(_, role)| !role.disabled)
                .collect(),
            static_roles: static_roles.into_iter().flatten().collect(),
            all,
        })
    }

    /// The roles of this type.
    pub(super) fn of_type(
        &self,
        of: CredentialType,
    ) -> impl Iterator<Item = &(String, RoleRecord)> {
        self.roles
            .iter()
            .filter(move |(_, role)| role.types().contains(&of))
    }

    /// Whose sessions are narrowed by the policies of groups.
    pub(super) fn by_groups(&self) -> impl Iterator<Item = &RoleRecord> {
        let sessions = [CredentialType::AssumedRole, CredentialType::FederationToken];
        let roles = self.roles.iter().map(|(_, role)| role);
        roles.filter(move |role| {
            !role.iam_groups().is_empty() && role.types().iter().any(|of| sessions.contains(of))
        })
    }

    /// How many there are, and how many were not read.
    pub(super) fn told(&self) -> String {
        let (roles, static_roles) = self.all;
        let told = format!("{roles} roles, {static_roles} static roles");
        if roles <= MOST && static_roles <= MOST {
            return told;
        }
        format!("{told}, of which the first {MOST} were looked at")
    }
}
