"""Receives webhooks, checks each with the reference library of Standard Webhooks, and notes the events of those that it takes.

receive.py PORT MODE NOTES SECRET [CERTIFICATE KEY]: what it does with a message stands in the file MODE, and NOTES gets a line for
each event, before the message is answered.
"""

import http.server
import json
import os
import ssl
import sys
import time

from standardwebhooks import Webhook

port, mode_path, notes_path, secret, *certificate = sys.argv[1:]


def note(line):
    with open(notes_path, "a", encoding="utf-8") as notes:
        notes.write(line + "\n")


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(mode_path, encoding="utf-8") as mode:
            status, *more = mode.read().split()
        if status == "slow":
            time.sleep(float(more[0]))
            status = "200"
        try:
            events = Webhook(secret).verify(body, dict(self.headers))
        except Exception as error:
            note(f"refused {error}")
            status, events = "400", []
        note(f"message {self.headers['webhook-id']} {status} {len(events)} {int(time.time() * 1000)}")
        if status == "200":
            assert self.headers["Content-Type"] == "application/cloudevents-batch+json"
            for event in events:
                note(f"event {json.dumps(event)}")
        self.send_response(int(status))
        if status in ("429", "503") and more:
            self.send_header("Retry-After", more[0])
        if status == "301":
            self.send_header("Location", more[0])
        answer = b"{}"
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver)
if certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
