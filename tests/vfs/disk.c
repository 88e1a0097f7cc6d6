#include "tests/vfs/disk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vfs/shim.h"

#define SECTOR 512u

/* Something done to a file and not synced. */
struct change {
    uint64_t order; /* over all files and names */
    bool truncate;  /* else a write */
    bool doomed;    /* a sync after it has failed */
    int64_t at;     /* offset, or new length */
    size_t len;
    unsigned char *data;
};

struct bytes {
    unsigned char *at;
    size_t size, cap;
};

struct node {
    ino_t inode;
    struct bytes durable;
    struct change *changes;
    size_t count, cap;
    struct node *next;
};

struct name {
    char *name;
    struct node *node;
};

struct names {
    struct name *at;
    size_t count;
};

/* Something done to names and not synced. */
struct renaming {
    uint64_t order;
    char *from; /* removed; NULL: nothing is */
    char *to;   /* made; NULL: nothing is */
    struct node *node;
};

/* For what follows. Recursive, because `made` may set the next plan. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static bool watching;
static char directory[PATH_MAX];
static size_t directory_len;
static ino_t directory_inode;
static struct node *nodes; /* newest first: inode numbers are used again */
static struct names now, durable;
static struct renaming *renamings;
static size_t renaming_count;
static uint64_t order;
static unsigned long counts[DISK_MOMENTS];
static struct disk_plan plan;
static bool planned;
static uint64_t doom; /* random state: what a failed sync has lost */

uint64_t disk_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* True `percent` times of a hundred. */
static bool chance(unsigned percent)
{
    return disk_random(&plan.seed) % 100 < percent;
}

static void *more(void *at, size_t count, size_t size)
{
    void *bigger = realloc(at, count * size);

    if (!bigger)
        abort();
    return bigger;
}

static char *copy_of(const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy)
        abort();
    return copy;
}

/* --- names ---------------------------------------------------------------- */

static struct name *find(struct names *names, const char *name)
{
    size_t i;

    for (i = 0; i < names->count; i++)
        if (strcmp(names->at[i].name, name) == 0)
            return &names->at[i];
    return NULL;
}

static void put(struct names *names, const char *name, struct node *node)
{
    struct name *there = find(names, name);

    if (there) {
        there->node = node;
        return;
    }
    names->at = more(names->at, names->count + 1, sizeof(*names->at));
    names->at[names->count].name = copy_of(name);
    names->at[names->count].node = node;
    names->count++;
}

static void take_out(struct names *names, const char *name)
{
    struct name *there = find(names, name);

    if (!there)
        return;
    free(there->name);
    *there = names->at[--names->count];
}

static void forget(struct names *names)
{
    while (names->count > 0)
        free(names->at[--names->count].name);
    free(names->at);
    *names = (struct names){NULL, 0};
}

static void apply_renaming(struct names *names, const struct renaming *renaming)
{
    if (renaming->from)
        take_out(names, renaming->from);
    if (renaming->to)
        put(names, renaming->to, renaming->node);
}

static void rename_now(const char *from, const char *to, struct node *node)
{
    struct renaming *renaming;

    renamings = more(renamings, renaming_count + 1, sizeof(*renamings));
    renaming = &renamings[renaming_count++];
    *renaming = (struct renaming){.order = order++,
                                  .from = copy_of(from),
                                  .to = copy_of(to),
                                  .node = node};
    apply_renaming(&now, renaming);
}

static void directory_synced(void)
{
    size_t i;

    for (i = 0; i < renaming_count; i++) {
        apply_renaming(&durable, &renamings[i]);
        free(renamings[i].from);
        free(renamings[i].to);
    }
    renaming_count = 0;
}

/* The name in our directory that the path means; NULL: it is elsewhere. */
static const char *in_directory(const char *path)
{
    const char *name;

    if (!path || strncmp(path, directory, directory_len) != 0 ||
        path[directory_len] != '/')
        return NULL;
    name = path + directory_len + 1;
    return strchr(name, '/') ? NULL : name;
}

static bool is_directory(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) &&
           st.st_ino == directory_inode;
}

/* --- contents ------------------------------------------------------------- */

