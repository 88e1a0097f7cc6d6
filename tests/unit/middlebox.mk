# Unit tests of tests/middlebox; the program as a whole: tests/js/middlebox.test.js.
unit_tests += tests/unit/test_middlebox

tests_unit_test_middlebox_SOURCES = tests/unit/test_middlebox.c \
	tests/middlebox/flow.c tests/middlebox/head.c tests/middlebox/rules.c
tests_unit_test_middlebox_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_middlebox_LDADD = $(BASE_TEST_LINK)
