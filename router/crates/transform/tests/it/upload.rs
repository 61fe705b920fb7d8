//! Uploads, good and bad, and the cache of compiled plugins.

use std::fs;
use std::time::Instant;

use forebay_transform::{Host, codes};

use crate::support::{guest, host};

#[test]
fn a_plugin_says_who_it_is() {
    let bytes = guest("mask");
    let info = host().inspect(&bytes).unwrap();
    assert_eq!((&*info.name, &*info.version), ("mask", "0.1.0"));
    assert!(info.description.starts_with("Masks personal data"), "{}", info.description);
    assert_eq!((info.bytes, info.sha256.len()), (bytes.len() as u64, 64));
    assert_eq!(info.world, "forebay:transform/transform-plugin@0.1.0");
    assert_eq!(*host().load(&bytes).unwrap().info(), info);
}

#[test]
fn what_is_no_plugin_is_refused_in_plain_words() {
    let empty_component = b"\0asm\x0d\0\x01\0".to_vec();
    let cut = guest("mask")[..50_000].to_vec();
    // an import of WASI, and nothing else
    let name = b"wasi:cli/environment@0.2.0";
    let mut wasi = empty_component.clone();
    wasi.extend([7, 6, 1, 0x42, 0]); // one type: an instance type without declarations
    wasi.truncate(empty_component.len());
    wasi.extend([7, 3, 1, 0x42, 0]);
    wasi.extend([10, name.len() as u8 + 5, 1, 0, name.len() as u8]);
    wasi.extend(name);
    wasi.extend([5, 0]);
    for (bytes, code, words) in [
        (Vec::new(), codes::NOT_WASM, "empty"),
        (b"<!doctype html>".to_vec(), codes::NOT_WASM, "an HTML page"),
        (b"\0asm\x01\0\0\0".to_vec(), codes::CORE_MODULE, "core module"),
        (empty_component, codes::WRONG_WORLD, "does not export forebay:transform/transformer"),
        (wasi, codes::WRONG_WORLD, "does not export"),
        (cut, codes::INVALID, "does not validate"),
        (b"\0asm\x0d\0\x01\0\xff\xff\xff".to_vec(), codes::INVALID, "does not validate"),
    ] {
        let fault = host().inspect(&bytes).unwrap_err();
        assert_eq!(fault.code(), code, "{fault}");
        assert!(fault.message().contains(words), "{fault}");
        assert!(!fault.remedy().is_empty() || code == codes::INVALID, "{fault}");
    }
}

#[test]
fn a_compiled_plugin_is_taken_from_the_cache() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("compiled");
    let bytes = guest("filter");
    let cold = Instant::now();
    Host::new(&folder).unwrap().load(&bytes).unwrap();
    let cold = cold.elapsed();
    let file = || fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

    let warm = Instant::now();
    Host::new(&folder).unwrap().load(&bytes).unwrap();
    println!("cold {cold:?}, warm {:?}", warm.elapsed());

    // damage makes a miss, and the file is made anew
    fs::write(file(), b"damaged").unwrap();
    Host::new(&folder).unwrap().load(&bytes).unwrap();
    assert!(fs::metadata(file()).unwrap().len() > 10_000);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, []).unwrap();
    let fault = Host::new(&file).unwrap_err();
    assert_eq!(fault.code(), codes::HOST);
    assert!(fault.message().contains(&*file.to_string_lossy()), "{fault}");
}
