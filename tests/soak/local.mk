# tests/soak/ - clients come and go by the thousand; nothing may grow
#
# bench/soak.mjs in its short form, and a side-car that forgets to free and to
# close, which it must notice. Not among the long tests: it wants a build without sanitizers, and that
# nothing else runs. `make check-soak`, and ./check has it.
soak_programs = tests/soak/leaky/holdfast-sidecar
EXTRA_PROGRAMS += $(soak_programs)
CLEANFILES += $(soak_programs)
EXTRA_DIST += tests/soak/soak.sh

tests_soak_leaky_holdfast_sidecar_SOURCES = \
	sidecar/main.c sidecar/ws_conn.c
tests_soak_leaky_holdfast_sidecar_CPPFLAGS = $(AM_CPPFLAGS) \
	-DHF_BROKEN_CONN_KEPT -DHF_BROKEN_DESCRIPTOR_KEPT
tests_soak_leaky_holdfast_sidecar_LDADD = $(SIDECAR_LINK)

check-soak: all bench/ws_load $(soak_programs)
	$(MAKE) $(AM_MAKEFLAGS) check TEST_SECONDS=300 \
	  TESTS=tests/soak/soak.sh
.PHONY: check-soak
