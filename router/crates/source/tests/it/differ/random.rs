//! Random types and values, as SQL.

use std::fmt::Debug;

use crate::types::{HEX, HEX_BIT, PLAIN, UNIX};

/// A generator of random numbers: a failing run is repeated by its seed.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = self.0 ^ self.0 >> 33;
        x.wrapping_mul(0xff51_afd7_ed55_8ccd) ^ x >> 29
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn digits(&mut self, n: u64) -> String {
        (0..n).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }

    fn of<'a, T: Debug>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }

    fn text(&mut self, most: u64, of: &[char]) -> String {
        let n = self.below(most + 1);
        let text: String = (0..n).map(|_| *self.of(of)).collect();
        format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    }

    fn hex(&mut self, most: u64) -> String {
        let n = self.below(most + 1);
        let digits: String = (0..n).map(|_| format!("{:02x}", self.next() as u8)).collect();
        format!("x'{digits}'")
    }

    fn clock(&mut self, fsp: u64) -> String {
        let (h, m, s) = (self.below(24), self.below(60), self.below(60));
        format!("{h:02}:{m:02}:{s:02}.{}", self.digits(fsp.max(1)))
    }

    fn date(&mut self) -> String {
        match self.below(8) {
            0 => "0000-00-00".into(),
            1 => format!("{:04}-{:02}-00", self.below(10_000), self.below(13)),
            _ => format!("{:04}-{:02}-{:02}", self.below(10_000), 1 + self.below(12), 1 + self.below(28)),
        }
    }

    fn json(&mut self, deep: u64) -> String {
        match self.below(if deep == 0 { 6 } else { 8 }) {
            0 => (*self.of(&["null", "true", "false"])).to_owned(),
            1 => (self.next() as i64 >> self.below(64)).to_string(),
            2 => (self.next() >> self.below(64)).to_string(),
            3 => format!("{:e}", f64::from_bits(self.next()).clamp(-1e300, 1e300) + 0.5).replace("NaN", "0"),
            4 | 5 => format!("{:?}", self.text(9, &['a', 'é', '😀', '/', ' ']).trim_matches('\'').to_owned()),
            6 => {
                let all: Vec<String> = (0..self.below(5)).map(|_| self.json(deep - 1)).collect();
                format!("[{}]", all.join(","))
            }
            _ => {
                let all: Vec<String> =
                    (0..self.below(5)).map(|i| format!("\"k{i}\":{}", self.json(deep - 1))).collect();
                format!("{{{}}}", all.join(","))
            }
        }
    }
}

/// A type, how it is compared, and what makes a value of it.
pub(super) type RandomColumn = (String, String, Box<dyn Fn(&mut Random) -> String>);

