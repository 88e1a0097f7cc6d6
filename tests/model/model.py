"""Executable model of the Holdfast design: journal, two gateways, one WebSocket worker, clients, faults.

Everything is plain lists and dicts. One call of World.step() is one atomic step: a transaction is one step, what lies
between two `yield`s of a request is one step, and a process may be killed between any two. See README.md."""
import random

PAGE = 3          # items per long-poll answer and rows per refill
RING = 4          # rows kept per topic in a worker's ring
HOLD = 6          # re-checks of a parked poll before it ends with 204
TOPICS = ["A", "B"]

# FIXES are rules of the design that schedules failed without; VARIANTS are mistakes that the checker must catch.
FIXES = ["gap_ends_session", "live_rows_carry_join_ref", "new_session_after_post_error", "guard_refuses_old_ids"]
VARIANTS = ["head_is_hub", "two_snapshots", "delete_at_leave", "cut_cursor_is_head", "replay_null_ref",
            "replay_over_live", "gap_watermark_only", "ids_reused", "ack_before_commit", "no_session_bell",
            "reply_cursor_is_head", "heads_cry_wolf", "no_session_lock", "no_key"]


class Journal:
    """One SQLite file. Rows are dicts in id order; every method is used inside one step = one transaction."""

    def __init__(self):
        self.rows, self.members, self.frames = [], [], []
        self.seq, self.epoch, self.watermark, self.trimmed, self.head_file = 0, 1, 0, {}, 0

    def draw(self):
        self.seq += 1
        return self.seq

    def of(self, topic, lo, hi=None):
        return [r for r in self.rows if r["topic"] == topic and lo < r["id"] and (hi is None or r["id"] <= hi)]

    def lost(self, topic, pos, flags):
        """Has a row of this topic above pos been deleted? (D7)"""
        t = 0 if "gap_watermark_only" in flags else self.trimmed.get(topic, 0)
        return pos < max(self.watermark, t)

    def live(self, sid, topic):
        for m in self.members:
            if m["sid"] == sid and m["topic"] == topic and m["ended"] is None:
                return m


def tok(sid, cur, epoch, rep=None):
    return (sid, cur, epoch, rep)


