//! An HTTP server on the loopback that answers as it is told and keeps what it heard.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use percent_encoding::percent_decode_str;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Answers.
    Answer {
        status: u16,
        /// Further headers, each with its line end.
        head: &'static str,
        body: String,
    },
    /// Says nothing.
    Silence,
    /// Ends the connection.
    HangUp,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Answer {
            status,
            head: "",
            body: body.into(),
        }
    }

    /// The same with more headers.
    pub(super) fn with_head(mut self, more: &'static str) -> Self {
        if let Self::Answer { head, .. } = &mut self {
            *head = more;
        }
        self
    }

    /// AWS's answer to `action`, with `content` in its result element.
    pub(super) fn result(action: &str, content: &str) -> Self {
        Self::new(
            200,
            format!(
                "<{action}Response><{action}Result>{content}</{action}Result></{action}Response>"
            ),
        )
    }

    /// AWS's error.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}\
                 </Message></Error></ErrorResponse>"
            ),
        )
    }
}

/// A request as the server heard it.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// `POST / HTTP/1.1`.
    pub(super) line: String,
    /// By lower-case name.
    pub(super) headers: BTreeMap<String, String>,
    /// The form as it was written.
    pub(super) body: String,
    /// The form's fields.
    pub(super) form: BTreeMap<String, String>,
}

impl Heard {
    pub(super) fn field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    heard: Mutex<Vec<Heard>>,
    connections: Mutex<usize>,
}

impl Server {
    /// Gives these replies in this order, and the last one for ever.
    pub(super) async fn answering(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start(replies, None).await
    }

    pub(super) async fn start(
        replies: impl IntoIterator<Item = Reply>,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            replies: Mutex::new(replies.into_iter().collect()),
            ..Shared::default()
        });
        let server = Self {
            address,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                *shared.connections.lock().unwrap() += 1;
                tokio::spawn(async move {
                    match tls {
                        None => shared.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                shared.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// The `Action` of every request.
    pub(super) fn actions(&self) -> Vec<String> {
        let heard = self.heard();
        heard
            .iter()
            .map(|heard| heard.field("Action").to_owned())
            .collect()
    }

    pub(super) fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

impl Shared {
    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut stream = BufReader::new(stream);
        while let Some(heard) = hear(&mut stream).await {
            self.heard.lock().unwrap().push(heard);
            let reply = {
                let mut replies = self.replies.lock().unwrap();
                match replies.len() {
                    1 => replies[0].clone(),
                    _ => replies.pop_front().unwrap(),
                }
            };
            match reply {
                Reply::Answer { status, head, body } => {
                    let answer = format!(
                        "HTTP/1.1 {status} Told\r\nx-amzn-requestid: request-1\r\n{head}content-length: \
                         {}\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                }
                Reply::Silence => std::future::pending().await,
                Reply::HangUp => return,
            }
        }
    }
}

/// One request; `None` when the client has gone.
async fn hear(stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>) -> Option<Heard> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut lines = lines.into_iter();
    let line = lines.next()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text)
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    let body = String::from_utf8(body).unwrap();
    let form = body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    Some(Heard {
        line,
        headers,
        body,
        form,
    })
}
