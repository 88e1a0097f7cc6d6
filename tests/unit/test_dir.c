#include "schema/dir.h"

#include "schema_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* What the file system says of itself, when a test wants another. */
static long pretended_fs;
int __real_fstatfs(int fd, struct statfs *out);
int __wrap_fstatfs(int fd, struct statfs *out);

int __wrap_fstatfs(int fd, struct statfs *out)
{
    int result = __real_fstatfs(fd, out);

    if (pretended_fs)
        out->f_type = (__typeof__(out->f_type))pretended_fs;
    return result;
}

static mode_t mode_of(const char *name)
{
    struct stat st;

    assert_int_equal(stat(path_of(name), &st), 0);
    return st.st_mode & 07777;
}

static bool exists(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static void write_file(const char *name, const char *text)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

/* Into a directory that is made for it; f.dir is it afterwards. */
static int init_below(const char *name, const char *group, bool *out_existed,
                      struct hf_why *why)
{
    char path[PATH_MAX];
    int err;

    (void)snprintf(path, sizeof(path), "%s/%s", f.path, name);
    *why = (struct hf_why){""};
    err = hf_dir_init(path, group, out_existed, why);
    if (!err) {
        struct hf_why none = {""};

        hf_dir_close(&f.dir);
        ok_or_why(hf_dir_open(&f.dir, path, &none), &none);
    }
    return err;
}

static void everything_is_private_whatever_the_umask(void **state)
{
    static const mode_t umasks[] = {0, 022, 077, 0177};
    static const char *const files[] = {
        HF_FILE_JOURNAL, HF_FILE_JOURNAL "-wal", HF_FILE_JOURNAL "-shm",
        HF_FILE_LIVE,    HF_FILE_SETTINGS,       HF_FILE_SECRET,
        HF_FILE_BELLS,   HF_FILE_WATCHER,        HF_FILE_WRITERS,
        HF_FILE_HEAD,    HF_FILE_HOOK_SECRET,    HF_FILE_HOLDS};
    struct hf_why why;
    bool existed;
    size_t u, i;

    (void)state;
    for (u = 0; u < 4; u++) {
        char name[16];
        mode_t before = umask(umasks[u]);
        int err;

        (void)snprintf(name, sizeof(name), "new%zu", u);
        hf_dir_close(&f.dir);
        err = init_below(name, NULL, &existed, &why);
        (void)umask(before);
        ok_or_why(err, &why);
        assert_false(existed);
        assert_string_equal(why.text, "");
        assert_int_equal(mode_of("."), 0700);
        for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
            assert_int_equal(mode_of(files[i]), 0600);
        (void)snprintf(f.dir.path, sizeof(f.dir.path), "%s", f.path);
    }
}

static void a_second_init_changes_nothing(void **state)
{
    struct hf_why why = {""};
    char before[32], after[32];
    bool existed = false;
    FILE *secret;

    (void)state;
    foreign_ok("INSERT INTO messages (topic, event, payload)"
               " VALUES ('a', 'b', '{}')");
    secret = fopen(path_of(HF_FILE_SECRET), "r");
    assert_int_equal(fread(before, 1, 32, secret), 32);
    (void)fclose(secret);

    ok_or_why(hf_dir_init(f.path, NULL, &existed, &why), &why);
    assert_true(existed);
    assert_int_equal(foreign_number("SELECT count(*) FROM messages"), 1);
    secret = fopen(path_of(HF_FILE_SECRET), "r");
    assert_int_equal(fread(after, 1, 32, secret), 32);
    (void)fclose(secret);
    assert_memory_equal(before, after, 32);
}

static void what_is_missing_is_put_back(void **state)
{
    struct hf_why why = {""};
    bool existed = false;

    (void)state;
    assert_int_equal(unlink(path_of(HF_FILE_SECRET)), 0);
    assert_int_equal(unlink(path_of(HF_FILE_SETTINGS)), 0);
    assert_int_equal(unlink(path_of(HF_FILE_LIVE)), 0);
    assert_int_equal(unlink(path_of(HF_FILE_BELLS)), 0);
    ok_or_why(hf_dir_init(f.path, NULL, &existed, &why), &why);
    assert_true(existed);
    assert_true(exists(HF_FILE_SECRET));
    assert_int_equal(mode_of(HF_FILE_SECRET), 0600);
    assert_true(exists(HF_FILE_SETTINGS));
    assert_true(exists(HF_FILE_LIVE));
    assert_true(exists(HF_FILE_BELLS));
}

static void a_directory_with_other_files_is_left_alone(void **state)
{
    struct hf_why why = {""};
    struct stat st;
    char path[PATH_MAX];
    bool existed;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/home", f.path);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chmod(path, 0755), 0);
    write_file("home/index.html", "<p>");
    assert_int_equal(hf_dir_init(path, NULL, &existed, &why), HF_EEXIST);
    assert_non_null(strstr(why.text, "index.html"));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_false(exists("home/journal.db"));
}

static void an_interrupted_init_is_done_again(void **state)
{
    struct hf_why why = {""};
    bool existed;

    (void)state;
    assert_int_equal(mkdir(path_of("half"), 0700), 0);
    write_file("half/journal.db.new", "half a journal");
    write_file("half/journal.db.new-wal", "and half of this");
    write_file("half/secret", "01234567890123456789012345678901");
    write_file("half/holdfast.conf.0123456789abcdef.tmp", "# half a se");
    ok_or_why(init_below("half", NULL, &existed, &why), &why);
    assert_false(existed);
    assert_true(exists(HF_FILE_JOURNAL));
    assert_false(exists("journal.db.new"));
    assert_false(exists("journal.db.new-wal"));
}

static void the_directory_above_must_exist(void **state)
{
    struct hf_why why = {""};
    char path[PATH_MAX];
    bool existed;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/no/such", f.path);
    assert_int_equal(hf_dir_init(path, NULL, &existed, &why), HF_ENOTFOUND);
    assert_non_null(strstr(why.text, "above it does not exist"));
}

static void a_group_gets_the_directory_and_the_files(void **state)
{
    const struct group *mine = getgrgid(getgid());
    struct hf_why why;
    bool existed;

    (void)state;
    if (!mine)
        skip();
    ok_or_why(init_below("shared", mine->gr_name, &existed, &why), &why);
    assert_int_equal(mode_of("."), 02770);
    assert_int_equal(mode_of(HF_FILE_JOURNAL), 0660);
    assert_int_equal(mode_of(HF_FILE_JOURNAL "-wal"), 0660);
    assert_int_equal(mode_of(HF_FILE_LIVE), 0660);
    assert_int_equal(mode_of(HF_FILE_WRITERS), 0660);
    assert_int_equal(mode_of(HF_FILE_SECRET), 0640);
    assert_int_equal(f.dir.file_mode, 0660);
}

static void the_web_servers_group_is_warned_of(void **state)
{
    struct hf_why why;
    bool existed;

    (void)state;
    if (geteuid() != 0 || !getgrnam("www-data"))
        skip(); /* only root may give a directory to another's group */
    assert_int_equal(init_below("web", "www-data", &existed, &why), 0);
    assert_non_null(strstr(why.text, "web server"));
}

static void an_unknown_group_is_refused(void **state)
{
    struct hf_why why;
    bool existed;

    (void)state;
    assert_int_equal(init_below("x", "no-such-group", &existed, &why),
                     HF_EINVAL);
    assert_false(exists("x"));
}

static void opening_says_how_to_make_a_journal(void **state)
{
    struct hf_why why = {""};
    struct hf_dir dir;

    (void)state;
    assert_int_equal(mkdir(path_of("empty"), 0700), 0);
    assert_int_equal(hf_dir_open(&dir, path_of("empty"), &why), HF_ENOTFOUND);
    assert_non_null(strstr(why.text, "holdfast init"));
    assert_int_equal(dir.fd, -1);
    assert_int_equal(hf_dir_open(&dir, path_of("nothing"), &why), HF_ENOTFOUND);
    assert_int_equal(hf_dir_open(&dir, path_of(HF_FILE_SECRET), &why),
                     HF_ENOTFOUND);
}

static void a_directory_open_to_all_is_refused(void **state)
{
    struct hf_why why = {""};
    struct hf_dir dir;

    (void)state;
    assert_int_equal(chmod(f.path, 0755), 0);
    assert_int_equal(hf_dir_open(&dir, f.path, &why), HF_EDENIED);
    assert_non_null(strstr(why.text, "chmod 700"));
}

static void network_file_systems_are_refused(void **state)
{
    static const long magics[] = {0x6969, 0xFF534D42, 0x65735546, 0x01021997};
    struct hf_why why = {""};
    struct hf_dir dir;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        pretended_fs = magics[i];
        assert_int_equal(hf_dir_open(&dir, f.path, &why), HF_EINVAL);
        assert_non_null(strstr(why.text, "local directory"));
    }
    assert_int_equal(
        setenv("HOLDFAST_ALLOW_NETWORK_FS", "all-processes-on-this-host", 1),
        0);
    ok_or_why(hf_dir_open(&dir, f.path, &why), &why);
    hf_dir_close(&dir);
    assert_int_equal(setenv("HOLDFAST_ALLOW_NETWORK_FS", "yes", 1), 0);
    assert_int_equal(hf_dir_open(&dir, f.path, &why), HF_EINVAL);
    assert_int_equal(unsetenv("HOLDFAST_ALLOW_NETWORK_FS"), 0);
    pretended_fs = 0;
}

