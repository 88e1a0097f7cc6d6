#include "tests/vfs/shim.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KINDS 4u /* bits of SHIM_ANY */

struct fault {
    enum shim_call call;
    unsigned files;
    unsigned long wait; /* calls to let pass */
    unsigned long left; /* calls to fail; 0 with `forever` */
    bool forever;
    int code;
};

/* SQLite allocates szOsFile bytes; the real file follows ours. */
struct file {
    sqlite3_file base;
    unsigned kind;
    const char *path;   /* SQLite keeps it as long as the file is open */
    ino_t inode;        /* 0 unless somebody watches */
    bool new_directory; /* its first sync is one of the directory, too */
    sqlite3_file *real;
};

static sqlite3_vfs shim, *below;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for what follows */
static unsigned long counts[SHIM_CALLS][KINDS];
static struct fault faults[SHIM_FAULTS];
static unsigned long failed;
static const char *only;
static char disk_path[512];
static int64_t disk_bytes = -1;
static _Atomic bool pass_syncs = true;
static void (*watcher)(const struct shim_event *event);

/* --- shall this call fail? ------------------------------------------------ */

static bool is_meant(const char *path)
{
    const char *name;

    if (!only)
        return true;
    if (!path)
        return false;
    name = strrchr(path, '/');
    return strncmp(name ? name + 1 : path, only, strlen(only)) == 0;
}

static unsigned index_of(unsigned kind)
{
    return kind == SHIM_MAIN       ? 0
           : kind == SHIM_WAL      ? 1
           : kind == SHIM_ROLLBACK ? 2
                                   : 3;
}

static bool is_due(struct fault *fault, enum shim_call call, unsigned kind)
{
    if (fault->code == 0 || fault->call != call || !(fault->files & kind))
        return false;
    if (fault->wait > 0) {
        fault->wait--;
        return false;
    }
    if (!fault->forever) {
        if (fault->left == 0)
            return false;
        fault->left--;
    }
    return true;
}

/* Counts the call; what it is to be answered, SQLITE_OK: do it. */
static int account(enum shim_call call, unsigned kind, const char *path)
{
    int code = SQLITE_OK;
    unsigned i;

    (void)pthread_mutex_lock(&lock);
    if (is_meant(path)) {
        counts[call][index_of(kind)]++;
        for (i = 0; i < SHIM_FAULTS; i++) /* all of them count this call */
            if (is_due(&faults[i], call, kind))
                code = faults[i].code;
        failed += code != SQLITE_OK;
    }
    (void)pthread_mutex_unlock(&lock);
    return code;
}

static int64_t in_blocks(int64_t bytes)
{
    return (bytes + 4095) / 4096 * 4096;
}

int64_t shim_disk_used(const char *directory)
{
    DIR *list = opendir(directory);
    const struct dirent *entry;
    int64_t used = 0;
    struct stat st;

    if (!list)
        return 0;
    while ((entry = readdir(list)) != NULL) {
        if (fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ==
                0 &&
            S_ISREG(st.st_mode))
            used += in_blocks(st.st_size);
    }
    (void)closedir(list);
    return used;
}

