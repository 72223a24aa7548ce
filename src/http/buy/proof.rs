//! What a request proves of its user, where `auth` is on.
//!
//! What is the same for everybody is answered before a token is looked at; all else is the proven user's.

use hyper::HeaderMap;

use super::checkout::{self, Asked};
use super::{Decided, SellRequest};
use crate::auth::{Authority, Claims};
use crate::http::bearer::user_token;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::stopwatch::Stopwatch;
use crate::sale::{CheckoutOutcome, CheckoutRequest, Engine, Sale};
use crate::telemetry::{Stage, TokenRefusal};
use crate::types::{CheckoutCode, SaleId};

/// The proven user of a request about a checkout; `None` where it needs to prove nothing.
pub(in crate::http) type Owner = Option<Box<str>>;

/// Returns what the token of a request proves; `None` where it has none and needs none.
pub(in crate::http) fn claims(
    authority: &Authority,
    headers: &HeaderMap,
    engine: &Engine,
) -> Result<Option<Claims>, Problem> {
    let now = engine.clock().now();
    let proven = user_token(headers, authority).and_then(|token| match token {
        Some(token) => authority.prove(token, now).map(Some),
        None if authority.is_required() => Err(authority.refuse(TokenRefusal::Missing)),
        None => Ok(None),
    });
    proven.map_err(Problem::token_refused)
}

/// Decides on a checkout whose user is the one that the token proves.
pub(super) fn decide_checkout(
    engine: &Engine,
    authority: &Authority,
    request: &SellRequest<'_>,
    (mut parameters, asked): (Parameters<'_>, Asked<'_>),
    watch: &mut Stopwatch<'_>,
) -> Result<Decided, Problem> {
    let (given, item) = parameters.item_and_given_buyer()?;
    let Asked {
        quantity,
        sale,
        key,
    } = asked;
    // With a key it may have been answered before, also what is refused by now.
    let recorded = given.filter(|_| key.is_none());
    let refusal = engine.refusal_of_everybody(item, quantity, sale, recorded);
    if let Some(refusal) = &refusal
        && key.is_none()
    {
        watch.lap(Stage::Parse);
        watch.lap(Stage::Decide);
        return Ok(checkout::decided_now(refusal.clone()));
    }
    let admitted = request.admit(None);
    let proven = admitted.and_then(|()| claims(authority, &request.head.headers, engine));
    watch.lap(Stage::Parse);
    let decided = proven.and_then(|claims| {
        let claims = claims.as_ref();
        let user = match (claims, given) {
            (Some(claims), Some(given)) if *claims.user != *given.as_str() => {
                return Err(Problem::user_mismatch());
            }
            (Some(claims), _) => claims.user(),
            (None, Some(given)) => given,
            (None, None) => return Err(Problem::user_missing()),
        };
        request.admit_proven(user.as_str())?;
        decide_for(engine, &asked.by(user, item), claims)
    });
    watch.lap(Stage::Decide);
    match (decided, refusal) {
        // The first answer of a key is its user's. Without a proof, what everybody may know is all.
        (Err(_), Some(refusal)) => Ok(checkout::decided_now(refusal)),
        (decided, _) => decided,
    }
}

/// Decides on a checkout as far as the claims allow it; without any, who asks need not be the user.
fn decide_for(
    engine: &Engine,
    request: &CheckoutRequest<'_>,
    claims: Option<&Claims>,
) -> Result<Decided, Problem> {
    let Some(Claims { grants, .. }) = claims else {
        let mut decision = engine.checkout(request);
        if let CheckoutOutcome::ItemAlreadyInCheckout { code } = &mut decision.outcome {
            *code = None;
        }
        return Ok(checkout::decided(decision, request));
    };
    if !grants.allow_item(request.item) {
        return Err(Problem::not_invited());
    }
    let mut request = *request;
    if grants.sales.is_some() {
        // The one that was compared is also the one in which it is decided.
        request.sale = allowed_sale(engine, &request, |sale| grants.allow_sale(sale))?;
    }
    let decision = match grants.limit {
        None => engine.checkout(&request),
        Some(limit) => engine.checkout_within(&request, limit),
    };
    Ok(checkout::decided(decision, &request))
}

fn allowed_sale(
    engine: &Engine,
    request: &CheckoutRequest<'_>,
    is_allowed: impl Fn(SaleId) -> bool,
) -> Result<Option<SaleId>, Problem> {
    match engine.sale_of_item(request.item, request.sale) {
        Some(sale) if !is_allowed(sale) => Err(Problem::not_invited()),
        found => Ok(found.or(request.sale)),
    }
}

impl SellRequest<'_> {
    /// Returns the proven user of a request about the checkout `code`. Where the checkout is another user's, that is an
    /// error; of one whose sale has left memory it is to be seen once that is loaded, by [`check_owner`].
    #[inline]
    pub(super) fn owner_of(&self, code: CheckoutCode, engine: &Engine) -> Result<Owner, Problem> {
        match self.authority {
            None => Ok(None),
            Some(authority) => self.proven_owner(authority, code, engine),
        }
    }

    #[inline(never)]
    fn proven_owner(
        &self,
        authority: &Authority,
        code: CheckoutCode,
        engine: &Engine,
    ) -> Result<Owner, Problem> {
        let Some(claims) = claims(authority, &self.head.headers, engine)? else {
            return Ok(None);
        };
        self.admit_proven(&claims.user)?;
        match engine.is_of_another(code, &claims.user) {
            true => Err(Problem::user_mismatch()),
            false => Ok(Some(claims.user)),
        }
    }
}

/// Refuses a request about a checkout of `sale` that is another user's.
pub(in crate::http) fn check_owner(
    owner: &Owner,
    code: CheckoutCode,
    sale: &Sale,
) -> Result<(), Problem> {
    match owner {
        Some(user) if sale.is_of_another(code, user) => Err(Problem::user_mismatch()),
        _ => Ok(()),
    }
}
