//! What a sink is.
//!
//! The engine gathers blocks of a route (selected, transformed, in offset order), as many as the sink has
//! [`appetite`](Sink::appetite) for, and calls [`deliver`](Sink::deliver). `Ok` means that the destination has every event of
//! the delivery, durably; only then does the route's checkpoint move (invariant 3). After an error the engine decides by the
//! fault's class: a retryable delivery comes again whole, a poison one comes again in halves until the event is alone and goes
//! to the dead letters, a fatal one stops the route.
//!
//! A delivery that comes again begins at the same mark. A sink that keeps its mark with the data (`committed`) uses it to
//! recognise what it already has; the others deliver at least once, with the same event ids.

use std::time::Duration;

use async_trait::async_trait;
use forebay_model::{Block, Fault, Offset};

/// A place in a route's changelog, as a destination remembers it.
///
/// The epoch rises each time that somebody sets the route's offset by hand, and no two routes that are made one after the other
/// share one: a destination's mark of an older epoch does not count any more, so that neither a replay nor a new route's first
/// delivery is mistaken for a repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mark {
    /// Rises when the offset is set by hand; milliseconds since 1970.
    pub epoch: u64,
    /// The next offset to deliver.
    pub offset: Offset,
}

/// How much a sink likes to get at once. A delivery ends at the first bound that is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appetite {
    /// Bytes of columns in memory.
    pub bytes: usize,
    /// Events.
    pub events: u64,
    /// How long to wait for more once there is something.
    pub wait: Duration,
}

/// Blocks that follow each other, for one sink.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where it starts.
    pub mark: Mark,
    /// In offset order, without gaps; what selection and transforms left of them. Never empty, though a block may hold no
    /// batch.
    pub blocks: Vec<Block>,
}

impl Delivery {
    /// The mark once the delivery is done.
    pub fn end(&self) -> Mark {
        let offset = self.blocks.last().map_or(self.mark.offset, Block::end);
        Mark { offset, ..self.mark }
    }
}

/// A destination of one route. Calls never overlap.
#[async_trait]
pub trait Sink: Send {
    /// How much to gather for one delivery.
    fn appetite(&self) -> Appetite;

    /// The mark that the destination itself holds; `None` if it holds none. Asked once, after opening.
    ///
    /// # Errors
    /// If the destination cannot be asked or its answer is damaged.
    async fn committed(&mut self) -> Result<Option<Mark>, Fault>;

    /// Brings the events to the destination; see the module's text for what `Ok` promises.
    ///
    /// # Errors
    /// Classified: see the module's text. May be dropped at any await (a pause, a shutdown); that must leave nothing worse than
    /// a repeat of the delivery.
    async fn deliver(&mut self, delivery: &Delivery) -> Result<(), Fault>;
}
