# Unit tests of gateway/: a line in unit_tests and the two below for each.
unit_tests += \
	tests/unit/test_fcgi \
	tests/unit/test_fcgi_parse \
	tests/unit/test_fcgi_record \
	tests/unit/test_html \
	tests/unit/test_request \
	tests/unit/test_respond \
	tests/unit/test_route \
	tests/unit/test_serve

# What a web server sends; a header that several tests include.
EXTRA_DIST += tests/unit/fcgi_bytes.h

GATEWAY_TEST_LINK = $(GATEWAY_LINK) $(CMOCKA_LIBS)

tests_unit_test_fcgi_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_fcgi_LDADD = $(GATEWAY_TEST_LINK)

tests_unit_test_fcgi_parse_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_fcgi_parse_LDADD = $(GATEWAY_TEST_LINK)

tests_unit_test_fcgi_record_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_fcgi_record_LDADD = $(GATEWAY_TEST_LINK)


tests_unit_test_html_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_html_LDADD = $(GATEWAY_TEST_LINK)

tests_unit_test_request_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_request_LDADD = $(GATEWAY_TEST_LINK)

tests_unit_test_respond_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_respond_LDADD = $(GATEWAY_TEST_LINK)

tests_unit_test_route_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_route_LDADD = $(GATEWAY_TEST_LINK)

tests_unit_test_serve_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_serve_LDADD = $(GATEWAY_TEST_LINK)
