# refuse.py JOURNAL <cases: see refusals.sh
import sqlite3, sys

db = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    *first, sql = line.rstrip("\n").split("\t")
    db.execute("BEGIN IMMEDIATE")
    for each in first:
        db.execute(each)
    try:
        db.execute(sql)
        print("taken")
    except sqlite3.IntegrityError as error:
        print(error)
    db.execute("ROLLBACK")
