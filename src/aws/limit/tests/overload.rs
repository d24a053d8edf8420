//! More is asked for than AWS takes.

use std::sync::Mutex;

use futures_util::future::join_all;
use rand::random_range;
use tokio::time::timeout;

use super::*;
use crate::aws::fake::{Fault, FaultRule};
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

    /// Makes a user, as the engine does; `None` is the failure when nobody waits for it any more.
    async fn issue(self, name: UserName, caller: Caller) -> Result<(), Option<Error>> {
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
        if key.is_ok() && attached.is_ok() && caller.waits() {
            return Ok(());
        }
        let undoing = iam.undoing();
        let detach = join_all(
            self.policies
                .iter()
                .map(|policy| undoing.detach_user_policy(&name, policy)),
        );
        if let Ok(key) = &key {
            let id = &key.access_key_id;
            undoing.delete_access_key(&name, id).await.unwrap();
        }
        detach.await;
        undoing.delete_user(&name).await.unwrap();
        Err(key.err().or(attached.err()))
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
                let error = error.unwrap();
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
    for (patience, times, minutes) in [
        (60, 1.4, 5),
        (60, 2.0, 5),
        (10, 1.4, 20),
        (10, 2.0, 5),
        (10, 5.0, 5),
        (5, 2.0, 5),
    ] {
        let lasts = Duration::from_mins(minutes);
        let scene = Scene::throttled();
        let iam = scene.mount();
        let clients = Clients::new(&scene, &iam, SECOND * patience);

        let told = clients.storm(times * capacity(), lasts).await;

        let goodput = goodput(told.served, lasts);
        let all = format!("{times} times, {patience} s of patience: {goodput:.2} {told:?}");
        assert!(goodput >= 0.9, "{all}");
        assert!(told.served <= told.asked);
        // Nearly all others are told at once; some find out for all that the crowd is impatient.
        assert!(told.gave_up * 50 <= told.asked, "{all}");
        assert!(told.refused_late * 10 <= told.asked, "{all}");
        assert!(iam.limiter.is_idle());
        assert_eq!(scene.aws.iam_users().len(), 0, "half made");
    }
}

/// An account that throttles, with a queue of requests for users that have not begun: so many came
/// at once, and half as many some seconds later.
async fn crowded(scene: &Scene, iam: &AccountIam, requests: usize) -> Vec<JoinHandle<()>> {
    let clients = Clients::new(scene, iam, Duration::from_mins(1));
    let ask = |n| tokio::spawn(clients.clone().ask(n));
    let mut crowd: Vec<_> = (0..requests).map(ask).collect();
    // Until it is known what AWS takes.
    sleep(8 * SECOND).await;
    crowd.extend((requests..requests * 3 / 2).map(ask));
    sleep(Duration::from_millis(1)).await;
    crowd
}

fn beginning(iam: &AccountIam, caller: &Caller) -> LimitedIam {
    let iam = iam.for_request(Class::Issue, caller);
    iam.expecting(CALLS).beginning()
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_is_undone_in_its_place() {
    let scene = Scene::throttled();
    let iam = scene.mount();
    let caller = Caller::client(None);
    let line = caller.line();
    let name = scene.aws.add_user("half");
    let crowd = crowded(&scene, &iam, 100).await;
    // It came after them, and has begun before them.
    let request = iam.for_request(Class::Issue, &caller).expecting(CALLS);
    drop(line);

    let error = request
        .finishing()
        .create_access_key(&name)
        .await
        .unwrap_err();
    let start = Instant::now();
    for _ in 0..CALLS {
        request.undoing().get_user(Some(&name)).await.unwrap();
    }

    assert_eq!(error.kind(), ErrorKind::CallerGone);
    // Only older requests that have begun come between; the crowd would take half a minute.
    let elapsed = start.elapsed();
    assert!(elapsed <= 2 * SECOND, "{elapsed:?}");
    crowd.iter().for_each(JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_is_told_how_many_wait_and_for_how_long() {
    let scene = Scene::throttled();
    let iam = scene.mount();
    let crowd = crowded(&scene, &iam, 200).await;
    let start = Instant::now();

    let error = beginning(&iam, &Caller::client(None))
        .let_in("iam:CreateUser")
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(!error.may_have_happened());
    let numbers: Vec<u32> = error
        .message()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [per_second, requests, wait] = numbers.try_into().unwrap();
    assert!((15..=25).contains(&per_second), "{error}");
    assert!((90..=125).contains(&requests), "{error}");
    assert!((25..=45).contains(&wait), "{error}");
    join_all(crowd).await;
    let took = start.elapsed().as_secs_f64();
    let wait = f64::from(wait);
    assert!(took <= wait && took >= 0.7 * wait, "{took} {error}");
}

#[tokio::test(start_paused = true)]
async fn the_crowd_of_one_mount_does_not_turn_away_another_one() {
    let scene = Scene::throttled();
    let (crowded_mount, quiet) = (scene.mount(), scene.mount());
    let crowd = crowded(&scene, &crowded_mount, 200).await;
    let start = Instant::now();

    let caller = Caller::client(None);
    beginning(&crowded_mount, &caller)
        .let_in("iam:CreateUser")
        .unwrap_err();
    let request = quiet.for_request(Class::Issue, &caller).expecting(CALLS);
    request.beginning().get_user(None).await.unwrap();
    let others = (1..CALLS).map(|_| async { request.finishing().get_user(None).await.unwrap() });
    join_all(others).await;

    assert!(start.elapsed() <= 2 * SECOND, "{:?}", start.elapsed());
    crowd.iter().for_each(JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn two_callers_that_hang_up_do_not_shorten_the_queue_for_the_others() {
    let scene = Scene::throttled();
    let iam = scene.mount();
    let patient = Clients::new(&scene, &iam, Duration::from_mins(1));
    let impatient = Clients {
        patience: 5 * SECOND,
        ..patient.clone()
    };
    let mut crowd: Vec<_> = (0..60)
        .map(|n| tokio::spawn(patient.clone().ask(n)))
        .collect();
    crowd.extend((60..62).map(|n| tokio::spawn(impatient.clone().ask(n))));

    join_all(crowd).await;

    assert_eq!(patient.told.lock().unwrap().served, 60);
}

#[tokio::test(start_paused = true)]
async fn what_has_not_begun_ends_when_its_caller_hangs_up_and_is_told_apart() {
    let scene = Scene::throttled();
    let iam = scene.mount();
    let crowd = crowded(&scene, &iam, 60).await;
    let caller = Caller::client(None);
    let line = caller.line();
    let request = beginning(&iam, &caller);
    let waits = tokio::spawn(async move { request.get_user(None).await });
    sleep(SECOND).await;
    assert!(!waits.is_finished());

    drop(line);
    let error = waits.await.unwrap().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CallerGone);
    assert!(!error.may_have_happened());
    crowd.iter().for_each(JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn no_permit_is_held_during_a_pause() {
    let scene = Scene::new();
    let iam = scene.mount();
    scene
        .aws
        .inject(FaultRule::on("iam:DeleteUser", Fault::Code("Throttling")));
    let name = scene.aws.add_user("u");
    let stuck = iam.for_request(Class::Removal, &Caller::host(None));
    let stuck = tokio::spawn(async move { stuck.delete_user(&name).await });
    sleep(10 * SECOND).await;

    // A call takes 50 ms, and its pauses four seconds.
    let mut idle = 0;
    for _ in 0..100 {
        sleep(Duration::from_millis(100)).await;
        idle += usize::from(iam.limiter.is_idle());
    }

    assert!(idle >= 90, "{idle}");
    stuck.abort();
}
