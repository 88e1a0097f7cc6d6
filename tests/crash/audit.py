"""Writes down what the journal holds, as any script with SQLite sees it, while everything else is killed.

    audit.py JOURNAL >JOURNAL-LOG

It reads on by id all the time, so it sees every row before anybody may delete it, and it is the one who deletes. The
lines are described in history.py. Commands on standard input, each answered by its own line (`done`) in the log:

    trim TOPIC KEEP     delete all of a topic but the last KEEP rows
    forget              delete everything and lower the sequence, as a careless script does
    head ID             wait until this row has been read
    end                 look whether the file is whole, write what is kept, and leave
"""
import base64
import hashlib
import json
import os
import select
import sqlite3
import sys
import time

LOOK_S = 0.02


class Audit:
    def __init__(self, path):
        self.db = sqlite3.connect(path, timeout=30, isolation_level=None)
        self.last, self.epoch, self.through = 0, None, {}

    def say(self, ev, **fields):
        print(json.dumps({"ev": ev, "ms": int(time.time() * 1000), **fields}), flush=True)

    def now_epoch(self):
        text, = self.db.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        return base64.urlsafe_b64encode(bytes.fromhex(text)).decode().rstrip("=")

    def rows(self, after):
        """What was published by the harness; other rows are none of its business."""
        for i, topic, event, payload, pub, key in self.db.execute(
                "SELECT id, topic, event, payload, publisher, key FROM messages WHERE id > ? AND event = 'note' ORDER BY id",
                (after,)).fetchall():
            yield {"id": i, "topic": topic, "uid": json.loads(payload)["uid"], "pub": pub, "key": key,
                   "sum": hashlib.sha1(payload.encode()).hexdigest()[:12]}

    def look(self):
        """Inside a transaction: everything that is new, under the history it belongs to."""
        epoch = self.now_epoch()
        if epoch != self.epoch:
            if self.epoch is not None:
                known = [r for r in self.rows(0)]
                for row in known:
                    if row["id"] > self.last:
                        self.say("commit", epoch=epoch, **row)
                self.say("epoch", epoch=epoch, rows=[[r["id"], r["topic"], r["uid"]] for r in known])
                self.last, self.through = max([r["id"] for r in known] + [0]), {}
            self.epoch = epoch
        for row in self.rows(self.last):
            self.last = row["id"]
            self.say("commit", epoch=epoch, **row)
        for topic, through in self.db.execute("SELECT topic, through FROM trimmed").fetchall():
            if self.through.get(topic, 0) < through:
                self.through[topic] = through
                self.say("trimmed", topic=topic, through=through)

    def read(self):
        self.db.execute("BEGIN")
        self.look()
        self.db.execute("COMMIT")

    def trim(self, topic, keep):
        self.db.execute("BEGIN IMMEDIATE")
        self.look()
        found = self.db.execute("SELECT id FROM messages WHERE topic = ? ORDER BY id DESC LIMIT 1 OFFSET ?",
                                (topic, int(keep))).fetchone()
        if found:
            self.say("trim", topic=topic, through=found[0])
            self.db.execute("DELETE FROM messages WHERE topic = ? AND id <= ?", (topic, found[0]))
        self.db.execute("COMMIT")

    def forget(self):
        self.db.execute("BEGIN IMMEDIATE")
        self.look()
        for topic, last in self.db.execute("SELECT topic, max(id) FROM messages GROUP BY topic").fetchall():
            self.say("trim", topic=topic, through=last)
        for sql in ("DELETE FROM messages", "DELETE FROM trimmed", "DELETE FROM frames", "DELETE FROM memberships",
                    "UPDATE sqlite_sequence SET seq = 0 WHERE name = 'messages'"):
            self.db.execute(sql)
        self.db.execute("COMMIT")
        self.last, self.through = 0, {}

    def head(self, number):
        while self.last < int(number):
            self.read()
            time.sleep(LOOK_S)

    def end(self):
        self.read()
        self.say("kept", rows=[[r["id"], r["uid"]] for r in self.rows(0)])
        self.say("integrity", text="; ".join(r[0] for r in self.db.execute("PRAGMA integrity_check").fetchall()))

    def follow(self):
        commands, pending = {"trim": self.trim, "forget": self.forget, "head": self.head, "end": self.end}, b""
        os.set_blocking(0, False)
        while True:
            self.read()
            if not select.select([0], [], [], LOOK_S)[0]:
                continue
            part = os.read(0, 65536)
            if not part:
                return
            *lines, pending = (pending + part).split(b"\n")
            for line in lines:
                name, *operands = line.decode().split()
                commands[name](*operands)
                self.say("done", command=name)
                if name == "end":
                    return


if __name__ == "__main__":
    Audit(sys.argv[1]).follow()
