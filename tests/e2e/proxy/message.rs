//! Requests and answers of HTTP, as far as the SDK and moto use it.

use std::io::{BufRead, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A request or an answer.
pub(super) struct Message {
    /// First line and headers as they came, each with its line end, without those about the
    /// connection.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// `None` when the peer has closed the connection. Neither the SDK nor moto sends chunks.
    pub(super) fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Self>> {
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
    pub(super) fn age(&mut self, by: Duration) {
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

    pub(super) fn answer(status: u16, body: String) -> Self {
        let head = format!(
            "HTTP/1.1 {status} Answer\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n",
            body.len()
        );
        Self {
            head,
            body: body.into_bytes(),
        }
    }

    pub(super) fn write(&self, mut peer: &TcpStream) -> std::io::Result<()> {
        let mut bytes = format!("{}\r\n", self.head).into_bytes();
        bytes.extend_from_slice(&self.body);
        peer.write_all(&bytes)
    }
}

/// An error as IAM and STS word it.
pub(super) fn refusal(status: u16, code: &str, message: &str) -> Message {
    Message::answer(
        status,
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error>\
             <RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
        ),
    )
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
