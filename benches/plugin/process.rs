//! Processes as Linux shows them under `/proc`, and one that ends with us.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Fallible;
use crate::report::Machine;

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

/// The processor time that the processes have used so far, in user and kernel mode.
pub(crate) fn cpu(pids: &[u32]) -> Duration {
    // The unit of these files is a hundredth of a second on every architecture.
    const TICK: Duration = Duration::from_millis(10);
    let ticks = |pid: &u32| {
        let fields = stat(*pid)?;
        let user: u32 = fields[11].parse().ok()?;
        let kernel: u32 = fields[12].parse().ok()?;
        Some(user + kernel)
    };
    TICK * pids.iter().filter_map(ticks).sum::<u32>()
}

/// The fields of `/proc/<pid>/stat` from the third on, the state.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second is the name, in parentheses, which may hold anything.
    let fields = stat.rsplit_once(") ")?.1.split(' ');
    Some(fields.map(ToOwned::to_owned).collect())
}

/// The proportional share of memory of the processes (`Pss`), in KiB.
pub(crate) fn memory(pids: &[u32]) -> Fallible<u64> {
    let mut sum = 0;
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        sum += kib(&rollup, "Pss:")?;
    }
    Ok(sum)
}

/// What this runs on.
pub(crate) fn machine() -> Fallible<Machine> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = field(&cpuinfo, "model name").unwrap_or_default();
    let version = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    Ok(Machine {
        processor: model.trim_start_matches(':').trim().to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        memory_kib: kib(&meminfo, "MemTotal:")?,
        kernel: version.trim().to_owned(),
    })
}

/// A number of a file of `/proc` that counts in KiB, which it calls kB.
fn kib(text: &str, name: &str) -> Fallible<u64> {
    let number = field(text, name).and_then(|text| text.strip_suffix(" kB"));
    let number = number.ok_or_else(|| format!("/proc does not tell {name}"))?;
    Ok(number.parse()?)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}
