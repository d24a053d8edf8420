//! Starts the real binary as a host does, or as a person does.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;
use vault_plugin_secrets_aws::rpc::PROTOCOL;

use crate::fake_host::certificate::Identity;
use crate::fake_host::{Handshake, PATIENCE};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_vault-plugin-secrets-aws");

pub(crate) const COOKIE: (&str, &str) = (PROTOCOL.cookie_key, PROTOCOL.cookie_value);

/// Runs the binary to its end with this environment and no other.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(BINARY);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied());
    command.stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The text of the one log line, which has the three keys that hosts read.
pub(crate) fn one_log_line(stderr: &[u8]) -> Value {
    let lines = log_lines(text(stderr));
    let [line] = &lines[..] else {
        panic!("{lines:?} is not one line");
    };
    line.clone()
}

pub(crate) fn log_lines(stderr: &str) -> Vec<Value> {
    let parse = |line: &str| {
        let line: Value = serde_json::from_str(line).expect(line);
        for key in ["@level", "@message", "@timestamp"] {
            assert!(line[key].is_string(), "{line}");
        }
        let timestamp = line["@timestamp"].as_str().unwrap();
        let shape: String = timestamp
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
        line
    };
    stderr.lines().map(parse).collect()
}

/// The binary, started by a host and waiting for its connection.
pub(crate) struct Plugin {
    process: Child,
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
    pub(crate) line: String,
    directory: TempDir,
}

impl Plugin {
    pub(crate) fn start(host: &Identity, environment: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(BINARY), host, environment)
    }

    pub(crate) fn spawn(
        mut command: Command,
        host: &Identity,
        environment: &[(&str, &str)],
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut process = command
            .env_clear()
            .envs([
                COOKIE,
                ("PLUGIN_PROTOCOL_VERSIONS", "5,4"),
                ("PATH", "/usr/bin:/bin"),
            ])
            .env("PLUGIN_CLIENT_CERT", host.pem())
            .env("TMPDIR", directory.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = process.stderr.take().unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        Self {
            process,
            stdout,
            stderr,
            line,
            directory,
        }
    }

    pub(crate) fn handshake(&self) -> Handshake {
        Handshake::parse(&self.line)
    }

    pub(crate) fn sockets(&self) -> Vec<PathBuf> {
        sockets(self.directory.path())
    }

    /// How much memory the process has now, and how much it had at most, in KiB.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let of = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.unwrap().split_whitespace().next().unwrap();
            number.parse().unwrap()
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    /// Whether a thread of this name is at work.
    pub(crate) fn has_thread(&self, name: &str) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        // One that ends meanwhile has no name any more.
        let names = threads
            .filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).ok());
        names.into_iter().any(|found| found.trim() == name)
    }

    /// How many files the process may open, and how many it may allow itself.
    pub(crate) fn open_files_limits(&self) -> (String, String) {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.process.id())).unwrap();
        let of_files = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"));
        let mut words = of_files.unwrap().split_whitespace().map(ToOwned::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end without reading what it logs.
    pub(crate) fn ends_unheard(mut self) -> ExitStatus {
        let (ended, end) = mpsc::channel();
        thread::spawn(move || {
            ended.send(self.process.wait().unwrap()).unwrap();
            drop(self);
        });
        end.recv_timeout(PATIENCE)
            .expect("the process does not end")
    }

    /// Waits for the end; what it has printed since, and logged.
    pub(crate) fn ends(mut self) -> (ExitStatus, String, Vec<Value>) {
        let (ended, end) = mpsc::channel();
        let log_reader = thread::spawn(move || io::read_to_string(self.stderr).unwrap());
        let reader = thread::spawn(move || {
            let stdout = io::read_to_string(self.stdout).unwrap();
            let stderr = log_reader.join().unwrap();
            let status = self.process.wait().unwrap();
            let left = sockets(self.directory.path());
            ended.send(()).unwrap();
            (status, stdout, stderr, left)
        });
        end.recv_timeout(PATIENCE)
            .expect("the process does not end");
        let (status, stdout, stderr, left) = reader.join().unwrap();
        assert_eq!(left, Vec::<PathBuf>::new(), "the socket is removed");
        (status, stdout, log_lines(&stderr))
    }
}

pub(crate) fn sockets(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}
