//! What the clients know, and what happened when: the other side of every account.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use vault_plugin_secrets_aws::aws::fake::FakeAws;

/// All times here and at AWS are counted from the making of that AWS.
#[derive(Debug)]
pub(crate) struct Ledger {
    aws: FakeAws,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    grants: Vec<Grant>,
    sessions: Vec<Session>,
    notes: Vec<Note>,
    counts: Counts,
}

/// How often which kind of thing came to what.
pub(crate) type Counts = BTreeMap<&'static str, BTreeMap<String, usize>>;

/// Credentials of an IAM user that a client was given.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) lease: String,
    pub(crate) user: String,
    pub(crate) access_key: String,
    pub(crate) given: Duration,
    /// Until then the host has promised them, at the least.
    pub(crate) good_until: Duration,
    /// Since when a client has tried to end them.
    pub(crate) ending: Option<Duration>,
    /// Why they are lost, if they are.
    pub(crate) lost: Option<String>,
    /// What their client did.
    pub(crate) story: Vec<Note>,
}

/// Credentials of a session that a client was given.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) token: String,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) at: Duration,
    pub(crate) what: String,
}

impl Ledger {
    pub(crate) fn new(aws: FakeAws) -> Self {
        Self {
            aws,
            book: Mutex::default(),
        }
    }

    /// Now.
    pub(crate) fn now(&self) -> Duration {
        self.aws.age()
    }

    pub(crate) fn since(&self, moment: Duration) -> Duration {
        self.now().saturating_sub(moment)
    }

    pub(crate) fn note(&self, what: String) {
        let at = self.now();
        self.book().notes.push(Note { at, what });
    }

    pub(crate) fn count(&self, kind: &'static str, what: &str) {
        let mut book = self.book();
        let counts = book.counts.entry(kind).or_default();
        *counts.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.book().counts.clone()
    }

    /// How often a kind of thing came to this.
    pub(crate) fn counted(&self, kind: &str, what: &str) -> usize {
        let book = self.book();
        let counts = book.counts.get(kind);
        counts
            .and_then(|counts| counts.get(what))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn notes(&self) -> Vec<Note> {
        self.book().notes.clone()
    }

    pub(crate) fn grants(&self) -> Vec<Grant> {
        self.book().grants.clone()
    }

    pub(crate) fn sessions(&self) -> Vec<Session> {
        self.book().sessions.clone()
    }

    /// A client was given credentials of a user for which it asked at `asked`. Returns what the
    /// other methods know them by.
    pub(crate) fn grant(&self, answer: &Value, asked: Duration) -> usize {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let data = &answer["data"];
        let arn = text(&data["arn"]);
        let given = self.now();
        let seconds = answer["lease_duration"].as_u64().unwrap_or_default();
        let grant = Grant {
            lease: text(&answer["lease_id"]),
            user: arn.rsplit('/').next().unwrap_or_default().to_owned(),
            access_key: text(&data["access_key"]),
            given,
            good_until: asked + Duration::from_secs(seconds),
            ending: None,
            lost: None,
            story: vec![Note {
                at: asked,
                what: "asked for, and given".to_owned(),
            }],
        };
        let mut book = self.book();
        book.grants.push(grant);
        book.grants.len() - 1
    }

    pub(crate) fn session(&self, answer: &Value) {
        let text = |name: &str| answer["data"][name].as_str().unwrap_or_default().to_owned();
        let session = Session {
            access_key: text("access_key"),
            secret_key: text("secret_key"),
            token: text("session_token"),
        };
        self.book().sessions.push(session);
    }

    /// One grant as it is now.
    pub(crate) fn look(&self, grant: usize) -> Grant {
        self.book().grants[grant].clone()
    }

    /// Something that a grant's client did or learnt.
    pub(crate) fn tell(&self, grant: usize, what: String) {
        let at = self.now();
        self.book().grants[grant].story.push(Note { at, what });
    }

    /// The host renewed it upon a request of `asked`.
    pub(crate) fn renewed(&self, grant: usize, asked: Duration, seconds: u64) {
        let mut book = self.book();
        let grant = &mut book.grants[grant];
        // The end never comes nearer.
        grant.good_until = grant.good_until.max(asked + Duration::from_secs(seconds));
    }

    /// From now on nobody may count on it.
    pub(crate) fn ending(&self, grant: usize) {
        let now = self.now();
        self.book().grants[grant].ending.get_or_insert(now);
    }

    /// From now on nobody counts on anything.
    pub(crate) fn end_all(&self) {
        let now = self.now();
        for grant in &mut self.book().grants {
            grant.ending.get_or_insert(now);
        }
    }

    /// It ended before it was to.
    pub(crate) fn lose(&self, grant: usize, why: &str) {
        let now = self.now();
        let mut book = self.book();
        let grant = &mut book.grants[grant];
        if grant.lost.is_none() {
            grant.lost = Some(format!("{:.1} s: {why}", now.as_secs_f64()));
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grant {
    /// Whether a client counts on it for some time yet.
    pub(crate) fn is_held(&self, now: Duration) -> bool {
        /// For what is under way meanwhile.
        const MARGIN: Duration = Duration::from_secs(2);
        self.ending.is_none() && self.lost.is_none() && self.good_until > now + MARGIN
    }
}
