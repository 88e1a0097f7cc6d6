#include "schema/holders.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/sys.h"

/* Bytes that SQLite locks: sqlite.org/walformat.html section 2.4, and
 * "Lock bytes" of os.h. */
#define SHM_WRITE      120
#define SHM_READ_FIRST 123
#define SHM_READ_LAST  127
#define FILE_SHARED    0x40000002

/* One line of /proc/locks:
 * "3: POSIX  ADVISORY  READ 4711 fe:00:123456 124 124" */
struct lock {
    char type[8];
    long pid;
    unsigned major, minor; /* of the device */
    unsigned long long inode, first, last;
};

static bool parse(const char *line, struct lock *lock)
{
    char last[24];

    if (sscanf(line, "%*d: POSIX %*s %7s %ld %x:%x:%llu %llu %23s", lock->type,
               &lock->pid, &lock->major, &lock->minor, &lock->inode,
               &lock->first, last) != 7)
        return false; /* a waiter "->", or no POSIX lock */
    if (sscanf(last, "%llu", &lock->last) != 1)
        lock->last = ~0ULL; /* "EOF" */
    return lock->pid > 0;
}

static bool covers(const struct lock *lock, unsigned long long first,
                   unsigned long long last)
{
    return lock->first <= last && lock->last >= first;
}

static bool is_it(const struct lock *lock, enum hf_hold hold)
{
    switch (hold) {
    case HF_HOLD_READ:
        return strcmp(lock->type, "READ") == 0 &&
               covers(lock, SHM_READ_FIRST, SHM_READ_LAST);
    case HF_HOLD_WRITE:
        return strcmp(lock->type, "WRITE") == 0 &&
               covers(lock, SHM_WRITE, SHM_WRITE);
    case HF_HOLD_EXCLUSIVE:
        return strcmp(lock->type, "WRITE") == 0 &&
               covers(lock, FILE_SHARED, FILE_SHARED);
    }
    return false;
}

static void add(long pid, char *out, size_t cap)
{
    size_t len = strlen(out);
    char name[17];

    hf_process_name((pid_t)pid, name);
    (void)snprintf(out + len, cap - len, "%s%ld%s%s", len ? ", " : "", pid,
                   name[0] ? " " : "", name);
}

/* Is it on the file's device? */
static bool is_there(const struct lock *lock, const struct stat *file)
{
    return lock->major == major(file->st_dev) &&
           lock->minor == minor(file->st_dev);
}

/* *any_device: whatever the device; on return: no lock was on the file's. */
static size_t collect(FILE *locks, const struct stat *file, enum hf_hold hold,
                      bool *any_device, char *out, size_t cap)
{
    bool any = *any_device;
    long seen[HF_HOLDERS];
    size_t count = 0, i;
    struct lock lock;
    char line[160];

    *any_device = true;
    while (count < HF_HOLDERS && fgets(line, sizeof(line), locks)) {
        if (!parse(line, &lock))
            continue;
        if (is_there(&lock, file))
            *any_device = false;
        else if (!any)
            continue;
        if (lock.inode != file->st_ino || !is_it(&lock, hold) ||
            lock.pid == (long)getpid())
            continue;
        for (i = 0; i < count && seen[i] != lock.pid; i++)
            continue;
        if (i < count)
            continue; /* several locks of one process */
        seen[count++] = lock.pid;
        add(lock.pid, out, cap);
    }
    return count;
}

size_t hf_holders(const struct hf_dir *dir, enum hf_hold hold, char *out,
                  size_t cap)
{
    const char *name =
        hold == HF_HOLD_EXCLUSIVE ? HF_FILE_JOURNAL : HF_FILE_JOURNAL "-shm";
    bool any_device = false;
    struct stat st;
    size_t count;
    FILE *locks;

    out[0] = '\0';
    if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    locks = fopen("/proc/locks", "re");
    if (!locks)
        return 0;
    count = collect(locks, &st, hold, &any_device, out, cap);
    /* btrfs and overlayfs tell stat of another device than /proc/locks. */
    if (any_device) {
        rewind(locks);
        count = collect(locks, &st, hold, &any_device, out, cap);
    }
    (void)fclose(locks); /* read only */
    return count;
}
