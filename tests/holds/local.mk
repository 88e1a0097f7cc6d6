# tests/holds/ - a site and a chat on a host that counts requests, in full length
# (the short form is tests/js/budget.test.js); bench/holds.mjs does it
LONG_TESTS += \
	tests/holds/control.sh \
	tests/holds/half.sh \
	tests/holds/ours.sh \
	tests/holds/stock.sh
EXTRA_DIST += \
	tests/holds/lib.sh \
	tests/holds/control.sh \
	tests/holds/half.sh \
	tests/holds/ours.sh \
	tests/holds/stock.sh
