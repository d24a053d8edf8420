//! Servers that end with the test, however the test ends; and bounded waits.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Ends a process with whoever started it.
const GUARD: &str = include_str!("guard.sh");
/// How many seconds a server has to end by itself.
const GRACE: &str = "10";

/// A server process, ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    guard: Child,
    pid: u32,
    log: PathBuf,
}

impl Server {
    /// Starts `command` with both outputs appended to `log`.
    pub(crate) fn start(command: &Command, log: &Path) -> Self {
        let mut guarded = Command::new("/bin/sh");
        guarded
            .args(["-c", GUARD, "guard"])
            .arg(log)
            .arg(GRACE)
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for (name, value) in command.get_envs() {
            guarded.env(name, value.expect("no variable is taken away"));
        }
        let mut guard = guarded.spawn().expect("/bin/sh starts");
        let mut pid = String::new();
        BufReader::new(guard.stdout.take().expect("stdout is a pipe"))
            .read_line(&mut pid)
            .expect("the guard says the process id");
        Self {
            guard,
            pid: pid.trim().parse().expect("a process id"),
            log: log.to_owned(),
        }
    }

    /// The server's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process is still there.
    pub(crate) fn is_running(&self) -> bool {
        state(self.pid).is_some()
    }

    /// Ends it with all it has started, and waits for that.
    pub(crate) fn end(&mut self) {
        drop(self.guard.stdin.take());
        // Bounded by the guard itself.
        let _ = self.guard.wait();
    }

    /// Everything it has printed so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("the log can be read")).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Processes that `parent` started, by process id, in no order.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    fs::read_dir("/proc")
        .expect("these tests run on Linux")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| state(*pid).is_some_and(|state| state.parent == parent))
        .collect()
}

/// Ends a process at once, as the kernel does when memory is short.
pub(crate) fn kill(pid: u32) {
    let status = Command::new("/bin/sh")
        .args(["-c", r#"kill -KILL "$1""#, "kill", &pid.to_string()])
        .status()
        .expect("/bin/sh starts");
    assert!(status.success(), "no process {pid} to kill");
}

/// Asks again and again until there is an answer.
///
/// # Panics
///
/// If there is none within `bound`, naming `what` was waited for.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, bound: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    const PAUSE: Duration = Duration::from_millis(25);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(waited < bound, "waited {bound:?} in vain for {what}");
        sleep(PAUSE);
        waited += PAUSE;
    }
}

/// Waits until nothing is left of what `ask` lists; what is left in the end is named.
pub(crate) fn wait_for_none(what: &str, bound: Duration, mut ask: impl FnMut() -> Vec<String>) {
    const PAUSE: Duration = Duration::from_millis(25);
    let mut waited = Duration::ZERO;
    loop {
        let left = ask();
        if left.is_empty() {
            return;
        }
        assert!(
            waited < bound,
            "after {bound:?} there is still {what}: {left:?}"
        );
        sleep(PAUSE);
        waited += PAUSE;
    }
}

struct State {
    parent: u32,
}

/// Of a living process; a zombie is dead.
fn state(pid: u32) -> Option<State> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // pid (name) state ppid …, where the name may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    (fields.next()? != "Z").then_some(State {
        parent: fields.next()?.parse().ok()?,
    })
}
