//! Changes as they come, for people: what `forebay tail` and the API's tail show.

use forebay_changelog::Reader;
use forebay_model::{Block, Fault, Offset, TablePattern};

use super::Engine;
use super::cover::Cover;
use super::later::Later;
use super::select::Selection;

/// Blocks of a source from an offset on, with the wanted tables only.
pub struct Tail {
    reader: Reader,
    selection: Selection,
    /// Where the tags are that say what is not shown, and what columns came to be called; `None` to show all.
    tags: Option<(Engine, String, Later)>,
    cover: Cover,
    offset: Offset,
}

impl Engine {
    /// Follows a source's changes from `from`, or from now on. Columns tagged `pii` are covered unless `shows_pii`.
    ///
    /// # Errors
    /// If there is no such source, or the changelog does not hold the offset.
    pub async fn tail(
        &self,
        source: &str,
        tables: Vec<TablePattern>,
        from: Option<Offset>,
        shows_pii: bool,
    ) -> Result<Tail, Fault> {
        let log = self.log_of_source(source).await?;
        let tags = (!shows_pii).then(|| (self.clone(), source.to_owned(), Later::new(log.clone())));
        let offset = from.unwrap_or_else(|| log.head());
        let selection = Selection::new(None, tables);
        Ok(Tail { reader: log.reader(offset)?, selection, tags, cover: Cover::default(), offset })
    }
}

impl Tail {
    /// The next block that holds something wanted; waits at the head.
    ///
    /// # Errors
    /// If the changelog was trimmed past the tail or is damaged.
    pub async fn next(&mut self) -> Result<Block, Fault> {
        loop {
            let block = self.selection.cut(&*self.reader.next().await?, self.offset);
            self.offset = block.end();
            if block.rows() > 0 {
                let Some((engine, source, later)) = &mut self.tags else { return Ok(block) };
                // asked each time: tags may change while somebody looks
                let mut guard = engine.guard_of_source(source).await?;
                later.teach(&mut guard).await?;
                self.cover.by(&guard);
                return Ok(self.cover.block(block));
            }
        }
    }
}
