//! A document from its JSON value, with every structural problem and not just the first.
//!
//! serde stops at the first mistake. So the mistake is noted, the place is mended (what is wrong is taken out, what is
//! missing gets a stand-in) and serde tries again, until it has the whole document. The structs thereby stay the only
//! description of the documents. Problems at mended places are only noted once.

use std::collections::{BTreeMap, BTreeSet};

use forebay_model::PLAIN_SECRET;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::codes;
use super::problem::{Problem, child, did_you_mean, item, nearest};

/// More problems than this of one document help nobody.
const MAX_PROBLEMS: usize = 100;
/// Mending ends here, whatever the document.
const MAX_STEPS: usize = 1000;

/// What came of a document.
pub(super) struct Parsed<T> {
    /// The document, mended where it had problems; `None` if it could not be.
    pub(super) document: Option<T>,
    /// What was wrong.
    pub(super) problems: Vec<Problem>,
    /// The paths that were mended: what is said about them means nothing.
    pub(super) mended: Vec<String>,
}

/// Reads a document by itself.
///
/// # Errors
/// Every problem of its structure.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<Problem>> {
    let parsed = parse("", value);
    match parsed.document {
        Some(document) if parsed.problems.is_empty() => Ok(document),
        _ => Err(parsed.problems),
    }
}

/// Reads the document that stands at `path`.
pub(super) fn parse<T: DeserializeOwned>(path: &str, value: &Value) -> Parsed<T> {
    let mut bench = Bench {
        value: value.clone(),
        base: path.to_owned(),
        problems: Vec::new(),
        mended: BTreeSet::new(),
        misspelt: BTreeSet::new(),
        stand_ins: BTreeMap::new(),
    };
    let mut document = None;
    for _ in 0..MAX_STEPS {
        match serde_path_to_error::deserialize(&bench.value) {
            Ok(whole) => {
                document = Some(whole);
                break;
            }
            Err(error) => {
                let place = place_of(error.path());
                let mistake = Mistake::read(&error.into_inner().to_string());
                if bench.mend(place, mistake).is_none() {
                    break;
                }
            }
        }
    }
    let mended = bench.mended.iter().map(|place| bench.path(place)).collect();
    Parsed { document, problems: bench.problems, mended }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Key(String),
    Index(usize),
}

type Place = Vec<Part>;

fn below(place: &[Part], key: &str) -> Place {
    [place, &[Part::Key(key.to_owned())]].concat()
}

fn place_of(path: &serde_path_to_error::Path) -> Place {
    path.iter()
        .map_while(|segment| match segment {
            Segment::Seq { index } => Some(Part::Index(*index)),
            Segment::Map { key } => Some(Part::Key(key.clone())),
            Segment::Enum { variant } => Some(Part::Key(variant.clone())),
            Segment::Unknown => None,
        })
        .collect()
}

/// What serde says, without the value that it says it of.
enum Mistake {
    UnknownField { field: String, known: Vec<String> },
    MissingField(String),
    UnknownChoice(Vec<String>),
    WrongType { expected: String },
    OneKind,
    PlainSecret,
    Other(String),
}

impl Mistake {
    fn read(text: &str) -> Mistake {
        let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        if text.contains(PLAIN_SECRET) {
            return Mistake::PlainSecret;
        }
        if text.starts_with("unknown field `") {
            let mut words = quoted(text).into_iter();
            return Mistake::UnknownField { field: words.next().unwrap_or_default(), known: words.collect() };
        }
        if text.starts_with("missing field `") {
            return Mistake::MissingField(quoted(text).into_iter().next().unwrap_or_default());
        }
        if text.starts_with("unknown variant `") {
            // The value itself may hold anything, backticks too.
            let known = text.rsplit_once("`, expected ").map_or("", |(_, known)| known);
            return Mistake::UnknownChoice(quoted(known));
        }
        if text.starts_with("invalid type: ") || text.starts_with("invalid value: ") {
            let expected = text.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
            if expected == "map with a single key" {
                return Mistake::OneKind;
            }
            return Mistake::WrongType { expected: in_words(expected) };
        }
        Mistake::Other(text.to_owned())
    }
}

