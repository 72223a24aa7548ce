//! The nouns that every part shares, as newtypes that are checked once, at the edge.
//!
//! Parsing is the only way to make one from text, so whoever holds one need not check it again.

use std::fmt;
use std::str::FromStr;

use crate::limits;

mod clients;
mod event_type;
mod payment;
mod text;
mod webhook_url;

pub use self::clients::{AddressSource, Cidr, ClientAddress, LimitedBy, Network, RateLimit};
pub use self::event_type::EventType;
pub use self::payment::{PaymentTerms, PurchaseBy};
pub(crate) use self::text::CONTROL;
pub use self::text::{PlainText, has_control};
pub use self::webhook_url::WebhookUrl;

/// Log sequence number: the place of a record in the journal's one total order. The first record
/// is 1; 0 means "before every record".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before the first record.
    pub const ZERO: Lsn = Lsn(0);

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Lsn {
        Lsn(self.0 + 1)
    }
}

/// Returns a count with its noun, which is given for one and for many: `1 file`, `2 files`.
#[must_use]
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", noun(count, one, many))
}

/// Returns the noun for `count` of something, which is given for one and for many.
#[must_use]
pub fn noun<'a>(count: u64, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

/// When a record counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When `fdatasync` has returned: the record survives a power cut.
    Fsync,
    /// When the operating system has the bytes: the record survives the end of the process only.
    Os,
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Host and port of a server. Displayed as `host:port`, with brackets around an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Host name or address, never empty.
    pub host: String,
    /// Port, never 0.
    pub port: u16,
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// A sale, numbered from 1 in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaleId(pub u32);

impl fmt::Display for SaleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SaleId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        parse_decimal(text)
            .filter(|&number| number > 0)
            .map(SaleId)
            .ok_or(Malformed("must be a sale's number, such as 1"))
    }
}

/// An item's place in the catalogue of its sale, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemIndex(pub u32);

/// The prefix of the ids of generated items, which no explicit item may carry.
pub const GENERATED_ITEM_PREFIX: &str = "ITM-";

/// The id of a generated item, `ITM-<sale>-<index>`: it says where the item is, so that finding
/// it costs no look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GeneratedItemId {
    /// The sale that the item belongs to.
    pub sale: SaleId,
    /// Its place in that sale.
    pub index: ItemIndex,
}

impl GeneratedItemId {
    /// The item that `text` names, or `None` when it is not of the generated form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(GENERATED_ITEM_PREFIX)?;
        let (sale, rest) = split_decimal(rest.as_bytes())?;
        let (index, rest) = split_decimal(rest.strip_prefix(b"-")?)?;
        (sale > 0 && rest.is_empty()).then_some(Self {
            sale: SaleId(sale),
            index: ItemIndex(index),
        })
    }
}

impl fmt::Display for GeneratedItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{GENERATED_ITEM_PREFIX}{}-{}", self.sale, self.index.0)
    }
}

/// A checkout's code, `CHK-<sale>-<32 hexadecimal digits>`: whoever knows it may purchase.
///
/// `Debug` hides the secret half, because a code in a log could be spent by whoever reads the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CheckoutCode {
    /// The sale that the checkout belongs to.
    pub sale: SaleId,
    /// 128 bits from the operating system's generator.
    pub secret: u128,
}

impl fmt::Display for CheckoutCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CHK-{}-{:032x}", self.sale, self.secret)
    }
}

impl fmt::Debug for CheckoutCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CHK-{}-(hidden)", self.sale)
    }
}

impl CheckoutCode {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("CHK-")?;
        let (sale, rest) = split_decimal(rest.as_bytes())?;
        let secret = parse_lower_hex(rest.strip_prefix(b"-")?)?;
        let sale = SaleId(sale);
        (sale > SaleId(0)).then_some(Self { sale, secret })
    }
}

impl FromStr for CheckoutCode {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        const WRONG: Malformed =
            Malformed("must be a code that POST /checkout answered, such as CHK-1-0123…ef");
        Self::parse(text).ok_or(WRONG)
    }
}

