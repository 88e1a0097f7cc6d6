import sqlite3, sys

journal, topic, event, payload = sys.argv[1:]

db = sqlite3.connect(journal, timeout=5)
with db:
    db.execute("INSERT INTO messages (topic, event, payload) VALUES (?, ?, ?)",
               (topic, event, payload))