static struct node *node_of(ino_t inode)
{
    struct node *node = nodes;

    while (node && node->inode != inode)
        node = node->next;
    return node;
}

static struct node *new_node(ino_t inode)
{
    struct node *node = calloc(1, sizeof(*node));

    if (!node)
        abort();
    node->inode = inode;
    node->next = nodes;
    nodes = node;
    return node;
}

/* A file that is there under this name and that we may not know. */
static void opened(const char *name, ino_t inode)
{
    const struct name *there = find(&now, name);

    if (!there || there->node->inode != inode)
        rename_now(NULL, name, new_node(inode));
}

/* Longer by zeros, or by noise. */
static void lengthen(struct bytes *bytes, size_t size, bool noise)
{
    if (size > bytes->cap) {
        bytes->cap = 2 * size;
        bytes->at = more(bytes->at, bytes->cap, 1);
    }
    if (size > bytes->size)
        memset(bytes->at + bytes->size, noise ? 0xa5 : 0, size - bytes->size);
    bytes->size = size > bytes->size ? size : bytes->size;
}

static void apply_write(struct bytes *bytes, int64_t at,
                        const unsigned char *data, size_t len, bool noise)
{
    lengthen(bytes, (size_t)at + len, noise);
    memcpy(bytes->at + at, data, len);
}

static void apply_change(struct bytes *bytes, const struct change *change,
                         bool noise)
{
    if (!change->truncate) {
        apply_write(bytes, change->at, change->data, change->len, noise);
        return;
    }
    lengthen(bytes, (size_t)change->at, false);
    bytes->size = (size_t)change->at;
}

static void changed(struct node *node, struct change change, const void *data)
{
    if (node->count == node->cap) {
        node->cap = node->cap ? 2 * node->cap : 16;
        node->changes = more(node->changes, node->cap, sizeof(change));
    }
    change.order = order++;
    if (!change.truncate) {
        change.data = more(NULL, change.len ? change.len : 1, 1);
        memcpy(change.data, data, change.len);
    }
    node->changes[node->count++] = change;
}

static void synced(struct node *node)
{
    size_t i;

    for (i = 0; i < node->count; i++) {
        struct change *change = &node->changes[i];

        if (!change->doomed || disk_random(&doom) % 2)
            apply_change(&node->durable, change, false);
        free(change->data);
    }
    node->count = 0;
}

static void sync_failed(struct node *node)
{
    size_t i;

    for (i = 0; i < node->count; i++)
        node->changes[i].doomed = true;
}

static void free_node(struct node *node)
{
    size_t i;

    for (i = 0; i < node->count; i++)
        free(node->changes[i].data);
    free(node->changes);
    free(node->durable.at);
    free(node);
}

/* --- the cut -------------------------------------------------------------- */

/* Is this change on the disk? `last`: of those that DISK_PREFIX keeps. */
static bool survives(uint64_t its_order, uint64_t last)
{
    uint64_t begin = order > 64 ? order - 64 : 0;

    switch (plan.fate) {
    case DISK_DROP:
        return false;
    case DISK_KEEP:
        return true;
    case DISK_PREFIX:
        return its_order <= last;
    case DISK_MIXED:
        return chance(50);
    case DISK_LATE: /* of the last 64 */
        return its_order >= begin && chance((unsigned)(its_order - begin) + 30);
    case DISK_FATES:
        break;
    }
    abort();
}

static bool is_torn(uint64_t its_order, uint64_t last)
{
    if (plan.fate == DISK_PREFIX)
        return its_order == last && chance(70);
    return (plan.fate == DISK_MIXED || plan.fate == DISK_LATE) && chance(25);
}

static void apply_torn(struct bytes *bytes, const struct change *change,
                       bool noise)
{
    size_t done = 0;

    while (done < change->len) {
        size_t part = SECTOR - (size_t)(change->at + (int64_t)done) % SECTOR;

        if (part > change->len - done)
            part = change->len - done;
        if (chance(50))
            apply_write(bytes, change->at + (int64_t)done, change->data + done,
                        part, noise);
        done += part;
    }
}

