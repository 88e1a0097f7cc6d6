import json
import sqlite3
import sys
import time

journal, topic, name, count, pause = sys.argv[1:]
db = sqlite3.connect(journal, timeout=5)
for i in range(1, int(count) + 1):
    uid = "%s-%d" % (name, i)
    with db:
        done = db.execute(
            "INSERT INTO messages(topic, event, payload) VALUES (?, ?, ?)",
            (topic, "note", json.dumps({"uid": uid})),
        )
    print(uid, done.lastrowid, flush=True)
    time.sleep(int(pause) / 1000)
