# tests/middlebox/ - a proxy that does harm, for tests/js/middlebox.test.js, the
# lab (tests/js/lab*.test.js) and bench/lab.mjs; recipes for the real ones
check_PROGRAMS += tests/middlebox/middlebox
tests_middlebox_middlebox_SOURCES = \
	tests/middlebox/flow.c tests/middlebox/flow.h \
	tests/middlebox/head.c tests/middlebox/head.h \
	tests/middlebox/middlebox.c \
	tests/middlebox/request.c tests/middlebox/request.h \
	tests/middlebox/rules.c tests/middlebox/rules.h \
	tests/middlebox/visit.c tests/middlebox/visit.h \
	tests/middlebox/visits.c tests/middlebox/visits.h
tests_middlebox_middlebox_LDADD = $(BASE_LINK)

LONG_TESTS += tests/middlebox/lab.sh
EXTRA_DIST += tests/middlebox/lab.sh tests/middlebox/recipes
