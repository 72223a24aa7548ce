"""What the fuzzer has to know of the server besides the document."""

import json
from urllib.parse import parse_qsl
from zlib import crc32

import schemathesis

# What may be wrong with parameters that fit the document, by operation.
COMPLAINTS = {
    # Up to the limit of the sale.
    "checkout": {"quantity"},
    "purchase": set(),
    # They depend on the time.
    "admin_sales": {"started_at", "ended_at"},
    # Items that exist once keep their stock, and others get no more than is counted.
    "admin_stock": {"item_id", "id", "add"},
    # It is that of an item, and no more than was bought.
    "admin_cancel": {"quantity"},
    # CSV has no pages.
    "admin_purchases": {"limit", "cursor"},
    # One excludes the others.
    "histogram": {"stage"},
}


def is_valid(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def texts(value):
    """All texts inside of a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


# Operations whose parameters may be in the body as well, which the document says in words alone.
IN_BODY = {"checkout", "purchase"}


def as_form(request):
    """Moves the query of a request into its body."""
    request.url, _, request.body = request.url.partition("?")
    request.headers["Content-Type"] = "application/x-www-form-urlencoded"
    return request


def as_json(request):
    """Moves the query of a request into its body, as a JSON object."""
    request = as_form(request)
    request.body = json.dumps(dict(parse_qsl(request.body, keep_blank_values=True)))
    request.headers["Content-Type"] = "application/json"
    return request


@schemathesis.hook
def before_call(context, case, kwargs):
    """The first sale stays open, so that there is something to buy. Of what is valid a part is sent as a form and
    a part as JSON. An empty value counts as left out, so that an invalid request has a broken one instead."""
    name = case.operation.definition.raw.get("operationId")
    if name == "admin_close" and str((case.path_parameters or {}).get("id")) == "1":
        case.path_parameters["id"] = "2"
    query = case.query or {}
    if not is_valid(case):
        case.query = {name: "\0" if value == "" else value for name, value in query.items()}
    elif name in IN_BODY:
        place = crc32(repr(sorted(query.items())).encode(errors="replace")) % 3
        if place > 0:
            # What changes a request when all else of it is done.
            kwargs["auth"] = (as_form, as_json)[place - 1]


@schemathesis.check
def errors_are_described(context, response, case):
    """Each status has the errors that its description lists, and no others."""
    if response.status_code < 400 or "json" not in response.headers.get("content-type", [""])[0]:
        return
    root = case.operation.schema.raw_schema
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if "$ref" in described:
        described = root["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
    error = response.json()["error"]
    assert f"* `{error}`: " in described["description"], f"{case.method} {case.path}: {error}"


@schemathesis.check
def complaints_are_true(context, response, case):
    """What fits the document is complained about only where the document cannot say what is allowed."""
    name = case.operation.definition.raw.get("operationId")
    if name not in COMPLAINTS or not is_valid(case) or response.status_code != 400:
        return
    if any(len(text.encode()) > 128 for text in texts([case.query, case.body])):
        return
    told = response.json()
    # Ids of a list may be the same.
    fields = {field for field in told.get("errors", {}) if not field.endswith("].id")}
    assert fields <= COMPLAINTS[name], f"{case.method} {case.path}: {told}"
