//! A proxy between the plugin and AWS that counts calls and makes chosen ones go wrong.
//!
//! It passes every byte of a call on as it came, `Host` included, because those are signed. Where
//! moto is laxer than AWS or knows a call not, it answers in AWS's place: see [`Call::answer_of_aws`].

mod gates;
mod message;
mod simulation;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use vault_plugin_secrets_aws::aws::fake::{Bucket, RateLimit};

use self::gates::{Gate, Rounds};
pub(crate) use self::message::decode;
use self::message::{Message, refusal};
use crate::aws::has_keys_groups_or_password;
use crate::moto::moto;

/// A running proxy; calls through it fail once it is dropped.
pub(crate) struct Proxy {
    /// Where it listens, as `127.0.0.1:port`.
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

/// A call the plugin made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Such as `CreateUser`.
    pub(crate) action: String,
    /// Its parameters, such as `UserName`.
    pub(crate) parameters: BTreeMap<String, String>,
    /// The id of the key that signed it.
    pub(crate) access_key: String,
    /// Whether it was refused for coming too soon after others.
    pub(crate) throttled: bool,
}

/// What is to happen to calls of one action.
pub(crate) struct Rule<'a> {
    proxy: &'a Proxy,
    action: String,
    times: usize,
}

/// A call that stands still. Dropping it lets the call go on.
pub(crate) struct Held(Arc<Gate>);

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    secrets: Vec<String>,
    rules: Vec<(String, usize, Effect)>,
    /// By how much what AWS made is older in its answers than it is.
    age: Duration,
    rounds: Option<Arc<Rounds>>,
    bucket: Option<Bucket>,
    closed: bool,
}

#[derive(Clone)]
enum Effect {
    Answer { status: u16, code: String },
    LoseAnswer,
    HoldBefore(Arc<Gate>),
    HoldAfter(Arc<Gate>),
}

impl Proxy {
    /// Listens on a free port of the loopback.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let state = Arc::clone(&shared);
                if lock(&state).closed {
                    return;
                }
                if let Ok(connection) = connection {
                    // An error here is a peer that went away.
                    thread::spawn(move || serve(&connection, &state));
                }
            }
        });
        Self { address, state }
    }

    /// The URL to configure as an endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts to say what happens to calls of `action`, from now on and every time.
    pub(crate) fn on(&self, action: &str) -> Rule<'_> {
        Rule {
            proxy: self,
            action: action.to_owned(),
            times: usize::MAX,
        }
    }

    /// Lets everything pass again.
    pub(crate) fn let_pass(&self) {
        let mut state = lock(&self.state);
        state.rules.clear();
        state.bucket = None;
    }

    /// From now on AWS takes so many calls a second, and so many at once after a pause.
    pub(crate) fn throttle(&self, per_second: u32, burst: u32) {
        lock(&self.state).bucket = Some(Bucket::full(RateLimit { per_second, burst }));
    }

    /// From now on AWS says of everything that it made it so much earlier.
    pub(crate) fn age(&self, by: Duration) {
        lock(&self.state).age += by;
    }

    /// All calls so far, in order of arrival, including those that were made to fail.
    pub(crate) fn calls(&self) -> Vec<Call> {
        lock(&self.state).calls.clone()
    }

    /// The calls of `action` so far, in order of arrival.
    pub(crate) fn calls_of(&self, action: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.action == action);
        calls
    }

    /// What was called while `doing` something, each action once, in alphabetical order.
    pub(crate) fn actions_while(&self, doing: impl FnOnce()) -> BTreeSet<String> {
        let before = self.calls().len();
        doing();
        self.calls()
            .drain(before..)
            .map(|call| call.action)
            .collect()
    }

    /// Does something whose calls must come in rounds of these sizes, each round at once and the
    /// next after the answers; answers with the actions of each round, in alphabetical order.
    pub(crate) fn in_rounds<T>(
        &self,
        sizes: &[usize],
        doing: impl FnOnce() -> T,
    ) -> (T, Vec<Vec<String>>) {
        let before = self.calls().len();
        lock(&self.state).rounds = Some(Arc::new(Rounds::new(sizes)));
        let done = doing();
        lock(&self.state).rounds = None;
        let calls = self.calls().into_iter().skip(before);
        let mut actions = calls.map(|call| call.action);
        let mut rounds: Vec<Vec<String>> = sizes
            .iter()
            .map(|size| actions.by_ref().take(*size).collect())
            .collect();
        for round in &mut rounds {
            round.sort_unstable();
        }
        let more: Vec<String> = actions.collect();
        assert_eq!(more, [""; 0], "needless calls");
        (done, rounds)
    }

    /// Every user name that was asked to be created, in order.
    pub(crate) fn created_users(&self) -> Vec<String> {
        self.calls_of("CreateUser")
            .into_iter()
            .filter_map(|mut call| call.parameters.remove("UserName"))
            .collect()
    }

    /// Every secret key and session token that AWS answered.
    pub(crate) fn secrets(&self) -> Vec<String> {
        lock(&self.state).secrets.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        lock(&self.state).closed = true;
        // Wakes the listener up.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Rule<'_> {
    /// Only for the next call.
    pub(crate) fn once(mut self) -> Self {
        self.times = 1;
        self
    }

    /// Is answered with an error in the form AWS gives it, and goes no further.
    pub(crate) fn fail(self, status: u16, code: &str) {
        let code = code.to_owned();
        self.add(Effect::Answer { status, code });
    }

    /// Is carried out, but the answer never comes.
    pub(crate) fn lose_answer(self) {
        self.add(Effect::LoseAnswer);
    }

    /// The next call stands still before AWS hears of it.
    pub(crate) fn hold_before(self) -> Held {
        let gate = Arc::default();
        self.once().add(Effect::HoldBefore(Arc::clone(&gate)));
        Held(gate)
    }

    /// The next call is carried out, but its answer stands still.
    pub(crate) fn hold_after(self) -> Held {
        let gate = Arc::default();
        self.once().add(Effect::HoldAfter(Arc::clone(&gate)));
        Held(gate)
    }

    fn add(self, effect: Effect) {
        lock(&self.proxy.state)
            .rules
            .push((self.action, self.times, effect));
    }
}