static void write_image(const char *name, const struct bytes *bytes)
{
    char path[2 * PATH_MAX];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", plan.image, name);
    file = fopen(path, "w");
    if (!file || fwrite(bytes->at, 1, bytes->size, file) != bytes->size ||
        fchmod(fileno(file), 0600) < 0 || fclose(file)) {
        perror(path);
        abort();
    }
}

static void image_of(const char *name, const struct node *node, uint64_t last)
{
    struct bytes bytes = {NULL, 0, 0};
    bool noise = chance(50);
    size_t i;

    lengthen(&bytes, node->durable.size + 1, false);
    bytes.size = node->durable.size;
    if (bytes.size > 0)
        memcpy(bytes.at, node->durable.at, bytes.size);
    for (i = 0; i < node->count; i++) {
        const struct change *change = &node->changes[i];

        if (!survives(change->order, last))
            continue;
        if (!change->truncate && is_torn(change->order, last))
            apply_torn(&bytes, change, noise);
        else
            apply_change(&bytes, change, noise);
    }
    write_image(name, &bytes);
    free(bytes.at);
}

static uint64_t oldest_change(void)
{
    uint64_t oldest = order;
    const struct node *node;

    for (node = nodes; node; node = node->next)
        if (node->count > 0 && node->changes[0].order < oldest)
            oldest = node->changes[0].order;
    if (renaming_count > 0 && renamings[0].order < oldest)
        oldest = renamings[0].order;
    return oldest;
}

static bool is_memory(const char *name)
{
    size_t len = strlen(name);

    return len > 4 && strcmp(name + len - 4, "-shm") == 0;
}

static void make_image(void)
{
    uint64_t oldest = oldest_change();
    uint64_t last = oldest + disk_random(&plan.seed) % (order - oldest + 1);
    struct names names = {NULL, 0};
    size_t i;

    for (i = 0; i < durable.count; i++)
        put(&names, durable.at[i].name, durable.at[i].node);
    for (i = 0; i < renaming_count; i++)
        if (survives(renamings[i].order, last))
            apply_renaming(&names, &renamings[i]);
    if (mkdir(plan.image, 0700) < 0) {
        perror(plan.image);
        abort();
    }
    for (i = 0; i < names.count; i++)
        if (!is_memory(names.at[i].name))
            image_of(names.at[i].name, names.at[i].node, last);
    forget(&names);
}

static void power_cut(void)
{
    struct disk_plan done;

    planned = false;
    if (plan.cut)
        plan.cut(plan.ctx);
    done = plan; /* its seed is used up */
    make_image();
    if (done.made)
        done.made(done.ctx);
}

static bool is_due(enum disk_moment moment)
{
    if (plan.at_latest > 0 && --plan.at_latest == 0)
        return true;
    return (plan.moment == DISK_ANY || plan.moment == moment) &&
           --plan.nth == 0;
}

/* A change of this class is about to happen. */
static void about_to(enum disk_moment moment)
{
    counts[DISK_ANY]++;
    if (moment != DISK_ANY)
        counts[moment]++;
    if (planned && is_due(moment))
        power_cut();
}

/* --- SQLite --------------------------------------------------------------- */

static enum disk_moment moment_of(const struct shim_event *event)
{
    bool main = event->file == SHIM_MAIN;
    bool wal = event->file == SHIM_WAL;

    if (event->call == SHIM_WRITE && wal)
        return event->at == 0 ? DISK_WAL_RESTART : DISK_WAL_WRITE;
    if (event->call == SHIM_WRITE && main)
        return DISK_MAIN_WRITE;
    if (event->call == SHIM_SYNC && (main || wal))
        return main ? DISK_MAIN_SYNC : DISK_WAL_SYNC;
    if (event->call == SHIM_TRUNCATE)
        return DISK_TRUNCATE;
    if (event->call == SHIM_DELETE)
        return DISK_NAME;
    return DISK_ANY;
}

