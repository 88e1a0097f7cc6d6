# Unit tests of base/: a line in unit_tests and the two below for each.
unit_tests += \
	tests/unit/test_address \
	tests/unit/test_buf \
	tests/unit/test_clock \
	tests/unit/test_conf \
	tests/unit/test_crypto \
	tests/unit/test_err \
	tests/unit/test_histogram \
	tests/unit/test_json \
	tests/unit/test_jwk \
	tests/unit/test_jwt \
	tests/unit/test_late \
	tests/unit/test_list \
	tests/unit/test_log \
	tests/unit/test_loop \
	tests/unit/test_map \
	tests/unit/test_nearest \
	tests/unit/test_notify \
	tests/unit/test_params \
	tests/unit/test_passed \
	tests/unit/test_query \
	tests/unit/test_queue \
	tests/unit/test_sys \
	tests/unit/test_unix_listener \
	tests/unit/test_utf8

tests_unit_test_address_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_address_LDADD = $(BASE_TEST_LINK)

tests_unit_test_buf_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_buf_LDADD = $(BASE_TEST_LINK)
tests_unit_test_buf_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=realloc

tests_unit_test_clock_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_clock_LDADD = $(BASE_TEST_LINK)

tests_unit_test_conf_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_conf_LDADD = $(BASE_TEST_LINK)

tests_unit_test_crypto_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_crypto_LDADD = $(BASE_TEST_LINK) $(CRYPTO_LIBS)

tests_unit_test_err_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_err_LDADD = $(BASE_TEST_LINK)

tests_unit_test_histogram_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_histogram_LDADD = $(BASE_TEST_LINK)

tests_unit_test_json_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_json_LDADD = $(BASE_TEST_LINK)

tests_unit_test_jwk_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_jwk_LDADD = $(BASE_TEST_LINK)

tests_unit_test_jwt_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_jwt_LDADD = $(BASE_TEST_LINK)

tests_unit_test_late_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_late_LDADD = $(BASE_TEST_LINK)

tests_unit_test_list_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_list_LDADD = $(BASE_TEST_LINK)

tests_unit_test_log_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_log_LDADD = $(BASE_TEST_LINK)

tests_unit_test_loop_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_loop_LDADD = $(BASE_TEST_LINK)
tests_unit_test_loop_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=realloc

tests_unit_test_map_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_map_LDADD = $(BASE_TEST_LINK)
tests_unit_test_map_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc

tests_unit_test_nearest_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_nearest_LDADD = $(BASE_TEST_LINK)

tests_unit_test_notify_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_notify_LDADD = $(BASE_TEST_LINK)

tests_unit_test_params_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_params_LDADD = $(BASE_TEST_LINK)
tests_unit_test_passed_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_passed_LDADD = $(BASE_TEST_LINK)

tests_unit_test_query_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_query_LDADD = $(BASE_TEST_LINK)

tests_unit_test_queue_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_queue_LDADD = $(BASE_TEST_LINK)

tests_unit_test_sys_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_sys_LDADD = $(BASE_TEST_LINK)
tests_unit_test_sys_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=timer_settime \
	-Wl,--wrap=fsync

tests_unit_test_utf8_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_utf8_LDADD = $(BASE_TEST_LINK)
tests_unit_test_unix_listener_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_unix_listener_LDADD = $(BASE_TEST_LINK)
