//! The paths of administration.

use crate::telemetry::Route;

/// A path below `/admin/` with what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum AdminPath<'a> {
    Sales,
    Close(&'a str),
    Purchases(&'a str),
    Checkout(&'a str),
}

impl<'a> AdminPath<'a> {
    /// What the part of a path behind `/admin/` means.
    pub(in crate::http) fn parse(path: &'a str) -> Option<Self> {
        let path = match path.split_once('/') {
            None if path == "sales" => Self::Sales,
            Some(("checkouts", code)) => Self::Checkout(code),
            Some(("sales", rest)) => match rest.split_once('/')? {
                (sale, "close") => Self::Close(sale),
                (sale, "purchases") => Self::Purchases(sale),
                _ => return None,
            },
            _ => return None,
        };
        let (Self::Close(name) | Self::Purchases(name) | Self::Checkout(name)) = path else {
            return Some(path);
        };
        (!name.is_empty() && !name.contains('/')).then_some(path)
    }

    /// The label of this path's figures.
    pub(in crate::http) fn route(self) -> Route {
        match self {
            Self::Sales => Route::AdminSales,
            Self::Close(_) => Route::AdminClose,
            Self::Purchases(_) => Route::AdminPurchases,
            Self::Checkout(_) => Route::AdminCheckout,
        }
    }

    /// Whether something may change on this path. The others only show.
    pub(in crate::http) fn changes(self) -> bool {
        matches!(self, Self::Sales | Self::Close(_))
    }
}
