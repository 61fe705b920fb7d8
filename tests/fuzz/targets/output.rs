//! What comes back from a plugin: a plan for a table, and answers to batches of it.
#![no_main]

use forebay_transform::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    fuzz::output(bytes);
});
