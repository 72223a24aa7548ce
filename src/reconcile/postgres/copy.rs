//! Rows in the form that `COPY … (FORMAT binary)` takes: a head, the number of fields and each field's
//! length before it, big-endian, and an end.

use bytes::{BufMut, Bytes, BytesMut};

use crate::types::Timestamp;

/// Signature, flags, and the length of an extension that there is none of.
const HEAD: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: i16 = -1;
const NULL: i32 = -1;
/// Postgres counts from 2000-01-01, we from 1970-01-01; in microseconds.
const EPOCH_DIFFERENCE_US: i64 = 946_684_800_000_000;

/// Bytes of a row that begins with a sale and a secret, up to the end of the secret. Bytewise they are in the order of the two.
const KEY_BYTES: usize = 2 + (4 + 4) + (4 + 16);

/// Rows of one table.
pub(super) struct Rows {
    fields: i16,
    bytes: BytesMut,
    count: u64,
    /// The places of the rows, where they are to be sent by sale and secret.
    places: Option<Vec<usize>>,
}

impl Rows {
    /// No rows yet, of `fields` fields each.
    pub(super) fn new(fields: i16) -> Self {
        Self {
            fields,
            bytes: BytesMut::new(),
            count: 0,
            places: None,
        }
    }

    /// No rows yet, which begin with a sale and a secret, and leave in the order of these two: secrets are random, and an index takes many
    /// that lie beside each other for half of what it costs to look for the place of each one.
    pub(super) fn by_secret(fields: i16) -> Self {
        let places = Some(Vec::new());
        Self {
            places,
            ..Self::new(fields)
        }
    }

    /// Begins a row; a call for each field must follow.
    pub(super) fn row(&mut self) -> &mut Self {
        if self.count == 0 {
            self.bytes.put_slice(HEAD);
        }
        self.count += 1;
        if let Some(places) = &mut self.places {
            places.push(self.bytes.len());
        }
        self.bytes.put_i16(self.fields);
        self
    }

    pub(super) fn i16(&mut self, value: i16) -> &mut Self {
        self.bytes.put_i32(2);
        self.bytes.put_i16(value);
        self
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes.put_i32(4);
        self.bytes.put_i32(value);
        self
    }

    /// A number that `limits` keeps in the range of Postgres' `integer`. One beyond would turn
    /// negative, which every such column refuses.
    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.i32(value.cast_signed())
    }

    pub(super) fn i64(&mut self, value: i64) -> &mut Self {
        self.bytes.put_i32(8);
        self.bytes.put_i64(value);
        self
    }

    /// As [`Rows::u32`], for `bigint`.
    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.i64(value.cast_signed())
    }

    pub(super) fn bool(&mut self, value: bool) -> &mut Self {
        self.bytes.put_i32(1);
        self.bytes.put_u8(u8::from(value));
        self
    }

    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.utf8(value.as_bytes())
    }

    /// Text that is known to be UTF-8.
    pub(super) fn utf8(&mut self, value: &[u8]) -> &mut Self {
        let length = i32::try_from(value.len()).expect("limits bound every text");
        self.bytes.put_i32(length);
        self.bytes.put_slice(value);
        self
    }

    pub(super) fn uuid(&mut self, value: u128) -> &mut Self {
        self.bytes.put_i32(16);
        self.bytes.put_u128(value);
        self
    }

    pub(super) fn time(&mut self, value: Timestamp) -> &mut Self {
        self.i64(value.0.saturating_sub(EPOCH_DIFFERENCE_US))
    }

    pub(super) fn null(&mut self) -> &mut Self {
        self.bytes.put_i32(NULL);
        self
    }

    /// Number of rows so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Bytes that wait to be taken.
    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// What has gathered since the last call; more rows may follow.
    pub(super) fn take(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }

    /// No more rows follow; the rest of the bytes.
    pub(super) fn end(&mut self) -> Bytes {
        if let Some(places) = self.places.take() {
            self.sort(&places);
        }
        self.bytes.put_i16(END);
        self.take()
    }

    /// Brings the rows, which begin at these places, into the order of sale and secret, and of those that have both in common into the one in which
    /// they came.
    fn sort(&mut self, places: &[usize]) {
        let Some(&first) = places.first() else {
            return;
        };
        let ends = places[1..].iter().copied().chain([self.bytes.len()]);
        let mut rows: Vec<_> = places
            .iter()
            .zip(ends)
            .map(|(&at, end)| &self.bytes[at..end])
            .collect();
        rows.sort_by_cached_key(|row| {
            let key: [u8; KEY_BYTES] = row[..KEY_BYTES].try_into().expect("a sale and a secret");
            key
        });
        let mut sorted = BytesMut::with_capacity(self.bytes.len() + size_of_val(&END));
        sorted.put_slice(&self.bytes[..first]);
        for row in rows {
            sorted.put_slice(row);
        }
        self.bytes = sorted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_laid_out_as_documented() {
        let mut rows = Rows::new(3);
        rows.row().i16(-2).text("hé").null();
        rows.row().bool(true).bool(false).null();
        assert_eq!(rows.count(), 2);
        let expected = [
            &HEAD[..],
            &[0, 3, 0, 0, 0, 2, 0xff, 0xfe],
            &[0, 0, 0, 3, b'h', 0xc3, 0xa9],
            &[0xff; 4],
            &[0, 3, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0],
            &[0xff; 6],
        ]
        .concat();
        assert_eq!(rows.end(), expected);
    }

    #[test]
    fn pieces_make_up_one_copy() {
        let (mut whole, mut pieces) = (Rows::new(2), Rows::new(2));
        let mut gathered = Vec::new();
        for number in 0..10 {
            whole.row().u32(number).uuid(u128::MAX);
            pieces.row().u32(number).uuid(u128::MAX);
            gathered.extend_from_slice(&pieces.take());
        }
        gathered.extend_from_slice(&pieces.end());
        assert_eq!(gathered, whole.end());
    }

    #[test]
    fn rows_with_a_secret_leave_in_its_order() {
        let row = |rows: &mut Rows, (sale, secret, part): (u32, u128, i16)| {
            rows.row().u32(sale).uuid(secret).i16(part);
        };
        let came = [
            (2, 1, 0),
            (1, u128::MAX, 7),
            (1, 256, 5),
            (1, 3, 0),
            (1, 256, 1),
        ];
        let leave = [
            (1, 3, 0),
            (1, 256, 5),
            (1, 256, 1),
            (1, u128::MAX, 7),
            (2, 1, 0),
        ];
        let (mut rows, mut expected) = (Rows::by_secret(3), Rows::new(3));
        came.into_iter().for_each(|it| row(&mut rows, it));
        leave.into_iter().for_each(|it| row(&mut expected, it));
        assert_eq!(rows.end(), expected.end());
        assert_eq!(Rows::by_secret(3).end(), Rows::new(3).end());
    }

    #[test]
    fn times_are_counted_from_2000() {
        let mut rows = Rows::new(1);
        rows.time(Timestamp(EPOCH_DIFFERENCE_US + 1));
        assert_eq!(rows.take()[..], [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
