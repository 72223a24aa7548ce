"""A shop from basket to parcel, with the client that openapi-python-client made of /openapi.json (the package `shop`).

sell.py ADDRESS ADMIN_TOKEN SHOP_TOKEN
"""

import re
import sys
import time

import httpx
from shop import AuthenticatedClient, Client
from shop.api.administration import admin_cancel, admin_checkout, admin_close, admin_confirm, admin_events, admin_sales
from shop.api.buying import checkout, checkout_contents, payment, purchase, release
from shop.models import Cancelled, Checkout, CheckoutRecord, Contents, CreatedSale, Error, NewItem, NewSale, Payment, Purchase
from shop.models import NewSalePurchaseByType1 as PurchaseBy

address, admin_token, shop_token = sys.argv[1:]
buyer = Client(address)
admin = AuthenticatedClient(address, admin_token)
systems = AuthenticatedClient(address, shop_token)


def refused(told, error):
    assert isinstance(told, Error) and told.error == error, told
    return told


def create(*items, **terms):
    created = admin_sales.sync(client=admin, body=NewSale(items=list(items), **terms))
    assert isinstance(created, CreatedSale), created
    return created.data.id


def choose(sale, user, item, **more):
    chosen = checkout.sync(client=buyer, user_id=user, id=item, sale_id=sale, **more)
    assert isinstance(chosen, Checkout), chosen
    return chosen


class Provider:
    """A payment provider, as a shop sees it: what was authorised is captured, or voided. Whatever is asked again does nothing."""

    def __init__(self):
        self.payments, self.refunds = {}, set()

    def authorise(self):
        name = f"pay_{len(self.payments) + 1}"
        self.payments[name] = "authorised"
        return name

    def capture(self, name, units):
        self.payments[name] = f"captured {units}"

    def void(self, name):
        self.payments[name] = "voided"

    def refund(self, name):
        self.refunds.add(name)


provider = Provider()


# A payment that is refused so buys nothing.
FINAL = {"all_items_sold", "checkout_expired", "checkout_not_found", "sale_not_active"}


def confirm(code, name, late=False):
    """Confirms a payment until it is answered. No answer, 503 and 504 do not say whether it was recorded: the same reference asks again."""
    for attempt in range(8):
        try:
            told = admin_confirm.sync(code, client=systems, payment_ref=name, late=late)
        except httpx.TransportError:
            told = None
        if isinstance(told, Purchase):
            return told
        if isinstance(told, Error):
            bought_by_another = told.error == "already_processed" and told.payment_ref
            if told.error in FINAL or bought_by_another:
                return told
        time.sleep(0.1 * 2**attempt)
    # Neither captured nor voided: the shop goes on with it when it reads the events.
    raise RuntimeError(f"nobody knows what became of {name}: {told}")


def succeeded(code, name):
    """The provider tells that a payment has succeeded: at once, late, or twice."""
    told = confirm(code, name)
    if isinstance(told, Error) and told.error == "checkout_expired":
        # What is still free of it.
        told = confirm(code, name, late=True)
    if isinstance(told, Purchase):
        provider.capture(name, told.total_purchased)
    else:
        provider.void(name)
    return told


# Who runs the sale creates it: everybody may have two lamps.
lamp, chair = NewItem(id="lamp", name="Desk lamp", stock=20, max_per_user=2), NewItem(id="chair", name="Chair", stock=1)
sale = create(lamp, chair, max_items_per_user=5, hold_seconds=600)

# A buyer chooses. The key makes it safe to ask again when an answer was lost.
basket = choose(sale, "ada", "lamp", quantity=2, idempotency_key="choice-1")
assert basket.items_count == 2, basket
assert choose(sale, "ada", "lamp", quantity=2, idempotency_key="choice-1") == basket
choose(sale, "ada", "chair")
assert refused(checkout.sync(client=buyer, user_id="bob", id="lamp", sale_id=sale, quantity=3), "item_limit_exceeded").limit == 2
refused(checkout.sync(client=buyer, user_id="bob", id="chair", sale_id=sale), "item_held")

# They look at it again, and change their mind about one lamp.
contents = checkout_contents.sync(client=buyer, code=basket.code)
assert isinstance(contents, Contents) and [line.quantity for line in contents.items] == [2, 1], contents
contents = release.sync(client=buyer, code=basket.code, id="lamp", quantity=1)
assert isinstance(contents, Contents) and contents.items_count == 2, contents

# It is paid: they purchase, and ask again because no answer came.
order = purchase.sync(client=buyer, code=basket.code, idempotency_key="order-1")
assert isinstance(order, Purchase) and order.total_purchased == 2, order
assert purchase.sync(client=buyer, code=basket.code, idempotency_key="order-1") == order
assert refused(purchase.sync(client=buyer, code=basket.code), "already_processed").result == order
refused(checkout.sync(client=buyer, user_id="bob", id="chair", sale_id=sale), "item_sold_out")

