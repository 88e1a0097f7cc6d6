"""lock.py JOURNAL SECONDS: hold the journal exclusively, as a careless script does."""
import sqlite3
import sys
import time

db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
time.sleep(float(sys.argv[2]))
db.execute("COMMIT")
