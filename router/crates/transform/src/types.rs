//! Column types as the contract words them, and back.

use forebay_model::{Column, ColumnType};

use crate::bindings::{ColumnDefParam, ColumnDefResult, Layout, LogicalType};

/// What a column is to a plugin.
pub(crate) fn def(column: &Column) -> ColumnDefParam<'_> {
    let (logical, layout) = shape(&column.ty);
    ColumnDefParam {
        name: &column.name,
        logical,
        layout,
        nullable: column.nullable,
        native_type: &column.native,
    }
}

/// The contract's two words for a type.
pub(crate) fn shape(ty: &ColumnType) -> (LogicalType, Layout) {
    match ty {
        ColumnType::Integer { unsigned: false, .. } => (LogicalType::Integer, Layout::Signed),
        ColumnType::Integer { .. } | ColumnType::Year | ColumnType::Bit { .. } => {
            (LogicalType::Integer, Layout::Unsigned)
        }
        ColumnType::Float | ColumnType::Double => (LogicalType::Float, Layout::Float),
        ColumnType::Decimal { .. } => (LogicalType::Decimal, Layout::Text),
        ColumnType::Date => (LogicalType::Date, Layout::Text),
        ColumnType::Time { .. } => (LogicalType::Time, Layout::Text),
        ColumnType::DateTime { .. } => (LogicalType::Datetime, Layout::Text),
        ColumnType::Timestamp { .. } => (LogicalType::Timestamp, Layout::Text),
        ColumnType::Text | ColumnType::Enum { .. } | ColumnType::Set { .. } => {
            (LogicalType::Text, Layout::Text)
        }
        ColumnType::Json => (LogicalType::Json, Layout::Text),
        ColumnType::Binary | ColumnType::Geometry | ColumnType::Vector => {
            (LogicalType::Binary, Layout::Bytes)
        }
    }
}

/// A column whose cells a plugin computes without saying anything of its type: what its value may be afterwards.
pub(crate) fn replaced(column: &Column) -> Column {
    match column.ty {
        ColumnType::Enum { .. } | ColumnType::Set { .. } => {
            Column { ty: ColumnType::Text, native: "text".to_owned(), ..column.clone() }
        }
        _ => column.clone(),
    }
}

/// The column that a plugin defines, or what is wrong with the definition. `before`: the column that it retypes.
pub(crate) fn defined(def: &ColumnDefResult, before: Option<&Column>) -> Result<Column, String> {
    let same = |c: &&Column| shape(&c.ty) == (def.logical, def.layout) && c.native == def.native_type;
    let column = match before.filter(same).map(replaced) {
        Some(same) => Column { name: def.name.clone(), nullable: def.nullable, ..same },
        None => {
            let (ty, native) = parse(def)?;
            Column { name: def.name.clone(), ty, nullable: def.nullable, native }
        }
    };
    if shape(&column.ty) != (def.logical, def.layout) {
        return Err(format!("a column of {} cannot have that layout", column.native));
    }
    Ok(column)
}

fn parse(def: &ColumnDefResult) -> Result<(ColumnType, String), String> {
    let unsigned = def.layout == Layout::Unsigned;
    let default = match def.logical {
        LogicalType::Integer if unsigned => "bigint unsigned",
        LogicalType::Integer => "bigint",
        LogicalType::Float => "double",
        LogicalType::Decimal => return decimal(&def.native_type),
        LogicalType::Text => "longtext",
        LogicalType::Json => "json",
        LogicalType::Date => "date",
        LogicalType::Time => "time(6)",
        LogicalType::Datetime => "datetime(6)",
        LogicalType::Timestamp => "timestamp(6)",
        LogicalType::Binary => "longblob",
    };
    let native = if def.native_type.is_empty() { default } else { &def.native_type };
    let (word, numbers, rest) = spelled(native);
    let integer = |bits| ColumnType::Integer { bits, unsigned: rest.contains("unsigned") };
    let fsp = numbers.first().copied().unwrap_or(0);
    let ty = match (def.logical, word.as_str()) {
        (LogicalType::Integer, "tinyint") => integer(8),
        (LogicalType::Integer, "smallint") => integer(16),
        (LogicalType::Integer, "mediumint") => integer(24),
        (LogicalType::Integer, "int" | "integer") => integer(32),
        (LogicalType::Integer, "bigint") => integer(64),
        (LogicalType::Integer, "year") => ColumnType::Year,
        (LogicalType::Integer, "bit") if (1..=64).contains(&fsp) => ColumnType::Bit { bits: fsp },
        (LogicalType::Float, "float") => ColumnType::Float,
        (LogicalType::Float, "double") => ColumnType::Double,
        (LogicalType::Text, "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext") => {
            ColumnType::Text
        }
        (LogicalType::Json, "json") => ColumnType::Json,
        (LogicalType::Date, "date") => ColumnType::Date,
        (LogicalType::Time, "time") if fsp <= 6 => ColumnType::Time { fsp },
        (LogicalType::Datetime, "datetime") if fsp <= 6 => ColumnType::DateTime { fsp },
        (LogicalType::Timestamp, "timestamp") if fsp <= 6 => ColumnType::Timestamp { fsp },
        (LogicalType::Binary, "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob") => {
            ColumnType::Binary
        }
        _ => return Err(format!("`{native}` is not a {:?} type", def.logical)),
    };
    Ok((ty, native.to_owned()))
}