class World:
    def __init__(self, seed, flags=(), kinds="abc", steps=220, bound=6000):
        self.rnd = random.Random(seed)
        self.flags, self.steps, self.bound = set(flags), steps, bound
        self.J, self.now, self.uid, self.trace = Journal(), 0, 0, []
        self.poll_no, self.locks, self.sids = {}, {}, 0
        self.last = dict.fromkeys(TOPICS, 0)   # highest id ever given to a row of the topic, for the end of the run
        self.tasks = []                        # [process, generator] of requests being served
        self.net = []                          # requests on their way to a gateway
        self.up = {"gw0": True, "gw1": True, "ws": True}
        self.ws, self.calm = Worker(self), False
        self.clients = [Client(self, k + str(i), k) for i, k in enumerate(kinds)]

    def log(self, ev, **kw):
        kw["ev"], kw["at"] = ev, self.now
        self.trace.append(kw)

    def has(self, flag):
        return flag in self.flags

    # ---- publishing, inside a write transaction
    def insert(self, topic, pub=None, key=None, uid=None):
        """-> cursor of the row (the first one for a repeated key)."""
        J = self.J
        if key is not None and not self.has("no_key"):
            for r in J.rows:
                if r["pub"] == pub and r["key"] == key:
                    return r["id"]
        if uid is None:
            self.uid += 1
            uid = "f%d" % self.uid
        r = {"id": J.draw(), "topic": topic, "uid": uid, "pub": pub, "key": key, "at": self.now}
        J.rows.append(r)
        self.last[topic] = r["id"]
        self.log("commit", epoch=J.epoch, **{k: r[k] for k in ("id", "topic", "uid", "pub", "key")})
        return r["id"]

    def trim(self):
        """Retention: by topic, or global (all rows up to some id). Never a keyed row whose push may still be retried."""
        J, rnd = self.J, self.rnd
        old = [r for r in J.rows if r["key"] is None and r["at"] < self.now - 25]
        if not old:
            return
        upto = rnd.choice(old)["id"]
        topic = rnd.choice(TOPICS + [None])
        gone = [r for r in J.rows if r["id"] <= upto and topic in (None, r["topic"])]
        if any(r["key"] is not None and r["key"] not in self.settled() for r in gone):
            return
        J.rows = [r for r in J.rows if r not in gone]
        for r in gone:
            J.trimmed[r["topic"]] = max(J.trimmed.get(r["topic"], 0), r["id"])
        if topic is None:
            J.watermark = max(J.watermark, upto)
        self.log("trim", ids=[r["id"] for r in gone])

    def settled(self):
        """Keys whose push is answered and of which no copy is under way (retention never goes below keep_min)."""
        under_way = [f["key"] for r in self.net + [x[2] for x in self.tasks] for f in r.get("frames", ()) if "key" in f]
        under_way += [f["key"] for _, f in self.ws.queue] + [f.get("key") for c in self.ws.conns for f in c["inq"]]
        under_way += [f.get("key") for c in self.clients for f in c.out]      # queued in the client, not sent yet
        return {k for c in self.clients for k in c.settled} - set(under_way)

    def truncate(self):
        """A script: DELETE FROM messages; DELETE FROM sqlite_sequence; then some INSERTs (L4)."""
        J = self.J
        self.log("trim", ids=[r["id"] for r in J.rows])
        for r in J.rows:
            J.trimmed[r["topic"]] = max(J.trimmed.get(r["topic"], 0), r["id"])
        high, J.rows, J.seq = J.seq, [], 0
        self.log("truncate")
        if self.has("guard_refuses_old_ids"):          # the INSERTs fail until a process of ours has put the sequence
            J.seq = high + 1000                          # back: above everything seen, same epoch
        for _ in range(self.rnd.randrange(0, 12)):
            self.insert(self.rnd.choice(TOPICS))

    def opened(self):
        """Check made before anything is served: sequence below the file `head` means a new epoch (D2)."""
        J = self.J
        if J.seq < J.head_file and not self.has("ids_reused"):
            J.epoch += 1
            self.last = {t: max([r["id"] for r in J.of(t, 0)] + [0]) for t in TOPICS}
            J.watermark, J.trimmed, J.members, J.frames, J.head_file = 0, {}, [], [], J.seq
            self.log("epoch", epoch=J.epoch, rows=[[r["id"], r["topic"], r["uid"]] for r in J.rows])

    # ---- gateway: one long-poll answer, one read transaction (D6)
    def answer(self, token, members=None):
        """-> (frames, next token, topics that fell behind)."""
        J, f = self.J, self.flags
        sid, cur, _, rep = token
        if members is None:
            members = [dict(m) for m in J.members if m["sid"] == sid]
        out, errs, head = [], [], J.seq
        bad = set()
        for m in members:
            lo = max(cur, m["joined"])
            if (m["ended"] is None or m["ended"] > cur) and J.lost(m["topic"], lo, f):
                bad.add(m["joined"])
        todo = [(x["id"], 0, x) for x in J.frames if x["sid"] == sid and x["id"] > cur]
        for m in members:
            if m["joined"] in bad:
                continue
            for r in J.of(m["topic"], max(cur, m["joined"]), m["ended"]):
                jr = m["jr"] if self.has("live_rows_carry_join_ref") and m["since"] is not None else None
                todo.append((r["id"], 1, {"ev": "row", "jr": jr, "topic": r["topic"], "id": r["id"], "uid": r["uid"], "ep": J.epoch}))
        todo.sort(key=lambda x: x[:2])
        by = {m["joined"]: m for m in members}

        def replay(m, pos):
            """Rows of a join's replay after pos; -> position, or None when it is complete."""
            if m["ended"] is not None and m["replaced"] and not self.has("live_rows_carry_join_ref"):
                return None                              # a second join cancels the replay of the first (D8)
            rows = J.of(m["topic"], pos, m["replay_to"])
            if pos < m["replay_to"] and J.lost(m["topic"], pos, f):
                bad.add(m["joined"])
                return None
            for r in rows:
                if len(out) >= PAGE:
                    return pos
                jr = None if self.has("replay_null_ref") else m["jr"]
                out.append({"ev": "row", "jr": jr, "topic": r["topic"], "id": r["id"], "uid": r["uid"], "ep": J.epoch})
                pos = r["id"]
            return None

        last, cut, rest = cur, False, None
        if rep is not None and rep[0] in by:
            rest = replay(by[rep[0]], rep[1])
        if rest is None:
            for i, _, x in todo:
                if len(out) >= PAGE:
                    cut = True
                    break
                m = by.get(i) if x["ev"] == "join_ok" else None
                if x["ev"] == "row" and any(by[j]["topic"] == x["topic"] and by[j]["joined"] < i <=
                                            (by[j]["ended"] or i) for j in bad):
                    continue
                out.append({k: v for k, v in x.items() if k != "sid"} if x["ev"] != "row" else x)
                last = i
                if m is not None and m["since"] is not None and not x["gap"]:
                    rest = replay(m, m["since"])
                    if rest is not None:
                        rep = (i, rest)
                        break
        for m in members:
            if m["joined"] in bad and (m["ended"] is None or self.has("gap_ends_session")):
                errs.append(m)
        if rest is not None:
            nxt = tok(sid, last, J.epoch, (rep[0], rest))
            if self.has("cut_cursor_is_head"):
                nxt = tok(sid, head, J.epoch)
        else:
            nxt = tok(sid, last if cut and not self.has("cut_cursor_is_head") else head, J.epoch)
        return out, nxt, errs

    def get(self, proc, rq):
        J, token, mine, sup = self.J, rq["token"], None, None
        self.opened()
        if token is None:
            self.sids += 1
            yield from self.reply(rq, 410, [], tok("s%d" % self.sids, J.seq, J.epoch))
            return
        if token[2] != J.epoch:
            yield from self.reply(rq, 500, [], None)
            return
        sid, held = token[0], None
        for n in range(HOLD * (1 if not self.calm else 2)):
            self.opened()
            if token[2] != J.epoch:
                yield from self.reply(rq, 500, [], None)
                return
            if self.has("two_snapshots"):
                held = [dict(m) for m in J.members if m["sid"] == sid]
                snap = (list(J.rows), list(J.frames))
                yield
                rows, frames = J.rows, J.frames
                J.rows, J.frames = snap                   # the rows of an older snapshot, the head of a newer one
                out, nxt, errs = self.answer(token, held)
                J.rows, J.frames = rows, frames
            else:
                if not (self.has("no_session_bell") and held is not None):
                    held = [dict(m) for m in J.members if m["sid"] == sid]   # memberships re-read when woken
                out, nxt, errs = self.answer(token, held)
            if errs and self.has("gap_ends_session"):
                yield from self.reply(rq, 500, [], None)
                return
            out += [{"ev": "error", "topic": m["topic"], "jr": m["jr"], "gap": True} for m in errs]
            if out:
                yield from self.reply(rq, 200, out, nxt)
                return
            if mine is None:
                mine = self.poll_no[sid] = self.poll_no.get(sid, 0) + 1
            yield                                         # parked; woken by a bell or by the 0.5 s re-check
            if self.poll_no.get(sid) != mine:
                yield from self.reply(rq, 204, [], token)
                return
        yield from self.reply(rq, 204, [], nxt if not errs else token)

    def reply(self, rq, status, out, token):
        yield                                             # the process may die with the answer in hand
        self.log("answer", client=rq["client"].name, token=str(rq["token"]), status=status,
                 ids=[[x["ev"], x.get("id"), x["topic"]] for x in out])
        rq["answer"] = (status, out, token)

    # ---- gateway: POST
    def frame(self, sid, i, ev, topic, **kw):
        kw.update(sid=sid, id=i, ev=ev, topic=topic)
        self.J.frames.append(kw)

    def post(self, proc, rq):
        J, sid, cur = self.J, rq["token"][0], rq["token"][1]
        lock = not self.has("no_session_lock")
        while lock and self.locks.get(sid):
            yield
        if lock:
            self.locks[sid] = proc
        yield
        self.opened()
        if rq["token"][2] == J.epoch:
            J.frames = [x for x in J.frames if x["sid"] != sid or x["id"] > cur]
            J.members = [m for m in J.members if m["sid"] != sid or m["ended"] is None or m["ended"] > cur]
            for fr in rq["frames"]:
                if self.rnd.random() < 0.5:
                    yield                                 # a hook between two transactions, or one transaction for both
                    if rq["token"][2] != J.epoch:
                        break
                if self.has("ack_before_commit") and fr["ev"] == "push" and J.live(sid, fr["topic"]):
                    self.frame(sid, J.draw(), "push_ok", fr["topic"], uid=fr["uid"], cursor=J.seq, jr=fr["jr"])
                    yield
                    self.insert(fr["topic"], fr["pub"], fr["key"], fr["uid"])
                else:
                    self.handle(sid, fr)
        ok = rq["token"][2] == J.epoch
        if lock and self.locks.get(sid) == proc:
            del self.locks[sid]
        yield from self.reply(rq, 200 if ok else 500, [], None)

    def handle(self, sid, fr):
        """One client frame inside one IMMEDIATE transaction (long-poll)."""
        J, t, ev = self.J, fr["topic"], fr["ev"]
        m = J.live(sid, t)
        if ev == "join":
            i, since, gap = J.draw(), fr["since"], False
            if since is not None:
                ep, pos = since if since != "" else (J.epoch, i)
                gap = ep != J.epoch or pos > i or J.lost(t, pos, self.flags)
                since = i if gap else pos
            to = i
            if m is not None:
                m["ended"], m["replaced"] = i, True
                if since is not None and not self.has("replay_over_live") and not self.has("live_rows_carry_join_ref"):
                    to = m["joined"]                      # the rest came, or comes, as live rows of the old membership
            J.members.append({"sid": sid, "topic": t, "jr": fr["jr"], "since": since, "joined": i, "ended": None,
                              "replay_to": max(to, since or 0) if since is not None else i, "replaced": False})
            self.frame(sid, i, "join_ok", t, jr=fr["jr"], gap=gap, cursor=self.start(since, i), epoch=J.epoch)
            if m is not None:
                self.frame(sid, J.draw(), "close", t, jr=m["jr"])
        elif ev == "leave":
            if m is not None and m["jr"] == fr["jr"]:
                m["ended"] = J.draw()
                if self.has("delete_at_leave"):
                    J.members.remove(m)
                self.frame(sid, m["ended"], "leave_ok", t, jr=fr["jr"])
                self.frame(sid, J.draw(), "close", t, jr=fr["jr"])
            elif m is None:
                self.frame(sid, J.draw(), "leave_ok", t, jr=fr["jr"])
        elif ev == "push":
            if m is not None and m["jr"] == fr["jr"]:
                c = self.insert(t, fr["pub"], fr["key"], fr["uid"])
                self.frame(sid, J.draw(), "push_ok", t, uid=fr["uid"], cursor=c, jr=fr["jr"])
            elif m is None:
                self.frame(sid, J.draw(), "push_err", t, uid=fr["uid"], jr=fr["jr"])
        elif ev == "heads" and m is not None:
            rows = J.of(t, m["joined"])
            if rows:
                self.frame(sid, J.draw(), "heads", t, jr=m["jr"], cursor=rows[-1]["id"])

    def start(self, since, joined):
        """`cursor` of a join's ok response: where the stream that follows it begins."""
        return joined if since is None or self.has("reply_cursor_is_head") else since

    # ---- scheduler
    def kill(self, proc):
        self.log("kill", proc=proc)
        self.up[proc] = False
        self.tasks = [x for x in self.tasks if x[0] != proc or self.fail(x[2])]
        self.locks = {s: p for s, p in self.locks.items() if p != proc}
        if proc == "ws":
            self.ws.die()

    def fail(self, rq):
        rq["answer"] = rq["answer"] or ("error", [], None)
        return False

    def step(self):
        rnd, self.now = self.rnd, self.now + 1
        x = rnd.random()
        if not self.calm:
            if x < 0.015:
                proc = rnd.choice(list(self.up))
                return self.kill(proc) if self.up[proc] else self.up.__setitem__(proc, True)
            if x < 0.03:
                return self.trim()
            if x < 0.10:
                return self.insert(rnd.choice(TOPICS))
            if x < 0.11:
                self.J.head_file = max(self.J.head_file, self.J.seq)      # renamed at most once a second
                return
            if x < 0.111 and self.truncates:
                return self.truncate()
        what = rnd.randrange(6)
        if what == 0 and self.net:
            rq = self.net.pop(rnd.randrange(len(self.net)))
            up = [p for p in ("gw0", "gw1") if self.up[p]]
            if not up:
                return self.fail(rq)
            proc = rnd.choice(up)
            g = (self.get if rq["kind"] == "GET" else self.post)(proc, rq)
            self.tasks.append([proc, g, rq])
        elif what in (1, 2) and self.tasks:
            x = rnd.choice(self.tasks)
            try:
                next(x[1])
            except StopIteration:
                self.tasks.remove(x)
        elif what == 3 and self.up["ws"]:
            self.ws.step()
        elif what >= 4:
            rnd.choice(self.clients).step()

    truncates = False

    def run(self):
        self.log("begin", clients={c.name: c.kind for c in self.clients})
        for _ in range(self.steps):
            self.step()
        self.calm, end = True, self.now + self.bound
        self.up = dict.fromkeys(self.up, True)
        self.log("calm")
        while self.now < end:
            self.step()
            if self.now % 16 == 0 and all(c.settled_now() for c in self.clients):
                break
        for c in self.clients:
            for t in TOPICS:
                self.log("end", client=c.name, topic=t, state=c.ch[t]["state"], pushes=len(c.pushes))
        return self.trace


from parties import Client, Worker   # noqa: E402  (the other half: WebSocket worker and clients)