/// A column of any type that the server has.
pub(super) fn random_column(r: &mut Random, maria: bool) -> RandomColumn {
    const WIDE: [char; 12] = ['a', 'Z', ' ', '\'', '\\', 'é', 'ß', '€', '日', '\u{301}', '😀', '\u{10ffff}'];
    const LATIN: [char; 6] = ['a', ' ', 'é', 'ÿ', '€', '\u{a0}'];
    let plain = |ty: String, f: Box<dyn Fn(&mut Random) -> String>| (ty, PLAIN.to_owned(), f);
    match r.below(if maria { 19 } else { 18 }) {
        0 => {
            let (name, bits) =
                *r.of(&[("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64)]);
            let unsigned = r.below(2) == 1;
            let ty = format!("{name}{}", if unsigned { " unsigned" } else { "" });
            plain(
                ty,
                Box::new(move |r| match (unsigned, r.below(3)) {
                    (true, 0) => (u64::MAX >> (64 - bits)).to_string(),
                    (true, _) => (r.next() >> (64 - bits)).to_string(),
                    (false, 0) => (i64::MIN >> (64 - bits)).to_string(),
                    (false, _) => (r.next() as i64 >> (64 - bits)).to_string(),
                }),
            )
        }
        1 => {
            let p = 1 + r.below(65);
            let s = r.below(p.min(30) + 1);
            plain(
                format!("decimal({p},{s})"),
                Box::new(move |r| format!("{}0{}.{}", r.of(&["", "-"]), r.digits(p - s), r.digits(s.max(1)))),
            )
        }
        2 => plain("double".into(), Box::new(|r| format!("{:e}", (r.next() as i64) as f64 / 1024.0))),
        3 => {
            ("float".into(), "{} + 0e0".into(), Box::new(|r| format!("{}", (r.next() as i16) as f32 / 64.0)))
        }
        4 => {
            let bits = 1 + r.below(64);
            (format!("bit({bits})"), HEX_BIT.into(), Box::new(move |r| (r.next() >> (64 - bits)).to_string()))
        }
        5 => plain("date".into(), Box::new(|r| format!("'{}'", r.date()))),
        6 => {
            let fsp = r.below(7);
            plain(format!("datetime({fsp})"), Box::new(move |r| format!("'{} {}'", r.date(), r.clock(fsp))))
        }
        7 => {
            let fsp = r.below(7);
            let f = move |r: &mut Random| {
                format!(
                    "'{}-{:02}-{:02} {}'",
                    1971 + r.below(66),
                    1 + r.below(12),
                    1 + r.below(28),
                    r.clock(fsp)
                )
            };
            (format!("timestamp({fsp}) null"), UNIX.into(), Box::new(f))
        }
        8 => {
            let fsp = r.below(7);
            plain(
                format!("time({fsp})"),
                Box::new(move |r| {
                    let (sign, h, m, s) = (*r.of(&["", "-"]), r.below(839), r.below(60), r.below(59));
                    format!("'{sign}{h:02}:{m:02}:{s:02}.{}'", r.digits(fsp.max(1)))
                }),
            )
        }
        9 => plain("year".into(), Box::new(|r| (1901 + r.below(255)).to_string())),
        10 => {
            let n = 1 + r.below(60);
            plain(format!("char({n})"), Box::new(move |r| r.text(n, &WIDE)))
        }
        11 => {
            let n = 1 + r.below(400);
            plain(format!("varchar({n})"), Box::new(move |r| r.text(n, &WIDE)))
        }
        12 => plain("mediumtext charset latin1".into(), Box::new(|r| r.text(500, &LATIN))),
        13 => {
            let n = 1 + r.below(255);
            (format!("binary({n})"), HEX.into(), Box::new(move |r| r.hex(n)))
        }
        14 => ("blob".into(), HEX.into(), Box::new(|r| r.hex(600))),
        15 => plain("enum('a','b,c','ü','')".into(), Box::new(|r| r.below(5).to_string())),
        16 => {
            let n = 1 + r.below(64);
            let members: Vec<String> = (0..n).map(|i| format!("'m{i}'")).collect();
            plain(
                format!("set({})", members.join(",")),
                Box::new(move |r| (r.next() >> (64 - n)).to_string()),
            )
        }
        17 => plain(
            "json".into(),
            Box::new(|r| format!("'{}'", r.json(3).replace('\\', "\\\\").replace('\'', "''"))),
        ),
        _ => {
            let ty = *r.of(&["inet6", "inet4", "uuid", "text compressed"]);
            plain(
                ty.into(),
                Box::new(move |r| match ty {
                    "inet4" => format!("'{}'", std::net::Ipv4Addr::from(r.next() as u32)),
                    "inet6" => {
                        let words: Vec<String> =
                            (0..8)
                                .map(|_| {
                                    if r.below(2) == 0 {
                                        "0".into()
                                    } else {
                                        format!("{:x}", r.next() as u16)
                                    }
                                })
                                .collect();
                        format!("'{}'", words.join(":"))
                    }
                    "uuid" => format!("'{:016x}{:016x}'", r.next(), r.next()),
                    _ => r.text(300, &['a', 'b', 'é']),
                }),
            )
        }
    }
}