fn decimal(native: &str) -> Result<(ColumnType, String), String> {
    let (word, numbers, _) = spelled(native);
    let (precision, scale) = match *numbers {
        [precision] => (precision, 0),
        [precision, scale] => (precision, scale),
        _ => (0, 0),
    };
    if word != "decimal" || !(1..=65).contains(&precision) || scale > precision.min(30) {
        return Err(format!("`{native}` is not a decimal type such as decimal(10,2)"));
    }
    Ok((ColumnType::Decimal { precision, scale }, native.to_owned()))
}

/// `decimal(10,2) unsigned` is `decimal`, `[10, 2]`, `unsigned`. Numbers that make no sense are 255.
fn spelled(native: &str) -> (String, Vec<u8>, String) {
    let native = native.trim().to_ascii_lowercase();
    let end = native.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(native.len());
    let (word, rest) = native.split_at(end);
    let Some((numbers, rest)) = rest.trim_start().strip_prefix('(').and_then(|rest| rest.split_once(')'))
    else {
        return (word.to_owned(), Vec::new(), rest.to_owned());
    };
    let numbers = numbers.split(',').map(|n| n.trim().parse().unwrap_or(u8::MAX)).collect();
    (word.to_owned(), numbers, rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(ty: ColumnType, native: &str) -> Column {
        Column { name: "c".to_owned(), ty, nullable: false, native: native.to_owned() }
    }

    fn result(logical: LogicalType, layout: Layout, native: &str) -> ColumnDefResult {
        let (name, native_type) = ("c".to_owned(), native.to_owned());
        ColumnDefResult { name, logical, layout, nullable: false, native_type }
    }

    #[test]
    fn types_are_read_from_their_spelling() {
        use LogicalType as L;
        let of = |logical, layout, native| {
            defined(&result(logical, layout, native), None).map(|c| (c.ty, c.native))
        };
        let good = |logical, layout, native, ty: ColumnType, spelled: &str| {
            assert_eq!(of(logical, layout, native), Ok((ty, spelled.to_owned())));
        };
        let integer = |bits, unsigned| ColumnType::Integer { bits, unsigned };
        good(L::Integer, Layout::Signed, "", integer(64, false), "bigint");
        good(L::Integer, Layout::Unsigned, "", integer(64, true), "bigint unsigned");
        good(L::Integer, Layout::Unsigned, "int unsigned", integer(32, true), "int unsigned");
        good(L::Integer, Layout::Signed, "tinyint(1)", integer(8, false), "tinyint(1)");
        good(L::Integer, Layout::Unsigned, "bit(3)", ColumnType::Bit { bits: 3 }, "bit(3)");
        good(L::Float, Layout::Float, "", ColumnType::Double, "double");
        let decimal = ColumnType::Decimal { precision: 10, scale: 2 };
        good(L::Decimal, Layout::Text, "decimal(10, 2)", decimal, "decimal(10, 2)");
        good(L::Text, Layout::Text, "varchar(64)", ColumnType::Text, "varchar(64)");
        good(L::Datetime, Layout::Text, "", ColumnType::DateTime { fsp: 6 }, "datetime(6)");
        good(L::Datetime, Layout::Text, "datetime", ColumnType::DateTime { fsp: 0 }, "datetime");
        for (logical, layout, native) in [
            (L::Integer, Layout::Signed, "int unsigned"),
            (L::Integer, Layout::Text, "int"),
            (L::Integer, Layout::Unsigned, "bit(65)"),
            (L::Text, Layout::Bytes, ""),
            (L::Text, Layout::Text, "int"),
            (L::Time, Layout::Text, "time(7)"),
            (L::Decimal, Layout::Text, ""),
            (L::Decimal, Layout::Text, "decimal(66)"),
            (L::Decimal, Layout::Text, "decimal(5,6)"),
            (L::Decimal, Layout::Text, "decimal(300,2)"),
        ] {
            assert!(of(logical, layout, native).is_err(), "{logical:?} {layout:?} {native}");
        }
    }

    #[test]
    fn a_retype_that_only_renames_keeps_the_exact_type() {
        let point = column(ColumnType::Geometry, "point");
        let def = result(LogicalType::Binary, Layout::Bytes, "point");
        assert_eq!(defined(&def, Some(&point)), Ok(point));
        let size = column(ColumnType::Enum { members: vec!["s".into()] }, "enum('s')");
        assert_eq!(replaced(&size).ty, ColumnType::Text);
    }
}
