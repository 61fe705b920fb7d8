//! Events to blocks, without a server: ns per row change on the three shapes that the project measures by.
//!
//! The events are made here: `narrow` and `oltp` have eight columns (a hundred rows and one row a statement), `wide` has
//! 228. Checksums and framing are not part of it.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay_source::mysql::bench::Decoder;

/// A column: type, metadata, collation if it is text, and the bytes of a value.
type Column = (u8, &'static [u8], Option<u8>, fn(u64) -> Vec<u8>);

const INT: Column = (3, &[], None, |n| (n as u32).to_le_bytes().to_vec());
const BIGINT: Column = (8, &[], None, |n| n.to_le_bytes().to_vec());
const CHAR_120: Column = (254, &[0xee, 0xe0], Some(255), |n| text(n, 100, 2));
const CHAR_60: Column = (254, &[0xfe, 0xf0], Some(255), |n| text(n, 50, 1));
const VARCHAR_100: Column = (15, &[0x90, 0x01], Some(255), |n| text(n, 25, 2));
const DECIMAL_10_2: Column =
    (246, &[10, 2], None, |n| vec![0x80, (n % 5) as u8, 7, (n % 200) as u8, (n % 100) as u8]);
const DATETIME_3: Column = (18, &[3], None, |n| vec![0x99, 0xb5, 0x42, 0x10, n as u8, 1, 0x2c]);
const TIMESTAMP: Column = (17, &[0], None, |n| vec![0x69, 0x20, (n >> 8) as u8, n as u8]);

fn text(n: u64, length: usize, prefix: usize) -> Vec<u8> {
    let mut out = (length as u16).to_le_bytes()[..prefix].to_vec();
    out.extend((0..length).map(|i| b'a' + ((n as usize + i) % 26) as u8));
    out
}

fn narrow() -> Vec<Column> {
    vec![BIGINT, INT, CHAR_120, CHAR_60, DECIMAL_10_2, VARCHAR_100, DATETIME_3, TIMESTAMP]
}

fn wide() -> Vec<Column> {
    let mut columns = vec![BIGINT];
    columns.extend([INT; 212]);
    columns.extend([VARCHAR_100; 7]);
    columns.extend([
        CHAR_60,
        DECIMAL_10_2,
        DECIMAL_10_2,
        DECIMAL_10_2,
        TIMESTAMP,
        TIMESTAMP,
        TIMESTAMP,
        DATETIME_3,
    ]);
    columns
}

fn event(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 19];
    out[4] = kind;
    out[9..13].copy_from_slice(&(19 + body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
    out
}

fn packed(n: usize) -> Vec<u8> {
    if n < 251 { vec![n as u8] } else { vec![252, n as u8, (n >> 8) as u8] }
}

fn field(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number][..], &packed(value.len()), value].concat()
}

fn table_map(columns: &[Column]) -> Vec<u8> {
    let mut body = b"\x07\0\0\0\0\0\x01\0\x01d\0\x01t\0".to_vec();
    body.extend(packed(columns.len()));
    body.extend(columns.iter().map(|c| c.0));
    let meta: Vec<u8> = columns.iter().flat_map(|c| c.1).copied().collect();
    body.extend(packed(meta.len()));
    body.extend(meta);
    body.extend(vec![0xff; columns.len().div_ceil(8)]);
    body.extend(field(1, &vec![0; columns.len().div_ceil(8)]));
    let collations: Vec<u8> =
        columns.iter().filter_map(|c| c.2).flat_map(|c| packed(usize::from(c))).collect();
    body.extend(field(3, &collations));
    let names: Vec<u8> = (0..columns.len())
        .flat_map(|i| {
            let name = format!("c{i}");
            [packed(name.len()), name.into_bytes()].concat()
        })
        .collect();
    body.extend(field(4, &names));
    event(19, &body)
}

/// Transactions of `statements` statements of `rows` rows each.
fn load(columns: &[Column], transactions: usize, statements: usize, rows: usize) -> Vec<Vec<u8>> {
    let (mut events, mut n) = (Vec::new(), 0u64);
    let map = table_map(columns);
    for t in 1..=transactions {
        let mut gtid = vec![0; 17];
        gtid.extend((t as u64).to_le_bytes());
        events.push(event(33, &gtid));
        events.push(event(2, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0BEGIN"));
        for _ in 0..statements {
            events.push(map.clone());
            let mut body = b"\x07\0\0\0\0\0\x01\0\x02\0".to_vec();
            body.extend(packed(columns.len()));
            body.extend(vec![0xff; columns.len().div_ceil(8)]);
            for _ in 0..rows {
                n += 1;
                let mut nulls = vec![0u8; columns.len().div_ceil(8)];
                // one column in fourteen is NULL, as in the measured loads
                let null = |i: usize| i > 0 && (n as usize * 7 + i * i).is_multiple_of(14);
                for i in (0..columns.len()).filter(|&i| null(i)) {
                    nulls[i / 8] |= 1 << (i % 8);
                }
                body.extend(nulls);
                for (i, column) in columns.iter().enumerate().filter(|&(i, _)| !null(i)) {
                    body.extend((column.3)(n + i as u64));
                }
            }
            events.push(event(30, &body));
        }
        events.push(event(16, &[0; 8]));
    }
    events
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.sample_size(20);
    for (name, events) in [
        ("narrow", load(&narrow(), 200, 6, 17)),
        ("wide", load(&wide(), 20, 10, 10)),
        ("oltp", load(&narrow(), 200, 100, 1)),
    ] {
        let mut rows = 0;
        let mut run = || {
            let mut decoder = Decoder::new();
            let mut seen = 0;
            for event in &events {
                decoder.take(event, |block| seen += block.rows()).expect("events that make sense");
            }
            seen + decoder.finish().rows()
        };
        rows += run();
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(name, |b| b.iter(&mut run));
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
