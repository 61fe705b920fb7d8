//! A webhook receiver to look at: checks every signature and prints one line per event.
//!
//! `HOOK_SECRET=whsec_... forebay-receiver --port 9999 --secret-env HOOK_SECRET`
//!
//! Lines look like `12:00:01.250  +U active.tenants {"id":1,...}  (webhook-id)`; a request whose signature is refused
//! is printed too, with the reason. It keeps nothing.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use clap::Parser;
use forebay_kit::{Attempt, Receiver};
use serde_json::Value;
use tokio::sync::mpsc;

/// Characters of a row that are shown.
const LONGEST_ROW: usize = 300;

/// A webhook receiver that checks Standard Webhooks signatures and prints what arrives.
#[derive(Debug, Parser)]
#[command(name = "forebay-receiver")]
struct Arguments {
    /// Port of 127.0.0.1 to listen on.
    #[arg(long, default_value_t = 9999)]
    port: u16,
    /// Name of the environment variable that holds the secret (`whsec_...`).
    #[arg(long, default_value = "HOOK_SECRET")]
    secret_env: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let secret = std::env::var(&arguments.secret_env)
        .with_context(|| format!("the environment variable {} is not set", arguments.secret_env))?;
    let (watch, mut attempts) = mpsc::channel(64);
    let receiver = Receiver::watched(&secret, arguments.port, watch).await?;
    let mut out = std::io::stdout();
    let colour = out.is_terminal();
    writeln!(out, "listening on {}", receiver.url())?;
    while let Some(attempt) = attempts.recv().await {
        let now = jiff::Zoned::now().strftime("%H:%M:%S%.3f").to_string();
        for line in lines(&attempt, colour) {
            writeln!(out, "{now}  {line}")?;
        }
        out.flush()?;
    }
    Ok(())
}

fn lines(attempt: &Attempt, colour: bool) -> Vec<String> {
    if let Some(why) = &attempt.refused {
        return vec![format!("refused: {why}")];
    }
    let Ok(body) = serde_json::from_slice::<Value>(&attempt.body) else {
        return vec![format!("not JSON: {} bytes  ({})", attempt.body.len(), attempt.id)];
    };
    // One event, an array of them, or an array under `data`.
    let events = match &body {
        Value::Array(events) => events.as_slice(),
        Value::Object(o) => match o.get("data") {
            Some(Value::Array(events)) => events.as_slice(),
            _ => std::slice::from_ref(&body),
        },
        _ => std::slice::from_ref(&body),
    };
    events.iter().map(|event| line(event, &attempt.id, colour)).collect()
}

/// A Debezium envelope as an operation, a table and the row; anything else as it is.
fn line(event: &Value, id: &str, colour: bool) -> String {
    let event = event.get("payload").unwrap_or(event);
    let field =
        |name: &str| event.get("source").and_then(|s| s.get(name)).and_then(Value::as_str).unwrap_or("?");
    let (kind, paint, row) = match event.get("op").and_then(Value::as_str) {
        Some("c") => ("+I", "32", &event["after"]),
        Some("r") => (" r", "36", &event["after"]),
        Some("u") => ("+U", "33", &event["after"]),
        Some("d") => ("-D", "31", &event["before"]),
        _ => return format!("{event}  ({id})"),
    };
    let (on, off) = if colour { (format!("\x1b[{paint}m"), "\x1b[0m") } else { (String::new(), "") };
    format!("{on}{kind}{off} {}.{} {}  ({id})", field("db"), field("table"), shortened(&row.to_string()))
}

/// A line of a table with hundreds of columns would be pages long.
fn shortened(row: &str) -> String {
    match row.char_indices().nth(LONGEST_ROW) {
        Some((end, _)) => format!("{}... {} more bytes", &row[..end], row.len() - end),
        None => row.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn shown(body: &'static str) -> Vec<String> {
        let attempt =
            Attempt { id: "i".into(), body: body.into(), at: Instant::now(), refused: None, status: 204 };
        lines(&attempt, false)
    }

    #[test]
    fn one_line_per_event() {
        let update = r#"{"before":{"id":1},"after":{"id":2},"source":{"db":"d","table":"t"},"op":"u"}"#;
        assert_eq!(shown(update), [r#"+U d.t {"id":2}  (i)"#]);
        let both = r#"{"data":[{"after":{"id":2},"source":{"db":"d","table":"t"},"op":"c"},
                               {"before":{"id":2},"after":null,"source":{"db":"d","table":"t"},"op":"d"}]}"#;
        assert_eq!(shown(both), [r#"+I d.t {"id":2}  (i)"#, r#"-D d.t {"id":2}  (i)"#]);
        assert_eq!(shown("[1,2]"), ["1  (i)", "2  (i)"]);
        assert_eq!(shown("<html>"), ["not JSON: 6 bytes  (i)"]);
    }

    #[test]
    fn long_rows_are_cut_between_characters() {
        assert_eq!(shortened(&"ü".repeat(300)), "ü".repeat(300));
        assert_eq!(shortened(&"ü".repeat(302)), "ü".repeat(300) + "... 4 more bytes");
    }
}
