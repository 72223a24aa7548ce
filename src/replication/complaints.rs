//! Errors that come again and again while a log does not answer, each of which is logged once.

use crate::limits;

/// The errors since all was well. With several hosts two of them may alternate for as long as a failover takes.
#[derive(Debug, Default)]
pub struct Complaints(Vec<String>);

impl Complaints {
    /// Notes an error, and returns whether it is a new one.
    pub fn note(&mut self, error: &str) -> bool {
        if self.0.iter().any(|noted| noted == error) {
            return false;
        }
        if self.0.len() >= limits::COMPLAINTS_MAX {
            self.0.clear();
        }
        self.0.push(error.to_owned());
        true
    }

    /// Notes that all is well: the next error is a new one.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_alternate_are_noted_once_each() {
        let mut complaints = Complaints::default();
        let noted = ["a", "b", "a", "b", "a"].map(|error| complaints.note(error));
        assert_eq!(noted, [true, true, false, false, false]);
        complaints.clear();
        assert!(complaints.note("a"));
        let many = (0..limits::COMPLAINTS_MAX * 3).map(|number| number.to_string());
        assert!(many.into_iter().all(|error| complaints.note(&error)));
        assert!(complaints.0.len() <= limits::COMPLAINTS_MAX);
    }
}
