# tests/vfs/ - SQLite's files under our hands: calls that fail, disks that are
# full, power that is cut. A test program that wants it: $(VFS_LINK) before its
# other libraries, and shim_install() before it opens anything.
check_LIBRARIES = tests/vfs/libvfs.a
tests_vfs_libvfs_a_SOURCES = \
	tests/vfs/disk.c tests/vfs/disk.h \
	tests/vfs/shim.c tests/vfs/shim.h
VFS_LINK = tests/vfs/libvfs.a
DISK_WRAPS = $(AM_LDFLAGS) -Wl,--wrap=openat -Wl,--wrap=write \
	-Wl,--wrap=pwrite -Wl,--wrap=ftruncate -Wl,--wrap=posix_fallocate \
	-Wl,--wrap=fsync -Wl,--wrap=fdatasync -Wl,--wrap=renameat \
	-Wl,--wrap=linkat -Wl,--wrap=unlinkat

unit_tests += tests/vfs/test_shim tests/vfs/test_disk
tests_vfs_test_shim_SOURCES = \
	tests/vfs/test_shim.c tests/unit/schema_fixture.h
tests_vfs_test_shim_CFLAGS = $(UNIT_CFLAGS)
tests_vfs_test_shim_LDADD = $(VFS_LINK) $(SCHEMA_TEST_LINK)

tests_vfs_test_disk_SOURCES = tests/vfs/test_disk.c
tests_vfs_test_disk_CFLAGS = $(UNIT_CFLAGS)
tests_vfs_test_disk_LDADD = $(VFS_LINK) $(SCHEMA_TEST_LINK)
tests_vfs_test_disk_LDFLAGS = $(DISK_WRAPS)
