# build-aux/ - machinery: the layer rule, generators, and what people who work
# on Holdfast run by hand

EXTRA_DIST += build-aux/bindist build-aux/bindist-install.sh \
	build-aux/bindist-libs build-aux/cmocka-tap build-aux/embed-pages \
	build-aux/embed-sql build-aux/installcheck build-aux/layers \
	build-aux/layers-test.sh
TESTS += build-aux/layers-test.sh

# Programs for hosts that have none of our libraries, and what belongs to them:
# holdfast-VERSION-linux-PROCESSOR.tar.gz. The time in it is that of the sources.
bindist:
	$(AM_V_at)$(MKDIR_P) bindist
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) distdir distdir=bindist/src
	$(AM_V_at)SOURCE_DATE_EPOCH="$${SOURCE_DATE_EPOCH:-$$( \
	  git -C $(srcdir) log -1 --format=%ct 2>/dev/null || \
	  date -r $(srcdir)/CHANGELOG.md +%s)}" \
	  $(srcdir)/build-aux/bindist $(PACKAGE)-$(VERSION)

layers:
	$(AM_V_at)$(srcdir)/build-aux/layers $(srcdir)

# All of ours, wherever it is; what is built or fetched lies elsewhere.
find_c = cd $(srcdir) && find base schema channel gateway sidecar cli bench \
	tests/unit tests/fuzz -name '*.[ch]'

format:
	$(find_c) | xargs $(CLANG_FORMAT) -i

# Findings are arguments to weigh, so they are printed and not fatal.
lint: all
	-$(find_c) -name '*.c' | xargs -I '{}' $(CLANG_TIDY) --quiet '{}' -- \
	  -std=gnu11 -I. -I$(abs_builddir) -include config.h
	-$(find_c) -name '*.c' | xargs $(CPPCHECK) --quiet --std=c11 \
	  --enable=warning,performance,portability --inline-suppr \
	  --suppress=missingIncludeSystem -D_GNU_SOURCE -I.
	-cd $(srcdir) && $(SHELLCHECK) -x -e SC1091,SC2016,SC2317 \
	  autogen.sh check demo build-aux/bindist build-aux/bindist-libs \
	  build-aux/installcheck build-aux/layers \
	  $$(find build-aux tests -name '*.sh' -not -path '*/node_modules/*' \
	  -not -name tap-driver.sh)
	-cd $(srcdir) && $(MANDOC) -T lint -W warning docs/man/*.[1578]

installcheck-local:
	$(SHELL) $(srcdir)/build-aux/installcheck $(DESTDIR)$(bindir) \
	  $(DESTDIR)$(pkgdatadir) $(DESTDIR)$(mandir)

clean-local:
	rm -rf bindist

.PHONY: bindist layers format lint
