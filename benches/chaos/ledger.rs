//! What the clients know, and what happened when: the other side of every account.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use vault_plugin_secrets_aws::aws::fake::FakeAws;

use crate::scene::SESSION;

/// All times here and at AWS are counted from the making of that AWS.
#[derive(Debug)]
pub(crate) struct Ledger {
    aws: FakeAws,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    grants: Vec<Grant>,
    /// Of whose roles nobody counts on what was asked for before that time.
    given_back: BTreeMap<String, Duration>,
    contradictions: Vec<String>,
    notes: Vec<Note>,
    counts: Counts,
}

/// How often which kind of thing came to what.
pub(crate) type Counts = BTreeMap<&'static str, BTreeMap<String, usize>>;

/// Credentials that a client was given, of an IAM user or of a session.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) role: String,
    pub(crate) lease: String,
    /// The user's or the session's.
    pub(crate) name: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    /// Only sessions have one.
    pub(crate) session_token: Option<String>,
    pub(crate) given: Duration,
    /// Until then the host has promised them, at the least.
    pub(crate) good_until: Duration,
    /// Since when a client has tried to end them.
    pub(crate) ending: Option<Duration>,
    /// How it was said that they do not work any more, if it was.
    pub(crate) ended: Option<&'static str>,
    /// Why they are lost, if they are.
    pub(crate) lost: Option<String>,
    /// What their client did.
    pub(crate) story: Vec<Note>,
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

    /// What was told that cannot be.
    pub(crate) fn contradictions(&self) -> Vec<String> {
        self.book().contradictions.clone()
    }

    /// A client was given credentials of that role for which it asked at `asked`. Returns what the
    /// other methods know them by.
    pub(crate) fn grant(&self, role: &str, answer: &Value, asked: Duration) -> usize {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let data = &answer["data"];
        let arn = text(&data["arn"]);
        let given = self.now();
        let seconds = answer["lease_duration"].as_u64().unwrap_or_default();
        let mut grant = Grant {
            role: role.to_owned(),
            lease: text(&answer["lease_id"]),
            name: arn.rsplit('/').next().unwrap_or_default().to_owned(),
            access_key: text(&data["access_key"]),
            secret_key: text(&data["secret_key"]),
            session_token: data["session_token"].as_str().map(str::to_owned),
            given,
            good_until: asked + Duration::from_secs(seconds),
            ending: None,
            ended: None,
            lost: None,
            story: vec![Note {
                at: asked,
                what: "asked for, and given".to_owned(),
            }],
        };
        let mut book = self.book();
        if book.given_back.get(role).is_some_and(|time| asked < *time) {
            grant.ending = Some(given);
        }
        book.grants.push(grant);
        book.grants.len() - 1
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

    /// The host renewed it upon a request of `asked`. Where the lease ended while that was under way, hosts
    /// revoke it all the same.
    pub(crate) fn renewed(&self, grant: usize, asked: Duration, seconds: u64) {
        let now = self.now();
        let mut book = self.book();
        let grant = &mut book.grants[grant];
        if now > grant.good_until {
            return;
        }
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

    /// From now on nobody may count on what that role gives, until it is asked for after
    /// [`Self::given_back`].
    pub(crate) fn give_back(&self, role: &str) {
        let now = self.now();
        let mut book = self.book();
        book.given_back.insert(role.to_owned(), Duration::MAX);
        for grant in book.grants.iter_mut().filter(|grant| grant.role == role) {
            grant.ending.get_or_insert(now);
        }
    }

    pub(crate) fn given_back(&self, role: &str) {
        let now = self.now();
        self.book().given_back.insert(role.to_owned(), now);
    }

    /// It was said, in this way, that the credentials do not work any more.
    pub(crate) fn ended(&self, grant: usize, how: &'static str) {
        self.book().grants[grant].ended.get_or_insert(how);
    }

    /// The same of all that were given before that time; of one role, or of every one.
    pub(crate) fn ended_before(&self, time: Duration, role: Option<&str>, how: &'static str) {
        let mut book = self.book();
        let is_of = |grant: &&mut Grant| role.is_none_or(|role| grant.role == role);
        let given = book.grants.iter_mut().filter(is_of);
        for grant in given.filter(|grant| grant.given < time) {
            grant.ended.get_or_insert(how);
        }
    }

    /// Something was told that cannot be.
    pub(crate) fn contradict(&self, what: String) {
        self.book().contradictions.push(what);
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

    /// Whether it is a session that is about to end by itself, of which nobody takes care any more.
    pub(crate) fn ends_soon(&self, now: Duration) -> bool {
        const SOON: Duration = Duration::from_secs(15);
        self.session_token.is_some() && self.given + SESSION < now + SOON
    }
}
