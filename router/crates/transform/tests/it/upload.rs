//! Uploads, good and bad, and the cache of compiled plugins.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

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
    // (component (import "wasi:cli/environment@0.2.0" (instance)) (instance $i)
    //   (export "forebay:transform/transformer@0.1.0" (instance $i))), and the like
    let wasi =
        b"\0asm\r\0\x01\0\x07\x03\x01B\0\n\x1f\x01\0\x1awasi:cli/environment@0.2.0\x05\0\x05\x03\x01\x01\0\
        \x0b)\x01\0#forebay:transform/transformer@0.1.0\x05\x01\0"
            .to_vec();
    let transformer = |version: &str| {
        let mut bytes =
            b"\0asm\r\0\x01\0\x05\x03\x01\x01\0\x0b)\x01\0#forebay:transform/transformer@".to_vec();
        bytes.extend(version.bytes());
        bytes.extend(b"\x05\0\0");
        bytes
    };
    for (bytes, code, words) in [
        (Vec::new(), codes::NOT_WASM, "empty"),
        (b"<!doctype html>".to_vec(), codes::NOT_WASM, "an HTML page"),
        (b"\0asm\x01\0\0\0".to_vec(), codes::CORE_MODULE, "core module"),
        (empty_component, codes::WRONG_WORLD, "does not export forebay:transform/transformer"),
        (
            transformer("0.2.0"),
            codes::WRONG_WORLD,
            "exports forebay:transform/transformer@0.2.0, and this router speaks forebay:transform/transform-plugin@0.1.0",
        ),
        (transformer("0.1.0"), codes::WRONG_WORLD, "differs from its contract"),
        (wasi, codes::FORBIDDEN_IMPORT, "wasi:cli/environment@0.2.0"),
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

    // what another version left behind goes, and a killed run's rest
    fs::write(folder.join("abc-0123456789abcdef.cwasm"), b"old").unwrap();
    let rest = folder.join(".new-abc-1-0");
    fs::write(&rest, b"half").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().write(true).open(&rest).unwrap().set_modified(long_ago).unwrap();
    Host::new(&folder).unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

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

/// Plugins that were built against a released version are built against exactly that.
#[test]
fn the_contract_is_frozen() {
    use sha2::Digest as _;
    const V0_1: &str = "326899bae299a427028cee847b3b3f1dbebaf32eb89457fb89dfebc5ee707894";
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../wit/v0.1");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut hash = sha2::Sha256::new();
    for file in &files {
        hash.update(file.file_name().unwrap().as_encoded_bytes());
        hash.update([0]);
        hash.update(fs::read(file).unwrap());
        hash.update([0]);
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hash, V0_1,
        "wit/v0.1 has changed. Once a version of Forebay was released with it, that breaks every plugin out there: put the folder back, \
         and make a new one (wit/v0.2) with its line in router/crates/transform/src/world.rs. Until the first release (no tag v0.1.0 in \
         git) it may change: write the new hash here, run `make bindings plugins`, and say so in CHANGELOG.md"
    );
}
