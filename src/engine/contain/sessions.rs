//! Sessions that a role has given: which of them are ended, and which live on.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

use super::{PAGE, READS_AT_A_TIME};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::clients::Connected;
use crate::engine::counters::Failed;
use crate::engine::roles::{CredentialType, RoleName, RoleRecord};
use crate::engine::sessions::{self, IssuedSession};
use crate::engine::stored::date_time;
use crate::go_duration::GoDuration;
use crate::logical::{Error, Storage, StorageError};

/// How far AWS's clock may be ahead of ours where it does not tell.
const CLOCK_TOLERANCE: Duration = Duration::MINUTE;

/// The end of sessions that were opened until some moment, holder by holder.
pub(super) struct Sessions<'a> {
    engine: &'a Engine,
    storage: &'a dyn Storage,
    caller: &'a Caller,
    /// By our clock.
    until: OffsetDateTime,
    /// By AWS's clock, once that was asked.
    aws_until: Option<OffsetDateTime>,
    /// Many roles of ours may lead to one of AWS.
    done: BTreeSet<String>,
    /// What is to be known, a sentence for each AWS role or kind of session.
    pub(super) sentences: Vec<String>,
    /// Whether something has to be tried again.
    pub(super) failed: bool,
}

impl<'a> Sessions<'a> {
    pub(super) fn until(
        engine: &'a Engine,
        storage: &'a dyn Storage,
        caller: &'a Caller,
        until: OffsetDateTime,
    ) -> Self {
        Self {
            engine,
            storage,
            caller,
            until,
            aws_until: None,
            done: BTreeSet::new(),
            sentences: Vec::new(),
            failed: false,
        }
    }

    /// Ends all sessions of this role, as far as AWS has a way to.
    pub(super) async fn end_those_of(
        &mut self,
        clients: &Connected,
        name: &RoleName,
        role: &RoleRecord,
    ) -> Result<(), Error> {
        let kinds = role.types();
        if kinds.contains(&CredentialType::AssumedRole) {
            for arn in role.role_arns() {
                self.end(clients, arn).await;
            }
        }
        if kinds.contains(&CredentialType::FederationToken) {
            match clients.caller(self.caller).await {
                Some(identity) => self.end(clients, identity.arn.as_str()).await,
                None => self.not_ended(
                    name.as_str(),
                    "the engine's own user: AWS does not tell at the moment who that is",
                ),
            }
        }
        self.sentences.extend(living_on(name, role));
        Ok(())
    }

    /// Ends the sessions of whomever else the register has sessions of: a role may have been deleted,
    /// or lead elsewhere by now.
    pub(super) async fn end_registered(
        &mut self,
        clients: &Connected,
        is_about: impl Fn(&str) -> bool,
        in_time: Instant,
    ) -> Result<(), Error> {
        let storage = self.storage;
        let names = storage.list(sessions::PREFIX).await?;
        for page in names.chunks(PAGE) {
            if Instant::now() >= in_time {
                let whose = "deleted and changed roles";
                self.not_ended(whose, "there was no time to read the whole register");
                break;
            }
            let records: Vec<_> = stream::iter(0..page.len())
                .map(|at| async move { IssuedSession::named(storage, &page[at]).await })
                .buffered(READS_AT_A_TIME)
                .collect()
                .await;
            for record in records {
                let session = match record {
                    Ok(Some(session)) => session,
                    Ok(None) | Err(StorageError::Decode { .. }) => continue,
                    Err(error) => return Err(error.into()),
                };
                if is_about(&session.role)
                    && !session.is_over(self.engine.clock.now())
                    && session.was_issued_until(self.by_aws(clients).await)
                {
                    self.end(clients, session.holder()).await;
                }
            }
        }
        Ok(())
    }

    /// Ends those of an AWS role, or federation tokens of a user.
    async fn end(&mut self, clients: &Connected, holder: &str) {
        if !self.done.insert(holder.to_owned()) {
            return;
        }
        let until = self.by_aws(clients).await;
        let (engine, storage) = (self.engine, self.storage);
        let ended =
            sessions::end_all_issued_before(engine, storage, self.caller, holder, until).await;
        match ended {
            Ok(()) => {
                let time = date_time(until);
                self.sentences.push(format!(
                    "sessions of {holder} that were opened until {time}, whoever opened them, are denied everything from now on: AWS takes some seconds, at times longer"
                ));
            }
            Err(error) => {
                self.engine.counters.failed(Failed::Revoke, &error);
                self.not_ended(holder, &error.to_string());
            }
        }
    }

    fn not_ended(&mut self, whose: &str, reason: &str) {
        self.failed = true;
        self.sentences.push(format!(
            "sessions of {whose} are not ended yet, and it is tried again: {reason}"
        ));
    }

    /// The moment by AWS's clock, or a little later: the youngest session must not be spared, nor one of
    /// whoever comes back be ended.
    async fn by_aws(&mut self, clients: &Connected) -> OffsetDateTime {
        // AWS tells whole seconds.
        const ROUNDING: Duration = Duration::SECOND;
        if let Some(until) = self.aws_until {
            return until;
        }
        let caller = self.caller.committed();
        let ahead = clients.clock_ahead(&*self.engine.clock, &caller).await;
        let ahead = ahead.map_or(CLOCK_TOLERANCE, |ahead| ahead + ROUNDING);
        *self.aws_until.insert(self.until + ahead)
    }
}

/// What will become of them, without doing anything.
pub(super) fn outlook(name: &RoleName, role: &RoleRecord) -> Vec<String> {
    let kinds = role.types();
    let mut sentences = Vec::new();
    if kinds.contains(&CredentialType::AssumedRole) {
        sentences.push(format!(
            "of {} all sessions that were opened until now end, whoever opened them, by a policy on it: contain-status/ tells whether AWS takes that",
            role.role_arns().join(", ")
        ));
    }
    if kinds.contains(&CredentialType::FederationToken) {
        sentences.push(
            "of the engine's own user all federation tokens that were given until now end, by a policy on it: contain-status/ tells whether AWS takes that"
                .to_owned(),
        );
    }
    sentences.extend(living_on(name, role));
    sentences
}

/// Sessions of `sts:GetSessionToken` are their user itself to AWS.
fn living_on(name: &RoleName, role: &RoleRecord) -> Option<String> {
    role.types()
        .contains(&CredentialType::SessionToken)
        .then(|| {
            let longest = if role.max_sts_ttl.is_zero() {
                "the mount's maximum lease TTL".to_owned()
            } else {
                GoDuration(role.max_sts_ttl).to_string()
            };
            format!(
                "sessions that role {:?} gave as session_token cannot be ended: they live until they end by themselves, within {longest}, or until the engine's own user has no permissions or is removed",
                name.as_str()
            )
        })
}
