//! Parameters of a query that one path alone knows: words, flags, and texts of a type.

use std::borrow::Cow;
use std::str::FromStr;

use super::encoding::{decode, pairs};
use super::problem::{FieldError, Problem};
use crate::types::Malformed;

/// Reads the parameters of a query, and gathers everything that is wrong with it.
pub(super) struct QueryEnums<'a> {
    query: &'a str,
    errors: Vec<FieldError>,
}

impl<'a> QueryEnums<'a> {
    pub(super) fn of(query: Option<&'a str>) -> Self {
        let query = query.unwrap_or_default();
        let mut choices = Self {
            query,
            errors: Vec::new(),
        };
        if let Some(Malformed(wrong)) = pairs(query).find_map(|(name, _)| decode(name).err()) {
            choices.wrong("query", wrong);
        }
        choices
    }

    /// Returns the value of `field` among `words`, if it is given. An empty value counts as not given.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        field: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let value = self.value(field).filter(|value| !value.is_empty())?;
        let word = decode(value).unwrap_or_default();
        let chosen = words.iter().find(|(known, _)| *known == word);
        if chosen.is_none() {
            let known: Vec<_> = words.iter().map(|(known, _)| *known).collect();
            self.wrong(field, format!("must be one of {}", known.join(", ")));
        }
        chosen.map(|&(_, value)| value)
    }

    /// Returns whether the flag `field` is set. Its name alone sets it.
    pub(super) fn is_set(&mut self, field: &'static str) -> bool {
        match self.value(field) {
            None | Some("false") => false,
            Some("" | "true") => true,
            Some(_) => {
                self.wrong(field, "must be true or false");
                false
            }
        }
    }

    /// Returns the values of `field` among `words`, separated by commas. None are given by an empty value.
    pub(super) fn some_of<T: Copy>(&mut self, field: &'static str, words: &[(&str, T)]) -> Vec<T> {
        let value = self.value(field).unwrap_or_default();
        let value = decode(value).unwrap_or(Cow::Borrowed("?"));
        let given = value.split(',').filter(|_| !value.is_empty());
        let find = |word: &str| words.iter().find(|(known, _)| *known == word);
        let chosen: Option<Vec<_>> = given.map(|word| Some(find(word)?.1)).collect();
        chosen.unwrap_or_else(|| {
            let known: Vec<_> = words.iter().map(|(known, _)| *known).collect();
            let known = known.join(", ");
            self.wrong(
                field,
                format!("must be some of {known}, with commas between them"),
            );
            Vec::new()
        })
    }

    /// Returns the value of `field`, if it is given. An empty value counts as not given.
    pub(super) fn parsed<T>(&mut self, field: &'static str) -> Option<T>
    where
        T: FromStr<Err = Malformed>,
    {
        let value = self.value(field).filter(|value| !value.is_empty())?;
        match decode(value).and_then(|value| value.parse()) {
            Ok(value) => Some(value),
            Err(Malformed(wrong)) => {
                self.wrong(field, wrong);
                None
            }
        }
    }

    /// Returns the value of `field`, still encoded.
    fn value(&mut self, field: &'static str) -> Option<&'a str> {
        let pairs = pairs(self.query);
        let mut given = pairs.filter(|(name, _)| decode(name).is_ok_and(|name| name == field));
        let (_, value) = given.next()?;
        if given.next().is_some() {
            self.wrong(field, "must be given only once");
            return None;
        }
        Some(value)
    }

    pub(super) fn wrong(&mut self, field: &'static str, wrong: impl Into<Cow<'static, str>>) {
        self.errors.push((field.into(), wrong.into()));
    }

    pub(super) fn check(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::validation(self.errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(query: &str) -> Result<Option<u8>, Vec<String>> {
        let mut choices = QueryEnums::of(Some(query));
        let chosen = choices.one_of("word", &[("one", 1), ("two", 2)]);
        let fields = |problem: Problem| problem.fields().into_iter().map(str::to_owned).collect();
        choices.check().map(|()| chosen).map_err(fields)
    }

    fn is_set(query: &str) -> Result<bool, ()> {
        let mut choices = QueryEnums::of(Some(query));
        let set = choices.is_set("flag");
        choices.check().map(|()| set).map_err(drop)
    }

    #[test]
    fn a_word_is_chosen_once() {
        assert_eq!(chosen("other=x&w%6frd=t%77o"), Ok(Some(2)));
        assert_eq!(chosen("word="), Ok(None));
        assert_eq!(chosen(""), Ok(None));
        for wrong in ["word=x", "word=%zz", "word=one&word=one", "word=&word=one"] {
            assert_eq!(chosen(wrong), Err(vec!["word".to_owned()]), "{wrong}");
        }
        assert_eq!(chosen("%zz=1"), Err(vec!["query".to_owned()]));
    }

    #[test]
    fn words_are_separated_by_commas() {
        let chosen = |query: &str| {
            let mut choices = QueryEnums::of(Some(query));
            let chosen = choices.some_of("words", &[("one", 1), ("two", 2)]);
            choices.check().map(|()| chosen).map_err(drop)
        };
        assert_eq!(chosen("words=two%2Cone"), Ok(vec![2, 1]));
        assert_eq!(chosen("words=one"), Ok(vec![1]));
        for none in ["", "words", "words=", "word=one"] {
            assert_eq!(chosen(none), Ok(Vec::new()), "{none}");
        }
        for wrong in [
            "words=one,",
            "words=,",
            "words=three",
            "words=%zz",
            "words=one&words=two",
        ] {
            assert_eq!(chosen(wrong), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_value_is_of_its_type() {
        let parsed = |query: &str| {
            let mut choices = QueryEnums::of(Some(query));
            let parsed = choices.parsed::<crate::types::SaleId>("sale");
            choices
                .check()
                .map(|()| parsed.map(|sale| sale.0))
                .map_err(drop)
        };
        assert_eq!(parsed("s%61le=%37"), Ok(Some(7)));
        assert_eq!(parsed("sale="), Ok(None));
        for wrong in ["sale=0", "sale=x", "sale=%zz", "sale=1&sale=1"] {
            assert_eq!(parsed(wrong), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_flag_is_set_by_its_name_alone() {
        for set in ["flag", "flag=", "flag=true", "a&flag&b"] {
            assert_eq!(is_set(set), Ok(true), "{set}");
        }
        for unset in ["", "flag=false", "flags"] {
            assert_eq!(is_set(unset), Ok(false), "{unset}");
        }
        for wrong in ["flag=2", "flag&flag"] {
            assert!(is_set(wrong).is_err(), "{wrong}");
        }
    }
}
