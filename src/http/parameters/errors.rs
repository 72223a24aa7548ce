//! The errors of a request's parameters.

use std::borrow::Cow;

use super::Field;
use crate::http::problem::{FieldError, Problem};
use crate::types::Malformed;

/// The errors that were found so far, in their order.
#[derive(Debug, Default)]
pub(super) struct ParameterErrors {
    found: Vec<FieldError>,
    /// Whether a part of the request could not be read. What seems to be left out may be in it.
    is_partly_unread: bool,
}

impl ParameterErrors {
    /// Adds an error of `field`, under all its names. The first error of a name stays.
    pub(super) fn wrong(&mut self, field: Field, wrong: impl Into<Cow<'static, str>>) {
        let wrong = wrong.into();
        for name in field.names() {
            self.wrong_as(name, wrong.clone());
        }
    }

    /// Adds an error of something that is not a parameter, such as a header. The first error of a name stays.
    pub(super) fn wrong_as(&mut self, name: &'static str, wrong: impl Into<Cow<'static, str>>) {
        if !self.found.iter().any(|(noted, _)| noted == name) {
            self.found.push((name.into(), wrong.into()));
        }
    }

    /// Adds an error of a part of the request that cannot be read. Nothing counts as left out any more.
    pub(super) fn unreadable(&mut self, place: &'static str, wrong: impl Into<Cow<'static, str>>) {
        self.wrong_as(place, wrong);
        self.is_partly_unread = true;
    }

    /// Adds an error of a field that is left out.
    pub(super) fn left_out(&mut self, field: Field) {
        if !self.is_partly_unread {
            self.wrong(field, field.when_left_out());
        }
    }

    /// Returns the value of a field that must be given, or adds its error. On the way of every checkout.
    #[inline]
    pub(super) fn required<T>(
        &mut self,
        field: Field,
        given: Option<Result<T, Malformed>>,
    ) -> Option<T> {
        match given {
            Some(Ok(value)) => return Some(value),
            Some(Err(Malformed(wrong))) => self.wrong(field, wrong),
            None => self.left_out(field),
        }
        None
    }

    /// Returns an error with everything that was found wrong.
    pub(super) fn check(&mut self) -> Result<(), Problem> {
        match self.found.is_empty() {
            true => Ok(()),
            false => Err(Problem::validation(std::mem::take(&mut self.found))),
        }
    }
}
