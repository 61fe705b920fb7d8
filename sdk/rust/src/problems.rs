//! Collecting all that is wrong with a configuration, so that it can be mended at once.

use crate::{Error, Problem};

/// What is wrong with a configuration, each with its path.
///
/// ```
/// use forebay_plugin::{Error, Problems};
///
/// let mut problems = Problems::default();
/// let length = problems.at("length", "many".parse::<u32>().map_err(|_| Error::config("", "not a number")));
/// problems.config("columns[0]", "empty");
/// assert_eq!(length, None);
/// assert!(matches!(problems.finish(), Err(Error::Config(all)) if all.len() == 2));
/// ```
#[derive(Debug, Default)]
pub struct Problems {
    all: Vec<Problem>,
    /// Whether one of them stands whatever the table is.
    is_config: bool,
    data: Option<String>,
}

impl Problems {
    /// Something that is wrong whatever the table is.
    pub fn config(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.is_config = true;
        self.all.push(Problem { path: path.into(), message: message.into() });
    }

    /// Something that does not fit the table.
    pub fn schema(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.all.push(Problem { path: path.into(), message: message.into() });
    }

    /// What a step at `path` made; its problems are kept, at `path` where they had none.
    pub fn at<T>(&mut self, path: &str, step: Result<T, Error>) -> Option<T> {
        step.map_err(|error| self.add(error.at(path))).ok()
    }

    /// Keeps the problems of an error.
    pub fn add(&mut self, error: Error) {
        match error {
            Error::Config(problems) => {
                self.is_config = true;
                self.all.extend(problems);
            }
            Error::Schema(problems) => self.all.extend(problems),
            Error::Data(words) => self.data = self.data.take().or(Some(words)),
        }
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.data.is_none()
    }

    /// The end.
    ///
    /// # Errors
    /// [`Error::Config`] with all problems if one of them stands whatever the table is, else [`Error::Schema`].
    pub fn finish(self) -> Result<(), Error> {
        match self {
            Problems { data: Some(words), .. } => Err(Error::Data(words)),
            Problems { all, .. } if all.is_empty() => Ok(()),
            Problems { all, is_config: true, .. } => Err(Error::Config(all)),
            Problems { all, .. } => Err(Error::Schema(all)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_of_the_configuration_outweighs_those_of_the_table() {
        let mut problems = Problems::default();
        assert_eq!(problems.at("a", Ok(1)), Some(1));
        assert!(problems.is_empty());
        assert_eq!(problems.at::<u8>("a", Err(Error::schema("", "no such column"))), None);
        problems.schema("b", "also not");
        let both = Problems { all: problems.all.clone(), ..Problems::default() };
        assert!(matches!(both.finish(), Err(Error::Schema(all)) if all.len() == 2 && all[0].path == "a"));
        problems.add(Error::config("c", "wrong"));
        assert!(matches!(problems.finish(), Err(Error::Config(all)) if all.len() == 3));
        assert_eq!(Problems::default().finish(), Ok(()));
        let mut problems = Problems::default();
        problems.add(Error::Data("broken".to_owned()));
        assert_eq!(problems.finish(), Err(Error::Data("broken".to_owned())));
    }
}
