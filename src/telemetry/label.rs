//! The labels of figures: a fixed set, to which no client can add one.

use crate::record::{RefusedReason, refused_reasons};

/// Defines an enum whose variants have one text each.
macro_rules! labels {
    (
        $(#[$about:meta])*
        $name:ident { $($(#[$meaning:meta])* $variant:ident = $text:expr,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$meaning])* $variant,)*
        }

        impl $name {
            /// Every label, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the label that clients and dashboards read.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

labels! {
    /// The route of a request, without its parameters.
    Route {
        /// `POST /checkout`
        Checkout = "checkout",
        /// `POST /purchase`
        Purchase = "purchase",
        /// `GET /checkout`
        Contents = "checkout_contents",
        /// `POST /release`
        Release = "release",
        /// `POST /payment`
        Payment = "payment",
        /// `POST /session`
        Session = "session",
        /// `GET /sales/active`
        SalesActive = "sales_active",
        /// `GET /sales`
        Sales = "sales",
        /// `GET /sales/{id}`
        Sale = "sale",
        /// `GET /sales/{id}/items`
        SaleItems = "sale_items",
        /// `GET /sales/{id}/items/{item}`
        SaleItem = "sale_item",
        /// `GET /sales/{id}/stream`, up to its first event.
        Stream = "stream",
        /// `GET /images/….svg`
        Image = "image",
        /// `GET /health`
        Health = "health",
        /// `GET /health/histogram`
        Histogram = "histogram",
        /// `GET /livez`
        Livez = "livez",
        /// `GET /readyz`
        Readyz = "readyz",
        /// `GET /metrics`
        Metrics = "metrics",
        /// `GET /`
        Page = "page",
        /// `GET /ops`
        OpsPage = "ops_page",
        /// `GET /assets/…`
        Asset = "asset",
        /// `GET /ops/stream`, up to its first event.
        OpsStream = "ops_stream",
        /// `GET /ops/history`
        OpsHistory = "ops_history",
        /// `GET /openapi.json`
        OpenApi = "openapi",
        /// `POST /admin/sales`
        AdminSales = "admin_sales",
        /// `POST /admin/sales/{id}/close`
        AdminClose = "admin_close",
        /// `POST /admin/sales/{id}/pause`
        AdminPause = "admin_pause",
        /// `POST /admin/sales/{id}/resume`
        AdminResume = "admin_resume",
        /// `POST /admin/sales/{id}/extend`
        AdminExtend = "admin_extend",
        /// `POST /admin/sales/{id}/stock`
        AdminStock = "admin_stock",
        /// `GET /admin/sales/{id}/purchases`
        AdminPurchases = "admin_purchases",
        /// `GET /admin/checkouts/{code}`
        AdminCheckout = "admin_checkout",
        /// `POST /admin/checkouts/{code}/cancel`
        AdminCancel = "admin_cancel",
        /// `POST /admin/checkouts/{code}/confirm`
        AdminConfirm = "admin_confirm",
        /// `GET /admin/events`; of a stream, up to its first piece.
        AdminEvents = "admin_events",
        /// `POST /admin/replication/hand-over`
        AdminHandOver = "admin_hand_over",
        /// Any other path, and `OPTIONS` on every path.
        Unknown = "unknown",
    }
}

/// Defines [`Outcome`] with the refused reasons among its labels.
macro_rules! outcomes {
    (
        labelled_alike { $($(#[$meaning:meta])* $reason:ident = $number:literal, $name:literal;)* }
        labelled_otherwise { $($(#[$other_meaning:meta])* $other:ident = $other_number:literal, $other_name:literal, $label:ident;)* }
    ) => {
        labels! {
            /// The outcome of a request. The label of an error is also the `error` of its answer.
            Outcome {
                /// Something was shown.
                Ok = "ok",
                /// An item was put into a checkout.
                Accepted = "accepted",
                /// At least one line of a checkout was sold.
                Sold = "sold",
                /// An earlier answer was given again under its idempotency key.
                Replayed = "replayed",
                /// A parameter is missing or malformed.
                ValidationFailed = "validation_failed",
                $($(#[$meaning])* $reason = $name,)*
                /// No checkout has this code.
                CheckoutNotFound = "checkout_not_found",
                /// Every item of the checkout was gone.
                AllItemsSold = "all_items_sold",
                /// The hold ran out before the purchase.
                CheckoutExpired = "checkout_expired",
                /// The item that was to be given back is not in the checkout.
                ItemNotInCheckout = "item_not_in_checkout",
                /// Only the shop purchases in this sale.
                ShopConfirms = "shop_confirms",
                /// Payments of this sale do not take their time.
                PaymentNotOffered = "payment_not_offered",
                /// The code was used before.
                AlreadyProcessed = "already_processed",
                /// No sale has this id, or none is open.
                SaleNotFound = "sale_not_found",
                /// A sale was created.
                Created = "created",
                /// The sale is over, and cannot be changed any more.
                SaleClosed = "sale_closed",
                /// Nothing of the checkout was sold, so that nothing can be cancelled.
                NotPurchased = "not_purchased",
                /// All that was to be cancelled is cancelled already.
                AlreadyCancelled = "already_cancelled",
                /// The reference came with something else to do before.
                ReferenceReused = "ref_reused",
                /// Fewer units are free than are to be taken out of a stock.
                StockInUse = "stock_in_use",
                /// The stock of a sale has changed as often as it may.
                TooManyStockChanges = "too_many_stock_changes",
                /// As many sales are open as may be.
                TooManySales = "too_many_sales",
                /// The journal no longer has the events that were asked for.
                EventsGone = "events_gone",
                /// The token of administration, or of a user, is missing or wrong.
                Unauthorized = "unauthorized",
                /// The token is that of another user.
                UserMismatch = "user_mismatch",
                /// The token does not allow the item or the sale.
                NotInvited = "not_invited",
                /// The peer was wrong about the token too often.
                TooManyFailures = "too_many_failures",
                /// The client, or the user, has done too much.
                RateLimited = "rate_limited",
                /// No such path.
                NotFound = "not_found",
                /// The path does not take this method.
                MethodNotAllowed = "method_not_allowed",
                /// The body is over its bound.
                PayloadTooLarge = "payload_too_large",
                /// The body has a content encoding.
                UnsupportedMediaType = "unsupported_media_type",
                /// Too many records wait for the disk.
                Overloaded = "overloaded",
                /// The server is shutting down.
                Draining = "draining",
                /// The journal takes no records.
                JournalUnavailable = "journal_unavailable",
                /// Another server sells.
                Standby = "standby",
                /// Leadership cannot be handed over, because another server leads.
                NotLeader = "not_leader",
                /// Leadership cannot be handed over, because no log is replicated.
                NotReplicated = "not_replicated",
                /// An ended sale cannot be loaded.
                ArchiveUnavailable = "archive_unavailable",
                /// The server cannot explain its own state.
                InternalError = "internal_error",
            }
        }

        impl From<RefusedReason> for Outcome {
            fn from(reason: RefusedReason) -> Self {
                match reason {
                    $(RefusedReason::$reason => Self::$reason,)*
                    $(RefusedReason::$other => Self::$label,)*
                }
            }
        }
    };
}

refused_reasons!(outcomes);

labels! {
    /// A part of the way from a request to its answer, or from a record to a sink.
    Stage {
        /// The parameters of a request to sell are read.
        Parse = "parse",
        /// The engine decides on it.
        Decide = "decide",
        /// The answer waits until its record is on the disk.
        CommitWait = "commit_wait",
        /// The disk syncs a batch of records.
        Fsync = "fsync",
        /// Postgres takes a batch of records.
        ApplyDatabase = "apply_database",
        /// Redis takes a batch of records.
        ApplyRedis = "apply_redis",
    }
}

labels! {
    /// The reason for which the token of a user was refused.
    TokenRefusal {
        /// There is none.
        Missing = "missing",
        /// It is longer than any may be.
        TooLong = "too_long",
        /// It is not of the form of a token, or its header is not.
        Malformed = "malformed",
        /// Its header has extensions that must be understood.
        Critical = "critical",
        /// Its algorithm is not one of those that are known, or no key is of it.
        Algorithm = "algorithm",
        /// Its key is not known, or too many could be meant.
        UnknownKey = "unknown_key",
        /// Its signature is not that of the key.
        Signature = "signature",
        /// A claim is missing that must be there, or is of another type.
        Claims = "claims",
        /// Its time is over.
        Expired = "expired",
        /// Its time has not come.
        NotYetValid = "not_yet_valid",
        /// It is of another issuer.
        Issuer = "issuer",
        /// It is for another audience.
        Audience = "audience",
        /// A session cannot be exchanged for another one.
        Session = "session",
    }
}

labels! {
    /// The class of an answer. The answers of one class take the same way and share one distribution; a distribution
    /// of all answers would be that of the refusals, which are the most and the fastest.
    Class {
        /// Checkouts that were accepted and purchases that sold: they are on the disk.
        Confirmed = "confirmed",
        /// Checkouts and purchases that were answered before. Their records are durable already, so that they do not wait.
        Repeated = "repeated",
        /// All other answers to requests to sell.
        Refused = "refused",
        /// Answers to requests that only read, give back or begin a payment, and to administrators.
        Shown = "shown",
    }
}

impl Class {
    /// Returns the class of a request with this outcome.
    #[must_use]
    pub fn of(route: Route, outcome: Outcome) -> Self {
        match (route, outcome) {
            (Route::Checkout | Route::Purchase, Outcome::Accepted | Outcome::Sold) => {
                Self::Confirmed
            }
            (Route::Checkout | Route::Purchase, Outcome::Replayed) => Self::Repeated,
            (Route::Checkout | Route::Purchase, _) => Self::Refused,
            _ => Self::Shown,
        }
    }
}

labels! {
    /// The group of an answer on the operations page and in the summary of `/health`: its class, with confirmed
    /// checkouts and purchases apart.
    Group {
        /// Checkouts that were accepted.
        Checkouts = "checkouts",
        /// Purchases that sold.
        Purchases = "purchases",
        /// See [`Class::Repeated`].
        Repeated = "repeated",
        /// See [`Class::Refused`].
        Refused = "refused",
        /// See [`Class::Shown`].
        Shown = "shown",
    }
}

impl Group {
    /// Returns the group of a request with this outcome.
    #[must_use]
    pub fn of(route: Route, outcome: Outcome) -> Self {
        match (Class::of(route, outcome), outcome) {
            (Class::Confirmed, Outcome::Accepted) => Self::Checkouts,
            (Class::Confirmed, _) => Self::Purchases,
            (Class::Repeated, _) => Self::Repeated,
            (Class::Refused, _) => Self::Refused,
            (Class::Shown, _) => Self::Shown,
        }
    }
}

impl Route {
    /// Returns whether probes ask this, for which a 503 is what they want to know.
    const fn is_probe(self) -> bool {
        matches!(self, Self::Livez | Self::Readyz | Self::Health)
    }
}

impl Outcome {
    /// Returns whether the server is at fault (5xx) where it answers a request to `route` so. The 503 of a probe is no
    /// fault: nobody was turned away.
    #[must_use]
    pub const fn is_failure_of(self, route: Route) -> bool {
        match self {
            Self::Overloaded
            | Self::Draining
            | Self::JournalUnavailable
            | Self::Standby
            | Self::ArchiveUnavailable => !route.is_probe(),
            Self::InternalError => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct_and_plain() {
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let routes: std::collections::BTreeSet<_> = Route::ALL.iter().map(|r| r.as_str()).collect();
        let outcomes: std::collections::BTreeSet<_> =
            Outcome::ALL.iter().map(|o| o.as_str()).collect();
        assert_eq!(
            (routes.len(), outcomes.len()),
            (Route::ALL.len(), Outcome::ALL.len())
        );
        assert!(routes.iter().chain(&outcomes).all(|text| plain(text)));
    }

    #[test]
    fn a_refused_reason_and_its_outcome_have_one_name() {
        for &reason in RefusedReason::ALL {
            let expected = match reason {
                RefusedReason::QuantityNotAllowed => "validation_failed",
                _ => reason.as_str(),
            };
            assert_eq!(Outcome::from(reason).as_str(), expected);
        }
    }

    #[test]
    fn a_probe_that_hears_503_is_no_buyer_who_was_turned_away() {
        for outcome in [
            Outcome::JournalUnavailable,
            Outcome::Draining,
            Outcome::Overloaded,
        ] {
            for probe in [Route::Readyz, Route::Health, Route::Livez] {
                assert!(!outcome.is_failure_of(probe), "{probe:?} {outcome:?}");
            }
            for other in [Route::Checkout, Route::SalesActive, Route::Metrics] {
                assert!(outcome.is_failure_of(other), "{other:?} {outcome:?}");
            }
        }
        assert!(Outcome::InternalError.is_failure_of(Route::Health));
        assert!(!Outcome::ItemSoldOut.is_failure_of(Route::Checkout));
    }
}
