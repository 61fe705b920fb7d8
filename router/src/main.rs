//! The `forebay` binary.

use std::hint::black_box;
use std::process::ExitCode;

fn main() -> ExitCode {
    keep_freed_memory();
    forebay::cli::run()
}

/// Freeing one large piece teaches glibc's allocator to keep pieces up to that size instead of giving them back to the kernel.
/// Blocks come and go a hundred times a second: without this, faulting their pages in again costs more than decoding them.
/// What is kept is bounded by what blocks need. Other allocators do not mind.
fn keep_freed_memory() {
    drop(black_box(Vec::<u8>::with_capacity(16 << 20)));
}
