//! A registry of images on the loopback: as much of the distribution protocol as it takes to pull.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use crate::host::text;

/// A running registry. It ends with the test.
pub(crate) struct Registry {
    /// Where it listens, as `127.0.0.1:port`.
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By digest, with the media type that it is known under.
    blobs: BTreeMap<String, (String, Vec<u8>)>,
    /// Digests of manifests by tag.
    tags: BTreeMap<String, String>,
    pulled: Vec<String>,
    is_down: bool,
}

impl Registry {
    /// Listens on a free port, with nothing to offer.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                // An error here is a peer that went away.
                thread::spawn(move || serve(&connection, &state));
            }
        });
        Self { address, state }
    }

    /// Takes what is in an image layout, as `skopeo copy oci:… docker://…` would push it, and returns
    /// the image's digest.
    pub(crate) fn push(&self, layout: &Path) -> String {
        let read = |path: &Path| fs::read(path).expect("the layout is whole");
        let index: Value = serde_json::from_slice(&read(&layout.join("index.json"))).expect("JSON");
        let image = &index["manifests"][0];
        let digest = text(&image["digest"]);
        let mut state = lock(&self.state);
        for entry in fs::read_dir(layout.join("blobs/sha256")).expect("the layout is whole") {
            let path = entry.expect("it stays").path();
            let content = read(&path);
            let media_type = serde_json::from_slice::<Value>(&content)
                .ok()
                .and_then(|blob| Some(blob["mediaType"].as_str()?.to_owned()))
                .unwrap_or_else(|| "application/octet-stream".to_owned());
            let name = path.file_name().expect("it has a name").to_string_lossy();
            state
                .blobs
                .insert(format!("sha256:{name}"), (media_type, content));
        }
        let tag = text(&image["annotations"]["org.opencontainers.image.ref.name"]);
        state.tags.insert(tag, digest.clone());
        digest
    }

    /// Hangs up on everybody from now on, or no more.
    pub(crate) fn set_down(&self, is_down: bool) {
        lock(&self.state).is_down = is_down;
    }

    /// The digests and tags that were asked for.
    pub(crate) fn pulled(&self) -> Vec<String> {
        lock(&self.state).pulled.clone()
    }
}

fn serve(connection: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection).lines();
    while let Some(request) = lines.next().transpose()? {
        // The headers: whoever pulls sends nothing with it.
        for header in lines.by_ref() {
            if header?.is_empty() {
                break;
            }
        }
        if lock(state).is_down {
            return connection.shutdown(Shutdown::Both);
        }
        let mut words = request.split(' ');
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        let (head, body) = answer(path, &mut lock(state));
        let mut answer = head.into_bytes();
        if method == "GET" {
            answer.extend(body);
        }
        let mut connection = connection;
        connection.write_all(&answer)?;
    }
    Ok(())
}

fn answer(path: &str, state: &mut State) -> (String, Vec<u8>) {
    if path == "/v2/" {
        return (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n".to_owned(),
            b"{}".to_vec(),
        );
    }
    let reference = path.rsplit('/').next().unwrap_or_default();
    state.pulled.push(reference.to_owned());
    let digest = state.tags.get(reference).map_or(reference, String::as_str);
    match state.blobs.get(digest) {
        Some((media_type, content)) => (
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nDocker-Content-Digest: {digest}\r\n\
                 Content-Length: {}\r\n\r\n",
                content.len()
            ),
            content.clone(),
        ),
        None => (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Vec::new(),
        ),
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
