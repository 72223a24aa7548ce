//! JSON objects that are read by hand: all errors are reported by field, and duplicate names are found.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use simd_json::ValueType;
use simd_json::base::{TypedValue, ValueAsScalar, ValueIntoString};
use simd_json::tape::Value;

use crate::http::problem::{FieldError, Problem};
use crate::http::values::{GivenTime, NOT_A_TIME, whole};
use crate::limits::ADMIN_ERRORS_MAX;
use crate::types::Timestamp;

/// The longest unknown name that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 64;

const REQUIRED: &str = "is required";

/// The errors of a document, by field. The first error of a field stays.
#[derive(Debug, Default)]
pub(super) struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Adds an error of `field`, unless there are too many already.
    pub(super) fn add(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        wrong: impl Into<Cow<'static, str>>,
    ) {
        let field = field.into();
        if !self.is_full() && !self.0.iter().any(|(noted, _)| *noted == field) {
            self.0.push((field, wrong.into()));
        }
    }

    /// Whether one is of the field that `name` returns.
    fn is_of(&self, name: impl FnOnce() -> String) -> bool {
        !self.0.is_empty() && {
            let name = name();
            self.0.iter().any(|(noted, _)| *noted == name)
        }
    }

    /// Whether no more errors are added.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= ADMIN_ERRORS_MAX
    }

    /// Returns an error with all of them, which says so where there may be more.
    pub(super) fn check(mut self) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Ok(());
        }
        if self.is_full() {
            let cut = format!("only its first {ADMIN_ERRORS_MAX} errors are named");
            self.0.push(("body".into(), cut.into()));
        }
        Err(Problem::validation(self.0))
    }
}

/// The fields of an object, which has `N` known ones. `null` counts as left out.
pub(super) struct ObjectFields<'c, 't, 'input, const N: usize> {
    values: [Option<Value<'t, 'input>>; N],
    names: &'static [&'static str; N],
    /// The path that the names of its fields begin with.
    place: ObjectPath,
    errors: &'c mut FieldErrors,
}

/// The place of an object in the document.
#[derive(Clone, Copy, Debug)]
pub(super) enum ObjectPath {
    /// The document itself.
    Top,
    /// The item with this index.
    Item(usize),
}

impl ObjectPath {
    fn whole(self) -> String {
        match self {
            Self::Top => "body".to_owned(),
            Self::Item(index) => format!("items[{index}]"),
        }
    }

    fn field(self, name: &str) -> String {
        match self {
            Self::Top => name.to_owned(),
            Self::Item(index) => format!("items[{index}].{name}"),
        }
    }
}

impl<'c, 't, 'input, const N: usize> ObjectFields<'c, 't, 'input, N> {
    /// Reads the fields of `value`, and adds an error for each unknown one; `None` when it is no object.
    pub(super) fn of(
        value: Value<'t, 'input>,
        names: &'static [&'static str; N],
        place: ObjectPath,
        errors: &'c mut FieldErrors,
    ) -> Option<Self> {
        let Some(object) = value.as_object() else {
            let wrong = format!("is {}, must be an object", kind_of(&value));
            errors.add(place.whole(), wrong);
            return None;
        };
        let mut values = [None; N];
        for (name, value) in &object {
            match names.iter().position(|known| *known == name) {
                None => errors.add(
                    place.field(&shown(name)),
                    format!("is not known here; known are {}", names.join(", ")),
                ),
                Some(index) if values[index].is_some() => {
                    errors.add(place.field(name), "must be given only once");
                }
                Some(index) => values[index] = Some(value),
            }
        }
        Some(Self {
            values,
            names,
            place,
            errors,
        })
    }

    /// Returns the value of a known field; `None` when it is left out.
    pub(super) fn value(&self, name: &str) -> Option<Value<'t, 'input>> {
        let index = self.names.iter().position(|known| *known == name)?;
        self.values[index].filter(|value| value.as_null().is_none())
    }

    /// Adds an error of a field.
    pub(super) fn wrong(&mut self, name: &str, wrong: impl Into<Cow<'static, str>>) {
        self.errors.add(self.place.field(name), wrong);
    }

    /// Whether a field has an error.
    pub(super) fn has_error(&self, name: &str) -> bool {
        self.errors.is_of(|| self.place.field(name))
    }

    /// The errors of the document.
    pub(super) fn errors(&mut self) -> &mut FieldErrors {
        self.errors
    }

    /// Reads a whole number in `range`.
    pub(super) fn whole(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(name)?;
        let number = value.as_u64().or_else(|| value.as_f64().and_then(whole));
        let fits = number.filter(|number| range.contains(number));
        if fits.is_none() {
            let (min, max) = range.into_inner();
            let expected = format!("must be a whole number, {min} to {max}");
            self.wrong(name, unless_number(&value, expected));
        }
        fits
    }

    /// Reads a whole number in a range of 32 bits.
    pub(super) fn whole32(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let (min, max) = range.into_inner();
        let number = self.whole(name, min.into()..=max.into())?;
        u32::try_from(number).ok()
    }

    /// Reads a string.
    pub(super) fn text(&mut self, name: &str) -> Option<&'input str> {
        let value = self.value(name)?;
        let text = value.into_string();
        if text.is_none() {
            self.wrong(name, format!("is {}, must be a string", kind_of(&value)));
        }
        text
    }

    /// Reads a string that `check` finds nothing wrong with.
    pub(super) fn checked_text(
        &mut self,
        name: &str,
        check: fn(&str) -> Result<(), String>,
    ) -> Option<&'input str> {
        let text = self.text(name)?;
        match check(text) {
            Ok(()) => Some(text),
            Err(wrong) => {
                self.wrong(name, wrong);
                None
            }
        }
    }

    /// Reads a time.
    pub(super) fn time(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.value(name)?.into_string();
        let time = text.and_then(|text| text.parse().ok());
        if time.is_none() {
            self.wrong(name, NOT_A_TIME);
        }
        time.map(|GivenTime(time)| time)
    }

    /// Reads a field that must be given.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self, &str) -> Option<T>,
    ) -> Option<T> {
        if self.value(name).is_none() {
            self.wrong(name, REQUIRED);
        }
        read(self, name)
    }
}

/// Returns the name of a value's type, with its article.
pub(super) fn kind_of(value: &Value<'_, '_>) -> &'static str {
    match value.value_type() {
        ValueType::Null => "null",
        ValueType::Bool => "a boolean",
        ValueType::String => "a string",
        ValueType::Array => "an array",
        ValueType::Object => "an object",
        // JSON has no other types.
        _ => "a number",
    }
}

/// Puts the type of `value` before `expected` where it is not a number.
fn unless_number(value: &Value<'_, '_>, expected: String) -> String {
    match kind_of(value) {
        "a number" => expected,
        kind => format!("is {kind}, {expected}"),
    }
}

/// Returns an unknown name, cut to the length that is shown.
fn shown(name: &str) -> String {
    name.chars().take(SHOWN_CHARS_MAX).collect()
}
