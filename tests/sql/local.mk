# tests/sql/ - programs that know SQLite and nothing of Holdfast
check_PROGRAMS += tests/sql/follow
tests_sql_follow_SOURCES = tests/sql/follow.c
tests_sql_follow_LDADD = $(SCHEMA_LINK)
TESTS += tests/sql/foreign.sh
EXTRA_DIST += tests/sql/foreign.sh tests/sql/sqlite3.php tests/sql/pdo.php \
	tests/sql/publish.py tests/sql/publish.pl tests/sql/publish.sh
