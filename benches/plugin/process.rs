//! What processes take, as Linux shows it under `/proc`.

use std::fs;
use std::time::Duration;

use crate::Fallible;
use crate::driver::machine::kib;
use crate::driver::server::stat;

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

/// The proportional share of memory of the processes (`Pss`), in KiB.
pub(crate) fn memory(pids: &[u32]) -> Fallible<u64> {
    let mut sum = 0;
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        sum += kib(&rollup, "Pss:")?;
    }
    Ok(sum)
}
