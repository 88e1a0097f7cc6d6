#include "schema/mapped.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"

#define MAKE_WAIT_MS 1000
#define MAKE_TRIES   10

static bool is_named(const struct hf_mapped *mapped,
                     const struct hf_mapped_kind *kind)
{
    struct stat here, there;

    return fstat(mapped->fd, &here) == 0 &&
           fstatat(mapped->dir_fd, kind->name, &there, AT_SYMLINK_NOFOLLOW) ==
               0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/* The first store to a page that finds no room on a full disk ends the process,
 * so all pages must be there; a copy may have come without those of zeros. Not
 * to be asked of the file system on a full disk when they are: some want room
 * for it all the same. */
static bool is_whole(const struct stat *st, size_t size)
{
    return st->st_size >= (off_t)size &&
           st->st_blocks >= (blkcnt_t)(size + 511) / 512;
}

/* Under the lock. HF_EAGAIN: it was none of ours and is gone now. */
static int make_or_remove(const struct hf_mapped *mapped,
                          const struct hf_mapped_kind *kind)
{
    uint64_t magic = 0;
    struct stat st;

    if (fstat(mapped->fd, &st) < 0 ||
        pread(mapped->fd, &magic, sizeof(magic), 0) < 0)
        return HF_EIO;
    if (magic != 0 && magic != kind->magic) {
        HF_LOG(HF_LOG_WARN, kind->replaced,
               hf_field("why", "the file is of another version of Holdfast"),
               hf_field("hint", kind->effect));
        return unlinkat(mapped->dir_fd, kind->name, 0) < 0 ? HF_EIO : HF_EAGAIN;
    }
    if (!is_whole(&st, kind->size) &&
        hf_allocate(mapped->fd, (int64_t)kind->size, false))
        return HF_EIO;
    magic = kind->magic;
    return pwrite(mapped->fd, &magic, sizeof(magic), 0) == sizeof(magic)
               ? 0
               : HF_EIO;
}

/* HF_EAGAIN: another try, with the file that has the name by then. */
static int open_file(struct hf_mapped *mapped, const struct hf_dir *dir,
                     const struct hf_mapped_kind *kind)
{
    int err;

    hf_close(&mapped->fd);
    mapped->fd = hf_dir_open_file(dir, kind->name);
    if (mapped->fd < 0)
        return HF_EIO;
    err =
        hf_lock_wait(mapped->fd, kind->lock_at, 1, hf_boot_ms() + MAKE_WAIT_MS);
    if (err)
        return HF_EIO;
    err = is_named(mapped, kind) ? make_or_remove(mapped, kind) : HF_EAGAIN;
    hf_unlock(mapped->fd, kind->lock_at, 1);
    return err;
}

static int open_parts(struct hf_mapped *mapped, const struct hf_dir *dir,
                      const struct hf_mapped_kind *kind)
{
    int err = HF_EAGAIN, tries;
    void *at;

    mapped->dir_fd = fcntl(dir->fd, F_DUPFD_CLOEXEC, 3);
    if (mapped->dir_fd < 0)
        return HF_EIO;
    for (tries = 0; err == HF_EAGAIN && tries < MAKE_TRIES; tries++)
        err = open_file(mapped, dir, kind);
    if (err)
        return HF_EIO;
    at = mmap(NULL, kind->size, PROT_READ | PROT_WRITE, MAP_SHARED, mapped->fd,
              0);
    if (at == MAP_FAILED)
        return HF_EIO;
    mapped->at = at;
    mapped->size = kind->size;
    return 0;
}

int hf_mapped_open(const struct hf_dir *dir, const struct hf_mapped_kind *kind,
                   struct hf_mapped *out)
{
    int err;

    *out = (struct hf_mapped){.fd = -1, .dir_fd = -1};
    err = open_parts(out, dir, kind);
    if (err)
        hf_mapped_close(out);
    return err;
}

void hf_mapped_close(struct hf_mapped *mapped)
{
    if (mapped->at)
        (void)munmap(mapped->at, mapped->size); /* ours: cannot fail */
    mapped->at = NULL;
    hf_close(&mapped->fd);
    hf_close(&mapped->dir_fd);
}