/// A user's id as the client sent it: 1 to 128 bytes of UTF-8 without control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UserId<'a>(&'a str);

impl<'a> UserId<'a> {
    /// Checks `text`.
    ///
    /// # Errors
    /// Says what is allowed when `text` is empty, too long or has a control character.
    pub fn new(text: &'a str) -> Result<Self, Malformed> {
        check_id(text).map(Self)
    }

    /// Checks the length of `text`, all that is left to check.
    ///
    /// # Errors
    /// Says what is allowed when `text` is empty or too long.
    pub fn from_plain(text: &'a PlainText<'_>) -> Result<Self, Malformed> {
        check_id_length(text.as_str()).map(Self)
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// An item's id as the client sent it, under the same rules as [`UserId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ItemId<'a> {
    text: &'a str,
    generated: Option<GeneratedItemId>,
}

impl<'a> ItemId<'a> {
    /// Checks `text`.
    ///
    /// # Errors
    /// Says what is allowed when `text` is empty, too long or has a control character.
    pub fn new(text: &'a str) -> Result<Self, Malformed> {
        check_id(text).map(Self::of_checked)
    }

    /// Checks the length of `text`, all that is left to check.
    ///
    /// # Errors
    /// Says what is allowed when `text` is empty or too long.
    pub fn from_plain(text: &'a PlainText<'_>) -> Result<Self, Malformed> {
        check_id_length(text.as_str()).map(Self::of_checked)
    }

