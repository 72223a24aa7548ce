"""Buys with the client that openapi-python-client made (the package `shop`), and meets every kind of refusal."""

import sys
from urllib.parse import parse_qs, urlsplit

from shop import AuthenticatedClient, Client
from shop.api.administration import admin_checkout, admin_purchases, admin_sales
from shop.api.buying import checkout, purchase
from shop.api.looking import sale_items, sales_active
from shop.api.operations import health
from shop.models import Checkout, CheckoutRecord, CreatedSale, Error, Health, NewItem, NewSale, Purchase, Sale

address, token = sys.argv[1:]
client = Client(address)
shop = AuthenticatedClient(address, token)


def choose(user, item, **more):
    return checkout.sync_detailed(client=client, user_id=user, id=item, **more)


def refused(response, status, error):
    told = response.parsed
    assert isinstance(told, Error), response
    assert (response.status_code, told.error) == (status, error), told
    assert told.message
    return told


sale = sales_active.sync(client=client)
assert isinstance(sale, Sale) and sale.active and isinstance(sale.id, str), sale


def items(**more):
    """All items, page by page."""
    found, cursor = [], {}
    while True:
        page = sale_items.sync_detailed(sale.id, client=client, limit=5, **cursor, **more)
        assert page.status_code == 200, page
        found += [item.id for item in page.parsed]
        link = page.headers.get("link")
        if link is None:
            return found
        query = urlsplit(link[1 : link.index(">")]).query
        cursor = {"cursor": parse_qs(query)["cursor"][0]}


ids = items()
assert len(ids) == sale.total_items == 12, ids

# Two items, and no more: the sale allows two.
first = choose("ada", ids[0], quantity=1, sale_id=sale.id)
assert isinstance(first.parsed, Checkout), first
refused(choose("ada", ids[0]), 400, "item_already_in_checkout")
second = choose("ada", ids[1])
assert (second.parsed.code, second.parsed.items_count) == (first.parsed.code, 2), second
assert refused(choose("ada", ids[2]), 400, "user_limit_exceeded").limit == 2

# Held by ada, and then hers.
held = choose("bob", ids[0])
refused(held, 409, "item_held")
assert int(held.headers["retry-after"]) > 0
bought = purchase.sync_detailed(client=client, code=first.parsed.code, idempotency_key="k-1")
assert isinstance(bought.parsed, Purchase), bought
assert bought.parsed.total_purchased == 2 and all(line.sold for line in bought.parsed.purchased_items)
refused(choose("bob", ids[0]), 409, "item_sold_out")
assert items(available=True) == ids[2:]

again = purchase.sync_detailed(client=client, code=first.parsed.code)
assert isinstance(refused(again, 409, "already_processed").result, Purchase), again
refused(purchase.sync_detailed(client=client, code="user_limit_exceeded"), 404, "checkout_not_found")
refused(choose("bob", "nothing"), 404, "item_not_found")
wrong = refused(choose("", ids[3]), 400, "validation_failed")
assert "user_id" in wrong.errors.additional_properties, wrong

# Administration, and what goes with it.
refused(admin_sales.sync_detailed(client=AuthenticatedClient(address, "wrong"), body=NewSale(total_items=1)), 401, "unauthorized")
made = admin_sales.sync(client=shop, body=NewSale(items=[NewItem(name="Lamp", stock=3)]))
assert isinstance(made, CreatedSale) and made.data.total_items == 3, made
records = admin_purchases.sync(sale.id, client=shop, user_id="ada")
assert [record.code for record in records] == [first.parsed.code], records
record = admin_checkout.sync(first.parsed.code, client=shop)
assert isinstance(record, CheckoutRecord) and record.status == "purchased", record
state = health.sync(client=client)
assert isinstance(state, Health) and state.conserved, state
