"""Reads all events of a server with the reference SDK of CloudEvents, which checks each of them."""

import json
import sys
import urllib.request

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

address, token = sys.argv[1:]
request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
with urllib.request.urlopen(request) as answer:
    assert answer.headers["Content-Type"] == "application/cloudevents-batch+json"
    batch = json.load(answer)
for one in batch:
    event = JSONFormat().read(CloudEvent, json.dumps(one))
    assert event.get_specversion() == "1.0" and event.get_time().tzinfo is not None
    assert event.get_subject() == f"sales/{event.get_data()['sale_id']}"
    print(event.get_type(), event.get_data()["sale_id"])
