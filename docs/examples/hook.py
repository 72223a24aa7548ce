"""A receiver of webhooks: checks each message with the library of Standard Webhooks, and notes what became of payments, once each.

hook.py PORT SECRET NOTES
"""

import http.server
import sys

from standardwebhooks import Webhook, WebhookVerificationError

port, secret, notes = sys.argv[1:]
# Kept with the notes, in one transaction, where a shop has a database.
known = set()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            events = Webhook(secret).verify(body, dict(self.headers))
        except WebhookVerificationError:
            return self.answer(400)
        # What is answered 2xx never comes again by itself: it has to be kept before.
        with open(notes, "a", encoding="utf-8") as out:
            for event in events:
                name = (event["source"], event["id"])
                if name not in known:
                    data = event["data"]
                    reference = data.get("payment_ref") or data.get("ref") or "-"
                    out.write(f"{event['type']} {data.get('user_id', '-')} {reference}\n")
                    known.add(name)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", int(port)), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
