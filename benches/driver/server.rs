//! Servers and the processes that they start, as Linux shows them under `/proc`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Fallible;

/// Ends a process with whoever started it; the black-box tests have it too.
const GUARD: &str = include_str!("../../tests/e2e/guard.sh");
/// How many seconds a server has to end by itself.
const GRACE: &str = "20";

/// A server in a process group of its own, ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    guard: Child,
    pub(crate) pid: u32,
}

impl Server {
    /// Starts `command` with no environment but its own; both outputs go to `log`.
    pub(crate) fn start(command: &Command, log: &Path) -> Fallible<Self> {
        let variables = command.get_envs();
        let mut guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard"])
            .arg(log)
            .arg(GRACE)
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(variables.filter_map(|(name, value)| Some((name, value?))))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut pid = String::new();
        if let Some(stdout) = guard.stdout.take() {
            BufReader::new(stdout).read_line(&mut pid)?;
        }
        let pid = pid.trim().parse()?;
        Ok(Self { guard, pid })
    }

    pub(crate) fn is_running(&self) -> bool {
        parent(self.pid).is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Bounded by the guard itself.
        let _ = self.guard.wait();
    }
}

/// What the program says of itself, such as `OpenBao v2.5.0`.
pub(crate) fn version(binary: &Path) -> Fallible<String> {
    let output = Command::new(binary).arg("version").env_clear().output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<_> = text
        .split_whitespace()
        .take(2)
        .map(|word| word.trim_end_matches(','))
        .collect();
    if words.is_empty() {
        return Err(format!("{} does not tell its version", binary.display()).into());
    }
    Ok(words.join(" "))
}

/// The processes that `host` started from the file `binary`.
pub(crate) fn children(host: u32, binary: &Path) -> Fallible<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let runs = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
        if parent(pid) == Some(host) && runs(pid).as_deref() == Some(binary) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Of a living process; a zombie is dead.
fn parent(pid: u32) -> Option<u32> {
    let fields = stat(pid)?;
    (fields[0] != "Z").then_some(())?;
    fields[1].parse().ok()
}

/// The fields of `/proc/<pid>/stat` from the third on, the state.
pub(crate) fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second is the name, in parentheses, which may hold anything.
    let fields = stat.rsplit_once(") ")?.1.split(' ');
    Some(fields.map(ToOwned::to_owned).collect())
}
