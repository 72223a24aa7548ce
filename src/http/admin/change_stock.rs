//! `POST /admin/sales/{id}/stock`

use std::num::NonZeroI64;
use std::str::FromStr;
use std::sync::Arc;

use crate::http::answer::{Answer, JSON};
use crate::http::body;
use crate::http::json::write_number;
use crate::http::parameters::{Field, Parameters};
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::http::sales::{sale_id, write_item};
use crate::http::values::GivenReference;
use crate::limits::ITEM_STOCK_MAX;
use crate::sale::{Sale, StockChangeError, StockChangeRequest};
use crate::telemetry::Outcome;
use crate::types::{ItemId, ItemIndex, Malformed, Reference, SaleId};

/// Adds units to the stock of an item, or takes free ones out of it, once for each reference. Answers with the item when that is on the
/// disk.
pub(in crate::http) async fn change(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let (api, sale) = (request.api, sale_id(request.names[0])?);
    let body = body::read(&request.head.headers, &mut *request.body).await?;
    let mut parameters = Parameters::from_request(request.head, &body);
    let units: Option<AddedUnits> = parameters.required(Field::Add);
    let reference: Option<GivenReference> = parameters.required(Field::Reference);
    let item = parameters.required_item()?.as_str().to_owned();
    let given = units.zip(reference).ok_or_else(Problem::internal)?;
    let (AddedUnits(units), GivenReference(reference)) = given;
    let wanted = WantedChange {
        sale,
        item,
        units,
        reference,
    };

    super::check_available(&api.engine)?;
    let engine = Arc::clone(&api.engine);
    let asked = wanted.clone();
    let work = move || Ok(engine.change_stock(&asked.request()?));
    let changed = match api.administration.blocking_pool.run(work).await? {
        Ok((sale, item, recorded)) => {
            if recorded.is_some() {
                let (sale, item) = (wanted.sale, &wanted.item);
                tracing::info!(%sale, item, units = units.get(), "stock changed by an administrator");
            }
            Ok((sale, item))
        }
        Err(StockChangeError::SaleArchived) => {
            let sale = api.find_sale(wanted.sale).await?;
            let item = sale.repeated_stock_change(&wanted.request()?)?;
            Ok((sale, item))
        }
        Err(error) => Err(error),
    };
    // A refusal, too, may rest on what was decided just now.
    super::all_durable(api).await?;
    let (sale, item) = changed?;
    shown(&sale, item)
}

fn shown(sale: &Sale, item: ItemIndex) -> Result<Answer, Problem> {
    let view = sale.item_view(item).ok_or_else(Problem::internal)?;
    let mut body = Vec::with_capacity(192);
    write_item(&view, &mut body);
    Ok(Answer::shown(JSON, body))
}

/// A change as its request asks for it.
#[derive(Clone)]
struct WantedChange {
    sale: SaleId,
    item: String,
    units: NonZeroI64,
    reference: String,
}

impl WantedChange {
    fn request(&self) -> Result<StockChangeRequest<'_>, Problem> {
        Ok(StockChangeRequest {
            sale: self.sale,
            item: ItemId::new(&self.item).map_err(|_| Problem::internal())?,
            units: self.units,
            reference: Reference::new(&self.reference).map_err(|_| Problem::internal())?,
        })
    }
}

/// Units to add, or to take out where it is negative.
struct AddedUnits(NonZeroI64);

impl FromStr for AddedUnits {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // In a query a plus that is not encoded stands for a space.
        let (sign, digits) = match text.split_at_checked(1) {
            Some(("-", digits)) => (-1, digits),
            Some(("+" | " ", digits)) => (1, digits),
            _ => (1, text),
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let units = is_number.then(|| digits.parse::<i64>().ok()).flatten();
        let units = units.and_then(|units| NonZeroI64::new(sign * units));
        let max = NonZeroI64::new(ITEM_STOCK_MAX.cast_signed());
        let fits = |units: &NonZeroI64| max.is_some_and(|max| units.abs() <= max);
        units.filter(fits).map(Self).ok_or(Malformed(
            "must be a whole number of units, such as 5 or -5, and not 0; 4294967296 at most",
        ))
    }
}

impl From<StockChangeError> for Problem {
    fn from(error: StockChangeError) -> Self {
        let wrong =
            |field: &'static str, what: String| Self::validation(vec![(field.into(), what.into())]);
        match error {
            StockChangeError::SaleNotFound => Self::sale_not_found(),
            StockChangeError::SaleArchived | StockChangeError::Over => {
                Self::conflict(Outcome::SaleClosed, "The sale is over")
            }
            StockChangeError::ItemNotFound => Self::item_not_found(),
            StockChangeError::Single => wrong(
                "item_id",
                "exists once, and the stock of such an item does not change".to_owned(),
            ),
            StockChangeError::ReferenceReused => Self::reference_reused(),
            StockChangeError::TooMany => Self::conflict(
                Outcome::TooManyStockChanges,
                "The stock of this sale has changed as often as it may",
            ),
            StockChangeError::InUse { free } => {
                let mut members = b",\"free\":".to_vec();
                write_number(free, &mut members);
                let message = "Fewer units are free than are to be taken out";
                Self::conflict(Outcome::StockInUse, message).with_members(members)
            }
            StockChangeError::TooMuch { room } => {
                wrong("add", format!("must not be more than {room} for this item"))
            }
            StockChangeError::Unavailable(reason) => reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_a_sign_or_none() {
        let units = |text: &str| text.parse().ok().map(|AddedUnits(units)| units.get());
        for (text, expected) in [
            ("5", 5),
            ("+5", 5),
            (" 5", 5),
            ("-5", -5),
            ("4294967296", 1 << 32),
            ("-4294967296", -(1 << 32)),
        ] {
            assert_eq!(units(text), Some(expected), "{text}");
        }
        for wrong in [
            "",
            "0",
            "-0",
            "+",
            "-",
            "--5",
            "+-5",
            "-+5",
            " -5",
            "5 ",
            "  5",
            "1.0",
            "4294967297",
            "99999999999999999999",
            "\u{661}",
        ] {
            assert_eq!(units(wrong), None, "{wrong}");
        }
    }
}
