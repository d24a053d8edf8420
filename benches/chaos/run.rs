//! One run, from the first node to the account.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use vault_plugin_secrets_aws::aws::fake::FakeAws;
use vault_plugin_secrets_aws::clock::SystemClock;

use crate::Fallible;
use crate::account::{Account, Accountant};
use crate::cluster::Cluster;
use crate::crowd::{Clients, Phase};
use crate::driver::machine::machine;
use crate::driver::progress::say;
use crate::hand::{Hand, kills};
use crate::ledger::Ledger;
use crate::report::{Aws, Report};
use crate::scene;
use crate::settings::Settings;
use crate::{incident, life, operator, weather};

/// Within this nothing is left but doubts.
const HEALING: Duration = Duration::from_mins(2);
/// Within this nothing is left at all: the longest lease, the engine's grace, the five minutes for which
/// IAM may not know a user, and the host's own pauses between its tries.
const SETTLING: Duration = Duration::from_mins(9);
/// Between two looks at everything.
const PAUSE: Duration = Duration::from_secs(5);
/// How many looks pass between two that are told.
const TOLD: usize = 3;
/// For the host to revoke what was given back.
const GIVING_BACK: Duration = Duration::from_secs(90);
/// How many lives are told of each kind.
const LIVES: usize = 5;

pub(crate) async fn run(settings: &Settings) -> Fallible<Report> {
    let aws = FakeAws::new(Arc::new(SystemClock));
    let ledger = Arc::new(Ledger::new(aws.clone()));
    let (cluster, storage) = prepare(settings, &aws).await?;
    let accountant = Accountant {
        cluster: &cluster,
        aws: &aws,
        ledger: &ledger,
        storage: &storage,
    };
    let before = accountant.look().await?;
    if !before.is_settled() {
        return Err(format!("something is wrong before anything went wrong: {before:?}").into());
    }

    let (phase, phases) = watch::channel(Phase::Chaos);
    let clients = Clients {
        cluster: Arc::clone(&cluster),
        ledger: Arc::clone(&ledger),
        phase: phases,
        calm: Arc::default(),
    };
    let crowd = clients.start(settings.seed);
    let on_call = watch_over(&cluster, &ledger);
    let began = ledger.now();
    let hand = Hand::new(Arc::clone(&cluster), Arc::clone(&ledger), settings.seed);
    tokio::select! {
        played = hand.play(settings) => played?,
        () = weather::change(&aws, &ledger, settings.seed) => {}
        () = watch_credentials(&accountant, settings) => {}
    }
    let chaos_s = ledger.since(began).as_secs_f64();
    weather::clear(&aws);
    cluster.wait_until_well().await?;
    operator::wait_for_mount(&cluster).await?;
    let _ = phase.send(Phase::Healing);
    ledger.note("all is mended".to_owned());
    say(&format!("all is mended after {} kills", kills(&ledger)));

    let healing = Healing {
        accountant: &accountant,
        calm: &clients.calm,
        mended: ledger.now(),
    };
    let at_once = healing.look().await?;
    let (healed_s, healed) = healing.wait("healing", HEALING, Account::is_healed).await?;
    let (settled_s, settled) = if settings.quick {
        (None, healed.clone())
    } else {
        healing
            .wait("settling", SETTLING, Account::is_settled)
            .await?
    };
    let _ = phase.send(Phase::End);
    crowd.leave().await?;
    let (contained, end) = give_all_back(settings, &healing).await?;
    drop(on_call);

    let grants = ledger.grants();
    let sessions = grants.iter().filter(|grant| grant.session_token.is_some());
    let sessions = sessions.count();
    let mut report = Report {
        host: cluster.product.clone(),
        nodes: settings.nodes,
        seed: settings.seed,
        quick: settings.quick,
        machine: machine()?,
        chaos_s,
        kills: kills(&ledger),
        counts: ledger.counts(),
        aws: Aws::of(&aws),
        leases_given: grants.len() - sessions,
        sessions_given: sessions,
        at_once,
        healed_s: healed_s.map(|time| time.as_secs_f64()),
        healed,
        settled_s: settled_s.map(|time| time.as_secs_f64()),
        settled,
        contained,
        end,
        took_s: ledger.now().as_secs_f64(),
        failures: Vec::new(),
        lives: Vec::new(),
    };
    report.failures = failures(&report);
    report.lives = lives(&report, &aws, &ledger);
    write_notes(&settings.output.with_file_name("events.txt"), &ledger)?;
    Ok(report)
}

