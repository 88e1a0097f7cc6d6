#include "schema/space.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/sys.h"

#define CHUNK 16384 /* of a ballast that must be written */

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

/* Bytes that no file system can make smaller; sets errno. */
static bool write_ballast(int fd, int64_t len)
{
    char chunk[CHUNK];

    while (len > 0) {
        ssize_t wrote;

        if (hf_random(chunk, sizeof(chunk))) {
            errno = EIO;
            return false;
        }
        wrote = write(fd, chunk, len < CHUNK ? (size_t)len : CHUNK);
        if (wrote < 0 && errno != EINTR)
            return false;
        if (wrote > 0)
            len -= wrote;
    }
    return true;
}

static bool allocate(int fd, int64_t len)
{
    int done;

    do {
        done = fallocate(fd, 0, 0, len);
    } while (done < 0 && errno == EINTR);
    if (done < 0 && errno == EOPNOTSUPP)
        return write_ballast(fd, len);
    return done == 0;
}

/* Allocated with what must be spare beside it, which is let go again: nothing
 * else proves room under a quota. */
static int fill(int fd, int64_t bytes, int64_t spare)
{
    if (ftruncate(fd, 0) == 0 && allocate(fd, bytes + spare) &&
        ftruncate(fd, bytes) == 0)
        return 0;
    return hf_space_is_full(errno) ? HF_EFULL : HF_EIO;
}

int hf_space_make_ballast(const struct hf_dir *dir, int64_t bytes,
                          int64_t spare)
{
    int64_t there = hf_space_ballast(dir);
    int64_t room = hf_space_free(dir);
    int err, fd;

    if (there >= bytes)
        return room >= 0 && room < spare ? HF_EFULL : 0;
    if (room >= 0 && there + room < bytes + spare)
        return HF_EFULL;
    fd = hf_dir_open_file(dir, HF_FILE_BALLAST);
    if (fd < 0)
        return hf_space_is_full(errno) ? HF_EFULL : HF_EIO;
    err = fill(fd, bytes, spare);
    if (err)
        hf_space_give_up_ballast(dir);
    hf_close(&fd);
    return err;
}

void hf_space_give_up_ballast(const struct hf_dir *dir)
{
    int saved = errno;

    (void)unlinkat(dir->fd, HF_FILE_BALLAST, 0); /* or there is none */
    errno = saved;
}
