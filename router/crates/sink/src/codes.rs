//! Every code that a sink's fault can carry. Names are stable; the documentation of errors has one entry for each.

forebay_model::codes! {
    ZERO_DATE_REJECTED = "format.zero_date_rejected", Poison,
        "A date that no calendar has (such as 0000-00-00) met a format that was told to reject them.";
    CONSOLE_WRITE = "console.write_failed", Fatal,
        "The standard output of the server process is closed or broken.";
    FILE_NOT_WRITABLE = "file.not_writable", Fatal,
        "The file sink may not create, open or write its file: permission, a read-only disk, or a path that is no folder.";
    FILE_DISK_FULL = "file.disk_full", Retryable,
        "The disk or the quota that the file sink writes to is full.";
    FILE_IO = "file.io", Retryable,
        "The operating system refused to read, write or sync a file of the file sink.";
    FILE_IN_USE = "file.in_use", Retryable,
        "Another route or process has the file sink's file open.";
    FILE_FOREIGN = "file.foreign", Fatal,
        "The file exists but was not begun by a file sink, so what it holds is not known.";
    FILE_DAMAGED = "file.damaged", Fatal,
        "The file is shorter than what was confirmed, is gone, or its sidecar cannot be read.";
    WEBHOOK_CONFIG = "webhook.config", Fatal,
        "The webhook's URL, headers or client settings cannot be used.";
    WEBHOOK_SECRET = "webhook.secret", Fatal,
        "A signing secret is not of the form whsec_ and 24 to 64 bytes in base64.";
    WEBHOOK_ADDRESS = "webhook.address_refused", Fatal,
        "The webhook's host has an address that is not allowed (private, link-local, or plain http beyond this machine).";
    WEBHOOK_UNREACHABLE = "webhook.unreachable", Retryable,
        "No connection to the webhook's receiver, or it broke before an answer came.";
    WEBHOOK_TIMEOUT = "webhook.timeout", Retryable,
        "The webhook's receiver did not answer in time.";
    WEBHOOK_BUSY = "webhook.busy", Retryable,
        "The webhook's receiver asks to come again later (408, 425 or 429).";
    WEBHOOK_SERVER_ERROR = "webhook.server_error", Retryable,
        "The webhook's receiver answered with a 5xx status.";
    WEBHOOK_REJECTED = "webhook.rejected", Poison,
        "The webhook's receiver says that the message itself is wrong (400, 413, 415 or 422).";
    WEBHOOK_REDIRECT = "webhook.redirect", Fatal,
        "The webhook's receiver answered with a redirect, which is never followed.";
    WEBHOOK_GONE = "webhook.gone", Fatal,
        "The webhook's receiver says that this endpoint is gone for good (410).";
    WEBHOOK_REFUSED = "webhook.refused", Fatal,
        "The webhook's receiver refuses this sender or this endpoint (401, 403, 404 and other 4xx).";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn names_are_unique_and_of_the_right_form() {
        for (i, code) in ALL.iter().enumerate() {
            let (part, rest) = code.name.split_once('.').expect("part.what");
            let form = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(form(part) && form(rest), "{}", code.name);
            assert!(ALL[..i].iter().all(|other| other.name != code.name), "{} twice", code.name);
            assert!(code.meaning.ends_with('.'), "{}", code.name);
        }
    }
}