/// Contains the whole mount, and then has the host revoke all leases; what was left after each.
async fn give_all_back(settings: &Settings, healing: &Healing<'_>) -> Fallible<(Account, Account)> {
    let Accountant {
        cluster, ledger, ..
    } = *healing.accountant;
    ledger.end_all();
    incident::contain_all(cluster, ledger).await?;
    let contained = healing.look().await?;
    let (bound, is_over): (_, fn(&Account) -> bool) = if settings.quick {
        (GIVING_BACK, Account::is_over)
    } else {
        (SETTLING, Account::is_over_for_good)
    };
    healing.accountant.revoke_all().await?;
    let (_, end) = healing
        .since(ledger.now())
        .wait("giving back", bound, is_over)
        .await?;
    Ok((contained, end))
}

/// The nodes and the mount; and where that has its storage.
async fn prepare(settings: &Settings, aws: &FakeAws) -> Fallible<(Arc<Cluster>, String)> {
    say(&format!("seed {}, {} nodes", settings.seed, settings.nodes));
    let directory = settings.directory();
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory)?;
    // The host follows links and then refuses plugins of a directory that it got to by one.
    let cluster = Cluster::start(settings, &directory.canonicalize()?).await?;
    weather::clear(aws);
    let storage = scene::set(&cluster, aws).await?;
    say(&format!(
        "{}: the nodes are up, the mount is there",
        cluster.product
    ));
    Ok((Arc::new(cluster), storage))
}

/// What goes on from the first to the last: somebody looks how the nodes stand, and does what is to be
/// done.
fn watch_over(cluster: &Arc<Cluster>, ledger: &Arc<Ledger>) -> JoinSet<()> {
    let mut on_call = JoinSet::new();
    on_call.spawn(operator::be_on_call(
        Arc::clone(cluster),
        Arc::clone(ledger),
    ));
    let cluster = Arc::clone(cluster);
    on_call.spawn(async move { cluster.watch().await });
    on_call
}

/// Everything that happened, but for what is the clients' own concern.
fn write_notes(path: &Path, ledger: &Ledger) -> Fallible {
    let notes = ledger.notes().into_iter();
    let lines = notes.map(|note| format!("{:9.3} {}\n", note.at.as_secs_f64(), note.what));
    Ok(fs::write(path, lines.collect::<String>())?)
}

/// Looks every second whether AWS accepts what clients hold, and says now and then how things are.
async fn watch_credentials(accountant: &Accountant<'_>, settings: &Settings) {
    let ledger = accountant.ledger;
    for second in 1_u64.. {
        sleep(Duration::from_secs(1)).await;
        accountant.look_at_credentials();
        if second.is_multiple_of(10) {
            say(&format!(
                "{} of {} killed, {} leases given, {} users at AWS, the nodes are {}",
                kills(ledger),
                settings.kills,
                ledger.grants().len(),
                accountant.aws.iam_users().len(),
                if accountant.cluster.is_well() {
                    "well"
                } else {
                    "not well"
                },
            ));
        }
    }
}

struct Healing<'a> {
    accountant: &'a Accountant<'a>,
    calm: &'a RwLock<()>,
    /// When the last thing was mended.
    mended: Duration,
}