/* May the file, or its sibling with the suffix, grow to `size`? */
static bool has_room(const char *path, const char *suffix, int64_t size)
{
    char name[PATH_MAX];
    struct stat st;
    bool room = true;

    if (!path)
        return true;
    (void)pthread_mutex_lock(&lock);
    if (disk_bytes >= 0 && strncmp(path, disk_path, strlen(disk_path)) == 0) {
        int64_t more;

        (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
        more = in_blocks(size) -
               (stat(name, &st) == 0 ? in_blocks(st.st_size) : 0);
        room = more <= 0 || shim_disk_used(disk_path) + more <= disk_bytes;
        failed += !room;
    }
    (void)pthread_mutex_unlock(&lock);
    return room;
}

static void tell(const struct file *file, struct shim_event event)
{
    void (*told)(const struct shim_event *);

    (void)pthread_mutex_lock(&lock);
    told = watcher;
    (void)pthread_mutex_unlock(&lock);
    if (!told)
        return;
    if (file) {
        event.file = file->kind;
        event.path = file->path;
        event.inode = file->inode;
    }
    told(&event);
}

/* --- an open file --------------------------------------------------------- */

static struct file *of(sqlite3_file *base)
{
    return (struct file *)base;
}

#define REAL(base)    of(base)->real
#define METHODS(base) of(base)->real->pMethods

static int file_close(sqlite3_file *base)
{
    return METHODS(base)->xClose(REAL(base));
}

static int file_read(sqlite3_file *base, void *out, int len, sqlite3_int64 at)
{
    int code = account(SHIM_READ, of(base)->kind, of(base)->path);

    return code ? code : METHODS(base)->xRead(REAL(base), out, len, at);
}

static int file_write(sqlite3_file *base, const void *data, int len,
                      sqlite3_int64 at)
{
    int code = account(SHIM_WRITE, of(base)->kind, of(base)->path);

    if (!code && !has_room(of(base)->path, "", at + len))
        code = SQLITE_FULL;
    if (code)
        return code;
    tell(of(base),
         (struct shim_event){
             .call = SHIM_WRITE, .data = data, .len = (size_t)len, .at = at});
    return METHODS(base)->xWrite(REAL(base), data, len, at);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    int code = account(SHIM_TRUNCATE, of(base)->kind, of(base)->path);

    if (!code && !has_room(of(base)->path, "", size))
        code = SQLITE_FULL;
    if (code)
        return code;
    tell(of(base), (struct shim_event){.call = SHIM_TRUNCATE, .at = size});
    return METHODS(base)->xTruncate(REAL(base), size);
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct file *file = of(base);
    int code = account(SHIM_SYNC, file->kind, file->path);
    bool fault = code != SQLITE_OK;

    if (!code && pass_syncs)
        code = METHODS(base)->xSync(REAL(base), flags);
    tell(file,
         (struct shim_event){.call = SHIM_SYNC,
                             .failed = fault,
                             .sync_directory = !fault && file->new_directory});
    if (!fault)
        file->new_directory = false;
    return code;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *out)
{
    int code = account(SHIM_SIZE, of(base)->kind, of(base)->path);

    return code ? code : METHODS(base)->xFileSize(REAL(base), out);
}

static int file_lock(sqlite3_file *base, int level)
{
    int code = account(SHIM_LOCK, of(base)->kind, of(base)->path);

    return code ? code : METHODS(base)->xLock(REAL(base), level);
}

static int file_unlock(sqlite3_file *base, int level)
{
    return METHODS(base)->xUnlock(REAL(base), level);
}

static int file_check_reserved(sqlite3_file *base, int *out)
{
    return METHODS(base)->xCheckReservedLock(REAL(base), out);
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    return METHODS(base)->xFileControl(REAL(base), op, arg);
}

static int file_sector_size(sqlite3_file *base)
{
    return METHODS(base)->xSectorSize(REAL(base));
}

static int file_characteristics(sqlite3_file *base)
{
    return METHODS(base)->xDeviceCharacteristics(REAL(base));
}

static int file_shm_map(sqlite3_file *base, int region, int size, int extend,
                        void volatile **out)
{
    int code = account(SHIM_SHM_MAP, of(base)->kind, of(base)->path);

    if (!code && extend &&
        !has_room(of(base)->path, "-shm", (int64_t)(region + 1) * size))
        code = SQLITE_IOERR_SHMSIZE;
    return code ? code
                : METHODS(base)->xShmMap(REAL(base), region, size, extend, out);
}

static int file_shm_lock(sqlite3_file *base, int at, int count, int flags)
{
    int code = SQLITE_OK;

    /* To unlock cannot fail, and SQLite does not look. */
    if (flags & SQLITE_SHM_LOCK)
        code = account(SHIM_SHM_LOCK, of(base)->kind, of(base)->path);
    return code ? code : METHODS(base)->xShmLock(REAL(base), at, count, flags);
}

static void file_shm_barrier(sqlite3_file *base)
{
    METHODS(base)->xShmBarrier(REAL(base));
}

static int file_shm_unmap(sqlite3_file *base, int remove)
{
    return METHODS(base)->xShmUnmap(REAL(base), remove);
}

static int file_fetch(sqlite3_file *base, sqlite3_int64 at, int len, void **out)
{
    return METHODS(base)->xFetch(REAL(base), at, len, out);
}

static int file_unfetch(sqlite3_file *base, sqlite3_int64 at, void *page)
{
    return METHODS(base)->xUnfetch(REAL(base), at, page);
}

static const sqlite3_io_methods methods = {
    .iVersion = 3,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
    .xFetch = file_fetch,
    .xUnfetch = file_unfetch,
};

/* --- files by name -------------------------------------------------------- */

static unsigned kind_of_flags(int flags)
{
    if (flags & SQLITE_OPEN_MAIN_DB)
        return SHIM_MAIN;
    if (flags & SQLITE_OPEN_WAL)
        return SHIM_WAL;
    if (flags & SQLITE_OPEN_MAIN_JOURNAL)
        return SHIM_ROLLBACK;
    return SHIM_OTHER;
}

static unsigned kind_of_name(const char *path)
{
    size_t len = strlen(path);

    if (len > 4 && strcmp(path + len - 4, "-wal") == 0)
        return SHIM_WAL;
    if (len > 8 && strcmp(path + len - 8, "-journal") == 0)
        return SHIM_ROLLBACK;
    return SHIM_MAIN;
}

static int shim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base,
                     int flags, int *out_flags)
{
    struct file *file = of(base);
    struct stat st;
    int code;

    (void)vfs;
    *file = (struct file){.kind = kind_of_flags(flags),
                          .path = path,
                          .real = (sqlite3_file *)(file + 1)};
    code = account(SHIM_OPEN, file->kind, path);
    if (!code)
        code = below->xOpen(below, path, file->real, flags, out_flags);
    if (code)
        return code; /* pMethods is NULL: SQLite will not close it */
    /* The Unix VFS does so for whatever it may have created. */
    file->new_directory = (flags & SQLITE_OPEN_CREATE) != 0 &&
                          (file->kind & (SHIM_WAL | SHIM_ROLLBACK)) != 0;
    if (path && stat(path, &st) == 0)
        file->inode = st.st_ino;
    base->pMethods = &methods;
    tell(file, (struct shim_event){.call = SHIM_OPEN});
    return SQLITE_OK;
}

