//! What is stored of a work: `contain/<id>`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::engine::stored::seconds;
use crate::logical::{Error, JsonObject, Storage, StorageError, get_json, put_json};

/// Not replicated, as the register is not: every cluster ends its own users.
pub(in crate::engine) const PREFIX: &str = "contain/";

/// So many works that have ended are remembered.
const REMEMBERED: usize = 20;

/// So many failures are told of.
const TOLD: usize = 20;

/// So many users are remembered that could not be removed; of more, all names are looked through again.
pub(super) const LEFT: usize = 1000;

/// No session of STS lives longer, in seconds.
const LONGEST_SESSION: i64 = 36 * 60 * 60;

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    #[default]
    Keys,
    Sessions,
    Users,
    Ended,
}

impl Step {
    /// What is going on.
    pub(super) fn state(self) -> &'static str {
        match self {
            Self::Keys => "ending access keys",
            Self::Sessions => "ending sessions",
            Self::Users => "removing users",
            Self::Ended => "finished",
        }
    }
}

/// Why something was not done at the last try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) username: String,
    pub(super) error: String,
}

/// One containment. There is no secret in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::engine) struct Work {
    /// Empty for the whole mount.
    pub(super) role: String,
    /// Of the token that asked.
    pub(super) display_name: String,
    /// Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(super) began_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finished_at: Option<i64>,
    pub(super) step: Step,
    /// The last name that this step has dealt with.
    pub(super) after: String,
    /// Users that were found, whose keys have ended, and who are gone.
    pub(super) users: usize,
    pub(super) keys_ended: usize,
    pub(super) users_removed: usize,
    /// Users that are to be tried again at the next tick.
    pub(super) left: Vec<String>,
    /// There are more of them than that.
    pub(super) more_left: bool,
    /// All others are gone, and only those are tried.
    pub(super) only_left: bool,
    /// Of the last try.
    pub(super) failures: Vec<Failure>,
    /// What is to be known of sessions.
    pub(super) sessions: Vec<String>,
    /// Some of them are to be ended at the next tick.
    pub(super) sessions_left: bool,
    #[serde(flatten)]
    pub(super) unknown: JsonObject,
}

impl Work {
    pub(super) async fn load(storage: &dyn Storage, id: &str) -> Result<Option<Self>, Error> {
        Ok(get_json(storage, &format!("{PREFIX}{id}")).await?)
    }

    pub(super) async fn store(&self, storage: &dyn Storage, id: &str) -> Result<(), Error> {
        put_json(storage, &format!("{PREFIX}{id}"), self)
            .await
            .map_err(|error| Error::from(error).context("error storing how far the work is"))
    }

    /// All that are stored, in no order, but for what is no such record: it must not stand in the way.
    pub(super) async fn all(storage: &dyn Storage) -> Result<Vec<(String, Self)>, Error> {
        let mut works = Vec::new();
        for id in storage.list(PREFIX).await? {
            match get_json(storage, &format!("{PREFIX}{id}")).await {
                Ok(Some(work)) => works.push((id, work)),
                Ok(None) => {}
                Err(error @ StorageError::Decode { .. }) => {
                    tracing::warn!(%id, %error, "containment cannot be read");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(works)
    }

    /// Forgets the oldest of those that have ended.
    pub(super) async fn forget_old(storage: &dyn Storage) -> Result<(), Error> {
        let mut ended = Self::all(storage).await?;
        ended.retain(|(_, work)| work.has_ended());
        ended.sort_by_key(|(_, work)| std::cmp::Reverse(work.began_at));
        for (id, _) in ended.into_iter().skip(REMEMBERED - 1) {
            storage.delete(&format!("{PREFIX}{id}")).await?;
        }
        Ok(())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.step == Step::Ended
    }

    /// Whether sessions are still to be ended, which have not ended by themselves.
    pub(super) fn has_sessions_left(&self, now: OffsetDateTime) -> bool {
        self.sessions_left && now.unix_timestamp() < self.began_at + LONGEST_SESSION
    }

    /// Whether it is about users of that role.
    pub(super) fn is_about(&self, role: &str) -> bool {
        self.role.is_empty() || self.role == role
    }

    pub(super) fn go_to(&mut self, step: Step) {
        self.step = step;
        self.after.clear();
    }

    pub(super) fn failed(&mut self, username: &str, error: &str) {
        if self.failures.len() < TOLD {
            self.failures.push(Failure {
                username: username.to_owned(),
                error: error.to_owned(),
            });
        }
    }

    /// The user is to be tried again.
    pub(super) fn try_again(&mut self, username: &str) {
        if self.left.len() < LEFT {
            self.left.push(username.to_owned());
        } else {
            self.more_left = true;
        }
    }
}
