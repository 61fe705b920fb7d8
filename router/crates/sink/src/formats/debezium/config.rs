//! The settings of the Debezium format, named as Debezium names them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Settings of the Debezium format. Whatever is not set follows from the profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DebeziumConfig {
    /// Which set of defaults: `debezium` (its connector's own) or `flink` (what Flink's `debezium-json` reads: decimals
    /// as strings; DATE `2026-11-21`, TIME `01:02:03.5`, DATETIME `2026-11-21 01:02:03.5` and TIMESTAMP the same with Z;
    /// `json.timestamp-format.standard` is SQL).
    pub profile: Profile,
    /// DECIMAL: `precise` (bytes in base64, the default), `string` or `double` (a JSON number with all digits).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<DecimalMode>,
    /// DATE, TIME, DATETIME (and TIMESTAMP with `sql`): `adaptive_time_microseconds` (the default), `adaptive`, `connect`,
    /// `microseconds`, `nanoseconds`, `isostring` or `sql`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeMode>,
    /// BIGINT UNSIGNED: `long` (a JSON number up to 18446744073709551615, the default), `precise` (bytes in base64) or
    /// `string`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bigint_unsigned: Option<BigintUnsigned>,
    /// BINARY, VARBINARY and BLOB: `bytes` (base64, the default), `base64`, `base64-url-safe` or `hex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<BinaryMode>,
    /// Dates that no calendar has, such as `0000-00-00` and `2020-00-15`: `null` (null where the column may be null, else
    /// the epoch: the default), `epoch`, `string` (as MySQL writes them) or `reject` (the event goes to the dead letters).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_dates: Option<ZeroDates>,
}

/// A set of defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// As Debezium's MySQL connector by default.
    #[default]
    Debezium,
    /// What Flink's `debezium-json` format reads.
    Flink,
}

/// How DECIMAL is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecimalMode {
    /// The unscaled number's big-endian two's complement bytes, in base64.
    Precise,
    /// All digits, in a string.
    String,
    /// All digits, as a JSON number.
    Double,
}

/// How dates and times are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeMode {
    /// Days; TIME in microseconds; DATETIME in milliseconds up to three digits of fraction, else microseconds.
    AdaptiveTimeMicroseconds,
    /// The same, with TIME in milliseconds up to three digits of fraction.
    Adaptive,
    /// Days; everything else in milliseconds.
    Connect,
    /// Days; everything else in microseconds.
    Microseconds,
    /// Days; everything else in nanoseconds.
    Nanoseconds,
    /// ISO 8601 with Z: `2017-09-15Z`, `04:05:11.789Z`, `2019-07-09T02:28:57.123456Z`.
    Isostring,
    /// As SQL writes them; TIMESTAMP with Z.
    Sql,
}

/// How BIGINT UNSIGNED is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BigintUnsigned {
    /// A JSON number.
    Long,
    /// Big-endian two's complement bytes, in base64.
    Precise,
    /// A string.
    String,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BinaryMode {
    /// Base64 (JSON has no bytes).
    Bytes,
    /// Base64.
    Base64,
    /// Base64 of the URL-safe alphabet.
    Base64UrlSafe,
    /// Lower-case hexadecimal.
    Hex,
}

/// How a date that no calendar has is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ZeroDates {
    /// Null where the column may be null, else 1970-01-01.
    Null,
    /// 1970-01-01.
    Epoch,
    /// As MySQL writes it, in a string.
    String,
    /// Not at all: the event is poison.
    Reject,
}

/// The settings with every default filled in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) decimal: DecimalMode,
    pub(super) time: TimeMode,
    pub(super) bigint_unsigned: BigintUnsigned,
    pub(super) binary: BinaryMode,
    pub(super) zero_dates: ZeroDates,
}

impl DebeziumConfig {
    /// What is wrong with it: `(field, words)`.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if self.profile == Profile::Flink {
            if self.decimal == Some(DecimalMode::Precise) {
                problems
                    .push(("decimal", "Flink's debezium-json cannot read `precise`; use string or double"));
            }
            if self.bigint_unsigned == Some(BigintUnsigned::Precise) {
                problems.push((
                    "bigint_unsigned",
                    "Flink's debezium-json cannot read `precise`; use long or string",
                ));
            }
            if self.time.is_some_and(|mode| mode != TimeMode::Sql) {
                problems.push((
                    "time",
                    "Flink's debezium-json reads only `sql`; leave it out or change the profile",
                ));
            }
        }
        problems.into_iter().map(|(field, words)| (field.to_owned(), words.to_owned())).collect()
    }

    pub(super) fn settings(&self) -> Settings {
        let (decimal, time) = match self.profile {
            Profile::Debezium => (DecimalMode::Precise, TimeMode::AdaptiveTimeMicroseconds),
            Profile::Flink => (DecimalMode::String, TimeMode::Sql),
        };
        Settings {
            decimal: self.decimal.unwrap_or(decimal),
            time: self.time.unwrap_or(time),
            bigint_unsigned: self.bigint_unsigned.unwrap_or(BigintUnsigned::Long),
            binary: self.binary.unwrap_or(BinaryMode::Bytes),
            zero_dates: self.zero_dates.unwrap_or(ZeroDates::Null),
        }
    }
}