/// serde's name of a type, for people.
fn in_words(expected: &str) -> String {
    let range = |low: i128, high: u128| format!("a whole number from {low} to {high}");
    match expected {
        "u8" => range(0, u8::MAX.into()),
        "u16" => range(0, u16::MAX.into()),
        "u32" => range(0, u32::MAX.into()),
        "u64" | "usize" => "a whole number from 0".into(),
        "i32" => range(i32::MIN.into(), i32::MAX as u128),
        "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "a map" => "an object".into(),
        "path string" | "a string" | "string or map" => "text".into(),
        "unit variant" | "unit" => "nothing more".into(),
        other if other.starts_with("struct ") || other.starts_with("internally tagged ") => {
            "an object".into()
        }
        other if other.starts_with("struct variant ") => "an object".into(),
        other if other.contains("enum") => "one of its choices".into(),
        other => other.to_owned(),
    }
}

/// What a value is, without the value.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(n) if n.is_f64() => "a number with a fraction",
        Value::Number(n) if n.is_i64() && !n.is_u64() => "a negative number",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A document being mended.
struct Bench {
    value: Value,
    base: String,
    problems: Vec<Problem>,
    mended: BTreeSet<Place>,
    /// Fields that stand there under a name that is nearly theirs; that they are missing need not be told.
    misspelt: BTreeSet<Place>,
    /// Which attempt stands at a place that had nothing usable.
    stand_ins: BTreeMap<Place, usize>,
}

impl Bench {
    /// Notes the mistake and mends its place; `None` if nothing more can be mended.
    fn mend(&mut self, place: Place, mistake: Mistake) -> Option<()> {
        match mistake {
            Mistake::UnknownField { field, known } => {
                let known = known.iter().map(String::as_str);
                let problem = Problem::new(codes::UNKNOWN_FIELD, "", format!("there is no field `{field}`"))
                    .suggest(did_you_mean(&field, known.clone()));
                if place.last() != Some(&Part::Key(field.clone())) {
                    // Not a struct's own refusal: what stands here is one thing, such as a secret's reference.
                    self.note(&below(&place, &field), problem);
                    return self.replace(place);
                }
                if let (Some(near), Some((_, outer))) = (nearest(&field, known), place.split_last()) {
                    self.misspelt.insert(below(outer, near));
                }
                self.note(&place, problem);
                self.mended.insert(place.clone());
                self.remove(&place)
            }
            Mistake::MissingField(field) => {
                let place = below(&place, &field);
                if !self.misspelt.contains(&place) {
                    self.note(
                        &place,
                        Problem::new(codes::MISSING_FIELD, "", format!("`{field}` is missing")),
                    );
                }
                self.stand_in(place, 0, &[])
            }
            Mistake::UnknownChoice(known) => {
                if let Some((stood, &attempt)) = self.stand_ins.range(place.clone()..=place.clone()).next() {
                    return self.stand_in(stood.clone(), attempt.max(CHOICES - 1) + 1, &known);
                }
                self.note_unknown_choice(&place, &known);
                self.replace(place)
            }
            Mistake::WrongType { .. } if self.at(&place).is_none() => {
                // A kind's bare name, as `sink: file`: serde looks for its settings below it.
                let (kind, outer) = place.split_last()?;
                let Part::Key(kind) = kind else { return None };
                let message = format!("`{kind}` stands here without its settings");
                let suggestion = format!("write {{ {kind}: {{ ... }} }}");
                self.wrong(outer.to_vec(), Problem::new(codes::WRONG_TYPE, "", message).suggest(suggestion))
            }
            Mistake::WrongType { expected } => {
                let message = match self.at(&place) {
                    Some(number @ Value::Number(_)) if expected.contains("whole number") => {
                        format!("{expected} belongs here, not {number}")
                    }
                    found => format!("{expected} belongs here, not {}", found.map_or("nothing", kind_of)),
                };
                self.wrong(place, Problem::new(codes::WRONG_TYPE, "", message))
            }
            Mistake::OneKind if self.mended.iter().any(|m| m.starts_with(&place)) => self.replace(place),
            Mistake::OneKind => {
                let message = "exactly one kind belongs here, as an object with one field";
                self.wrong(place, Problem::new(codes::WRONG_TYPE, "", message))
            }
            Mistake::PlainSecret => {
                let problem = Problem::new(codes::SECRET_IN_PLAIN, "", "a secret stands here in plain")
                    .suggest("write where it is instead: { env: NAME } or { file: /path }");
                self.wrong(place, problem)
            }
            Mistake::Other(text) => self.wrong(place, Problem::new(codes::INVALID, "", text)),
        }
    }

    /// Something unusable at `place`: the document's own, or a stand-in that does not fit.
    fn wrong(&mut self, place: Place, problem: Problem) -> Option<()> {
        let stood = (0..=place.len()).rev().map(|n| &place[..n]).find(|p| self.stand_ins.contains_key(*p));
        if let Some(stood) = stood.map(<[Part]>::to_vec) {
            let attempt = self.stand_ins[&stood] + 1;
            return self.stand_in(stood, attempt, &[]);
        }
        self.note(&place, problem);
        self.replace(place)
    }