    fn of_checked(text: &'a str) -> Self {
        Self {
            text,
            generated: GeneratedItemId::parse(text),
        }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// The sale and the place that the id names, where it has the form of a generated one.
    #[must_use]
    pub fn generated(self) -> Option<GeneratedItemId> {
        self.generated
    }
}

/// One line of a purchase's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurchasedLine {
    /// The item.
    pub item: ItemIndex,
    /// Units asked for.
    pub quantity: u32,
    /// All of them were sold to this buyer; otherwise none was.
    pub sold: bool,
}

/// The `Idempotency-Key` of a checkout or a purchase: 1 to 255 visible ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey<'a>(&'a str);

impl<'a> IdempotencyKey<'a> {
    /// Checks `text`.
    ///
    /// # Errors
    /// Says what is allowed when `text` is empty, too long or has another character.
    pub fn new(text: &'a str) -> Result<Self, Malformed> {
        let fits = (1..=limits::IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(Malformed("must be 1 to 255 visible ASCII characters"))
        }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// A shop's reference to something that it asks for and that is to be done once: 1 to 255 visible ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a>(&'a str);

impl<'a> Reference<'a> {
    /// Checks `text`.
    ///
    /// # Errors
    /// Says what is allowed when `text` is empty, too long or has another character.
    pub fn new(text: &'a str) -> Result<Self, Malformed> {
        let fits = (1..=limits::REFERENCE_BYTES_MAX).contains(&text.len());
        match fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(Self(text)),
            false => Err(Malformed("must be 1 to 255 visible ASCII characters")),
        }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From whole seconds since 1970.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The whole seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time and `seconds` more.
    #[must_use]
    pub fn plus_seconds(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(i64::from(seconds) * 1_000_000))
    }

    /// Whole seconds from `self` until `later`, rounded up; 0 when `later` is not later.
    #[must_use]
    pub fn seconds_until(self, later: Timestamp) -> u64 {
        let micros = later.0.saturating_sub(self.0).max(0);
        u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000)
    }
}

/// RFC 3339 in UTC; the fraction is shown only when there is one.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => time.fmt(f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// A text that is not of its type's form; says what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

fn check_id(text: &str) -> Result<&str, Malformed> {
    check_id_length(text)?;
    if has_control(text) {
        return Err(CONTROL);
    }
    Ok(text)
}

fn check_id_length(text: &str) -> Result<&str, Malformed> {
    match text.len() {
        1..=limits::ID_BYTES_MAX => Ok(text),
        _ => Err(Malformed("must be 1 to 128 bytes")),
    }
}

/// Returns the number of 32 hexadecimal digits in lower case. All digits are looked at, so that they can be taken many at
/// once.
fn parse_lower_hex(text: &[u8]) -> Option<u128> {
    let digits: &[u8; 2 * size_of::<u128>()] = text.try_into().ok()?;
    let (mut nibbles, mut any_wrong) = ([0; 2 * size_of::<u128>()], false);
    for (nibble, digit) in nibbles.iter_mut().zip(digits) {
        let (decimal, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
        any_wrong |= (decimal > 9) & (letter > 5);
        *nibble = if decimal > 9 {
            letter.wrapping_add(10)
        } else {
            decimal
        };
    }
    let mut bytes = [0; size_of::<u128>()];
    for (byte, [high, low]) in bytes.iter_mut().zip(nibbles.as_chunks().0) {
        *byte = high << 4 | low & 15;
    }
    (!any_wrong).then_some(u128::from_be_bytes(bytes))
}

/// Returns a decimal number in its one canonical form: no sign, no leading zero.
fn parse_decimal(text: &str) -> Option<u32> {
    let (number, rest) = split_decimal(text.as_bytes())?;
    rest.is_empty().then_some(number)
}

/// Returns the decimal number that `text` begins with, in its one canonical form, and the bytes behind its digits.
fn split_decimal(text: &[u8]) -> Option<(u32, &[u8])> {
    let (mut number, mut rest) = (0_u64, text);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        // Of ten digits it cannot overflow, and more are refused.
        number = number.wrapping_mul(10).wrapping_add((digit - b'0').into());
        rest = after;
    }
    let is_canonical = match text.len() - rest.len() {
        1 => true,
        2..=10 => text[0] != b'0',
        _ => false,
    };
    let number = u32::try_from(number).ok().filter(|_| is_canonical)?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_hide_in_debug() {
        let code = CheckoutCode {
            sale: SaleId(7),
            secret: 0xabc,
        };
        let text = code.to_string();
        assert_eq!(text, "CHK-7-00000000000000000000000000000abc");
        assert_eq!(text.parse(), Ok(code));
        assert_eq!(format!("{code:?}"), "CHK-7-(hidden)");
    }

    #[test]
    fn codes_have_one_spelling() {
        for wrong in [
            "",
            "CHK-1-",
            "CHK-01-00000000000000000000000000000abc",
            "CHK-0-00000000000000000000000000000abc",
            "CHK-1-00000000000000000000000000000ABC",
            "CHK-1-+0000000000000000000000000000abc",
            "CHK-1-0000000000000000000000000000abcd0",
            "chk-1-00000000000000000000000000000abc",
        ] {
            assert!(wrong.parse::<CheckoutCode>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn generated_items_say_their_sale_and_index() {
        let id = GeneratedItemId {
            sale: SaleId(3),
            index: ItemIndex(0),
        };
        assert_eq!(id.to_string(), "ITM-3-0");
        assert_eq!(GeneratedItemId::parse("ITM-3-0"), Some(id));
        for wrong in [
            "ITM-3",
            "ITM-3-00",
            "ITM-3--1",
            "ITM-0-1",
            "ITM-3-4294967296",
            "item",
        ] {
            assert_eq!(GeneratedItemId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ids_are_bounded_and_clean() {
        assert!(UserId::new("ü").is_ok());
        assert!(UserId::new("").is_err());
        assert!(UserId::new(&"x".repeat(129)).is_err());
        assert!(UserId::new("a\u{7f}").is_err());
        assert!(UserId::new("a\u{85}").is_err());
        assert!(IdempotencyKey::new("a b").is_err());
        assert!(IdempotencyKey::new(&"k".repeat(255)).is_ok());
        assert!(IdempotencyKey::new(&"k".repeat(256)).is_err());
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(
            Timestamp::from_seconds(0).to_string(),
            "1970-01-01T00:00:00Z"
        );
        assert_eq!(Timestamp(1_500_000).to_string(), "1970-01-01T00:00:01.5Z");
        assert_eq!(Timestamp(0).seconds_until(Timestamp(1)), 1);
        assert_eq!(Timestamp(5).seconds_until(Timestamp(1)), 0);
    }
}
