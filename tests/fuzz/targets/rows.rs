//! The bodies of a table map and of a rows event after it.
#![no_main]

use forebay_source::mysql::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let [kind, rest @ ..] = bytes {
        fuzz::rows(*kind, rest);
    }
});
