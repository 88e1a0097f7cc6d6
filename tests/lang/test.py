"""test.py - lang/python/holdfast.py on a journal, beside the command line

    python3 test.py FOLDER-OF-THE-MODULE JOURNAL-DIRECTORY
"""
import base64
import hashlib
import hmac
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import traceback

library, journal = sys.argv[1:3]
sys.dont_write_bytecode = True
sys.path.insert(0, library)
from holdfast import Holdfast, HoldfastError  # noqa: E402

os.environ["HOLDFAST_DIR"] = journal
holdfast = Holdfast(journal)
STRANGE = "it's \"é\" \U0001f600\u2028<b>\\"
count = failed = 0


def t(sentence):
    """@t("a sentence that is true") runs the function below it."""
    def run_it(body):
        global count, failed
        count += 1
        try:
            body()
            print("ok %d - %s" % (count, sentence))
        except Exception:
            failed += 1
            print("not ok %d - %s" % (count, sentence))
            print("".join("# %s\n" % line for line in traceback.format_exc().splitlines()), end="")
    return run_it


def is_(got, wanted):
    if got != wanted or type(got) is not type(wanted):
        raise AssertionError("got %r, wanted %r" % (got, wanted))


def refused(reason, words, body, *args, **more):
    try:
        body(*args, **more)
    except HoldfastError as error:
        is_(error.reason, reason)
        if words not in str(error):
            raise AssertionError("said: %s" % error) from error
        return
    raise AssertionError("it was not refused: %s" % reason)


def run(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, **more)
    if done.returncode:
        raise AssertionError("%r ends with %d: %r" % (command, done.returncode, done.stdout))
    return done.stdout.decode().rstrip("\n")


def kept(topic):
    lines = run("holdfast", "tail", "--once", topic).split("\n")
    return [json.loads(line) for line in lines if line]


def payloads(topic):
    return [row["payload"] for row in kept(topic)]


def sql(text):
    return run("sqlite3", journal + "/journal.db", text)


def nested(levels):
    return [nested(levels - 1)] if levels else 1


# --- publish -----------------------------------------------------------------

@t("a message is kept, and its cursor returned")
def _():
    cursor = holdfast.publish("room:a", "new_msg", {"body": STRANGE})
    (row,) = kept("room:a")
    is_((row["cursor"], row["event"], row["payload"]), (cursor, "new_msg", {"body": STRANGE}))


@t("a payload is any JSON; without one it is {}, and bytes are bytes")
def _():
    for payload in ("text", 1.5, 7, True, [1, 2], [], {}, None, b"\0\xff'"):
        holdfast.publish("room:any", "e", payload)
    rows = sql("SELECT kind || CASE kind WHEN 1 THEN hex(payload) ELSE payload END FROM messages"
               " WHERE topic = 'room:any' ORDER BY id").splitlines()
    is_(rows, ['0"text"', "01.5", "07", "0true", "0[1,2]", "0[]", "0{}", "0{}", "100FF27"])


@t("many are published in their order, or none")
def _():
    def one(n):
        return dict(topic="room:many", event="n", payload=n)
    cursors = holdfast.publish_many(one(n) for n in range(500))
    is_(payloads("room:many"), list(range(500)))
    is_([row["cursor"] for row in kept("room:many")], cursors)
    refused("refused by the journal", "topic: a text is needed", holdfast.publish_many,
            [one(501), dict(topic="", event="n", payload=1), one(502)])
    is_(len(kept("room:many")), 500)
    is_(holdfast.publish_many([]), [])
    refused("too many lines", "1000", holdfast.publish_many, map(one, range(1001)))


@t("the same key again changes nothing and gives the first cursor")
def _():
    first = holdfast.publish("orders", "paid", {"order": 1}, key="paid-1")
    holdfast.publish("orders", "other", 2)
    is_(holdfast.publish("orders", "paid", {"order": 1}, key="paid-1"), first)
    is_(len(kept("orders")), 2)
    refused("key_reused", "used before", holdfast.publish, "orders", "paid", 3, key="paid-1")
    Holdfast(journal, publisher="billing").publish("orders", "paid", 4, key="paid-1")
    is_(len(kept("orders")), 3)


