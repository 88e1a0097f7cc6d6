# tests/vfs/ - SQLite's files under our hands: calls that fail, disks that are
# full, power that is cut. A test program that wants it: $(VFS_LINK) before its
# other libraries, and shim_install() before it opens anything.
check_LIBRARIES = tests/vfs/libvfs.a
tests_vfs_libvfs_a_SOURCES = \
	tests/vfs/shim.c tests/vfs/shim.h
VFS_LINK = tests/vfs/libvfs.a

unit_tests += tests/vfs/test_shim
tests_vfs_test_shim_SOURCES = \
	tests/vfs/test_shim.c tests/unit/schema_fixture.h
tests_vfs_test_shim_CFLAGS = $(UNIT_CFLAGS)
tests_vfs_test_shim_LDADD = $(VFS_LINK) $(SCHEMA_TEST_LINK)
