//! What is this upload? Said before anything is compiled, in words for whoever sent the wrong file.

use forebay_model::Fault;

use crate::codes;

const FIX: &str = "upload a component, as `forebay plugin build` makes it; see docs/plugins.md";

/// Passes what starts like a component.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Fault> {
    const WASM: &[u8] = b"\0asm";
    if let Some(version) = bytes.strip_prefix(WASM) {
        return match version.get(..4) {
            Some([0x0d, 0, 1, 0]) => Ok(()),
            Some([1, 0, 0, 0]) => {
                Err(Fault::new(codes::CORE_MODULE, "the file is a WebAssembly core module, not a component")
                    .fix(FIX))
            }
            _ => Err(Fault::new(codes::INVALID, "the file is WebAssembly of an unknown version").fix(FIX)),
        };
    }
    Err(Fault::new(codes::NOT_WASM, format!("the file is {}, not WebAssembly", what_is(bytes))).fix(FIX))
}

fn what_is(bytes: &[u8]) -> &'static str {
    const MAGIC: &[(&[u8], &str)] = &[
        (b"\x1f\x8b", "gzip-compressed"),
        (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x7fELF", "a native program or library (ELF)"),
        (b"\xcf\xfa\xed\xfe", "a native program or library (Mach-O)"),
        (b"MZ", "a Windows program"),
        (b"!<arch>", "a native static library"),
        (b"\x89PNG", "a picture"),
        (b"%PDF", "a PDF document"),
    ];
    if bytes.is_empty() {
        return "empty";
    }
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return what;
    }
    let head = &bytes[..bytes.len().min(512)];
    let text = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if ["<!doctype", "<html", "<head", "<body"].iter().any(|tag| text.starts_with(tag)) {
        return "an HTML page (perhaps an error or login page of a download)";
    }
    if text.starts_with("(component") || text.starts_with("(module") {
        return "WebAssembly in its text form (.wat)";
    }
    if text.starts_with("version https://git-lfs") {
        return "a Git LFS pointer, the file itself was not fetched";
    }
    if text.starts_with('{') || text.starts_with('[') {
        return "JSON text";
    }
    if head.iter().all(|&byte| byte >= b' ' || byte.is_ascii_whitespace()) {
        return "text";
    }
    "of an unknown kind"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8]) -> String {
        let fault = check(bytes).unwrap_err();
        assert!(!fault.remedy().is_empty());
        format!("{} [{}]", fault.message(), fault.code().name)
    }

    #[test]
    fn tells_people_what_they_sent() {
        assert!(check(b"\0asm\x0d\0\x01\0...").is_ok());
        assert_eq!(said(b""), "the file is empty, not WebAssembly [transform.not_wasm]");
        assert!(said(b" \r\n<!DOCTYPE html><html>").contains("an HTML page"));
        assert!(said(b"<html lang=en>").contains("an HTML page"));
        assert!(said(b"\x1f\x8b\x08\0").contains("gzip-compressed"));
        assert!(said(b"\x7fELF\x02").contains("native program"));
        assert!(said(b"{\"message\": \"Not Found\"}").contains("JSON text"));
        assert!(said(b"Not Found\n").contains("is text,"));
        assert!(said(b"(component)").contains("text form"));
        assert!(said(b"\0\x01\x02").contains("unknown kind"));
        assert!(said(b"\0asm\x01\0\0\0").contains("core module"));
        assert!(said(b"\0asm\x01\0\0\0").ends_with("[transform.core_module]"));
        assert!(said(b"\0as").contains("unknown kind"));
        assert!(said(b"\0asm").contains("unknown version"));
        assert!(said(b"\0asm\x0a\0\x01\0").contains("unknown version"));
    }
}
