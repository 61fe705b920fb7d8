//! The `forebay` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    little_memory();
    forebay::cli::run()
}

/// What glibc's allocator keeps of freed memory: pieces of up to 2 MiB, and as much at the end of a heap. Blocks come and go a
/// hundred times a second: by its own settings each would be given back to the kernel, and faulting the pages in again
/// costs more than decoding them. With more, it keeps up to 10 MiB for nothing.
#[cfg(target_env = "gnu")]
const KEPT: i32 = 2 << 20;

/// glibc gives each thread a heap of its own, and each keeps what it once needed: half the peak for nothing, since few threads
/// allocate much here. Two are as fast as many. Other allocators do not mind.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "C calls without pointers, made before any other thread exists")]
fn little_memory() {
    for (parameter, value) in
        [(libc::M_ARENA_MAX, 2), (libc::M_MMAP_THRESHOLD, KEPT), (libc::M_TRIM_THRESHOLD, KEPT)]
    {
        // SAFETY: mallopt takes two integers, and no other thread runs yet. A refusal changes nothing.
        unsafe { libc::mallopt(parameter, value) };
    }
}

#[cfg(not(target_env = "gnu"))]
fn little_memory() {}
