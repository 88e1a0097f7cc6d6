#include "schema/failed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"

bool hf_failed(const struct hf_dir *dir)
{
    return faccessat(dir->fd, HF_FILE_FAILED, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
           errno != ENOENT;
}

static int compose(char out[HF_FAILED_TEXT], const char *what)
{
    time_t now = (time_t)(hf_wall_ms() / 1000);
    char when[32] = "";
    struct tm utc;

    if (gmtime_r(&now, &utc))
        (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    return snprintf(out, HF_FAILED_TEXT, "%s process %ld: %.120s\n", when,
                    (long)getpid(), what);
}

int hf_failed_raise(const struct hf_dir *dir, const char *what)
{
    char text[HF_FAILED_TEXT];
    int len = compose(text, what);
    int fd;

    /* Made in its place and not renamed into it: the file counts, not its
     * contents, and may be all that this disk still takes. */
    fd = openat(dir->fd, HF_FILE_FAILED,
                O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                dir->file_mode);
    if (fd < 0)
        return errno == EEXIST ? 0 : HF_EIO;
    /* The rest as far as it goes; others see the flag already. */
    (void)fchmod(fd, dir->file_mode);
    if (write(fd, text, (size_t)len) == len)
        (void)fsync(fd);
    (void)fsync(dir->fd);
    hf_close(&fd);
    return 0;
}

int hf_failed_read(const struct hf_dir *dir, char out[HF_FAILED_TEXT])
{
    size_t len = 0;
    int err =
        hf_file_read(dir->fd, HF_FILE_FAILED, out, HF_FAILED_TEXT - 1, &len);

    out[err ? 0 : len] = '\0';
    if (err)
        return err == HF_ENOTFOUND ? err : HF_EIO;
    out[strcspn(out, "\n")] = '\0';
    return 0;
}

int hf_failed_clear(const struct hf_dir *dir)
{
    if (unlinkat(dir->fd, HF_FILE_FAILED, 0) < 0)
        return errno == ENOENT ? 0 : HF_EIO;
    return fsync(dir->fd) < 0 ? HF_EIO : 0;
}
