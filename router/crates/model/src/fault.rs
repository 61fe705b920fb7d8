//! One shape for every failure that an operator can see: what failed, why, how to mend it, and a stable code.
//!
//! A fault is classified where it is understood (in the part that met it); what follows from the class is
//! decided elsewhere, in one pure function of the sink crate's `policy`.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What a fault means for the work that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The same again may succeed: retried with a capped, jittered backoff, for ever.
    Retryable,
    /// This event will never pass: it is isolated and goes to the dead letters.
    Poison,
    /// Nothing of this kind will pass until somebody changes something: the route or source stops.
    Fatal,
}

/// A stable code and what its documentation says. Each part lists its own in `codes.rs`; a test holds that
/// list and `docs/errors.md` together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// `part.what_went_wrong`, lower case; never changes once released.
    pub name: &'static str,
    /// What it means for the work that met it.
    pub class: Class,
    /// One sentence: when an operator meets it.
    pub meaning: &'static str,
}

/// Defines the codes of a part, each a constant with its meaning as documentation, and `ALL` of them.
///
/// ```
/// forebay_model::codes! {
///     TOO_LATE = "example.too_late", Fatal, "It came after the end.";
/// }
/// assert_eq!(ALL, [TOO_LATE]);
/// ```
#[macro_export]
macro_rules! codes {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $class:ident, $meaning:literal;)*) => {
        $($(#[$doc])* #[doc = $meaning] pub const $id: $crate::Code =
            $crate::Code { name: $name, class: $crate::Class::$class, meaning: $meaning };)*
        /// All of them.
        pub const ALL: &[$crate::Code] = &[$($id),*];
    };
}

/// A failure with a code, for people.
///
/// `Display` prints `what: cause (fix) [code]`. No row value and no secret is ever put into one.
#[derive(Debug)]
pub struct Fault {
    code: Code,
    what: String,
    fix: String,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Fault {
    /// A fault that says what failed; add the rest with [`fix`](Self::fix) and [`cause`](Self::cause).
    #[must_use]
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Fault { code, what: what.into(), fix: String::new(), retry_after: None, cause: None }
    }

    /// What the operator should do, as an imperative sentence (a statement to run where there is one).
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// The error below.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// How long the other side asked to be left alone.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// How long the other side asked to be left alone, if it did.
    pub fn wait_asked(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What it means for the work that met it.
    pub fn class(&self) -> Class {
        self.code.class
    }

    /// What failed, with its cause, without the fix.
    pub fn message(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{}: {cause}", self.what),
            None => self.what.clone(),
        }
    }

    /// How to mend it; empty where nothing but waiting helps.
    pub fn remedy(&self) -> &str {
        &self.fix
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        if !self.fix.is_empty() {
            write!(f, " ({})", self.fix)?;
        }
        write!(f, " [{}]", self.code.name)
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|c| c as _)
    }
}
