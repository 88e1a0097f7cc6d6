# tests/package/ - what people download, on machines that have nothing of ours
#
# Each script makes a small Debian of its own (root.sh), so it needs root and a
# Debian archive, and is in no other list: `make check-package`, and ./check has it.
package_tests = \
	tests/package/bindist.sh \
	tests/package/deb.sh
EXTRA_DIST += $(package_tests) tests/package/application.py \
	tests/package/hello.py tests/package/init.sh tests/package/page.mjs \
	tests/package/root.sh tests/package/vps.mjs

check-package: all
	$(MAKE) $(AM_MAKEFLAGS) check TEST_SECONDS=600 \
	  TESTS='$(package_tests)'
.PHONY: check-package
