# Every call fails once: `make check` has some of them, `make check-all` nearly all.
CALLS_WRAPS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc \
	-Wl,--wrap=realloc -Wl,--wrap=open -Wl,--wrap=openat -Wl,--wrap=read \
	-Wl,--wrap=pread -Wl,--wrap=write -Wl,--wrap=pwrite -Wl,--wrap=fsync \
	-Wl,--wrap=renameat -Wl,--wrap=ftruncate -Wl,--wrap=fstat \
	-Wl,--wrap=fstatat -Wl,--wrap=mmap -Wl,--wrap=eventfd \
	-Wl,--wrap=epoll_create1 -Wl,--wrap=socket -Wl,--wrap=inotify_init1 \
	-Wl,--wrap=epoll_ctl -Wl,--wrap=fcntl -Wl,--wrap=pthread_create

check_PROGRAMS += tests/crash/faults
tests_crash_faults_SOURCES = \
	tests/crash/faults.c tests/crash/faults.h \
	tests/crash/faults_story.c \
	tests/vfs/calls.c tests/vfs/calls.h
tests_crash_faults_LDADD = $(VFS_LINK) $(CHANNEL_LINK)
tests_crash_faults_LDFLAGS = $(CALLS_WRAPS)
TESTS += tests/crash/faults
LONG_TESTS += tests/crash/faults-long.sh
EXTRA_DIST += tests/crash/faults-long.sh