    /// Notes a problem, unless it lies in what was mended before.
    fn note(&mut self, place: &Place, problem: Problem) {
        if self.mended.iter().any(|m| place.starts_with(m)) {
            return;
        }
        match self.problems.len() {
            n if n < MAX_PROBLEMS => self.problems.push(Problem { path: self.path(place), ..problem }),
            MAX_PROBLEMS => self.problems.push(Problem::new(
                codes::TOO_MANY,
                self.base.clone(),
                format!("there are more than {MAX_PROBLEMS} problems"),
            )),
            _ => {}
        }
    }

    fn note_unknown_choice(&mut self, place: &Place, known: &[String]) {
        let (place, word) = match self.at(place) {
            Some(Value::Object(fields)) if fields.len() == 1 => {
                let key = fields.keys().next().cloned().unwrap_or_default();
                (below(place, &key), key)
            }
            Some(Value::String(word)) => (place.clone(), word.clone()),
            _ => (place.clone(), String::new()),
        };
        let problem = Problem::new(codes::UNKNOWN_CHOICE, "", "this is none of the choices")
            .suggest(did_you_mean(&word, known.iter().map(String::as_str)));
        self.note(&place, problem);
    }

    /// Takes out what is wrong. What must be there comes back as a stand-in.
    fn replace(&mut self, place: Place) -> Option<()> {
        self.stand_ins.retain(|stood, _| !stood.starts_with(&place));
        self.mended.insert(place.clone());
        match place.last()? {
            Part::Key(_) => self.remove(&place),
            // Removing an item would number the later ones wrongly.
            Part::Index(_) => self.stand_in(place, 0, &[]),
        }
    }

    fn remove(&mut self, place: &Place) -> Option<()> {
        let (last, outer) = place.split_last()?;
        match (self.at_mut(outer)?, last) {
            (Value::Object(fields), Part::Key(key)) => fields.shift_remove(key).map(|_| ()),
            _ => None,
        }
    }

    /// Puts something at `place` that may fit there; when nothing is left to try, what is around it goes.
    fn stand_in(&mut self, place: Place, attempt: usize, choices: &[String]) -> Option<()> {
        self.stand_ins.retain(|stood, _| !stood.starts_with(&place) || *stood == place);
        let first = || choices.first().cloned().unwrap_or_default();
        let value = match attempt {
            0 => Value::from("stand-in"),
            1 => Value::from(1),
            2 => Value::Array(Vec::new()),
            3 => Value::Object(Map::new()),
            4 => Value::Bool(true),
            CHOICES if !choices.is_empty() => Value::from(first()),
            CHOICE_WITH_FIELDS if !choices.is_empty() => {
                Value::Object(Map::from_iter([(first(), Value::Object(Map::new()))]))
            }
            _ => {
                self.stand_ins.remove(&place);
                let outer = place.split_last()?.1.to_vec();
                return match self.stand_ins.get(&outer).copied() {
                    Some(attempt) => self.stand_in(outer, attempt + 1, &[]),
                    None => self.replace(outer),
                };
            }
        };
        let (last, outer) = place.split_last()?;
        match (self.at_mut(outer)?, last) {
            (Value::Object(fields), Part::Key(key)) => {
                fields.insert(key.clone(), value);
            }
            (Value::Array(items), Part::Index(index)) => *items.get_mut(*index)? = value,
            _ => return None,
        }
        self.mended.insert(place.clone());
        self.stand_ins.insert(place, attempt);
        Some(())
    }

    fn at(&self, place: &[Part]) -> Option<&Value> {
        place.iter().try_fold(&self.value, |value, part| match part {
            Part::Key(key) => value.get(key),
            Part::Index(index) => value.get(index),
        })
    }

    fn at_mut(&mut self, place: &[Part]) -> Option<&mut Value> {
        place.iter().try_fold(&mut self.value, |value, part| match part {
            Part::Key(key) => value.get_mut(key),
            Part::Index(index) => value.get_mut(index),
        })
    }

    fn path(&self, place: &Place) -> String {
        place.iter().fold(self.base.clone(), |path, part| match part {
            Part::Key(key) => child(&path, key),
            Part::Index(index) => item(&path, *index),
        })
    }
}

/// The attempt with a choice's name; the next is the same with fields.
const CHOICES: usize = 5;
const CHOICE_WITH_FIELDS: usize = CHOICES + 1;
