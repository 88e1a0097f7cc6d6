#!/usr/bin/env python3
"""The application that stood behind the recorded Phoenix server, as a hook.

usage: app.py --secret-file FILE [--port N]

Holdfast asks it over HTTP what to do with a connect, a join or a push
(docs/HOOKS.md); the answers are those of "The recorded application" in
README.md beside this file. It listens on 127.0.0.1, prints the URL to give as
hook_url, and ends when its standard input does. Python's standard library only.
"""

import argparse
import hashlib
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 16 << 20
MAX_AGE = 300  # seconds: an older signature is a repeated one


class Crash(Exception):
    """The application raises: the answer is an HTTP 500."""


# --- answers -----------------------------------------------------------------


def reply(response, status="ok", actions=()):
    answer = {"status": status, "response": response}
    if actions:
        answer["actions"] = list(actions)
    return answer


def okay(*actions):
    return reply({}, actions=actions)


def silent(*actions):
    """No reply: the answer has no status."""
    return {"actions": list(actions)} if actions else {}


def refuse(reason):
    return reply({"reason": reason}, "error")


def broadcast(event, payload):
    return {"do": "broadcast", "event": event, "payload": payload}


def push(event, payload):
    return {"do": "push", "event": event, "payload": payload}


# --- connect -----------------------------------------------------------------

def connect(request):
    params = request["socket"]["params"]
    reject = params.get("reject")
    if reject == "crash":
        raise Crash("connect")
    if reject in ("plain", "reason"):
        return refuse("rejected")
    # what room:who asks for: later hooks are told it in place of the parameters
    answer = reply({"auth_token": request.get("token"), "params": params})
    if "user_id" in params:
        answer["id"] = params["user_id"]
    return answer


# --- join --------------------------------------------------------------------


def join(request):
    topic, payload = request["topic"], request.get("payload")
    if topic == "room:deny":
        return refuse("unauthorized")
    if topic == "room:joincrash":
        raise Crash("join")
    if topic == "room:slow":
        time.sleep(0.4)
        return okay()
    if topic.startswith("room:hello"):
        return reply({"hello": "world", "params": payload})
    if topic.startswith("room:who"):
        return reply(request["socket"]["params"])  # as connect said
    if topic.startswith("room:pushonjoin"):
        return okay(push("welcome", {"a": 1}))
    if topic.startswith("room:presence"):
        # presence_state is sent by Holdfast itself, before this
        return okay({"do": "track", "key": payload["key"], "meta": payload["meta"]})
    if topic.startswith("room:") or topic == "exact":
        return okay()
    return refuse("unmatched topic")


# --- push --------------------------------------------------------------------

CRASH = {"do": "crash"}
STOP = {"do": "stop"}
REPLY = {"do": "reply"}  # the place of the reply among the actions


def late(payload):
    time.sleep(0.1)
    return reply(payload)


def intercepted(payload):
    """Phoenix lets each receiver's channel add this; here it is added once."""
    return silent(broadcast("intercepted", {**payload, "seen": True}))


def burst(payload):
    items = [push("item", {"i": i + 1}) for i in range(min(int(payload["n"]), 1000))]
    return okay(*items)


def presence(action, payload):
    change = {"do": action, "key": payload["key"]}
    if "meta" in payload:
        change["meta"] = payload["meta"]
    return okay(REPLY, change)


PUSHES = {
    "echo": reply,
    "ok": lambda _: okay(),
    "fail": lambda _: reply({"reason": "bad"}, "error"),
    "failbin": lambda payload: reply(payload, "error"),
    "custom": lambda _: reply({"a": 1}, "maybe"),
    "noreply": lambda _: silent(),
    "late": late,
    "shout": lambda payload: silent(broadcast("shout", payload)),
    "shout_ack": lambda payload: okay(broadcast("shout", payload)),
    "shout_others": lambda payload: okay(
        {"do": "broadcast_others", "event": "shout", "payload": payload}
    ),
    "intercepted": intercepted,
    "push_me": lambda payload: silent(push("pushed", payload)),
    "burst": burst,
    "crash": lambda _: silent(CRASH),
    "stop": lambda _: silent(STOP),
    "stop_reply": lambda _: reply({"bye": True}, actions=[REPLY, STOP]),
    "stop_abnormal": lambda _: silent(CRASH),
    "set_meta": lambda payload: presence("update", payload),
    "untrack": lambda payload: presence("untrack", payload),
}


def pushed(request):
    handler = PUSHES.get(request["event"])
    if handler is None:
        return silent(CRASH)  # no handler: the channel crashes
    return handler(request.get("payload"))


HOOKS = {"connect": connect, "join": join, "push": pushed, "leave": lambda _: {}}


def answer(request):
    return HOOKS[request["hook"]](request)


# --- HTTP --------------------------------------------------------------------


def signed(secret, header, body, now):
    """Whether `header` is t=<unix>,v1=<hex hmac-sha256(secret, t + "." + body)>."""
    try:
        fields = dict(part.split("=", 1) for part in header.split(","))
        at, given = fields["t"], fields["v1"]
        if abs(now - int(at)) > MAX_AGE:
            return False
    except (KeyError, ValueError):
        return False
    wanted = hmac.new(secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, given)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        if length > MAX_BODY:
            self.close_connection = True
            return self.respond(413, {"error": "too large"})
        body = self.rfile.read(length)
        signature = self.headers.get("Holdfast-Signature", "")
        if not signed(self.server.secret, signature, body, time.time()):
            return self.respond(401, {"error": "signature"})
        try:
            return self.respond(200, answer(json.loads(body)))
        except Crash as crash:
            return self.respond(500, {"error": f"{crash} raised"})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            print(f"app: {error!r} in {body[:500]!r}", file=sys.stderr, flush=True)
            return self.respond(500, {"error": "raised"})

    def respond(self, status, value):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--secret-file", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = Server(("127.0.0.1", options.port), Handler)
    with open(options.secret_file, "rb") as file:
        server.secret = file.read().strip()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}/", flush=True)
    sys.stdin.buffer.read()  # whoever started us keeps it open
    server.shutdown()


if __name__ == "__main__":
    main()
