"""holdfast.py - Holdfast for Python, in one file; Python 3.7 or later, nothing else

MIT License, Copyright (c) 2026 The Holdfast authors

    from holdfast import Holdfast
    holdfast = Holdfast("/home/me/journal")

    holdfast.publish("room:lobby", "new_msg", {"body": "hello"})
    token = holdfast.token("alice", {"room:*": ["join", "publish"]})
    page = holdfast.page("room:lobby", 50)      # page["cursor"], page["messages"]
    application = holdfast.wsgi(lambda call: {"status": "ok"})      # answers hooks

With the journal directory it works on the journal itself, by SQL, and has to run
as the user who owns the directory. With a URL, Holdfast("https://example.com/socket",
token=token), it publishes over HTTP, from anywhere, with what the token allows.

What goes wrong is a HoldfastError: its text is for people, `reason` for programs.
docs/PUBLISHING.md shows all of it at work. One object may serve many threads.
"""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import random
import re
import secrets
import sqlite3
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

__all__ = ["Holdfast", "HoldfastError"]

MANY = 1000             # messages of one publish_many
DEPTH = 128             # arrays and objects inside each other
ANSWER_MAX = 8 << 20    # bytes of an answer over HTTP
HOOK_MAX = 4 << 20      # bytes of a hook's request
HOOK_AGE = 300          # seconds that its clock may differ


class HoldfastError(Exception):
    """Something was not done. Nothing was published, unless `reason` says otherwise.

    Reasons are the words of the protocol (docs/PROTOCOL.md P-15.1) for both ways:
    "busy", "rate_limited", "journal_full": the same again later may work; "refused by
    the journal", "payload too large", "key_reused", "unauthorized", ...: not as it is.
    "no answer": nobody knows; repeat it with the same key. Ours: "setup", something
    on this machine is not as it must be; "signature", of a hook.
    """

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


