"""app.py - an application behind hooks, as app.php is; prints its port"""
import os
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.environ["LIBRARY"]))
from holdfast import Holdfast  # noqa: E402


def decide(call):
    if call["hook"] == "join":
        if call["topic"] == "room:staff":
            return {"status": "error", "response": {"reason": "staff only"}}
        return {"status": "ok", "response": {}, "actions": [
            {"do": "track", "key": "k", "meta": {}},
            {"do": "push", "event": "welcome", "payload": {"to": call["topic"]}}]}
    if call["hook"] == "push":
        if call["event"] == "fail":
            raise RuntimeError("a mistake")
        if isinstance(call["payload"], bytes):
            return {"status": "ok", "response": call["payload"][::-1]}
        return {"status": "ok", "actions": [{"do": "broadcast", "event": "said", "payload": call["payload"]}]}
    return None


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


server = make_server("127.0.0.1", 0, Holdfast().wsgi(decide), handler_class=Quiet)
print(server.server_port, flush=True)
server.serve_forever()