static void on_event(const struct shim_event *event)
{
    const char *name = in_directory(event->path);
    struct node *node;

    if (!name)
        return;
    (void)pthread_mutex_lock(&lock);
    node = event->inode ? node_of(event->inode) : NULL;
    if (!watching) {
        (void)pthread_mutex_unlock(&lock);
        return;
    }
    assert(node || event->call == SHIM_OPEN || event->call == SHIM_DELETE);
    if (event->call != SHIM_OPEN)
        about_to(moment_of(event));
    switch (event->call) {
    case SHIM_OPEN:
        opened(name, event->inode);
        break;
    case SHIM_WRITE:
        changed(node, (struct change){.at = event->at, .len = event->len},
                event->data);
        break;
    case SHIM_TRUNCATE:
        changed(node, (struct change){.truncate = true, .at = event->at}, NULL);
        break;
    case SHIM_SYNC:
        if (event->failed)
            sync_failed(node);
        else
            synced(node);
        break;
    case SHIM_DELETE:
        if (find(&now, name))
            rename_now(name, NULL, NULL);
        break;
    default:
        break;
    }
    if (event->sync_directory)
        directory_synced();
    (void)pthread_mutex_unlock(&lock);
}

/* --- our own calls -------------------------------------------------------- */

/* With DISK_WRAPS the linker sends the calls of the product here. */
int __real_openat(int fd, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t at);
int __real_ftruncate(int fd, off_t size);
int __real_posix_fallocate(int fd, off_t at, off_t len);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_linkat(int from_fd, const char *from, int to_fd, const char *to,
                  int flags);
int __real_unlinkat(int fd, const char *name, int flags);

int __wrap_openat(int fd, const char *name, int flags, ...);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_posix_fallocate(int fd, off_t at, off_t len);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to,
                  int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);

/* Ends with the lock held when the descriptor is of a file that is watched. */
static struct node *begin_change(int fd)
{
    struct node *node = NULL;
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    (void)pthread_mutex_lock(&lock);
    if (watching)
        node = node_of(st.st_ino);
    if (!node)
        (void)pthread_mutex_unlock(&lock);
    return node;
}

/* The same for a name and its directory. */
static bool begin_renaming(int fd)
{
    (void)pthread_mutex_lock(&lock);
    if (watching && is_directory(fd)) {
        about_to(DISK_NAME);
        return true;
    }
    (void)pthread_mutex_unlock(&lock);
    return false;
}

int __wrap_openat(int fd, const char *name, int flags, ...)
{
    struct stat st;
    va_list rest;
    mode_t mode;
    int opening;

    va_start(rest, flags);
    mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (!(flags & O_CREAT) || strchr(name, '/') || !begin_renaming(fd))
        return __real_openat(fd, name, flags, mode);
    opening = __real_openat(fd, name, flags, mode);
    if (opening >= 0 && fstat(opening, &st) == 0 && S_ISREG(st.st_mode))
        opened(name, st.st_ino);
    (void)pthread_mutex_unlock(&lock);
    return opening;
}

static void wrote(struct node *node, const void *data, ssize_t len, off_t at)
{
    if (len > 0)
        changed(node, (struct change){.at = at, .len = (size_t)len}, data);
    (void)pthread_mutex_unlock(&lock);
}

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    struct node *node = begin_change(fd);
    off_t at;
    ssize_t done;

    if (!node)
        return __real_write(fd, data, len);
    about_to(DISK_ANY);
    at = lseek(fd, 0, SEEK_CUR);
    done = __real_write(fd, data, len);
    wrote(node, data, done, at);
    return done;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
    struct node *node = begin_change(fd);
    ssize_t done;

    if (!node)
        return __real_pwrite(fd, data, len, at);
    about_to(DISK_ANY);
    done = __real_pwrite(fd, data, len, at);
    wrote(node, data, done, at);
    return done;
}

