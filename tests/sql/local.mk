# tests/sql/ - programs that know SQLite and nothing of Holdfast
check_PROGRAMS += tests/sql/follow
tests_sql_follow_SOURCES = tests/sql/follow.c
tests_sql_follow_LDADD = $(SCHEMA_LINK)
TESTS += tests/sql/recipes.sh tests/sql/refusals.sh tests/sql/errors.sh
EXTRA_DIST += tests/sql/lib.sh tests/sql/as-builtin.cjs \
	tests/sql/recipes.sh tests/sql/errors.sh \
	tests/sql/refusals.sh tests/sql/refusals.sql tests/sql/refuse.php \
	tests/sql/refuse.py tests/sql/refuse.pl tests/sql/refuse.rb \
	tests/sql/refuse.cjs tests/sql/refuse.sh