impl Held {
    /// Waits until the call stands still.
    pub(crate) fn wait(&self) {
        self.0.wait();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Serves one connection of the plugin until either side closes it.
fn serve(plugin: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(plugin.try_clone()?);
    while let Some(request) = Message::read(&mut reader)? {
        let mut call = Call::parse(&request);
        let (effect, rounds) = {
            let mut state = lock(state);
            if state.closed {
                return Ok(());
            }
            let effect = state.effect_on(&call.action);
            let bucket = state.bucket.as_mut();
            call.throttled = bucket.is_some_and(|bucket| !bucket.takes());
            state.calls.push(call.clone());
            (effect, state.rounds.clone())
        };
        if let Some(rounds) = rounds {
            rounds.pass();
        }
        if call.throttled {
            refusal(400, "Throttling", "Rate exceeded").write(plugin)?;
            continue;
        }
        match &effect {
            Some(Effect::Answer { status, code }) => {
                refusal(*status, code, "made to fail by the test").write(plugin)?;
                continue;
            }
            Some(Effect::HoldBefore(gate)) => gate.pass(),
            Some(Effect::LoseAnswer | Effect::HoldAfter(_)) | None => {}
        }
        let mut answer = match call.answer_of_aws() {
            Some(answer) => answer,
            None => forward(&request)?,
        };
        answer.age(lock(state).age);
        lock(state).remember_secrets(&answer.body);
        match &effect {
            Some(Effect::HoldAfter(gate)) => gate.pass(),
            Some(Effect::LoseAnswer) => return Ok(()),
            _ => {}
        }
        answer.write(plugin)?;
    }
    Ok(())
}

/// Sends a request to AWS on a connection of its own and reads the answer to its end.
fn forward(request: &Message) -> std::io::Result<Message> {
    let mut aws = TcpStream::connect(&moto().address)?;
    aws.write_all(request.head.as_bytes())?;
    // No header of the connection is signed.
    aws.write_all(b"Connection: close\r\n\r\n")?;
    aws.write_all(&request.body)?;
    Message::read(&mut BufReader::new(aws))?
        .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))
}

impl Call {
    /// From the form that every call to IAM and STS is.
    fn parse(request: &Message) -> Self {
        let mut parameters: BTreeMap<String, String> = String::from_utf8_lossy(&request.body)
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        Self {
            action: parameters.remove("Action").unwrap_or_default(),
            parameters,
            access_key: request
                .head
                .split_once("Credential=")
                .and_then(|(_, scope)| Some(scope.split_once('/')?.0.to_owned()))
                .unwrap_or_default(),
            throttled: false,
        }
    }

    /// The answer of AWS where moto would give another one.
    fn answer_of_aws(&self) -> Option<Message> {
        let user = self.parameters.get("UserName");
        match self.action.as_str() {
            // moto deletes users together with what is attached to them.
            "DeleteUser" if has_keys_groups_or_password(user?) => Some(refusal(
                409,
                "DeleteConflict",
                "Cannot delete entity, must remove what is attached to it first.",
            )),
            // moto has no such credentials, and does not know the call.
            "ListServiceSpecificCredentials" => Some(Message::answer(
                200,
                "<ListServiceSpecificCredentialsResponse>\
                 <ListServiceSpecificCredentialsResult><ServiceSpecificCredentials/>\
                 </ListServiceSpecificCredentialsResult></ListServiceSpecificCredentialsResponse>"
                    .to_owned(),
            )),
            "SimulatePrincipalPolicy" => Some(simulation::answer(&self.parameters)),
            _ => None,
        }
    }
}

impl State {
    /// The first rule for it that is not used up.
    fn effect_on(&mut self, action: &str) -> Option<Effect> {
        let (_, times, effect) = self
            .rules
            .iter_mut()
            .find(|(name, times, _)| name == action && *times > 0)?;
        *times -= 1;
        Some(effect.clone())
    }

    fn remember_secrets(&mut self, answer: &[u8]) {
        let answer = String::from_utf8_lossy(answer);
        for element in ["SecretAccessKey", "SessionToken"] {
            let (open, close) = (format!("<{element}>"), format!("</{element}>"));
            if let Some((_, after)) = answer.split_once(&open)
                && let Some((secret, _)) = after.split_once(&close)
            {
                self.secrets.push(secret.to_owned());
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
