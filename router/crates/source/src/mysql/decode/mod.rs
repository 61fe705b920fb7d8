//! Row images, from the binlog's bytes into columns.
//!
//! A [`Plan`] is made once for each version of a table; [`Filling`] takes images by it, column by column, into
//! buffers that become Arrow arrays without a copy. Nothing is allocated per value or per event.

mod bits;
mod charset;
mod decimal;
mod filling;
mod fixed;
mod json;
mod lane;
mod native;
mod plan;
mod time;

#[cfg(test)]
mod tests;

pub(crate) use filling::{Filling, Present, Size};
pub(crate) use plan::{Plan, text_size};

/// The name of the character set that a collation's number is of.
pub(crate) fn charset_of(collation: u16) -> &'static str {
    charset::named(collation).name
}

/// A text in a collation's character set; `None` if that cannot be read.
pub(crate) fn text_of(collation: u16, bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    charset::Charset::of(charset::named(collation).name)?.append(bytes, &mut out);
    String::from_utf8(out).ok()
}