class Holdfast:
    def __init__(self, where="", *, token="", timeout=5, publisher="application", keys="", secret=""):
        """`where` is the journal directory, or the URL of the mount. Without it the
        directory is looked for as the gateway does: HOLDFAST_DIR, the file .htholdfast
        beside this file, then ~/holdfast.

        token: who we are over HTTP; timeout: seconds that a call may take; publisher:
        within which keys are unique when publishing by SQL; keys, secret: paths of
        keys.json and hook_secret where they are not in the journal directory.
        """
        self._where = str(where).rstrip("/") or str(where)
        self._bearer, self._timeout, self._publisher = token, timeout, publisher
        self._keys, self._secret = keys, secret
        self._thread = threading.local()

    # --- publish ---------------------------------------------------------------

    def publish(self, topic, event, payload=None, *, key=None, skip=None):
        """A message to everybody who has joined `topic`; returns its cursor when it is
        on disk. The payload is anything json.dumps takes, {} if it is None, or bytes.

        key, a text: the same again, with the same key, changes nothing and returns the
        first one's cursor, so repeat it after "no answer" or when the script was
        interrupted. skip, by SQL only: the id of a client that does not get it.
        """
        payload = {} if payload is None else payload
        return self.publish_many([dict(topic=topic, event=event, payload=payload, key=key, skip=skip)])[0]

    def publish_many(self, messages):
        """Many at once, in this order, all of them or none; each is a dict of topic,
        event, payload and, if wanted, key and skip. Returns their cursors."""
        messages = [_checked(message) for message in messages]
        if len(messages) > MANY:
            raise HoldfastError("too many lines", "%d messages at once, not more" % MANY)
        if not messages:
            return []
        return self._post(messages) if self._is_url() else self._insert(messages)

    def disconnect(self, user):
        """End all connections of a user, now. They may come back with a valid token."""
        return self.publish("user_socket:" + user, "disconnect")

    # --- pages -----------------------------------------------------------------

    def page(self, topic, last=50, event=None):
        """What a page shows, and where it goes on live: {"cursor", "messages"}.

        The newest `last` messages of a topic (1,000 at most), the oldest of them first,
        each with cursor, topic, event, payload and `at`, milliseconds since 1970; and
        the cursor that the page's program joins with, `since`. With `event` only
        messages of that name.
        """
        if not 0 <= last <= 1000:
            raise HoldfastError("invalid last", "last: 0 to 1000")
        if not _is_utf8(topic + (event or "")):
            raise HoldfastError("malformed", "topic, event: texts are needed, which UTF-8 can say")
        return self._page_by_http(topic, last, event) if self._is_url() else self._page_by_sql(topic, last, event)

    def cursor(self, topic=""):
        """The cursor of now, for a page whose data is in a database of your own: read
        this first and the data after it, then nothing is missed. By URL say a topic
        that may be followed."""
        return self.page(topic, 0)["cursor"] if self._is_url() else _head(self._database())

    def _page_by_sql(self, topic, last, event):
        with _Transaction(self._database(), "BEGIN") as db:
            cursor = _head(db)
            rows = db.execute(
                "SELECT id, topic, event, payload, kind, at FROM messages"
                " WHERE topic = ?1 AND (?2 IS NULL OR event = ?2) ORDER BY id DESC LIMIT ?3",
                (topic, event, last)).fetchall()
        messages = []
        for id_, topic, event, payload, kind, at in reversed(rows):
            try:
                payload = bytes(payload) if kind else _read_json(payload)
            except ValueError:
                continue  # no reader delivers such a row
            messages.append(dict(cursor=_place(cursor, id_), topic=topic.decode(), event=event.decode(),
                                 payload=payload, at=at))
        return dict(cursor=cursor, messages=messages)

    def _page_by_http(self, topic, last, event):
        query = dict(topic=topic, hold=0)
        if last:
            query["last"] = last
        messages = []
        while True:  # an answer has 500 messages at most, and a page 1,000
            answer = self._http("GET", "/events?" + urllib.parse.urlencode(query))
            for message in answer["messages"]:
                if event is None or message["event"] == event:
                    messages.append(dict(message, payload=_bytes_of(message["payload"])))
            if not last or not answer.get("more") or len(messages) >= last:
                return dict(cursor=answer["cursor"], messages=messages[-last:] if last else [])
            query = dict(topic=topic, hold=0, since=answer["cursor"])

    # --- tokens ----------------------------------------------------------------

    def token(self, user="", topics=None, seconds=3600):
        """A token for a visitor's page: who it is, what it may do besides what policies
        allow everybody, and for how long. topics: a pattern, which is a topic or a
        prefix and one *, with a list of join, publish and presence. "" as user is
        somebody without a name."""
        topics = {pattern: [rights] if isinstance(rights, str) else list(rights)
                  for pattern, rights in (topics or {}).items()}
        for pattern, rights in topics.items():
            if not rights or set(rights) - {"join", "publish", "presence"}:
                raise HoldfastError("setup", "rights of %s: a list of join, publish, presence" % pattern)
        if not _is_utf8(user) or len(user.encode()) > 128 or re.search("[\x00-\x1f\x7f]", user) or seconds < 1:
            raise HoldfastError("setup", "a token has a user of at most 128 bytes of UTF-8 without control"
                                " characters, and seconds to live")
        now = int(time.time())
        claims = dict(iat=now, exp=now + int(seconds), topics=topics)
        return _sign(dict(claims, sub=user) if user else claims, self._key())

    def _key(self):
        """The first secret of keys.json, which is the one that signs."""
        path = self._keys or os.path.join(self.directory(), "keys.json")
        try:
            for key in json.loads(_contents(path).decode())["keys"]:
                if key.get("kty") == "oct":
                    return key
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        raise HoldfastError("setup", "%s: no key for HS256; `holdfast token --add-key HS256` makes one" % path)

    # --- hooks -----------------------------------------------------------------

    def call(self, body, signature):
        """What Holdfast asks (docs/HOOKS.md), if the signature of this body, which are
        bytes, is right; else a HoldfastError. Bytes are bytes in it, too."""
        secret = _contents(self._secret or os.path.join(self.directory(), "hook_secret")).strip()
        found = re.match(r"t=([0-9]{1,15}),v1=([0-9a-f]{64})\Z", signature or "")
        right = found and secret and len(body) <= HOOK_MAX and abs(time.time() - int(found.group(1))) <= HOOK_AGE
        if right:
            wanted = hmac.new(secret, found.group(1).encode() + b"." + body, hashlib.sha256).hexdigest()
            right = hmac.compare_digest(wanted, found.group(2))
        try:
            call = _read_json(body) if right else None
        except ValueError:
            call = None
        if not isinstance(call, dict) or not isinstance(call.get("hook"), str):
            raise HoldfastError("signature", "a request that Holdfast has not signed with this secret")
        if "payload" in call:
            call["payload"] = _bytes_of(call["payload"])
        return call

    @staticmethod
    def reply(answer):
        """The body of an answer, from the dict that docs/HOOKS.md describes; a response
        or payload may be bytes."""
        answer = dict(answer or {})
        if "response" in answer:
            answer["response"] = _with_bytes(answer["response"])
        if "actions" in answer:
            answer["actions"] = [dict(action, payload=_with_bytes(action["payload"])) if "payload" in action
                                 else action for action in answer["actions"]]
        return _json(answer).encode()

    def wsgi(self, decide):
        """An application for WSGI that answers hooks: decide(call) gets what is asked
        and returns the answer, a dict. Who does not know the secret gets 403; what
        `decide` raises goes to the server's log, and the client gets an error."""

        def application(environ, start_response):
            try:
                length = min(int(environ.get("CONTENT_LENGTH") or 0), HOOK_MAX + 1)
            except ValueError:
                length = 0
            status, answer = "200 OK", b""
            try:
                call = self.call(environ["wsgi.input"].read(length), environ.get("HTTP_HOLDFAST_SIGNATURE"))
                answer = self.reply(decide(call))
            except Exception as error:  # whatever it is: the server goes on
                ours = isinstance(error, HoldfastError)
                status = "403 Forbidden" if ours and error.reason == "signature" else "500 Internal Server Error"
                print("holdfast: %s: %s" % (type(error).__name__, error), file=environ["wsgi.errors"])
            start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store"),
                                    ("Content-Length", str(len(answer)))])
            return [answer]

        return application

    # --- by SQL ----------------------------------------------------------------

    def _insert(self, messages):
        if os.path.exists(os.path.join(self.directory(), "failed")):
            raise HoldfastError("journal_failed", "the disk has lost a write; run `holdfast check --rescue`")
        rows = []
        for m in messages:  # encoded before anybody else has to wait for us
            binary = isinstance(m["payload"], (bytes, bytearray))
            rows.append((m["topic"], m["event"], m["payload"] if binary else _json(m["payload"]), int(binary),
                         None if m["key"] is None else self._publisher, m["key"], m["skip"]))
        cursors = []
        with _Transaction(self._database(), "BEGIN IMMEDIATE") as db:
            head = _head(db)
            for row in rows:
                done = db.execute("INSERT INTO messages (topic, event, payload, kind, publisher, key, skip)"
                                  " VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                id_ = done.lastrowid
                if row[5] is not None:  # a repeat inserts nothing: ask for the first one
                    (id_,) = db.execute("SELECT id FROM messages WHERE publisher = ? AND key = ?", row[4:6]).fetchone()
                cursors.append(_place(head, id_))
        return cursors

    def _database(self):
        """A connection of this thread's own; a new one after a restore, which puts
        another file there, and after a fork."""
        path = os.path.join(self.directory(), "journal.db")
        try:
            stat = os.stat(path)
        except OSError:
            raise HoldfastError("setup", "%s: there is no journal, or it cannot be reached%s"
                                % (path, _who_we_are())) from None
        now = (path, stat.st_dev, stat.st_ino, os.getpid())
        if getattr(self._thread, "opened", None) != now:
            with _Said():
                db = sqlite3.connect(pathlib.Path(path).absolute().as_uri() + "?mode=rw", uri=True,
                                     timeout=self._timeout, isolation_level=None)
            db.text_factory = bytes  # a row may hold what is no UTF-8
            self._thread.db, self._thread.opened = db, now
        return self._thread.db

    # --- over HTTP -------------------------------------------------------------

    def _is_url(self):
        return re.match("https?://", self._where, re.I) is not None

    def _post(self, messages):
        """Each line has a key, so that it may be sent again whatever has happened."""
        lines = []
        for m in messages:
            if m["skip"] is not None:
                raise HoldfastError("malformed", "skip: by SQL only")
            line = dict(topic=m["topic"], event=m["event"], payload=_with_bytes(m["payload"]),
                        key=secrets.token_urlsafe(16) if m["key"] is None else m["key"])
            lines.append(_json(line, 1) + "\n")
        cursors = self._http("POST", "/publish", "".join(lines).encode()).get("cursors")
        if not isinstance(cursors, list) or len(cursors) != len(messages):
            raise HoldfastError("no answer", "an answer without cursors: is this the URL of the mount?")
        return cursors

    def _http(self, method, path, body=None):
        """Asks until there is an answer or the time is over. Only what is safe to send
        again comes here."""
        until = time.monotonic() + self._timeout
        pause = 0.1
        while True:
            left = until - time.monotonic()
            status, wait, text = self._ask(method, self._where + path, body, max(0.1, left))
            try:
                answer = _read_json(text)
            except ValueError:
                answer = None
            if status == 200 and isinstance(answer, dict):
                return answer
            wait = max(wait, pause * random.uniform(0.5, 1))
            again = status in (0, 200, 408, 429) or status >= 500
            if not again or time.monotonic() + wait >= until:
                raise _refusal(status, answer, text)
            time.sleep(wait)
            pause *= 2

    def _ask(self, method, url, body, timeout):
        """One request: its status, 0 for none, the seconds of Retry-After, the body;
        without an answer why there is none."""
        until = time.monotonic() + timeout
        headers = {"Content-Type": "application/x-ndjson", "Accept": "application/json"}
        if self._bearer:
            headers["Authorization"] = "Bearer " + self._bearer
            headers["X-Phoenix-AuthToken"] = self._bearer  # some web servers keep the other from programs
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        try:
            try:
                answer = _opener.open(request, timeout=timeout)
            except urllib.error.HTTPError as error:
                answer = error  # a refusal is an answer
            with answer:
                wait = answer.headers.get("Retry-After", "")
                # its timeout is one for each read: this is the one for all of them
                text, part = b"", b" "
                while part and len(text) < ANSWER_MAX and time.monotonic() < until:
                    part = answer.read1(65536)
                    text += part
                return answer.getcode(), int(wait) if wait.isdigit() else 0, text
        except Exception as error:  # sockets, TLS and http.client have many kinds
            return 0, 0, str(getattr(error, "reason", error)).encode()

    # --- the journal directory -------------------------------------------------

    def directory(self):
        """Where it is."""
        if not self._where:
            self._where = _found()
        if self._is_url():
            raise HoldfastError("setup", "this needs the journal directory, and there is a URL only")
        return self._where


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # a POST would become a GET


_opener = urllib.request.build_opener(_NoRedirect)


# --- the journal as SQL ----------------------------------------------------------

class _Transaction:
    """`with` one transaction, which is never left open; SQLite's errors in our words."""

    def __init__(self, db, begin):
        self._db, self._begin = db, begin

    def __enter__(self):
        with _Said():
            self._db.execute(self._begin)
        return self._db

    def __exit__(self, kind, error, trace):
        if error is None:
            try:
                with _Said():
                    self._db.execute("COMMIT")
                return
            except HoldfastError:
                self._end()
                raise
        self._end()
        _Said().__exit__(kind, error, trace)

    def _end(self):
        try:
            self._db.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # SQLite has ended it already


class _Said:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if not isinstance(error, sqlite3.Error):
            return
        reasons = (("is locked", "busy"), ("is full", "journal_full"), ("disk I/O error", "journal_failed"),
                   ("malformed", "journal_failed"), ("not a database", "journal_failed"), ("", "setup"))
        if isinstance(error, sqlite3.IntegrityError):
            reasons = (("key: used before", "key_reused"), ("payload: longer", "payload too large"),
                       ("", "refused by the journal"))
        words = str(error)
        reason = next(reason for part, reason in reasons if part in words)
        raise HoldfastError(reason, words + (_who_we_are() if reason == "setup" else "")) from error


def _head(db):
    with _Said():
        epoch, seq = db.execute("SELECT (SELECT value FROM meta WHERE name = 'epoch'), seq"
                                " FROM sqlite_sequence WHERE name = 'messages'").fetchone()
    return "j:%s.%d" % (_base64url(bytes.fromhex(epoch.decode())), seq)


def _place(cursor, id_):
    return "%s.%d" % (cursor[:cursor.index(".")], id_)


# --- what is published, either way -----------------------------------------------

def _checked(message):
    known = {"topic", "event", "payload", "key", "skip"}
    for name, value in message.items():
        if name not in known:
            raise HoldfastError("malformed", "a message has no %s" % name)
        if name != "payload" and not (value is None and name in ("key", "skip")):
            if not isinstance(value, str) or not _is_utf8(value):
                raise HoldfastError("malformed", "%s: a text is needed, which UTF-8 can say" % name)
    for name in ("topic", "event", "payload"):
        if name not in message:
            raise HoldfastError("malformed", "a message needs its %s" % name)
    return dict(dict(key=None, skip=None), **message)


def _is_utf8(text):
    try:
        text.encode()
    except UnicodeEncodeError:  # half of an emoji
        return False
    return True


def _json(value, around=0):
    """around: arrays and objects of ours that are around what is yours."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise HoldfastError("malformed", "JSON: %s" % error) from error
    if not _is_utf8(text):
        raise HoldfastError("malformed", "JSON: half a surrogate pair")
    if _levels(value) > DEPTH + around:
        raise HoldfastError("malformed", "JSON: more than %d levels" % DEPTH)
    return text


def _levels(value):
    levels, row = 0, [value]
    while True:
        row = [each for each in row if isinstance(each, (dict, list, tuple))]
        if not row:
            return levels
        levels += 1
        row = [each for one in row for each in (one.values() if isinstance(one, dict) else one)]


def _read_json(text):
    """A ValueError if it is none, or nothing that UTF-8 can say."""
    try:
        value = json.loads(text.decode())
    except RecursionError as error:
        raise ValueError(str(error)) from error
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _bytes_of(payload):
    """{"_binary": "..."} is how JSON says bytes."""
    if isinstance(payload, dict) and list(payload) == ["_binary"] and isinstance(payload["_binary"], str):
        try:
            return base64.b64decode(payload["_binary"], validate=True)
        except ValueError:
            pass
    return payload


def _with_bytes(payload):
    if isinstance(payload, (bytes, bytearray)):
        return {"_binary": base64.b64encode(payload).decode()}
    return payload


def _base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _sign(claims, key):
    head = {"alg": "HS256", "typ": "JWT"}
    if "kid" in key:
        head["kid"] = key["kid"]
    token = "%s.%s" % (_base64url(_json(head).encode()), _base64url(_json(claims).encode()))
    secret = base64.urlsafe_b64decode(key["k"] + "=" * (-len(key["k"]) % 4))
    return "%s.%s" % (token, _base64url(hmac.new(secret, token.encode(), hashlib.sha256).digest()))


def _refusal(status, answer, text):
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict) and isinstance(error.get("reason"), str):
        line = "message %s: " % error["line"] if "line" in error else ""
        return HoldfastError(error["reason"], line + str(error.get("message", error["reason"])))
    if status == 0:
        return HoldfastError("no answer", "no answer over HTTP: " + text.decode(errors="replace"))
    return HoldfastError("no answer", "status %d of HTTP, and no answer of Holdfast: is this the URL of the mount?"
                         % status)


# --- where the journal is --------------------------------------------------------

def _found():
    said = os.environ.get("HOLDFAST_DIR")
    if said:
        return _expanded(said)
    folder = os.path.dirname(os.path.abspath(__file__))
    if os.path.exists(os.path.join(folder, ".htholdfast")):
        return _said_by(folder)
    if os.path.isfile(os.path.join(_home(), "holdfast", "journal.db")):
        return os.path.join(_home(), "holdfast")
    raise HoldfastError("setup", "which journal directory? Say it, or put the line `dir = PATH` into %s"
                        % os.path.join(folder, ".htholdfast"))


def _said_by(folder):
    path = os.path.join(folder, ".htholdfast")
    stat = os.stat(path)
    if stat.st_mode & 0o2 or stat.st_uid not in (0, os.geteuid(), os.stat(folder).st_uid):
        raise HoldfastError("setup", "%s: others may write it" % path)
    found = re.match(rb"\s*dir[ \t]*=[ \t]*([^\s\n]|[^\s\n][^\n]*[^\s\n])\s*\Z", _contents(path))
    if not found:
        raise HoldfastError("setup", "%s: one line `dir = PATH` is needed" % path)
    return os.path.join(folder, _expanded(os.fsdecode(found.group(1))))


def _expanded(path):
    return _home() + path[1:] if path.startswith("~/") else path


def _home():
    """Of the account: web servers hand on the HOME of whoever started them."""
    home = os.environ.get("HOME", "")
    try:
        if home and os.stat(home).st_uid == os.geteuid():
            return home.rstrip("/")
    except OSError:
        pass
    return (_account() or ("",) * 6)[5].rstrip("/")


def _account():
    try:
        import pwd  # not where publishing goes by HTTP only: on Windows
        return pwd.getpwuid(os.geteuid())
    except (ImportError, KeyError):
        return None


def _who_we_are():
    """What is wrong with a directory is mostly whose it is."""
    account = _account()
    return " (this runs as %s)" % account[0] if account else ""


def _contents(path):
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError as error:
        raise HoldfastError("setup", "%s cannot be read: %s%s" % (path, error.strerror, _who_we_are())) from None
