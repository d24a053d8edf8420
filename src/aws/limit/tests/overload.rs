//! More is asked for than AWS takes.

use std::sync::Mutex;

use futures_util::future::join_all;
use rand::random_range;
use tokio::time::timeout;

use super::*;
use crate::aws::{Arn, CreateUser, Error, UserName};

/// What a request for a user takes: the user, its key, and five policies.
const CALLS: usize = 7;
const SECOND: Duration = Duration::from_secs(1);

/// What became of the requests of one kind of clients.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    asked: usize,
    /// Before the client gave up.
    served: usize,
    /// That they would not be served, as fast as that.
    refused: usize,
    /// That they would not be served, but not at once.
    refused_late: usize,
    /// Nothing before the client gave up.
    gave_up: usize,
}

/// Clients that ask for users again and again.
#[derive(Clone)]
struct Clients {
    aws: FakeAws,
    iam: AccountIam,
    policies: Arc<[Arn]>,
    patience: Duration,
    told: Arc<Mutex<Told>>,
}

impl Clients {
    fn new(scene: &Scene, iam: &AccountIam, patience: Duration) -> Self {
        Self {
            aws: scene.aws.clone(),
            iam: iam.clone(),
            policies: (1..CALLS - 1)
                .map(|n| scene.aws.add_policy(&format!("policy{n}")))
                .collect(),
            patience,
            told: Arc::default(),
        }
    }

    /// Makes a user, as the engine does.
    async fn issue(self, name: UserName, caller: Caller) -> Result<(), Error> {
        let iam = self.iam.for_request(Class::Issue, &caller).expecting(CALLS);
        iam.beginning()
            .create_user(CreateUser {
                user_name: name.clone(),
                path: None,
                permissions_boundary: None,
                tags: Vec::new(),
            })
            .await?;
        let rest = iam.finishing();
        let attach = join_all(
            self.policies
                .iter()
                .map(|policy| rest.attach_user_policy(&name, policy)),
        );
        let (key, attached) = tokio::join!(rest.create_access_key(&name), attach);
        let attached: Result<Vec<()>, _> = attached.into_iter().collect();
        match (&key, attached) {
            (Ok(_), Ok(_)) if caller.waits() => return Ok(()),
            _ => {}
        }
        let undoing = iam.undoing();
        let detach = join_all(
            self.policies
                .iter()
                .map(|policy| undoing.detach_user_policy(&name, policy)),
        );
        if let Ok(key) = &key {
            undoing
                .delete_access_key(&name, &key.access_key_id)
                .await
                .unwrap();
        }
        detach.await;
        undoing.delete_user(&name).await.unwrap();
        key.map(drop)
    }

    /// One client that asks once.
    async fn ask(self, number: usize) {
        let name = UserName::new(format!("u{number}")).unwrap();
        let caller = Caller::client(None);
        let line = caller.line();
        let began = Instant::now();
        let issued = tokio::spawn(self.clone().issue(name.clone(), caller));
        let answer = timeout(self.patience, issued).await;
        drop(line);
        let mut told = self.told.lock().unwrap();
        match answer {
            Ok(Ok(Ok(()))) => {
                told.served += 1;
                self.aws.remove_user(name.as_str());
            }
            Ok(Ok(Err(error))) => {
                assert_eq!(error.kind(), ErrorKind::Throttled, "{error}");
                told.refused += 1;
                told.refused_late += usize::from(began.elapsed() > SECOND);
            }
            Ok(Err(panic)) => panic!("{panic}"),
            Err(_) => told.gave_up += 1,
        }
    }

    /// Asks so often a second, not quite evenly, and waits until everybody is answered.
    async fn storm(self, per_second: f64, lasts: Duration) -> Told {
        let end = Instant::now() + lasts;
        let mut asked = Vec::new();
        while Instant::now() < end {
            asked.push(tokio::spawn(self.clone().ask(asked.len())));
            sleep(Duration::from_secs_f64(random_range(0.0..2.0) / per_second)).await;
            if asked.len() % 1000 == 0 {
                self.aws.forget_calls();
            }
        }
        let asked = join_all(asked).await.into_iter();
        let asked = asked.map(Result::unwrap).count();
        // What is half made is undone.
        sleep(Duration::from_mins(2)).await;
        Told {
            asked,
            ..*self.told.lock().unwrap()
        }
    }
}

/// The part of what AWS could have done in that time that was of use to somebody.
fn goodput(served: usize, lasts: Duration) -> f64 {
    let done = f64::from(u32::try_from(served * CALLS).unwrap());
    done / (f64::from(LIMIT.per_second) * lasts.as_secs_f64())
}

/// What AWS takes, in requests a second.
fn capacity() -> f64 {
    f64::from(LIMIT.per_second) / 7.0
}

#[tokio::test(start_paused = true)]
async fn who_is_served_is_served_in_time_for_as_long_as_too_much_is_asked() {
    let lasts = Duration::from_mins(10);
    for (patience, times) in [(60, 1.4), (60, 2.0), (10, 1.4), (10, 2.0), (10, 5.0), (5, 2.0)] {
        let scene = Scene::throttled();
        let iam = scene.mount();
        let clients = Clients::new(&scene, &iam, SECOND * patience);

        let told = clients.storm(times * capacity(), lasts).await;

        let goodput = goodput(told.served, lasts);
        eprintln!("patience {patience} s, {times}: {goodput:.3} {told:?}");
        assert!(goodput >= 0.8, "{goodput:.2} {told:?}");
        assert!(iam.limiter.is_idle());
        assert_eq!(scene.aws.iam_users().len(), 0, "half made");
    }
}
