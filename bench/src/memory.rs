//! Resident memory of a server: the process and its descendants, as Linux counts it (`VmRSS` in proc(5)). Pages that
//! several processes share are counted in each of them, to the disadvantage of a server with more than one.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::Duration;

use crate::error::{BenchError, During};

const SETTLE_STEP: Duration = Duration::from_millis(200);
const SETTLE_STEPS: usize = 25;
const REST: Duration = Duration::from_secs(20);

/// Bytes resident once the figure has stopped to move by more than 1 % in two steps of 200 ms, or after 5 s.
pub(crate) fn settled_resident_bytes(root: u32) -> Result<f64, BenchError> {
    let mut last = resident_bytes(root)?;
    let mut still = 0;
    for _ in 0..SETTLE_STEPS {
        thread::sleep(SETTLE_STEP);
        let now = resident_bytes(root)?;
        still = if (now - last).abs() < last * 0.01 { still + 1 } else { 0 };
        last = now;
        if still == 2 {
            break;
        }
    }
    Ok(last)
}

/// As [`settled_resident_bytes`], of a server that has had nothing to do for 20 s: V8 keeps the pages of ended isolates for
/// the next ones and gives them back within that time, in both engines.
pub(crate) fn resident_bytes_at_rest(root: u32) -> Result<f64, BenchError> {
    thread::sleep(REST);
    settled_resident_bytes(root)
}

fn resident_bytes(root: u32) -> Result<f64, BenchError> {
    let mut bytes = own_resident_bytes(root).ok_or_else(|| {
        BenchError::Unsupported(format!("/proc/{root}/status tells no VmRSS: this needs Linux"))
    })?;
    for process in descendants(root)? {
        // One that has ended since the list was made holds nothing.
        bytes += own_resident_bytes(process).unwrap_or(0.0);
    }
    Ok(bytes)
}

fn own_resident_bytes(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn descendants(root: u32) -> Result<Vec<u32>, BenchError> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").during("list the processes in /proc")? {
        let entry = entry.during("list the processes in /proc")?;
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = parent_of(process) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(process) = open.pop() {
        let of_this = children.remove(&process).unwrap_or_default();
        open.extend_from_slice(&of_this);
        found.extend(of_this);
    }
    Ok(found)
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // "pid (name) state ppid ...": the name may contain spaces and parentheses, so count from its end.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}
