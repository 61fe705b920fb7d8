//! The `forebay` binary.

use std::hint::black_box;
use std::process::ExitCode;

fn main() -> ExitCode {
    few_arenas();
    keep_freed_memory();
    forebay::cli::run()
}

/// Freeing one large piece teaches glibc's allocator to keep pieces up to that size instead of giving them back to the kernel.
/// Blocks come and go a hundred times a second: without this, faulting their pages in again costs more than decoding them.
/// What is kept is bounded by what blocks need. Other allocators do not mind.
fn keep_freed_memory() {
    drop(black_box(Vec::<u8>::with_capacity(16 << 20)));
}

/// glibc gives each thread a heap of its own, and each keeps what it once needed: half the peak for nothing, since few threads
/// allocate much here. Two are as fast as many.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "a C call without pointers, made before any other thread exists")]
fn few_arenas() {
    // SAFETY: mallopt takes two integers, and no other thread runs yet. A refusal changes nothing.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

#[cfg(not(target_env = "gnu"))]
fn few_arenas() {}
