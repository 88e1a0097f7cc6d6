#include "schema/space.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/sys.h"

bool hf_space_is_full(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

int64_t hf_space_free(const struct hf_dir *dir)
{
    struct statvfs fs;

    if (fstatvfs(dir->fd, &fs) < 0 || fs.f_blocks == 0)
        return -1;
    if (fs.f_bavail > INT64_MAX / (fs.f_frsize + 1))
        return INT64_MAX;
    return (int64_t)(fs.f_bavail * fs.f_frsize);
}

int64_t hf_space_ballast(const struct hf_dir *dir)
{
    struct stat st;

    /* Smaller than any we make: its maker was killed half-way. */
    if (fstatat(dir->fd, HF_FILE_BALLAST, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        st.st_size < HF_SPACE_LEAST)
        return 0;
    return st.st_size;
}

void hf_space_look(const struct hf_dir *dir, int64_t free_pages,
                   struct hf_space *out)
{
    out->room = hf_space_free(dir);
    out->ballast = hf_space_ballast(dir);
    out->free_pages = free_pages;
}

/* --- the rule ------------------------------------------------------------ */

static bool is_steady(const struct hf_space *space)
{
    return space->free_pages >= HF_SPACE_FREE_PAGES;
}

static int64_t least_of(const struct hf_space *space)
{
    return is_steady(space) ? HF_SPACE_LEAST : HF_SPACE_BALLAST;
}

static int64_t spare_of(const struct hf_space *space)
{
    return is_steady(space) ? HF_SPACE_STEADY : HF_SPACE_GROWING;
}

/* May `there` bytes of ballast become, or stay, `bytes`? */
static enum hf_space_state judge(int64_t room, int64_t there, int64_t bytes,
                                 int64_t spare)
{
    int64_t missing = there < bytes ? bytes - there : 0;

    if (room >= 0 && room < missing + spare)
        return HF_SPACE_FULL;
    return missing ? HF_SPACE_TRY : HF_SPACE_ENOUGH;
}

enum hf_space_state hf_space_judge(const struct hf_space *space)
{
    return judge(space->room, space->ballast, least_of(space), spare_of(space));
}

/* --- the ballast --------------------------------------------------------- */

/* Allocated with what must be spare beside it, which is let go again: nothing
 * else proves room under a quota. */
static int grow(int fd, int64_t bytes, int64_t spare)
{
    if (hf_allocate(fd, bytes + spare, true) == 0 && ftruncate(fd, bytes) == 0)
        return 0;
    return hf_space_is_full(errno) ? HF_EFULL : HF_EIO;
}

/* A smaller one is worth keeping: it is all there will be. */
static void shrink_back(const struct hf_dir *dir, int fd, int64_t there)
{
    int saved = errno;

    if (there == 0)
        hf_space_give_up_ballast(dir);
    else
        (void)!ftruncate(fd, there); /* or it stays larger */
    errno = saved;
}

int hf_space_make_ballast(const struct hf_dir *dir, int64_t bytes,
                          int64_t spare)
{
    int64_t there = hf_space_ballast(dir);
    int err, fd;

    switch (judge(hf_space_free(dir), there, bytes, spare)) {
    case HF_SPACE_ENOUGH:
        return 0;
    case HF_SPACE_FULL:
        return HF_EFULL;
    case HF_SPACE_TRY:
        break;
    }
    fd = hf_dir_open_file(dir, HF_FILE_BALLAST);
    if (fd < 0)
        return hf_space_is_full(errno) ? HF_EFULL : HF_EIO;
    err = grow(fd, bytes, spare);
    if (err)
        shrink_back(dir, fd, there);
    hf_close(&fd);
    return err;
}

int hf_space_keep_ballast(const struct hf_dir *dir,
                          const struct hf_space *space)
{
    int64_t bytes = HF_SPACE_BALLAST;
    int err;

    do {
        err = hf_space_make_ballast(dir, bytes, spare_of(space));
        bytes /= 2;
    } while (err == HF_EFULL && bytes >= least_of(space));
    return err;
}

void hf_space_give_up_ballast(const struct hf_dir *dir)
{
    int saved = errno;

    (void)unlinkat(dir->fd, HF_FILE_BALLAST, 0); /* or there is none */
    errno = saved;
}
