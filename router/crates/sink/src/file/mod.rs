//! The file sink: one JSON record a line, exactly once.
//!
//! Beside the file lies a sidecar that says how much of it is confirmed and up to which mark (`sidecar`); the two are
//! kept in step by the writer (`writer`), through rotation, crashes and full disks. Every step happens in one poll, so
//! dropping a delivery's future leaves nothing half done.

mod config;
mod disk;
mod sidecar;
mod writer;

use std::time::Duration;

use async_trait::async_trait;
use forebay_model::Fault;

use config::Layout;
pub use config::{FileConfig, RotateConfig};
use writer::Writer;

use crate::formats::Text;
use crate::formats::debezium::Renderer;
use crate::{Appetite, Delivery, Mark, Opening, Sink, blocking, clock};

/// Records are written to the file in pieces of about this size.
const PIECE: usize = 1 << 20;

struct FileSink {
    writer: Writer,
    renderer: Renderer,
    text: Text,
}

/// # Errors
/// If the files cannot be opened, are another's, or lack what was confirmed.
pub(crate) fn open(config: &FileConfig, opening: &Opening<'_>) -> Result<impl Sink + use<>, Fault> {
    let layout = Layout::new(config, opening.route, opening.data_dir);
    let rotate = config.rotate.clone().unwrap_or_default();
    let writer = blocking::run(|| {
        Writer::open(layout, rotate, config.sync, opening.start, clock::now_us() / 1_000_000)
    })?;
    Ok(FileSink { writer, renderer: config.format.renderer(opening.source), text: Text::new() })
}

impl FileSink {
    fn write(&mut self, delivery: &Delivery) -> Result<(), Fault> {
        let now_us = clock::now_us();
        self.writer.begin(now_us / 1_000_000)?;
        // what is confirmed already comes again if the route's checkpoint did not get as far as the file did
        let have =
            self.writer.mark().filter(|mark| mark.epoch == delivery.mark.epoch).map_or(0, |mark| mark.offset);
        self.text.clear();
        for block in delivery.blocks.iter().filter(|block| block.end() > have) {
            let repeated = block.first < have;
            let block = if repeated { &block.slice(have, block.end()) } else { block };
            let mut records = self.renderer.records(block, now_us);
            while records.next(&mut self.text)?.is_some() {
                self.text.push(b"\n");
                if self.text.len() >= PIECE {
                    self.writer.write(self.text.as_bytes())?;
                    self.text.clear();
                }
            }
        }
        if !self.text.is_empty() {
            self.writer.write(self.text.as_bytes())?;
        }
        let end = delivery.end();
        self.writer.confirm(Mark { offset: end.offset.max(have), ..end })
    }
}

#[async_trait]
impl Sink for FileSink {
    fn appetite(&self) -> Appetite {
        Appetite { bytes: 4 << 20, events: 100_000, wait: Duration::from_millis(5) }
    }

    async fn committed(&mut self) -> Result<Option<Mark>, Fault> {
        Ok(self.writer.mark())
    }

    async fn deliver(&mut self, delivery: &Delivery) -> Result<(), Fault> {
        blocking::run(|| {
            self.write(delivery).inspect_err(|_| {
                if let Err(fault) = self.writer.give_up(clock::now_us() / 1_000_000) {
                    tracing::warn!(%fault, "cannot cut back what was not confirmed yet");
                }
            })
        })
    }
}

#[cfg(test)]
mod tests;