int __wrap_ftruncate(int fd, off_t size)
{
    struct node *node = begin_change(fd);
    int done;

    if (!node)
        return __real_ftruncate(fd, size);
    about_to(DISK_TRUNCATE);
    done = __real_ftruncate(fd, size);
    if (done == 0)
        changed(node, (struct change){.truncate = true, .at = size}, NULL);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

int __wrap_posix_fallocate(int fd, off_t at, off_t len)
{
    struct node *node = begin_change(fd);
    int done;

    if (!node)
        return __real_posix_fallocate(fd, at, len);
    about_to(DISK_TRUNCATE);
    done = __real_posix_fallocate(fd, at, len);
    if (done == 0) /* it does not make a file shorter; ours are new */
        changed(node, (struct change){.truncate = true, .at = at + len}, NULL);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

static int sync_any(int fd, int (*real)(int fd))
{
    struct node *node = begin_change(fd);
    int done = 0;

    if (node) {
        about_to(DISK_ANY);
        synced(node);
        (void)pthread_mutex_unlock(&lock);
    } else if (begin_renaming(fd)) {
        directory_synced();
        (void)pthread_mutex_unlock(&lock);
    } else {
        done = real(fd);
    }
    return done;
}

int __wrap_fsync(int fd)
{
    return sync_any(fd, __real_fsync);
}

int __wrap_fdatasync(int fd)
{
    return sync_any(fd, __real_fdatasync);
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    struct name *there;
    int done;

    if (!begin_renaming(to_fd))
        return __real_renameat(from_fd, from, to_fd, to);
    done = __real_renameat(from_fd, from, to_fd, to);
    there = find(&now, from);
    if (done == 0 && there)
        rename_now(from, to, there->node);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to,
                  int flags)
{
    struct name *there;
    int done;

    if (!begin_renaming(to_fd))
        return __real_linkat(from_fd, from, to_fd, to, flags);
    done = __real_linkat(from_fd, from, to_fd, to, flags);
    there = find(&now, from);
    if (done == 0 && there)
        rename_now(NULL, to, there->node);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
    int done;

    if (!begin_renaming(fd))
        return __real_unlinkat(fd, name, flags);
    done = __real_unlinkat(fd, name, flags);
    if (done == 0 && find(&now, name))
        rename_now(name, NULL, NULL);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

/* --- what tests call ------------------------------------------------------ */

static void take_in(const char *name, int dir)
{
    struct node *node;
    struct stat st;
    FILE *file;
    int fd = __real_openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            (void)close(fd);
        return; /* a socket: it does not outlive its process */
    }
    file = fdopen(fd, "r");
    node = new_node(st.st_ino);
    lengthen(&node->durable, (size_t)st.st_size, false);
    if (!file || fread(node->durable.at, 1, node->durable.size, file) !=
                     node->durable.size)
        abort();
    (void)fclose(file);
    put(&now, name, node);
    put(&durable, name, node);
}

void disk_begin(const char *path)
{
    const struct dirent *entry;
    struct stat st;
    DIR *list;

    shim_install();
    (void)pthread_mutex_lock(&lock);
    assert(!watching);
    if (!realpath(path, directory) || stat(directory, &st) < 0)
        abort();
    directory_len = strlen(directory);
    directory_inode = st.st_ino;
    list = opendir(directory);
    if (!list)
        abort();
    while ((entry = readdir(list)) != NULL)
        take_in(entry->d_name, dirfd(list));
    (void)closedir(list);
    memset(counts, 0, sizeof(counts));
    planned = false;
    watching = true;
    (void)pthread_mutex_unlock(&lock);
    shim_sync_for_real(false);
    shim_watch(on_event);
}

void disk_end(void)
{
    struct node *node;

    shim_watch(NULL);
    shim_sync_for_real(true);
    (void)pthread_mutex_lock(&lock);
    watching = planned = false;
    directory_synced();
    free(renamings);
    renamings = NULL;
    forget(&now);
    forget(&durable);
    while ((node = nodes) != NULL) {
        nodes = node->next;
        free_node(node);
    }
    (void)pthread_mutex_unlock(&lock);
}

void disk_plan(const struct disk_plan *wanted)
{
    /* From within `made` the lock is held, and by this thread. */
    (void)pthread_mutex_lock(&lock);
    planned = wanted != NULL;
    if (wanted)
        plan = *wanted;
    (void)pthread_mutex_unlock(&lock);
}

unsigned long disk_count(enum disk_moment moment)
{
    unsigned long count;

    (void)pthread_mutex_lock(&lock);
    count = counts[moment];
    (void)pthread_mutex_unlock(&lock);
    return count;
}
