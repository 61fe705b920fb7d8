//! The webhook sink: every event POSTed to one endpoint, signed as Standard Webhooks 1.0.0 has it.
//!
//! At least once: an event has the same id over retries and restarts, by which a receiver knows a repeat. Events of one
//! key arrive in order, several keys at once (`lanes`). `Ok` means a 2xx for every event of the delivery.
//!
//! After a failure no lane begins another message; what is under way is waited for, and what was acknowledged is
//! remembered, so that the delivery that comes again sends only the rest. If lanes fail in different ways, the fault that
//! is told is the fatal one, else a retryable one (with the longest wait that was asked for), else a poison one: while
//! the receiver is in trouble its word on a single message proves nothing, and nothing is lost by hearing it again.

mod answer;
mod client;
mod config;
mod guard;
mod lanes;
mod message;
mod sign;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use forebay_model::{Class, Fault};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

pub use config::{BatchConfig, HeaderConfig, WebhookConfig};

use crate::formats::debezium::Renderer;
use crate::{Appetite, Delivery, Mark, Opening, Sink};
use client::Client;
use lanes::Acknowledged;
use message::{Event, Messages};

/// Messages for each lane in one delivery: enough that lanes seldom wait for each other's end, few enough that a restart
/// repeats little.
const DEPTH: u64 = 32;
/// Columns in memory of one delivery; as JSON they are several times that.
const BYTES: usize = 1 << 20;

struct WebhookSink {
    client: Client,
    renderer: Renderer,
    messages: Messages,
    batch: BatchConfig,
    lanes: u32,
    /// Events that the receiver has, from the latest delivery's start on: it may come again, whole or in halves.
    acknowledged: Mutex<Acknowledged>,
    epoch: u64,
}

/// # Errors
/// If a secret cannot be read or is of the wrong form, or the URL or a header cannot be used.
pub(crate) fn open(config: &WebhookConfig, opening: &Opening<'_>) -> Result<impl Sink + use<>, Fault> {
    Ok(WebhookSink {
        client: Client::new(config, opening)?,
        renderer: config.format.renderer(opening.source),
        messages: Messages::new(opening.route, opening.lineage, config.batch.events > 1),
        batch: config.batch.clone(),
        lanes: config.in_flight.max(1),
        acknowledged: Mutex::new(Acknowledged::new()),
        epoch: opening.start.epoch,
    })
}

impl WebhookSink {
    /// Sends a lane's messages until its end, its first fault, or another lane's.
    async fn run(&self, events: Vec<Event>, stop: &AtomicBool) -> Result<(), Fault> {
        for message in lanes::messages(&events, &self.batch) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if let Err(fault) = self.client.send(self.messages.of(message)).await {
                stop.store(true, Ordering::Relaxed);
                return Err(fault);
            }
            let mut acknowledged = self.acknowledged.lock().expect("nothing panics while it is held");
            acknowledged.extend(message.iter().map(|event| (event.offset, event.part)));
        }
        Ok(())
    }
}

#[async_trait]
impl Sink for WebhookSink {
    fn appetite(&self) -> Appetite {
        Appetite {
            bytes: BYTES,
            events: u64::from(self.lanes) * u64::from(self.batch.events) * DEPTH,
            wait: Duration::from_millis(self.batch.wait_ms),
        }
    }

    async fn committed(&mut self) -> Result<Option<Mark>, Fault> {
        Ok(None)
    }

    async fn deliver(&mut self, delivery: &Delivery) -> Result<(), Fault> {
        let acknowledged = self.acknowledged.get_mut().expect("nothing panics while it is held");
        if self.epoch == delivery.mark.epoch {
            *acknowledged = acknowledged.split_off(&(delivery.mark.offset, 0));
        } else {
            acknowledged.clear();
            self.epoch = delivery.mark.epoch;
        }
        let filled = lanes::fill(delivery, &mut self.renderer, self.lanes, acknowledged)?;
        let stop = AtomicBool::new(false);
        let this = &*self;
        let mut running: FuturesUnordered<_> =
            filled.into_iter().map(|events| this.run(events, &stop)).collect();
        let mut worst: Option<Fault> = None;
        while let Some(ended) = running.next().await {
            if let Err(fault) = ended
                && worst.as_ref().is_none_or(|worst| severity(&fault) > severity(worst))
            {
                worst = Some(fault);
            }
        }
        drop(running);
        worst.map_or(Ok(()), Err)
    }
}

/// Which of several faults is told; among retryable ones, that which asks for the longest wait.
fn severity(fault: &Fault) -> (u8, Duration) {
    let class = match fault.class() {
        Class::Fatal => 2,
        Class::Retryable => 1,
        Class::Poison => 0,
    };
    (class, fault.wait_asked().unwrap_or_default())
}

#[cfg(test)]
mod tests;
