//! All clients, and what is going on.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Fallible;
use crate::clients::Client;
use crate::cluster::Cluster;
use crate::ledger::Ledger;
use crate::scene::{ENDED_ROLES, LEAKY_ROLES};

/// Clients that issue, use and revoke.
const WORKERS: usize = 6;
/// Clients that hold a lease for as long as it can be renewed, also while all heals.
const KEEPERS: usize = 3;
/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everything may go wrong.
    Chaos,
    /// Nothing goes wrong any more. Only keepers ask for credentials.
    Healing,
    /// What is left is given back.
    End,
}

/// What every client has.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Held to read by whoever asks for credentials: whoever writes sees no user in the making.
    pub(crate) calm: Arc<RwLock<()>>,
}

/// All of them, as running tasks.
pub(crate) struct Crowd {
    /// They end when the chaos ends.
    workers: JoinSet<()>,
    /// They end at the end.
    keepers: JoinSet<()>,
}

impl Crowd {
    /// Waits until everybody has ended.
    pub(crate) async fn leave(mut self) -> Fallible {
        for crowd in [&mut self.keepers, &mut self.workers] {
            while let Some(ended) = crowd.join_next().await {
                ended?;
            }
        }
        Ok(())
    }
}

impl Clients {
    pub(crate) fn start(&self, seed: u64) -> Crowd {
        let mut crowd = Crowd {
            workers: JoinSet::new(),
            keepers: JoinSet::new(),
        };
        let mut random = StdRng::seed_from_u64(seed);
        let mut client = |is_patient| Client::new(self, random.random(), is_patient);
        for _ in 0..WORKERS {
            crowd.workers.spawn(client(false).work());
        }
        crowd.workers.spawn(client(false).rotate_root());
        crowd.workers.spawn(client(false).rotate_static());
        for role in ENDED_ROLES {
            crowd.workers.spawn(client(false).hold_sessions(role));
        }
        crowd.workers.spawn(client(false).storm());
        crowd.workers.spawn(client(false).inquire());
        for role in LEAKY_ROLES {
            crowd.keepers.spawn(client(false).contain(role));
        }
        for _ in 0..KEEPERS {
            crowd.keepers.spawn(client(true).keep());
        }
        crowd
    }

    pub(crate) fn is(&self, phase: Phase) -> bool {
        *self.phase.borrow() == phase
    }

    /// Waits, but not beyond the phase.
    pub(crate) async fn rest(&self, time: Duration, phase: Phase) {
        let mut changes = self.phase.clone();
        let over = changes.wait_for(|now| *now > phase);
        // An error means that nobody is there to change it.
        let _ = timeout(time, over).await;
    }
}