# In another sale the shop purchases, once the provider says that it is paid. Two buyers want the same clock.
vase, clock = NewItem(id="vase", name="Vase", stock=6), NewItem(id="clock", name="Clock", stock=1)
paid_sale = create(vase, clock, payment_seconds=900, purchase_by=PurchaseBy.SHOP)
bea = choose(paid_sale, "bea", "vase", quantity=2).code
cleo = choose(paid_sale, "cleo", "vase").code
for user in ["bea", "cleo"]:
    choose(paid_sale, user, "clock")

# Whoever pays first has it reserved; only what is reserved is to be authorised.
begun = payment.sync(client=buyer, code=bea)
assert isinstance(begun, Payment) and [line.reserved for line in begun.items] == [True, True], begun
assert payment.sync(client=buyer, code=bea) == begun
refused(purchase.sync(client=buyer, code=bea), "shop_confirms")
begun = payment.sync(client=buyer, code=cleo)
assert isinstance(begun, Payment) and [line.reserved for line in begun.items] == [True, False], begun

# The payments succeed. The provider tells of one of them twice, and of another payment of the same basket.
first, second, double = provider.authorise(), provider.authorise(), provider.authorise()
order = succeeded(bea, first)
assert order.total_purchased == 3 and succeeded(bea, first) == order, order
assert succeeded(cleo, second).failed_count == 1
assert refused(succeeded(bea, double), "already_processed").payment_ref == first

# Here payments are over before anybody hears of them: somebody else buys what was reserved, and the late payment gets the rest.
poster, frame = NewItem(id="poster", name="Poster", stock=1), NewItem(id="frame", name="Frame", stock=5)
late_sale = create(poster, frame, payment_seconds=1, purchase_by=PurchaseBy.SHOP)
eve = choose(late_sale, "eve", "poster").code
choose(late_sale, "eve", "frame")
assert isinstance(payment.sync(client=buyer, code=eve), Payment)
late, until = provider.authorise(), time.monotonic() + 60
while isinstance(contents := checkout_contents.sync(client=buyer, code=eve), Contents):
    assert time.monotonic() < until, contents
    time.sleep(0.1)
refused(contents, "checkout_expired")
assert succeeded(choose(late_sale, "fay", "poster").code, provider.authorise()).total_purchased == 1
order = succeeded(eve, late)
assert [(line.id, line.sold) for line in order.purchased_items] == [("poster", False), ("frame", True)], order

# One vase comes back. The reference serves for the refund, too: first it is cancelled, then the events have it refunded.
cancelled = admin_cancel.sync(bea, client=systems, ref="return-1", id="vase", quantity=1)
assert isinstance(cancelled, Cancelled) and cancelled.total_cancelled == 1, cancelled
assert admin_cancel.sync(bea, client=systems, ref="return-1", id="vase", quantity=1) == cancelled

own = {sale, paid_sale, late_sale}
for number in own:
    admin_close.sync(number, client=admin)

# The systems of the shop follow the events from the place that they have kept: they send out what was purchased, and refund what was cancelled.
after, sent, paid, closed = "0", [], set(), set()
while closed != own:
    page = admin_events.sync_detailed(client=systems, after=after, wait=10)
    assert page.status_code == 200, page
    for event in page.parsed:
        data = event.data
        if data.sale_id not in own:
            continue
        if event.type_ == "purchase.completed":
            record = admin_checkout.sync(data.code, client=systems)
            assert isinstance(record, CheckoutRecord) and record.status == "purchased", record
            sent += [(data.user_id, line.id, line.quantity) for line in data.items if line.sold]
            if data.payment_ref:
                paid.add(data.payment_ref)
        elif event.type_ == "purchase.cancelled":
            provider.refund(data.ref)
        elif event.type_ == "sale.closed":
            closed.add(data.sale_id)
    # Kept together with what is done, in one transaction where that can be. A page without events moves on, too.
    after = re.search(r"[?&]after=(\d+)", page.headers["Link"])[1]
of_ada = [("ada", "lamp", 1), ("ada", "chair", 1)]
of_the_others = [("bea", "vase", 2), ("bea", "clock", 1), ("cleo", "vase", 1), ("fay", "poster", 1), ("eve", "frame", 1)]
assert sent == of_ada + of_the_others, sent

# The books agree: captured is what the events know, and nothing else.
captured = {name for name, state in provider.payments.items() if state.startswith("captured")}
assert captured == paid and provider.payments[double] == "voided", (provider.payments, paid)
assert provider.refunds == {"return-1"}, provider.refunds
print(f"sent out: {sent}; payments: {provider.payments}; refunded: {provider.refunds}")