static void lock_files_are_made_private_and_links_refused(void **state)
{
    mode_t before = umask(0);
    int fd = hf_dir_open_file(&f.dir, "another");

    (void)state;
    (void)umask(before);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(mode_of("another"), 0600);
    assert_int_equal(symlink("/dev/null", path_of("link")), 0);
    assert_int_equal(hf_dir_open_file(&f.dir, "link"), HF_EIO);
}

static void a_path_too_long_is_an_error(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(hf_dir_file(&f.dir, "journal.db", out, sizeof(out)),
                     HF_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(everything_is_private_whatever_the_umask),
        FIXTURE_TEST(a_second_init_changes_nothing),
        FIXTURE_TEST(what_is_missing_is_put_back),
        FIXTURE_TEST(a_directory_with_other_files_is_left_alone),
        FIXTURE_TEST(an_interrupted_init_is_done_again),
        FIXTURE_TEST(the_directory_above_must_exist),
        FIXTURE_TEST(a_group_gets_the_directory_and_the_files),
        FIXTURE_TEST(the_web_servers_group_is_warned_of),
        FIXTURE_TEST(an_unknown_group_is_refused),
        FIXTURE_TEST(opening_says_how_to_make_a_journal),
        FIXTURE_TEST(a_directory_open_to_all_is_refused),
        FIXTURE_TEST(network_file_systems_are_refused),
        FIXTURE_TEST(lock_files_are_made_private_and_links_refused),
        FIXTURE_TEST(a_path_too_long_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
