//! A JSON value in MySQL's binary form, and differences that are applied to it.
#![no_main]

use forebay_source::mysql::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let [cut, rest @ ..] = bytes {
        let (value, differences) = rest.split_at(rest.len() * usize::from(*cut) / 256);
        fuzz::json(value, differences);
    }
});