@t("what is wrong is refused with a reason and the words of the journal")
def _():
    loop = []
    loop.append(loop)
    refused("refused by the journal", "event: phx_*", holdfast.publish, "room:w", "phx_reply", 1)
    refused("refused by the journal", "longer than 200 bytes", holdfast.publish, "x" * 201, "e", 1)
    refused("payload too large", "max_payload", holdfast.publish, "room:w", "e", "x" * 70000)
    refused("malformed", "topic: a text", holdfast.publish, "room:\ud83d", "e", 1)
    refused("malformed", "topic: a text", holdfast.publish, b"room:w", "e", 1)
    refused("malformed", "surrogate", holdfast.publish, "room:w", "e", {"body": "\ud83d"})
    refused("malformed", "JSON", holdfast.publish, "room:w", "e", float("nan"))
    refused("malformed", "JSON", holdfast.publish, "room:w", "e", loop)
    refused("malformed", "JSON", holdfast.publish, "room:w", "e", {"body": b"bytes"})
    refused("malformed", "no kez", holdfast.publish_many, [dict(topic="t", event="e", payload=1, kez="k")])
    refused("malformed", "needs its payload", holdfast.publish_many, [dict(topic="t", event="e")])
    is_(kept("room:w"), [])


@t("128 levels are delivered, 129 refused")
def _():
    holdfast.publish("room:deep", "e", nested(128))
    refused("malformed", "128 levels", holdfast.publish, "room:deep", "e", nested(129))
    refused("malformed", "JSON", holdfast.publish, "room:deep", "e", nested(900))
    is_(payloads("room:deep"), [nested(128)])


@t("skip is kept, and disconnect says what holdfast disconnect says")
def _():
    holdfast.publish("room:skip", "e", 1, skip="client-1")
    is_(sql("SELECT skip FROM messages WHERE topic = 'room:skip'"), "client-1")
    holdfast.disconnect("alice")
    run("holdfast", "disconnect", "alice")
    is_(sql("SELECT event || payload FROM messages WHERE topic = 'user_socket:alice'"), "disconnect{}\ndisconnect{}")


# --- when the journal is busy, away or another one -----------------------------