impl Healing<'_> {
    /// The same, counted from another moment.
    fn since(&self, mended: Duration) -> Self {
        Self {
            accountant: self.accountant,
            calm: self.calm,
            mended,
        }
    }

    async fn look(&self) -> Fallible<Account> {
        let _calm = self.calm.write().await;
        self.accountant.look_at_credentials();
        self.accountant.look().await
    }

    fn tell(&self, what: &str, account: &Account) {
        let seconds = self.accountant.ledger.since(self.mended).as_secs();
        say(&format!(
            "{what}, {seconds} s: {} users, {} leases ({} overdue, {} given up); without a lease: {} half \
             made, {} doubts, {} forgotten; {} spare keys, {} dead static keys, {} lost leases; {} undead, {} \
             containments, {} WAL entries, {} records ({} stale, {} missing){}",
            account.users,
            account.leases,
            account.overdue.len(),
            account.given_up.len(),
            account.half_made.len(),
            account.doubts.len(),
            account.forgotten.len(),
            account.spare_keys.len(),
            account.dead_static_keys.len(),
            account.lost.len(),
            account.undead.len(),
            account.contained.len(),
            account.wal,
            account.issued,
            account.stale.len(),
            account.unregistered.len(),
            account.root.join(", "),
        ));
    }

    /// Looks until it is so or the time is over; says how long it took, and what was found last.
    async fn wait(
        &self,
        what: &str,
        bound: Duration,
        is_so: fn(&Account) -> bool,
    ) -> Fallible<(Option<Duration>, Account)> {
        for number in 0_usize.. {
            let account = self.look().await?;
            let took = self.accountant.ledger.since(self.mended);
            let is_so = is_so(&account);
            let is_over = is_so || took > bound;
            if is_over || number.is_multiple_of(TOLD) {
                self.tell(what, &account);
            }
            if is_over {
                return Ok((is_so.then_some(took), account));
            }
            sleep(PAUSE).await;
        }
        Err("nobody waits that long".into())
    }
}

fn failures(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut fail = |count: usize, what: &str| {
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    };
    let healed = report.healed.left().len();
    fail(
        healed,
        "left, beside doubts, two minutes after all was mended",
    );
    let settled = &report.settled;
    let end = &report.end;
    fail(end.lost.len(), "leases lost");
    fail(
        report.undead().len(),
        "credentials that work although they should be dead",
    );
    fail(
        report.accounts().map(|account| account.crowded.len()).sum(),
        "users more than a role may have",
    );
    fail(
        end.contradictions.len(),
        "answers of the register that cannot be",
    );
    fail(
        end.spare_keys.len(),
        "users with access keys without an owner",
    );
    fail(
        end.dead_static_keys.len(),
        "static roles whose stored key does not work",
    );
    fail(end.root.len(), "faults of the engine's own key");
    fail(end.forgotten.len(), "users that nobody knows of");
    if !report.quick {
        fail(
            settled.without_lease(),
            "users without a lease when all was to be settled",
        );
        fail(settled.overdue.len(), "leases that outlived their end");
        fail(
            settled.unregistered.len(),
            "users with a lease that are in no register",
        );
        fail(settled.wal, "entries left in the write-ahead log");
        fail(settled.stale.len(), "records of users that are gone");
        fail(end.contained.len(), "containments that never end");
        fail(end.users, "users left when every lease was given back");
    }
    found
}

/// The lives of a few of each kind.
fn lives(report: &Report, aws: &FakeAws, ledger: &Ledger) -> Vec<Vec<String>> {
    let mut left: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |kind: &str, name: &str| {
        let names = left.entry(kind.to_owned()).or_default();
        names.insert(name.to_owned());
    };
    for account in [&report.healed, &report.settled, &report.end] {
        for (kind, name) in account.left() {
            add(kind, name);
        }
    }
    if !report.quick {
        for (kind, names) in [
            ("doubt that is not settled", &report.settled.doubts),
            ("lease that outlived its end, of", &report.settled.overdue),
            ("lease without a record, of", &report.settled.unregistered),
        ] {
            for name in names {
                add(kind, name);
            }
        }
    }
    for grant in ledger.grants() {
        if grant.lost.is_some() {
            add("lost lease of", &grant.name);
        }
    }
    for name in report.undead() {
        add("credentials that should be dead, of", name);
    }
    let few = left.into_iter().flat_map(|(kind, names)| {
        let few = names.into_iter().take(LIVES);
        few.map(move |name| (kind.clone(), name))
    });
    few.map(|(kind, name)| {
        let mut life = vec![format!("{kind} {name}:")];
        life.extend(life::tell(&name, aws, ledger));
        life
    })
    .collect()
}
