//! A proxy between the plugin and AWS that counts calls and makes chosen ones go wrong.
//!
//! It passes every byte of a call on as it came, `Host` included, because those are signed. Where
//! moto is laxer than AWS or knows a call not, it answers in AWS's place: see [`Call::answer_of_aws`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::aws::has_keys_groups_or_password;
use crate::moto::moto;

/// How long a held call and whoever waits for it are patient.
const PATIENCE: Duration = Duration::from_mins(1);

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
    closed: bool,
}

#[derive(Clone)]
enum Effect {
    Answer { status: u16, code: String },
    LoseAnswer,
    HoldBefore(Arc<Gate>),
    HoldAfter(Arc<Gate>),
}

/// Where a call waits: reached once, then opened once.
#[derive(Default)]
struct Gate {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Stage {
    #[default]
    Awaited,
    Reached,
    Open,
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
        lock(&self.state).rules.clear();
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
        let stage = lock(&self.0.stage);
        let (stage, _) = self
            .0
            .changed
            .wait_timeout_while(stage, PATIENCE, |stage| *stage == Stage::Awaited)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(*stage != Stage::Awaited, "the call to hold never came");
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *lock(&self.0.stage) = Stage::Open;
        self.0.changed.notify_all();
    }
}

impl Gate {
    fn pass(&self) {
        let mut stage = lock(&self.stage);
        if *stage == Stage::Awaited {
            *stage = Stage::Reached;
            self.changed.notify_all();
        }
        drop(
            self.changed
                .wait_timeout_while(stage, PATIENCE, |stage| *stage != Stage::Open),
        );
    }
}

/// Serves one connection of the plugin until either side closes it.
fn serve(plugin: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(plugin.try_clone()?);
    while let Some(request) = Message::read(&mut reader)? {
        let call = Call::parse(&request);
        let effect = {
            let mut state = lock(state);
            if state.closed {
                return Ok(());
            }
            let effect = state.effect_on(&call.action);
            state.calls.push(call.clone());
            effect
        };
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

/// An error as IAM and STS word it.
fn refusal(status: u16, code: &str, message: &str) -> Message {
    Message::answer(
        status,
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error>\
             <RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
        ),
    )
}

/// A request or an answer.
struct Message {
    /// First line and headers as they came, each with its line end, without those about the
    /// connection.
    head: String,
    body: Vec<u8>,
}

impl Message {
    /// `None` when the peer has closed the connection. Neither the SDK nor moto sends chunks.
    fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Self>> {
        let mut head = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            if line.trim_end().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("connection") {
                continue;
            }
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Some(Self { head, body }))
    }

    /// Makes every date of creation in an answer earlier, by whole seconds.
    fn age(&mut self, by: Duration) {
        const DATE: &str = "<CreateDate>";
        /// The length of `2026-01-02T03:04:05`, after which fractions may follow.
        const SECONDS: usize = 19;
        let mut body = String::from_utf8_lossy(&self.body).into_owned();
        for (at, _) in body.clone().match_indices(DATE) {
            let at = at + DATE.len()..at + DATE.len() + SECONDS;
            let date = format!("{}Z", &body[at.clone()]);
            let date = OffsetDateTime::parse(&date, &Rfc3339).expect("AWS sends dates") - by;
            let date = date.format(&Rfc3339).expect("a date");
            body.replace_range(at, date.trim_end_matches('Z'));
        }
        self.body = body.into_bytes();
    }

    fn answer(status: u16, body: String) -> Self {
        let head = format!(
            "HTTP/1.1 {status} Answer\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n",
            body.len()
        );
        Self {
            head,
            body: body.into_bytes(),
        }
    }

    fn write(&self, mut peer: &TcpStream) -> std::io::Result<()> {
        let mut bytes = format!("{}\r\n", self.head).into_bytes();
        bytes.extend_from_slice(&self.body);
        peer.write_all(&bytes)
    }
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

/// Undoes the encoding of form values and of policy documents in answers.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, tail @ ..]) => {
                let digit = |hex: &u8| char::from(*hex).to_digit(16).unwrap_or_default();
                let byte = digit(high) * 16 + digit(low);
                (u8::try_from(byte).unwrap_or_default(), tail)
            }
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
