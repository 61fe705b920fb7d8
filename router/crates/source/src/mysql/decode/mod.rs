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
mod mariadb;
mod native;
mod partial;
mod plan;
mod time;

#[cfg(test)]
mod tests;

pub(crate) use filling::{Filling, Present, Size, WrongText};
pub(crate) use native::{GEOMETRIES, geometry_name};
pub(crate) use plan::{Plan, text_size};

/// A JSON value by itself, plain and with differences, for tests.
pub(super) fn json_text(value: &[u8], differences: &[u8]) {
    let _ = json::to_text(value, &mut Vec::new());
    let _ = json::apply(value, differences, &mut Vec::new());
}

/// A text by itself, for tests.
pub(super) fn text(charset: &str, bytes: &[u8]) -> Option<String> {
    let mut out = Vec::new();
    let wrong = charset::Charset::of(charset)?.append(bytes, &mut out);
    String::from_utf8(out).ok().filter(|_| !wrong)
}

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
