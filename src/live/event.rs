//! The state of a sale as an event of an event stream.

use super::Moment;
use super::rate::Rate;
use crate::sale::{Sale, SaleStatus, StockFigures};
use crate::types::{SaleId, Timestamp};

/// Returns the event with the state of `sale`, and whether it is the last one.
pub(super) fn of(sale: &Sale, moment: Moment, rate: &mut Rate) -> (String, bool) {
    // Read before the figures: they are final once the sale is closed, and true once its record is durable.
    let closing = sale.closing();
    let figures = sale.figures();
    if closing.is_some_and(|closing| closing.lsn <= moment.durable) {
        return (closed(sale.id(), figures, sale.ended_at()), true);
    }
    let open = OpenSale {
        sale: sale.id(),
        figures,
        rate: rate.at(moment.now_us, figures.sold),
        ends_at: sale.ended_at(),
        active: sale.status(moment.now) == SaleStatus::Active,
        is_paused: sale.is_paused(),
    };
    (open.event(), false)
}

/// The state of a sale that is not closed.
struct OpenSale {
    sale: SaleId,
    figures: StockFigures,
    /// Units sold per second.
    rate: f64,
    ends_at: Timestamp,
    active: bool,
    is_paused: bool,
}

impl OpenSale {
    fn event(&self) -> String {
        let Self {
            sale,
            figures,
            rate,
            ends_at,
            active,
            is_paused,
        } = self;
        let paused = if *is_paused { ",\"paused\":true" } else { "" };
        let (total, sold, held) = (figures.total, figures.sold, figures.held);
        let remaining = figures.free();
        format!(
            "event: stock\n\
             data: {{\"sale_id\":\"{sale}\",\"total\":{total},\"remaining\":{remaining},\"sold\":{sold},\
             \"held\":{held},\"rate\":{rate:.1},\"ends_at\":\"{ends_at}\",\"active\":{active}{paused}}}\n\n"
        )
    }
}

fn closed(sale: SaleId, figures: StockFigures, ended_at: Timestamp) -> String {
    let (sold, total) = (figures.sold, figures.total);
    format!(
        "event: closed\n\
         data: {{\"sale_id\":\"{sale}\",\"sold\":{sold},\"total\":{total},\"ended_at\":\"{ended_at}\"}}\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_two_lines_and_its_data_json() {
        let open = OpenSale {
            sale: SaleId(1),
            figures: StockFigures {
                total: 10_000,
                sold: 10,
                held: 3,
            },
            rate: 12.46,
            ends_at: Timestamp::from_seconds(3600),
            active: true,
            is_paused: false,
        };
        let expected = "event: stock\n\
             data: {\"sale_id\":\"1\",\"total\":10000,\"remaining\":9987,\"sold\":10,\"held\":3,\
             \"rate\":12.5,\"ends_at\":\"1970-01-01T01:00:00Z\",\"active\":true}\n\n";
        assert_eq!(open.event(), expected);
        let paused = OpenSale {
            is_paused: true,
            ..open
        };
        assert!(paused.event().contains("\"active\":true,\"paused\":true}"));
        let data = expected.lines().nth(1).expect("two lines");
        let data = data.strip_prefix("data: ").expect("data");
        let json: serde_json::Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(json["rate"], 12.5);
    }
}
