//! The kinds of values that a key may have: its default, what is allowed, and how a value is shown.

use std::fmt::Display;

use secrecy::SecretString;

use super::raw::Given;
use super::rules::is_printable;

/// The values that one key may have.
pub(super) trait AllowedValues {
    type Value;

    /// A value is never shown.
    const SECRET: bool = false;

    /// Returns the value of a key that is not set.
    fn default(&self) -> Self::Value;

    /// Returns the value that was given, if it is allowed.
    fn parse(&self, given: &Given) -> Option<Self::Value>;

    /// Returns the words for what is allowed, which stand behind "must be " in an error.
    fn allowed(&self) -> String;

    /// Returns a value in the unit of its key, as the log and the documents show it.
    fn show(&self, value: &Self::Value) -> String;
}

/// The integers from `min` to `max`.
pub(super) struct Integer<T> {
    default: T,
    min: T,
    max: T,
}

impl<T> Integer<T> {
    pub(super) const fn new(default: T, min: T, max: T) -> Self {
        Self { default, min, max }
    }
}

impl<T> AllowedValues for Integer<T>
where
    T: TryFrom<u64> + PartialOrd + Display + Copy,
{
    type Value = T;

    fn default(&self) -> T {
        self.default
    }

    fn parse(&self, given: &Given) -> Option<T> {
        let integer = T::try_from(given.as_integer()?).ok()?;
        (self.min..=self.max).contains(&integer).then_some(integer)
    }

    fn allowed(&self) -> String {
        format!("an integer from {} to {}", self.min, self.max)
    }

    fn show(&self, integer: &T) -> String {
        integer.to_string()
    }
}

/// `true` or `false`.
pub(super) struct Truth {
    pub(super) default: bool,
}

impl AllowedValues for Truth {
    type Value = bool;

    fn default(&self) -> bool {
        self.default
    }

    fn parse(&self, given: &Given) -> Option<bool> {
        given.as_bool()
    }

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn show(&self, truth: &bool) -> String {
        truth.to_string()
    }
}

/// One of a few names; the first is the default.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> AllowedValues for Choice<T> {
    type Value = T;

    fn default(&self) -> T {
        self.0[0].1
    }

    fn parse(&self, given: &Given) -> Option<T> {
        let text = given.as_text()?;
        let chosen = self.0.iter().find(|(name, _)| *name == text);
        chosen.map(|&(_, choice)| choice)
    }

    fn allowed(&self) -> String {
        let quoted = self.0.iter().map(|(name, _)| format!("\"{name}\""));
        quoted.collect::<Vec<_>>().join(" or ")
    }

    fn show(&self, chosen: &T) -> String {
        let named = self.0.iter().find(|(_, choice)| choice == chosen);
        named.map_or("", |&(name, _)| name).to_owned()
    }
}

/// Text without control characters, of a bounded length.
pub(super) struct Text {
    default: &'static str,
    bytes_min: usize,
    bytes_max: usize,
}

impl Text {
    /// Text that must not be empty.
    pub(super) const fn new(default: &'static str, bytes_max: usize) -> Self {
        Self {
            default,
            bytes_min: 1,
            bytes_max,
        }
    }

    /// Text that is empty by default.
    pub(super) const fn up_to(bytes_max: usize) -> Self {
        Self {
            default: "",
            bytes_min: 0,
            bytes_max,
        }
    }
}

impl AllowedValues for Text {
    type Value = String;

    fn default(&self) -> String {
        self.default.to_owned()
    }

    fn parse(&self, given: &Given) -> Option<String> {
        let is_text = |text: &&str| {
            (self.bytes_min..=self.bytes_max).contains(&text.len()) && is_printable(text)
        };
        given.as_text().filter(is_text).map(str::to_owned)
    }

    fn allowed(&self) -> String {
        let lengths = match self.bytes_min {
            0 => format!("up to {}", self.bytes_max),
            min => format!("{min} to {}", self.bytes_max),
        };
        format!("text of {lengths} bytes without control characters")
    }

    fn show(&self, text: &String) -> String {
        text.clone()
    }
}

/// A password or a token; `None` when it is empty.
pub(super) struct SecretText {
    pub(super) allowed: fn() -> String,
    pub(super) is_allowed: fn(&str) -> bool,
}

impl AllowedValues for SecretText {
    type Value = Option<SecretString>;

    const SECRET: bool = true;

    fn default(&self) -> Option<SecretString> {
        None
    }

    fn parse(&self, given: &Given) -> Option<Option<SecretString>> {
        let text = given.as_text().filter(|text| (self.is_allowed)(text))?;
        Some((!text.is_empty()).then(|| SecretString::from(text)))
    }

    fn allowed(&self) -> String {
        (self.allowed)()
    }

    /// Only whether there is a secret: even its length would help to guess it.
    fn show(&self, secret: &Option<SecretString>) -> String {
        let presence = if secret.is_some() { "set" } else { "none" };
        presence.to_owned()
    }
}

/// AllowedValues of a form of their own.
pub(super) struct Parsed<T> {
    pub(super) default: fn() -> T,
    pub(super) allowed: fn() -> String,
    pub(super) parse: fn(&Given) -> Option<T>,
    pub(super) show: fn(&T) -> String,
}

impl<T> AllowedValues for Parsed<T> {
    type Value = T;

    fn default(&self) -> T {
        (self.default)()
    }

    fn parse(&self, given: &Given) -> Option<T> {
        (self.parse)(given)
    }

    fn allowed(&self) -> String {
        (self.allowed)()
    }

    fn show(&self, value: &T) -> String {
        (self.show)(value)
    }
}