static int shim_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
    unsigned kind = kind_of_name(path);
    int code = account(SHIM_DELETE, kind, path);

    (void)vfs;
    if (code)
        return code;
    tell(NULL, (struct shim_event){.call = SHIM_DELETE,
                                   .file = kind,
                                   .path = path,
                                   .sync_directory = sync_directory != 0});
    return below->xDelete(below, path, pass_syncs && sync_directory);
}

static int shim_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    int code = account(SHIM_ACCESS, kind_of_name(path), path);

    (void)vfs;
    return code ? code : below->xAccess(below, path, flags, out);
}

/* --- what tests call ------------------------------------------------------ */

void shim_install(void)
{
    if (below)
        return;
    below = sqlite3_vfs_find("unix");
    assert(below && below->iVersion >= 3);
    shim = *below;
    shim.szOsFile = (int)sizeof(struct file) + below->szOsFile;
    shim.pNext = NULL;
    shim.zName = "shim";
    shim.xOpen = shim_open;
    shim.xDelete = shim_delete;
    shim.xAccess = shim_access;
    if (sqlite3_vfs_register(&shim, 1))
        abort();
}

void shim_reset(void)
{
    (void)pthread_mutex_lock(&lock);
    memset(counts, 0, sizeof(counts));
    memset(faults, 0, sizeof(faults));
    failed = 0;
    only = NULL;
    disk_bytes = -1;
    (void)pthread_mutex_unlock(&lock);
}

void shim_only(const char *name)
{
    (void)pthread_mutex_lock(&lock);
    only = name;
    (void)pthread_mutex_unlock(&lock);
}

unsigned long shim_count(enum shim_call call, unsigned files)
{
    unsigned long count = 0;
    unsigned i;

    (void)pthread_mutex_lock(&lock);
    for (i = 0; i < KINDS; i++)
        if (files & (1u << i))
            count += counts[call][i];
    (void)pthread_mutex_unlock(&lock);
    return count;
}

void shim_fail(enum shim_call call, unsigned files, unsigned long nth,
               unsigned long times, int code)
{
    unsigned i = 0;

    assert(nth > 0 && code != SQLITE_OK);
    (void)pthread_mutex_lock(&lock);
    while (i < SHIM_FAULTS && faults[i].code &&
           (faults[i].forever || faults[i].left > 0))
        i++;
    assert(i < SHIM_FAULTS);
    faults[i] = (struct fault){.call = call,
                               .files = files,
                               .wait = nth - 1,
                               .left = times,
                               .forever = times == SHIM_FOREVER,
                               .code = code};
    (void)pthread_mutex_unlock(&lock);
}

void shim_heal(void)
{
    (void)pthread_mutex_lock(&lock);
    memset(faults, 0, sizeof(faults));
    (void)pthread_mutex_unlock(&lock);
}

unsigned long shim_failed(void)
{
    unsigned long count;

    (void)pthread_mutex_lock(&lock);
    count = failed;
    (void)pthread_mutex_unlock(&lock);
    return count;
}

void shim_disk(const char *directory, int64_t bytes)
{
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(disk_path, sizeof(disk_path), "%s", directory);
    disk_bytes = bytes;
    (void)pthread_mutex_unlock(&lock);
}

void shim_sync_for_real(bool on)
{
    pass_syncs = on;
}

void shim_watch(void (*who)(const struct shim_event *event))
{
    (void)pthread_mutex_lock(&lock);
    watcher = who;
    (void)pthread_mutex_unlock(&lock);
}
