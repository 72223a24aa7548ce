"""A shop from basket to parcel, with the client that openapi-python-client made of /openapi.json (the package `shop`).

sell.py ADDRESS ADMIN_TOKEN SHOP_TOKEN
"""

import sys

from shop import AuthenticatedClient, Client
from shop.api.administration import admin_checkout, admin_close, admin_events, admin_sales
from shop.api.buying import checkout, checkout_contents, purchase, release
from shop.models import Checkout, CheckoutRecord, Contents, CreatedSale, Error, NewItem, NewSale, Purchase

address, admin_token, shop_token = sys.argv[1:]
buyer = Client(address)
admin = AuthenticatedClient(address, admin_token)
systems = AuthenticatedClient(address, shop_token)

# Who runs the sale creates it: everybody may have two lamps.
items = [NewItem(id="lamp", name="Desk lamp", stock=20, max_per_user=2), NewItem(id="chair", name="Chair", stock=1)]
created = admin_sales.sync(client=admin, body=NewSale(items=items, max_items_per_user=5, hold_seconds=600))
assert isinstance(created, CreatedSale), created
sale = created.data.id


def refused(told, error):
    assert isinstance(told, Error) and told.error == error, told
    return told


# A buyer chooses. The key makes it safe to ask again when an answer was lost.
choice = {"user_id": "ada", "id": "lamp", "sale_id": sale, "quantity": 2, "idempotency_key": "choice-1"}
basket = checkout.sync(client=buyer, **choice)
assert isinstance(basket, Checkout) and basket.items_count == 2, basket
assert checkout.sync(client=buyer, **choice) == basket
checkout.sync(client=buyer, user_id="ada", id="chair", sale_id=sale)
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
admin_close.sync(sale, client=admin)

# The systems of the shop follow the events from the place that they have kept, and send out what was purchased.
after, sent, is_closed = "0", [], False
while not is_closed:
    events = admin_events.sync(client=systems, after=after, sale_id=sale, wait=10)
    assert not isinstance(events, Error), events
    for event in events:
        if event.type_ == "purchase.completed":
            record = admin_checkout.sync(event.data.code, client=systems)
            assert isinstance(record, CheckoutRecord) and record.status == "purchased", record
            sent += [(event.data.user_id, line.id, line.quantity) for line in event.data.items if line.sold]
        is_closed |= event.type_ == "sale.closed"
        # Kept together with what was done, in one transaction where that can be.
        after = event.id
assert sent == [("ada", "lamp", 1), ("ada", "chair", 1)], sent
print(f"sent out: {sent}")
