//! Whether the server of a new or changed source can be one: the doctor's checks, as problems and warnings of its definition.

use forebay_model::{Class, Fault};
use forebay_source::mysql::{self, CHECKS, Check, Status};

use crate::definition::{Problem, Warning, child};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Without these mended the source cannot work.
    pub(super) problems: Vec<Problem>,
    /// What somebody should know.
    pub(super) warnings: Vec<Warning>,
    /// Whether the server can be asked more.
    pub(super) answers: bool,
}

/// Makes the checks on the first host that is fit, or can be asked. A demand that is not met is a problem, and with `lenient` a warning. A
/// server that does not answer now is a warning: it may be on its way, and the source will say so.
pub(super) async fn examine(path: &str, config: &mysql::Config, lenient: bool) -> Found {
    let path = child(path, "mysql");
    let mut found = Found::default();
    match mysql::preflight(config).await {
        Ok(checks) => {
            found.answers = true;
            for check in checks {
                let told = check.failed() || check.status == Status::Advice;
                match check.demand().filter(|_| check.failed() && !lenient) {
                    Some(code) => {
                        let problem = Problem::new(code, &path, check.finding);
                        found.problems.push(problem.suggest(check.fix.unwrap_or_default()));
                    }
                    None if told => found.warnings.push(of_check(&path, check)),
                    None => {}
                }
            }
        }
        Err(fault) if lenient || fault.class() == Class::Retryable => {
            found.warnings.push(of_fault(&path, &fault));
        }
        Err(fault) => found.problems.push(Problem::of_fault(&path, &fault)),
    }
    found
}

fn of_check(path: &str, check: Check) -> Warning {
    Warning {
        check: check.id.to_owned(),
        path: path.to_owned(),
        message: check.finding,
        suggestion: check.fix.unwrap_or_default(),
    }
}

fn of_fault(path: &str, fault: &Fault) -> Warning {
    let check = CHECKS.iter().find(|c| c.demand.is_some_and(|code| code.name == fault.code().name));
    Warning {
        check: check.map_or("server", |c| c.id).to_owned(),
        path: path.to_owned(),
        message: format!("nothing about the server could be checked: {}", fault.message()),
        suggestion: fault.remedy().to_owned(),
    }
}
