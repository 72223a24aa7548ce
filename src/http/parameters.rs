//! The parameters of a request, from its query and body, which are all checked before one error is returned.

use std::borrow::Cow;
use std::str::FromStr;

use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;

use super::encoding::{
    decode, escape_beyond_ascii, is_encoded, kind_of, pairs, why_no_object, without_byte_order_mark,
};
use super::problem::Problem;
use super::values::{Whole, not_up_to, number_text};
use crate::json_members::JsonMembers;
use crate::limits::ITEMS_PER_USER_MAX;
use crate::types::{ItemId, Malformed, PlainText, UserId};

mod errors;

use errors::ParameterErrors;

/// A known parameter, those of who buys first. Unknown ones are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    UserId,
    /// `id`, or `item_id`
    Item,
    Quantity,
    SaleId,
    Code,
    Status,
    Available,
    Limit,
    Cursor,
    EndedAt,
    Add,
    /// `ref`
    Reference,
    Restock,
    PaymentRef,
    Late,
}

impl Field {
    /// The number of parameters of who buys.
    const BUYING: usize = Field::Code as usize + 1;

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "user_id" => Self::UserId,
            "id" | "item_id" => Self::Item,
            "quantity" => Self::Quantity,
            "sale_id" => Self::SaleId,
            "code" => Self::Code,
            "status" => Self::Status,
            "available" => Self::Available,
            "limit" => Self::Limit,
            "cursor" => Self::Cursor,
            "ended_at" => Self::EndedAt,
            "add" => Self::Add,
            "ref" => Self::Reference,
            "restock" => Self::Restock,
            "payment_ref" => Self::PaymentRef,
            "late" => Self::Late,
            _ => return None,
        })
    }

    /// The names that this parameter may have.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::UserId => &["user_id"],
            Self::Item => &["id", "item_id"],
            Self::Quantity => &["quantity"],
            Self::SaleId => &["sale_id"],
            Self::Code => &["code"],
            Self::Status => &["status"],
            Self::Available => &["available"],
            Self::Limit => &["limit"],
            Self::Cursor => &["cursor"],
            Self::EndedAt => &["ended_at"],
            Self::Add => &["add"],
            Self::Reference => &["ref"],
            Self::Restock => &["restock"],
            Self::PaymentRef => &["payment_ref"],
            Self::Late => &["late"],
        }
    }

    /// Whether its value is yes or no, which JSON has a type for.
    fn is_flag(self) -> bool {
        matches!(self, Self::Available | Self::Restock | Self::Late)
    }

    /// The error of a parameter that is left out.
    fn when_left_out(self) -> &'static str {
        match self {
            Self::Item => "is required: give either id or item_id",
            _ => "is required",
        }
    }

    /// The error of a parameter that is given twice.
    fn when_given_twice(self) -> &'static str {
        match self {
            Self::Item => "must be given only once, as id or as item_id",
            _ => "must be given only once",
        }
    }
}

const CONTENT_TYPES: Malformed =
    Malformed("must be application/x-www-form-urlencoded or application/json");

/// The parameters of one request, and the errors that were found in them.
#[derive(Debug, Default)]
pub(super) struct Parameters<'a> {
    /// A value that is wrong is empty, and has an error.
    values: GivenValues<'a>,
    errors: ParameterErrors,
}

/// The values that were given: those of who buys in places of their own, and all others, of which a request to buy pays for none, behind
/// each other.
#[derive(Debug, Default)]
struct GivenValues<'a> {
    buying: [Option<PlainText<'a>>; Field::BUYING],
    others: Vec<(Field, PlainText<'a>)>,
}

impl<'a> GivenValues<'a> {
    #[inline]
    fn get(&self, field: Field) -> Option<&PlainText<'a>> {
        match self.buying.get(field as usize) {
            Some(place) => place.as_ref(),
            None => {
                let given = self.others.iter().find(|(given, _)| *given == field);
                given.map(|(_, value)| value)
            }
        }
    }

    /// Returns whether the field had a value already, which this one replaces.
    fn set(&mut self, field: Field, value: PlainText<'a>) -> bool {
        if let Some(place) = self.buying.get_mut(field as usize) {
            return place.replace(value).is_some();
        }
        let given = self.others.iter_mut().find(|(given, _)| *given == field);
        let is_given = given.is_some();
        match given {
            Some((_, given)) => *given = value,
            None => self.others.push((field, value)),
        }
        is_given
    }
}

impl<'a> Parameters<'a> {
    /// Reads the parameters of a `POST` from its query and its body.
    pub(super) fn from_request(head: &'a Parts, body: &'a [u8]) -> Self {
        let mut parameters = Self::default();
        parameters.add_form("query", head.uri.query().unwrap_or_default());
        parameters.add_body(&head.headers, body);
        parameters
    }

