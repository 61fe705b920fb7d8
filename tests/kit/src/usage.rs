//! What a process has used of the machine, as Linux counts it.

use std::time::Duration;

use anyhow::{Context, Result};

/// Processor time and memory of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all its threads since it began, in steps of the kernel's clock (10 ms). Children that
    /// it waited for do not count.
    pub cpu: Duration,
    /// The most memory that it ever held, in bytes (`VmHWM`); 0 for a process that has ended.
    pub peak_memory: u64,
}

impl Usage {
    /// Of a process that runs, or has ended but is not yet waited for.
    ///
    /// # Errors
    /// When there is none, or this is not Linux.
    pub fn of(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::read_to_string(&path).context(path)
        };
        let stat = read("stat")?;
        // The second field is a name in brackets that may hold anything; utime and stime are the 14th and 15th.
        let (_, after) = stat.rsplit_once(')').context("no name in stat")?;
        let ticks: u64 =
            after.split_ascii_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        let status = read("status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|p| p.trim().strip_suffix(" kB")).and_then(|n| n.trim().parse::<u64>().ok());
        let hertz = rustix::param::clock_ticks_per_second();
        let cpu = Duration::from_secs_f64(ticks as f64 / hertz as f64);
        Ok(Self { cpu, peak_memory: kib.unwrap_or(0) * 1024 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_this_process() {
        let before = Usage::of(std::process::id()).unwrap();
        // Touched whole, and kept, whatever the optimiser thinks of it.
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        while Usage::of(std::process::id()).unwrap().cpu == before.cpu {
            std::hint::black_box(block.iter().map(|&b| u64::from(b)).sum::<u64>());
        }
        assert!(Usage::of(std::process::id()).unwrap().peak_memory >= 64 << 20);
    }
}
