"""Reads what happened in a run of crash.mjs and says which promise it breaks.

    history.py JOURNAL-LOG EVENT-LOG...

The first file is written by audit.py, the others by whoever published and read; all are lines of JSON. What each reader
was given is judged by tests/model/checker.py; here is what that one cannot know: what was published, with which key and
which bytes, what the journal still holds, when a gap is allowed. Knows nothing of how the run was made.

From audit.py, in the order of the journal: `commit id,topic,uid,pub,key,epoch,sum,ms`; `trim topic,through,ms` before
rows up to there go, and `trimmed topic,through` of the table of that name; `epoch epoch,rows`; `kept rows` (the end; id
and uid), `integrity text`. From the others: `begin clients`; `sent uid,topic,pub,key,sum`; `acked uid,cursor,ms` (null:
answered without saying where); `joined client,topic,sess,cursor,since,gap,epoch,ms`; `deliver client,topic,sess,id,uid,
epoch,sum,ms`; `fault text` (a client got what the protocol forbids); `calm late_ms` (no more faults from here on:
three quarters of the rows are there within so long); `end client,topic,state,pushes`. `sum` is a digest of the payload's text.

Rules, beside those of checker.py: `unpublished`, `altered`, `key-twice`, `vanished`, `slipped-in`, `damaged`,
`gap-unfounded`, `reset-unfounded`, `fault`, `late`, `unheard` and `unmeasured` (nothing to judge, after `begin` or `calm`).
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "model"))
from checker import check  # noqa: E402

SLACK_MS = 1000  # between the clocks of one machine, and an event and its line
SHOWN = 8  # complaints of one rule


def load(paths):
    """All files as one trace; a place is file:line. A last line cut off by a kill does not count."""
    trace = []
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.endswith("\n"):
                    event = json.loads(line)
                    event["at"] = "%s:%d" % (os.path.basename(path), number)
                    trace.append(event)
    return trace


def spell_out_trims(trace):
    """checker.py wants the ids and uids that are gone with each trim, whoever did it."""
    here = {}
    for e in trace:
        if e["ev"] == "commit":
            here.setdefault(e["topic"], []).append((e["id"], e["uid"]))
        elif e["ev"] in ("trim", "trimmed"):
            gone = []
            for topic in [e["topic"]] if e["topic"] else list(here):
                gone += [r for r in here.get(topic, []) if r[0] <= e["through"]]
                here[topic] = [r for r in here.get(topic, []) if r[0] > e["through"]]
            e.update(ids=[i for i, _ in gone], uids=[u for _, u in gone])
        elif e["ev"] == "epoch":
            here = {}
            for i, topic, uid in e["rows"]:
                here.setdefault(topic, []).append((i, uid))


def check_journal(trace):
    """What the journal holds is what was sent, each key once, and nothing comes or goes by itself."""
    bad, sent, live, keys = [], {}, {}, {}
    for e in trace:
        if e["ev"] == "sent":
            sent[e["uid"]] = e
    for e in trace:
        if e["ev"] == "commit":
            s = sent.get(e["uid"])
            if s is None:
                bad.append(("unpublished", e["at"], "row %d, %s: nobody sent it" % (e["id"], e["uid"])))
            else:
                other = [n for n in ("topic", "pub", "key", "sum") if e[n] != s[n]]
                if other:
                    bad.append(("altered", e["at"], "row %d, %s: %s differs" % (e["id"], e["uid"], ", ".join(other))))
            k = (e["pub"], e["key"])
            if e["key"] is not None and k in keys:
                bad.append(("key-twice", e["at"], "key %s of %s: rows %d and %d" % (k[1], k[0], keys[k], e["id"])))
            keys[k] = e["id"]
            live[e["id"]] = e
        elif e["ev"] in ("trim", "trimmed"):
            for i in [i for i, r in live.items() if i <= e["through"] and e["topic"] in (r["topic"], "")]:
                keys.pop((live[i]["pub"], live[i]["key"]), None)
                del live[i]
        elif e["ev"] == "kept":
            kept = dict(e["rows"])
            bad += [("vanished", r["at"], "row %d, %s was there and is not" % (i, r["uid"]))
                    for i, r in live.items() if kept.get(i) != r["uid"]]
            bad += [("slipped-in", e["at"], "row %d, %s appeared behind what was read" % (i, uid))
                    for i, uid in e["rows"] if i not in live]
        elif e["ev"] == "integrity" and e["text"] != "ok":
            bad.append(("damaged", e["at"], e["text"][:200]))
    return bad


def check_readers(trace):
    """The bytes are those that were sent; a gap has its reason."""
    bad, sums, through, epochs, heard = [], {}, {}, {}, 0
    for e in trace:
        if e["ev"] == "sent":
            sums[e["uid"]] = e["sum"]
        elif e["ev"] in ("trim", "trimmed"):
            through.setdefault(e["topic"], []).append((e["ms"], e["through"]))
        elif e["ev"] == "epoch":
            epochs[e["epoch"]] = e["ms"]
    for e in trace:
        if e["ev"] == "deliver":
            heard += 1
            if sums.get(e["uid"], e["sum"]) != e["sum"]:
                bad.append(("altered", e["at"], "%s got %s with other bytes" % (e["client"], e["uid"])))
        elif e["ev"] == "joined" and e["gap"]:
            epoch, since = parse_cursor(e["since"])
            if e["gap"] == "reset" and epoch == e["epoch"]:
                bad.append(("reset-unfounded", e["at"], "%s at %s: same history" % (e["client"], e["since"])))
            known = [t for name in (e["topic"], "") for ms, t in through.get(name, []) if ms <= e["ms"] + SLACK_MS]
            if e["gap"] == "trimmed" and max(known, default=-1) <= since:
                bad.append(("gap-unfounded", e["at"], "%s at %s: trimmed through %d"
                            % (e["client"], e["since"], max(known, default=0))))
        elif e["ev"] == "fault":
            bad.append(("fault", e["at"], e["text"]))
    if heard == 0 and any(e["ev"] == "begin" for e in trace):
        bad.append(("unheard", "end", "no reader was given anything"))
    return bad


def parse_cursor(text):
    epoch, _, number = (text or "j:.-1")[2:].partition(".")
    return epoch, int(number)


def lateness(trace):
    """-> (limit, {client: [ms, ...]}) of what was acknowledged after `calm`, as far as the answer has a time."""
    limit, since, late = None, {}, {}
    for e in trace:
        if e["ev"] == "calm":
            limit = e.get("late_ms")
        elif e["ev"] == "acked" and limit is not None and "ms" in e:
            since[e["uid"]] = e["ms"]
    for e in trace:
        if e["ev"] == "deliver" and e["uid"] in since:
            late.setdefault(e["client"], []).append(e["ms"] - since[e["uid"]])
    return limit, late


def third_quartile(list_of_ms):
    return sorted(list_of_ms)[len(list_of_ms) * 3 // 4]


def check_lateness(trace):
    """Of all readers together: one process watches for all, so they are late together."""
    limit, late = lateness(trace)
    every = [x for of_one in late.values() for x in of_one]
    if limit is not None and not every:
        return [("unmeasured", "end", "it was calm, and no row has a time between commit and delivery")]
    if not every or third_quartile(every) <= limit:
        return []
    return [("late", "end", "a quarter of %d rows came more than %d ms after their commit (allowed %d): %s" % (
        len(every), third_quartile(every), limit,
        ", ".join("%s %d" % (client, third_quartile(x)) for client, x in sorted(late.items()))))]


def judge(trace):
    spell_out_trims(trace)
    read = [dict(e, ev="trim") if e["ev"] == "trimmed" else e for e in trace]
    return check_journal(trace) + check_readers(trace) + check_lateness(trace) + check(read)


def describe(trace):
    count = {}
    for e in trace:
        count[e["ev"]] = count.get(e["ev"], 0) + 1
    late = [x for all_of in lateness(trace)[1].values() for x in all_of]
    return "%d rows, %d sent, %d answers, %d deliveries, %d joins, %d with a gap, %d trims, %d histories%s" % (
        count.get("commit", 0), count.get("sent", 0), count.get("acked", 0), count.get("deliver", 0),
        count.get("joined", 0), sum(1 for e in trace if e["ev"] == "joined" and e["gap"]), count.get("trim", 0),
        count.get("epoch", 0) + 1, ", three quarters within %d ms when calm" % third_quartile(late) if late else "")


if __name__ == "__main__":
    events = load(sys.argv[1:])
    found = judge(events)
    print("# " + describe(events))
    for rule in dict.fromkeys(f[0] for f in found):
        these = [f for f in found if f[0] == rule]
        for f in these[:SHOWN]:
            print("%s at %s: %s" % f)
        if len(these) > SHOWN:
            print("# %s: %d more" % (rule, len(these) - SHOWN))
    sys.exit(1 if found else 0)
