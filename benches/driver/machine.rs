//! The machine, as Linux describes it under `/proc`.

use std::fs;

use serde::Serialize;

use super::Fallible;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_kib: u64,
    pub(crate) kernel: String,
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
pub(crate) fn kib(text: &str, name: &str) -> Fallible<u64> {
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
