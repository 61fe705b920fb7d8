//! The console sink: each event as a line (an update as two) on the server process's standard output, for people.
//!
//! `Ok` means that the lines were handed to the operating system; nothing is remembered, so after a restart the last
//! delivery may be shown again. The table's name stands before the lines once a second table has appeared.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use async_trait::async_trait;
use forebay_model::Fault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::formats::Text;
use crate::formats::console::{Paint, event};
use crate::{Appetite, Delivery, Mark, Sink, codes};

/// Lines are handed on in pieces of about this size.
const PIECE: usize = 64 << 10;

/// Settings of the console sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// Whether lines are coloured: `auto` (on a terminal, unless the environment has NO_COLOR; the default), `always` or
    /// `never`.
    pub color: Color,
}

/// Whether lines are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Color {
    /// On a terminal, unless the environment has NO_COLOR.
    #[default]
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

struct ConsoleSink<W> {
    to: W,
    paint: Paint,
    text: Text,
    /// The first table that was seen.
    table: Option<String>,
    /// Whether there has been another.
    several: bool,
}

pub(crate) fn open(config: &ConsoleConfig) -> impl Sink + use<> {
    let may = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let colour = match config.color {
        Color::Auto => may && io::stdout().is_terminal(),
        Color::Always => true,
        Color::Never => false,
    };
    ConsoleSink::new(io::stdout(), if colour { Paint::Colour } else { Paint::Plain })
}

impl<W: Write> ConsoleSink<W> {
    fn new(to: W, paint: Paint) -> Self {
        ConsoleSink { to, paint, text: Text::new(), table: None, several: false }
    }

    fn write(&mut self, delivery: &Delivery) -> io::Result<()> {
        for block in &delivery.blocks {
            let names: Vec<String> = block.batches.iter().map(|batch| batch.table.full_name()).collect();
            for name in &names {
                match &self.table {
                    Some(first) => self.several |= first != name,
                    None => self.table = Some(name.clone()),
                }
            }
            for (batch, run) in block.runs_in_order() {
                let (b, run) = (batch as usize, run as usize);
                let prefix = if self.several { format!("{} ", names[b]) } else { String::new() };
                for change in block.batches[b].events_of(run..run + 1) {
                    event(&block.batches[b], &change, &prefix, self.paint, &mut self.text);
                    if self.text.len() >= PIECE {
                        self.hand_on()?;
                    }
                }
            }
        }
        self.hand_on()?;
        self.to.flush()
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let done = self.to.write_all(self.text.as_bytes());
        self.text.clear();
        done
    }
}

#[async_trait]
impl<W: Write + Send> Sink for ConsoleSink<W> {
    fn appetite(&self) -> Appetite {
        Appetite { bytes: 1 << 20, events: 10_000, wait: Duration::ZERO }
    }

    async fn committed(&mut self) -> Result<Option<Mark>, Fault> {
        Ok(None)
    }

    async fn deliver(&mut self, delivery: &Delivery) -> Result<(), Fault> {
        // a terminal that is not read (Ctrl-S) blocks
        crate::blocking::run(|| self.write(delivery)).map_err(|e| {
            Fault::new(codes::CONSOLE_WRITE, "cannot write to the standard output")
                .cause(e)
                .fix("start the server with a standard output that is read, or use a file sink")
        })
    }
}

#[cfg(test)]
mod tests;
