#include "schema/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "schema/settings_change.h"
#include "schema/survivor.h"

#define LEFT_FOR_MS (60 * 60 * 1000) /* writing takes milliseconds */
#define RANDOM_HEX  16u /* in the names that hf_file_replace uses */

/* Names that are ours as they stand; and those that begin like ours. */
static const char *const exact[] = {
    HF_FILE_SETTINGS, HF_FILE_SECRET,  HF_FILE_KEYS,   HF_FILE_BELLS,
    HF_FILE_WATCHER,  HF_FILE_WRITERS, HF_FILE_HEAD,
    HF_FILE_BALLAST,  HF_FILE_UPKEEP,  HF_FILE_FAILED,
    HF_FILE_HOOK_SECRET, HF_FILE_POSTS,   HF_FILE_HOLDS,
    HF_FILE_RUNNING, HF_FILE_OWNER,   HF_FILE_DENY,
    HF_FILE_STARTS, HF_FILE_LOG, HF_FILE_OLD_LOG,
    HF_FILE_SETTINGS_BEFORE, HF_FILE_SURVIVOR, HF_FILE_MOVED,
};
static const char *const beginnings[] = {HF_FILE_JOURNAL, "live", "bell.", "ask."};

/* "NAME.0123456789abcdef.tmp" */
static bool is_left_over(const char *file, const char *name)
{
    size_t len = strlen(name);

    if (strncmp(file, name, len) != 0 || file[len] != '.')
        return false;
    file += len + 1;
    return strspn(file, "0123456789abcdef") == RANDOM_HEX &&
           strcmp(file + RANDOM_HEX, ".tmp") == 0;
}

bool hf_files_is_ours(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
        if (strcmp(name, exact[i]) == 0 || is_left_over(name, exact[i]))
            return true;
    }
    for (i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    }
    return false;
}

static bool is_old(const struct hf_dir *dir, const char *name)
{
    struct stat st;

    return fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) &&
           hf_wall_ms() - (int64_t)st.st_mtime * 1000 > LEFT_FOR_MS;
}

void hf_files_sweep(const struct hf_dir *dir)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!list) { /* another time */
        hf_close(&fd);
        return;
    }
    while ((entry = readdir(list)) != NULL) {
        const char *name = entry->d_name;

        if ((is_left_over(name, HF_FILE_HEAD) ||
             is_left_over(name, HF_FILE_UPKEEP)) &&
            is_old(dir, name))
            (void)unlinkat(dir->fd, name, 0); /* another time, then */
    }
    (void)closedir(list); /* read only */
}
