//! `contain/` and `contain-status/`: the end of all that a role, or the whole mount, has given out.
//!
//! First the role is disabled, so that nothing more comes out; then the work is stored, and done in
//! this order: access keys, which is what harms; sessions; the users that are left without a key. A
//! little of it is done before the request is answered, and the rest at the ticks of the host's timer,
//! in this life of the mount or the next. What is done twice does no harm.
//!
//! - `path`: what is asked, and answered at once;
//! - `look`: what would be done, counted and named;
//! - `status`: how far it is;
//! - `work`: what is stored of it;
//! - `steps`: how it is done;
//! - `sessions`: the one place where sessions are ended.

mod look;
mod path;
mod sessions;
mod status;
mod steps;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use path::{mount_path, path};
pub(super) use status::{list_path, status_path};
pub(super) use work::{PREFIX, Work};

use super::Engine;
use super::roles::{self, RoleName, RoleRecord};
use crate::caller::Caller;
use crate::logical::{Error, Storage, StorageError};

/// How many records are read before it is seen whether there is time for more.
const PAGE: usize = 500;
const READS_AT_A_TIME: usize = 32;

/// What is known in memory of the works of one mount.
#[derive(Debug, Default)]
pub(super) struct Contain {
    // A std mutex: nothing awaits under it.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Works that have not ended; `None` until storage was asked once.
    open: Option<BTreeSet<String>>,
    /// Counts those that were opened.
    opened: u64,
    /// Works that somebody is busy with.
    busy: BTreeSet<String>,
}

/// The right to go on with one work.
struct Turn<'a> {
    contain: &'a Contain,
    id: String,
}

impl Contain {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A work is stored. Before storage was asked, it is found there.
    fn opened(&self, id: &str) {
        let mut state = self.state();
        state.opened += 1;
        if let Some(open) = &mut state.open {
            open.insert(id.to_owned());
        }
    }

    fn ended(&self, id: &str) {
        if let Some(open) = &mut self.state().open {
            open.remove(id);
        }
    }

    /// `None` when somebody else is busy with it.
    fn turn(&self, id: &str) -> Option<Turn<'_>> {
        let turn = || Turn {
            contain: self,
            id: id.to_owned(),
        };
        self.state().busy.insert(id.to_owned()).then(turn)
    }

    /// The works that have not ended.
    async fn open(&self, storage: &dyn Storage) -> Result<BTreeSet<String>, Error> {
        let opened = {
            let state = self.state();
            if let Some(open) = &state.open {
                return Ok(open.clone());
            }
            state.opened
        };
        let mut found = BTreeSet::new();
        for (id, work) in Work::all(storage).await? {
            if !work.has_ended() {
                found.insert(id);
            }
        }
        // What was opened meanwhile is met at the next tick, which asks storage again.
        let mut state = self.state();
        if state.opened == opened {
            state.open = Some(found.clone());
        }
        Ok(found)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.contain.state().busy.remove(&self.id);
    }
}

/// The role; none where it cannot be read, which must hold up nothing.
async fn readable_role(
    engine: &Engine,
    storage: &dyn Storage,
    name: &RoleName,
) -> Result<Option<Arc<RoleRecord>>, StorageError> {
    match roles::load(engine, storage, name).await {
        Err(StorageError::Decode { .. }) => Ok(None),
        role => role,
    }
}

/// One tick: every work that has not ended goes on, as far as there is time.
pub(super) async fn go_on(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
) -> Result<(), Error> {
    let mut outcome = Ok(());
    for id in engine.contain.open(storage).await? {
        let Some(_turn) = engine.contain.turn(&id) else {
            continue;
        };
        // One that fails stops no other.
        outcome = outcome.and(go_on_with(engine, storage, caller, &id).await);
    }
    outcome.map_err(|error: Error| error.context("error going on with a containment"))
}

async fn go_on_with(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    id: &str,
) -> Result<(), Error> {
    match Work::load(storage, id).await? {
        Some(mut work) if !work.has_ended() => {
            let until = caller.begin_by();
            steps::go_on(engine, storage, caller, id, &mut work, until).await
        }
        _ => {
            engine.contain.ended(id);
            Ok(())
        }
    }
}
