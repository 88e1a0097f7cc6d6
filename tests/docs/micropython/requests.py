# requests.py - as firmware has it: get and post, and a few things of an answer
import json as _json
import _board


class Response:
    def __init__(self, status_code, text):
        self.status_code = status_code
        self.text = text
        self.content = text.encode()

    def json(self):
        return _json.loads(self.text)

    def close(self):
        pass


def request(method, url, data=None, json=None, headers={}, timeout=60):
    headers = dict(headers)
    if json is not None:
        data = _json.dumps(json)
        headers["Content-Type"] = "application/json"
    said = _board.ask(method, url, _json.dumps(headers), data, timeout)
    if said == "error":
        raise OSError(110)
    status, text = said.split("\n", 1)
    return Response(int(status), text)


def get(url, **more):
    return request("GET", url, **more)


def post(url, **more):
    return request("POST", url, **more)
