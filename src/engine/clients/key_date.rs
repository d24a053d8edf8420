//! When AWS made the access key of a configuration.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};

use super::Connected;
use super::found::Found;
use crate::aws::limit::Class;
use crate::aws::{ErrorKind, Iam as _, Sts as _, UserName};
use crate::caller::Caller;

/// How long AWS is not asked again after it did not answer.
const PAUSE: Duration = Duration::from_mins(1);

/// The date, asked once and kept.
pub(super) struct KeyDate {
    /// `None` where nobody tells: it is no key of an IAM user, or its user may not look.
    found: Found<Option<OffsetDateTime>, ()>,
    /// AWS did not answer. A std mutex: nothing awaits under it.
    failed: Mutex<Option<Instant>>,
}

impl KeyDate {
    pub(super) fn new() -> Self {
        Self {
            found: Found::new(),
            failed: Mutex::default(),
        }
    }

    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected {
    /// When AWS made the access key, with which the clients `of_key` sign; `None` when it is not known
    /// within a look's time.
    pub(crate) async fn key_date(&self, of_key: &Self, caller: &Caller) -> Option<OffsetDateTime> {
        let date = &self.key_date;
        let pauses = |failed: Instant| failed.elapsed() < PAUSE;
        if date.found.known().is_none() && date.failed().is_some_and(pauses) {
            return None;
        }
        let ask = || {
            // Not the clients themselves: a rotation waits until nobody holds them.
            let (sts, iam) = (Arc::clone(&of_key.sts), of_key.iam.clone());
            let (id, caller) = (of_key.root.access_key.clone(), caller.committed());
            async move {
                let sts = sts.choose(&caller).await.map_err(drop)?.beginning();
                let identity = sts.get_caller_identity().await.map_err(drop)?;
                let user = identity.arn.resource().strip_prefix("user/");
                let name = user.and_then(|path| path.rsplit('/').next());
                let Some(name) = name.and_then(|name| UserName::new(name).ok()) else {
                    return Ok(None);
                };
                let iam = iam.for_request(Class::Background, &caller);
                match iam.list_access_keys(&name).await {
                    Ok(keys) => {
                        let key = keys.iter().find(|key| key.access_key_id.as_str() == id);
                        Ok(key.map(|key| key.create_date))
                    }
                    Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
                    Err(_) => Err(()),
                }
            }
            .boxed()
        };
        let asked = timeout_at(caller.a_look_by(), date.found.get_or_ask(ask));
        if let Ok(Ok(found)) = asked.await {
            return found;
        }
        *date.failed() = Some(Instant::now());
        None
    }
}
