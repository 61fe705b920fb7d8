//! A DDL statement, said to a history that knows a table.
#![no_main]

use forebay_source::mysql::bench;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &str)| {
    bench::statement(input.1, input.0);
});
