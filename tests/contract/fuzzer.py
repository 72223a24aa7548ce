"""What the fuzzer has to know of the server besides the document."""

import schemathesis

# What may be wrong with parameters that fit the document, by operation.
COMPLAINTS = {
    # Up to the limit of the sale.
    "checkout": {"quantity"},
    "purchase": set(),
    # They depend on the time.
    "admin_sales": {"started_at", "ended_at"},
    "admin_purchases": set(),
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


@schemathesis.hook
def before_call(context, case, kwargs):
    """A parameter is given once, in the query or in the body, and some must be: of valid requests. The first
    sale stays open, so that there is something to buy."""
    needed = {"checkout": {"user_id": "ada", "id": "ITM-1-0"}, "purchase": {}}
    name = case.operation.definition.raw.get("operationId")
    if name == "admin_close" and str((case.path_parameters or {}).get("id")) == "1":
        case.path_parameters["id"] = "2"
    if name not in needed or not is_valid(case):
        return
    body = case.body if isinstance(case.body, dict) else {}
    query = dict(case.query or {})
    given = {field for field, value in body.items() if value is not None}
    if given >= {"id", "item_id"}:
        # One of them was null until the dictionary of items filled it.
        del body["item_id"]
    if given & {"id", "item_id"}:
        given |= {"id", "item_id"}
    elif "id" in query:
        given.add("item_id")
    query = {name: value for name, value in query.items() if name not in given}
    for field, value in needed[name].items():
        if field not in given and (field != "id" or "item_id" not in query):
            query.setdefault(field, value)
    case.query = query


@schemathesis.check
def complaints_are_true(context, response, case):
    """What fits the document is complained about only where the document cannot say what is allowed."""
    name = case.operation.definition.raw.get("operationId")
    if name not in COMPLAINTS or not is_valid(case) or response.status_code != 400:
        return
    if any(len(text.encode()) > 128 for text in texts([case.query, case.body])):
        return
    told = response.json()
    # Which of query and body has the code is open, and ids of a list may be the same.
    fields = {
        field
        for field, wrong in told.get("errors", {}).items()
        if wrong != "is required" and not field.endswith("].id")
    }
    assert fields <= COMPLAINTS[name], f"{case.method} {case.path}: {told}"
