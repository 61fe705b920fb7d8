//! A set of GTIDs, as text and as it is sent.
#![no_main]

use forebay_source::mysql::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzz::gtid_set(bytes));