@t("it waits for its turn as long as it was told to")
def _():
    other = sqlite3.connect(journal + "/journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    refused("busy", "locked", Holdfast(journal, timeout=1).publish, "room:busy", "e", 1)
    assert time.monotonic() - began > 0.7
    other.execute("COMMIT")
    holdfast.publish("room:busy", "e", 2)
    is_(payloads("room:busy"), [2])


@t("it publishes nothing while the disk has lost a write")
def _():
    open(journal + "/failed", "w").close()
    try:
        refused("journal_failed", "rescue", holdfast.publish, "room:failed", "e", 1)
    finally:
        os.unlink(journal + "/failed")
    holdfast.publish("room:failed", "e", 2)
    is_(payloads("room:failed"), [2])


@t("a journal that was put in the place of the open one is used from then on")
def _():
    run("holdfast", "init", journal + "-b")
    other = Holdfast(journal + "-b")
    before = other.publish("room:a", "e", 1)
    shutil.rmtree(journal + "-b")
    refused("setup", "no journal", other.publish, "room:a", "e", 2)
    assert not os.path.exists(journal + "-b")
    run("holdfast", "init", journal + "-b")
    assert other.publish("room:a", "e", 3).split(".")[0] != before.split(".")[0]


@t("threads and forks have connections of their own")
def _():
    holdfast.publish("room:many-hands", "e", "first")
    threads = [threading.Thread(target=holdfast.publish, args=("room:many-hands", "e", "thread")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    child = os.fork()
    if child == 0:
        try:
            holdfast.publish("room:many-hands", "e", "child")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    holdfast.publish("room:many-hands", "e", "last")
    is_(payloads("room:many-hands"), ["first"] + 4 * ["thread"] + ["child", "last"])


# --- pages ---------------------------------------------------------------------

@t("a page has the newest messages, the oldest first, and the cursor behind them")
def _():
    is_(holdfast.page("room:page")["messages"], [])
    cursors = [holdfast.publish("room:page", "odd" if n % 2 else "even", {"n": n}) for n in range(1, 6)]
    holdfast.publish("room:page", "odd", b"\0")
    page = holdfast.page("room:page", 4)
    is_([row["cursor"] for row in page["messages"]], cursors[2:] + [page["cursor"]])
    is_([row["payload"] for row in page["messages"]], [{"n": 3}, {"n": 4}, {"n": 5}, b"\0"])
    is_((page["messages"][0]["topic"], page["messages"][0]["event"]), ("room:page", "odd"))
    assert abs(page["messages"][0]["at"] - time.time() * 1000) < 600000
    is_([row["payload"] for row in holdfast.page("room:page", 9, "even")["messages"]], [{"n": 2}, {"n": 4}])
    is_(holdfast.cursor(), page["cursor"])
    holdfast.publish("room:page", "odd", 6)
    went_on = run("holdfast", "tail", "--once", "--since", page["cursor"], "room:page")
    is_(json.loads(went_on)["payload"], 6)
    refused("invalid last", "", holdfast.page, "room:page", 1001)


@t("a page passes over what no reader delivers")
def _():
    holdfast.publish("room:torn", "e", 1)
    sql("INSERT INTO messages (topic, event, payload) VALUES ('room:torn', 'e', '\"\\ud800\"'),"
        " ('room:torn', 'e', CAST(x'22ff22' AS TEXT))")
    is_([row["payload"] for row in holdfast.page("room:torn")["messages"]], [1])


# --- tokens ----------------------------------------------------------------------

@t("a token says who and what, and Holdfast takes it")
def _():
    token = holdfast.token("al'ice é", {"room:*": ["join", "publish"], "0": "presence"}, 60)
    said = run("holdfast", "token", "--inspect", token)
    for part in ("al\\'ice é", "room:*", '"join","publish"', '["presence"]'):
        assert part in said or part.replace("\\", "") in said, said
    run("holdfast", "token", "--inspect", holdfast.token(seconds=60))
    run("holdfast", "token", "--inspect", holdfast.token("bob"))


@t("a token is signed with the newest secret")
def _():
    run("holdfast", "token", "--add-key", "EdDSA", "--kid", "e1")  # passed over: not one of ours
    run("holdfast", "token", "--inspect", holdfast.token("bob"))
    run("holdfast", "token", "--add-key", "HS256", "--kid", "new")
    token = holdfast.token("bob")
    run("holdfast", "token", "--inspect", token)
    is_(json.loads(base64.b64decode(token.split(".")[0] + "=="))["kid"], "new")


@t("a slip in what a token allows is refused")
def _():
    refused("setup", "rights of room:*", holdfast.token, "bob", {"room:*": ["jion"]})
    refused("setup", "rights of room:*", holdfast.token, "bob", {"room:*": []})
    for user in ("a\nb", "\ud800"):
        refused("setup", "control characters", holdfast.token, user)
    refused("malformed", "UTF-8", holdfast.page, "\ud800")
    refused("setup", "128 bytes", holdfast.token, "é" * 65)
    refused("setup", "seconds", holdfast.token, "bob", seconds=0)


@t("keys can lie elsewhere, and then no journal is needed")
def _():
    shutil.copy(journal + "/keys.json", "copied.json")
    away = Holdfast("https://example.com/socket", keys="copied.json")
    run("holdfast", "token", "--inspect", away.token("bob"))
    for text in ('{"keys":[]}', "{}", "[]", "no"):
        with open("copied.json", "w") as file:
            file.write(text)
        refused("setup", "--add-key HS256", away.token, "bob")
    os.unlink("copied.json")
    refused("setup", "copied.json cannot be read", away.token, "bob")


# --- hooks -------------------------------------------------------------------------

with open(journal + "/hook_secret", "rb") as secret_file:
    SECRET = secret_file.read().strip()


def signed(body, secret=SECRET, at=None):
    at = int(at or time.time())
    return "t=%d,v1=%s" % (at, hmac.new(secret, b"%d." % at + body, hashlib.sha256).hexdigest())


@t("a call is taken from who knows the secret, and now")
def _():
    body = b'{"hook":"push","payload":{"_binary":"AP8="}}'
    is_(holdfast.call(body, signed(body)), {"hook": "push", "payload": b"\0\xff"})
    for text, signature in (
            (body + b" ", signed(body)), (body, signed(body, b"x")), (body, signed(body, at=time.time() - 400)),
            (body, signed(body, at=time.time() + 400)), (body, ""), (body, None), (body, signed(body) + "\n"),
            (b"x", signed(b"x")), (b"{}", signed(b"{}")), (b"\xff", signed(b"\xff"))):
        refused("signature", "", holdfast.call, text, signature)
    open("empty", "w").close()
    refused("signature", "", Holdfast(journal, secret="empty").call, body, signed(body, b""))


@t("an answer says bytes as JSON does")
def _():
    is_(holdfast.reply(None), b"{}")
    is_(holdfast.reply({"status": "ok", "response": b"\0", "actions": [
        {"do": "push", "event": "b", "payload": b"\0\xff"}, {"do": "reply"}]}),
        b'{"status":"ok","response":{"_binary":"AA=="},"actions":[{"do":"push","event":"b",'
        b'"payload":{"_binary":"AP8="}},{"do":"reply"}]}')


def ask(application, body, signature):
    said, errors = [], io.StringIO()
    environ = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), "wsgi.errors": errors,
               "HTTP_HOLDFAST_SIGNATURE": signature}
    answer = b"".join(application(environ, lambda status, headers: said.append(status)))
    return said[0][:3], answer, errors.getvalue()


@t("the application for WSGI answers, refuses strangers and survives its mistakes")
def _():
    def decide(call):
        return {"status": "ok", "response": {"you said": call["payload"]}} if call["hook"] == "push" else 1 / 0
    application = holdfast.wsgi(decide)
    push, join = b'{"hook":"push","payload":1}', b'{"hook":"join"}'
    is_(ask(application, push, signed(push)), ("200", b'{"status":"ok","response":{"you said":1}}', ""))
    is_(ask(application, push, signed(join))[:2], ("403", b""))
    status, answer, errors = ask(application, join, signed(join))
    is_((status, answer), ("500", b""))
    assert "ZeroDivisionError" in errors


# --- where the journal is ---------------------------------------------------------------

def found(**env):
    with_env = {name: value for name, value in os.environ.items() if name != "HOLDFAST_DIR"}
    return run(sys.executable, "-B", "-c", "import holdfast\ntry: print(holdfast.Holdfast().directory())\n"
               "except holdfast.HoldfastError as error: print(error)", cwd="found", env=dict(with_env, **env))


@t("the directory is found as the gateway finds it")
def _():
    here = os.getcwd()
    home = here + "/pyhome"
    os.makedirs("found")
    os.makedirs(home + "/holdfast")
    shutil.copy(library + "/holdfast.py", "found")
    assert "which journal directory?" in found(HOME=home)
    open(home + "/holdfast/journal.db", "w").close()
    is_(found(HOME=home), home + "/holdfast")
    is_(found(HOLDFAST_DIR="~/said", HOME=home), home + "/said")
    for path, wanted in (("/writ ten", "/writ ten"), ("below", here + "/found/below"), ("~/there", home + "/there")):
        with open("found/.htholdfast", "w") as file:
            file.write("dir = %s\n" % path)
        is_(found(HOME=home), wanted)
    is_(found(HOLDFAST_DIR="/said"), "/said")
    for wrong in ("dir =\n", "x = y\n", "dir = a\ndir = b\n", ""):
        with open("found/.htholdfast", "w") as file:
            file.write(wrong)
        assert "one line" in found(), wrong
    os.chmod("found/.htholdfast", 0o666)
    assert "others may write it" in found()


@t("what is missing on this machine is said")
def _():
    refused("setup", "no journal", Holdfast("/nowhere").publish, "room:a", "e", 1)
    refused("setup", "URL only", Holdfast("https://example.com/socket").token, "a")


print("1..%d" % count)
sys.exit(1 if failed or not count else 0)
