//! One client's connection, kept open from request to request.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Fallible;

/// Hosts give up after 90 seconds and say so.
const PATIENCE: Duration = Duration::from_secs(100);

/// A request that can be sent again and again.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    pub(crate) async fn send(&mut self, ask: &Ask) -> Fallible<Response<Bytes>> {
        timeout(PATIENCE, self.send_and_wait(ask))
            .await
            .map_err(|_| format!("{} {}: no answer", ask.method, ask.path))?
    }

    async fn send_and_wait(&mut self, ask: &Ask) -> Fallible<Response<Bytes>> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(&ask.path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::from(ask.body.clone()))?;
        self.0.ready().await?;
        let (head, body) = self.0.send_request(request).await?.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}