    /// Reads the parameters of a query.
    pub(super) fn from_query(query: Option<&'a str>) -> Self {
        let mut parameters = Self::default();
        parameters.add_form("query", query.unwrap_or_default());
        parameters
    }

    /// Adds the parameters of a body, whose format the `Content-Type` names.
    fn add_body(&mut self, headers: &HeaderMap, body: &'a [u8]) {
        let body = without_byte_order_mark(body);
        if body.is_empty() {
            return;
        }
        let essence = media_type(headers);
        if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            match std::str::from_utf8(body) {
                Ok(form) => self.add_form("body", form),
                Err(_) => self.add_broken_form("body", body),
            }
        } else if essence.eq_ignore_ascii_case(b"application/json") {
            self.add_json(body);
        } else {
            self.errors.unreadable("content_type", CONTENT_TYPES.0);
        }
    }

    fn add_form(&mut self, place: &'static str, form: &'a str) {
        let is_encoded = is_encoded(form);
        for (name, value) in pairs(form) {
            if is_encoded {
                self.add_pair(place, decode(name), || decode(value));
            } else if let Some(field) = Field::named(name) {
                self.add(field, Ok(Cow::Borrowed(value)));
            }
        }
    }

    /// Adds the parameters of a form that is not UTF-8 as a whole. Only the fields that are not get an error.
    fn add_broken_form(&mut self, place: &'static str, form: &[u8]) {
        let escaped = escape_beyond_ascii(form);
        for (name, value) in pairs(&escaped) {
            let owned = || decode(value).map(|value| Cow::Owned(value.into_owned()));
            self.add_pair(place, decode(name), owned);
        }
    }

    fn add_pair(
        &mut self,
        place: &'static str,
        name: Result<Cow<'_, str>, Malformed>,
        value: impl FnOnce() -> Result<Cow<'a, str>, Malformed>,
    ) {
        match name.map(|name| Field::named(&name)) {
            Ok(Some(field)) => self.add(field, value()),
            Ok(None) => {}
            Err(wrong) => self.errors.unreadable(place, wrong.0),
        }
    }

    fn add_json(&mut self, body: &[u8]) {
        let Ok(JsonMembers::<serde_json::Value>(members)) = serde_json::from_slice(body) else {
            return self.errors.unreadable("body", why_no_object(body));
        };
        let mut known = Vec::new();
        for (name, value) in members {
            let Some(field) = Field::named(&name) else {
                continue;
            };
            if known.contains(&name) {
                self.wrong(field, field.when_given_twice());
                continue;
            }
            known.push(name);
            // `null` counts as left out: the value may follow under the field's other name.
            if !value.is_null() {
                self.add_value(field, value);
            }
        }
    }

    fn add_value(&mut self, field: Field, value: serde_json::Value) {
        match (field, value) {
            (_, serde_json::Value::String(text)) => self.add(field, Ok(text.into())),
            // Earlier versions of the interface described the id of a sale as a number.
            (Field::Quantity | Field::SaleId | Field::Add, serde_json::Value::Number(number)) => {
                self.add(field, Ok(number_text(&number).into()));
            }
            (field, serde_json::Value::Bool(flag)) if field.is_flag() => {
                self.add(field, Ok(if flag { "true" } else { "false" }.into()));
            }
            (_, other) => {
                let expected = match field {
                    field if field.is_flag() => "true or false",
                    Field::Quantity | Field::Add => "a whole number",
                    _ => "a string",
                };
                self.wrong(field, format!("is {}, must be {expected}", kind_of(&other)));
                self.add(field, Ok("".into()));
            }
        }
    }

    fn add(&mut self, field: Field, value: Result<Cow<'a, str>, Malformed>) {
        let value = value.and_then(PlainText::new);
        let (value, wrong) = match value {
            Ok(value) => (value, None),
            Err(Malformed(wrong)) => (PlainText::default(), Some(wrong)),
        };
        if self.values.set(field, value) {
            self.errors.wrong(field, field.when_given_twice());
        }
        if let Some(wrong) = wrong {
            self.errors.wrong(field, wrong);
        }
    }

    /// Adds an error of `field`, under all its names. The first error of a name stays.
    pub(super) fn wrong(&mut self, field: Field, wrong: impl Into<Cow<'static, str>>) {
        self.errors.wrong(field, wrong);
    }

    /// Adds an error of something that is not a parameter, such as a header.
    pub(super) fn wrong_as(&mut self, name: &'static str, wrong: impl Into<Cow<'static, str>>) {
        self.errors.wrong_as(name, wrong);
    }

    #[inline]
    fn text(&self, field: Field) -> Option<&str> {
        self.values.get(field).map(PlainText::as_str)
    }

    /// Returns a parameter that may be left out. Where it is called the field is known, which spares the search for it.
    #[inline]
    pub(super) fn optional<T>(&mut self, field: Field) -> Option<T>
    where
        T: FromStr<Err = Malformed>,
    {
        match self.text(field)?.parse() {
            Ok(value) => Some(value),
            Err(Malformed(wrong)) => {
                self.wrong(field, wrong);
                None
            }
        }
    }

    /// Adds the error `wrong` of `field`, if that is given.
    pub(super) fn refuse(&mut self, field: Field, wrong: &'static str) {
        if self.text(field).is_some_and(|text| !text.is_empty()) {
            self.wrong(field, wrong);
        }
    }

    /// Returns a parameter of a query that may be left out, also by an empty value.
    pub(super) fn chosen<T>(&mut self, field: Field) -> Option<T>
    where
        T: FromStr<Err = Malformed>,
    {
        self.text(field).filter(|text| !text.is_empty())?;
        self.optional(field)
    }

    /// Returns a parameter that must be given.
    #[inline]
    pub(super) fn required<T>(&mut self, field: Field) -> Option<T>
    where
        T: FromStr<Err = Malformed>,
    {
        if self.text(field).is_none() {
            self.errors.left_out(field);
        }
        self.optional(field)
    }

    /// Returns `user_id` and the item's id, which are both required.
    pub(super) fn buyer_and_item(&mut self) -> Result<(UserId<'_>, ItemId<'_>), Problem> {
        let Self { values, errors } = self;
        let user = values.get(Field::UserId);
        let user = errors.required(Field::UserId, user.map(UserId::from_plain));
        let item = values.get(Field::Item);
        let item = errors.required(Field::Item, item.map(ItemId::from_plain));
        errors.check()?;
        user.zip(item).ok_or_else(Problem::internal)
    }

    /// Returns the item's id, which is required, and `user_id`, which may be left out.
    pub(super) fn item_and_given_buyer(
        &mut self,
    ) -> Result<(Option<UserId<'_>>, ItemId<'_>), Problem> {
        let Self { values, errors } = self;
        let user = values.get(Field::UserId).map(UserId::from_plain);
        let user = user.and_then(|user| errors.required(Field::UserId, Some(user)));
        let item = values.get(Field::Item);
        let item = errors.required(Field::Item, item.map(ItemId::from_plain));
        errors.check()?;
        item.map(|item| (user, item)).ok_or_else(Problem::internal)
    }

    /// Returns the item's id, which may be left out.
    ///
    /// # Errors
    /// Something of what was asked for until now, or it, is wrong.
    pub(super) fn item(&mut self) -> Result<Option<ItemId<'_>>, Problem> {
        let Self { values, errors } = self;
        let item = values.get(Field::Item).map(ItemId::from_plain);
        let item = item.and_then(|item| errors.required(Field::Item, Some(item)));
        errors.check()?;
        Ok(item)
    }

    /// Returns the item's id, which must be given.
    ///
    /// # Errors
    /// Something of what was asked for until now, or it, is wrong.
    pub(super) fn required_item(&mut self) -> Result<ItemId<'_>, Problem> {
        let Self { values, errors } = self;
        let item = values.get(Field::Item);
        let item = errors.required(Field::Item, item.map(ItemId::from_plain));
        errors.check()?;
        item.ok_or_else(Problem::internal)
    }

    /// Returns how many units of one item are meant; `None` for all. Without the item they are wrong.
    pub(super) fn quantity_of_item(&mut self) -> Option<u32> {
        let Whole(quantity) = self.optional(Field::Quantity)?;
        if !(1..=ITEMS_PER_USER_MAX).contains(&quantity) {
            self.wrong(Field::Quantity, not_up_to(ITEMS_PER_USER_MAX));
        } else if !self.is_given(Field::Item) {
            self.wrong(Field::Quantity, "is that of an item: give its id, too");
        }
        Some(quantity)
    }

    /// Returns whether the field was given, right or wrong.
    pub(super) fn is_given(&self, field: Field) -> bool {
        self.values.get(field).is_some()
    }

    /// Returns an error with everything that was found wrong.
    pub(super) fn check(&mut self) -> Result<(), Problem> {
        self.errors.check()
    }
}

/// Returns the `Content-Type` of a request without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> &[u8] {
    let content_type = headers
        .get(CONTENT_TYPE)
        .map_or(&b""[..], |value| value.as_bytes());
    let essence = content_type.split(|&b| b == b';').next();
    essence.unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests;
