//! The body of a table map.
#![no_main]

use forebay_source::mysql::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzz::table_map(bytes));
