#include "schema/place.h"

#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/*
 * A folder per test, with a home in it that is both $HOME and that of the
 * password database:
 *
 *     home/    bin/gateway    www/holdfast.cgi, executable
 */
static struct {
    char top[64];
    char home[256];    /* of the password database */
    char program[256]; /* top/bin/gateway */
    char script[256];  /* top/www/holdfast.cgi */
    bool no_account;
    struct hf_place place;
    struct hf_why why;
} t;

struct passwd *__real_getpwuid(uid_t uid);
struct passwd *__wrap_getpwuid(uid_t uid);
struct passwd *__wrap_getpwuid(uid_t uid)
{
    static struct passwd account;

    (void)uid;
    account = (struct passwd){.pw_dir = t.home};
    return t.no_account ? NULL : &account;
}

static const char *path_of(const char *name)
{
    static char path[200];

    (void)snprintf(path, sizeof(path), "%s/%s", t.top, name);
    return path;
}

static void make_dir(const char *name)
{
    assert_int_equal(mkdir(path_of(name), 0700), 0);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(path_of(name), "w");

    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    memset(&t, 0, sizeof(t));
    (void)snprintf(t.top, sizeof(t.top), "%.30s/holdfast-test.XXXXXX",
                   tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(t.top));
    make_dir("home");
    make_dir("bin");
    make_dir("www");
    (void)snprintf(t.home, sizeof(t.home), "%s", path_of("home"));
    (void)snprintf(t.program, sizeof(t.program), "%s", path_of("bin/gateway"));
    (void)snprintf(t.script, sizeof(t.script), "%s",
                   path_of("www/holdfast.cgi"));
    write_file("bin/gateway", "", 0755);
    write_file("www/holdfast.cgi", "#!/bin/sh\n", 0755);
    assert_int_equal(unsetenv("HOME"), 0);
    return 0;
}

static int tear_down(void **state)
{
    char command[256];

    (void)state;
    assert_int_equal(chdir("/"), 0);
    (void)snprintf(command, sizeof(command), "rm -rf %s", t.top);
    return system(command);
}

static int find(struct hf_place_hints hints)
{
    t.why = (struct hf_why){""};
    return hf_place_find(&hints, &t.place, &t.why);
}

#define FIND(...) find((struct hf_place_hints){__VA_ARGS__})

static void expect_place(const char *dir, const char *said_by)
{
    assert_string_equal(t.place.dir, dir);
    assert_string_equal(t.place.said_by, said_by);
}

static void expect_words(const char *words)
{
    if (!strstr(t.why.text, words))
        fail_msg("\"%s\" does not say \"%s\"", t.why.text, words);
}

/* home/holdfast with something that is called a journal */
static void make_home_journal(void)
{
    make_dir("home/holdfast");
    write_file("home/holdfast/journal.db", "", 0600);
}

static void what_comes_first_counts(void **state)
{
    char first[256];

    (void)state;
    make_home_journal();
    write_file("bin/" HF_PLACE_FILE, "dir = /of/program\n", 0644);
    write_file("www/" HF_PLACE_FILE, "dir = /of/script\n", 0644);

    assert_int_equal(FIND(.option = "/a", .variable = "/b", .script = t.script,
                          .program = t.program),
                     0);
    expect_place("/a", "--dir");
    assert_int_equal(
        FIND(.variable = "/b", .script = t.script, .program = t.program), 0);
    expect_place("/b", "HOLDFAST_DIR");
    assert_int_equal(FIND(.script = t.script, .program = t.program), 0);
    (void)snprintf(first, sizeof(first), "%s", path_of("www/" HF_PLACE_FILE));
    expect_place("/of/script", first);
    assert_int_equal(FIND(.program = t.program), 0);
    (void)snprintf(first, sizeof(first), "%s", path_of("bin/" HF_PLACE_FILE));
    expect_place("/of/program", first);
    assert_int_equal(FIND(.here = true), 0);
    (void)snprintf(first, sizeof(first), "%s", path_of("home/holdfast"));
    expect_place(first, "the account's home");
}

static void what_is_empty_is_not_said(void **state)
{
    (void)state;
    assert_int_equal(FIND(.option = "", .variable = "/b"), 0);
    expect_place("/b", "HOLDFAST_DIR");
    assert_int_equal(FIND(.variable = "", .script = "", .program = ""),
                     HF_ENOTFOUND);
}

static void the_current_directory_counts_if_it_holds_a_journal(void **state)
{
    (void)state;
    make_home_journal();
    assert_int_equal(chdir(path_of("home/holdfast")), 0);
    assert_int_equal(FIND(.here = true), 0);
    expect_place(".", "the current directory");
    assert_int_equal(FIND(.here = false), 0);
    assert_string_equal(t.place.said_by, "the account's home");
    assert_int_equal(chdir(path_of("www")), 0);
    assert_int_equal(FIND(.here = true), 0);
    assert_string_equal(t.place.said_by, "the account's home");

    /* one whose journal is to be restored */
    write_file("www/holdfast.conf", "", 0600);
    assert_int_equal(FIND(.here = true), 0);
    expect_place(".", "the current directory");
}

static void a_path_in_the_file_is_relative_to_it(void **state)
{
    char whole[256];

    (void)state;
    write_file("bin/" HF_PLACE_FILE, "; ours\ndir = ../journal\n", 0644);
    assert_int_equal(FIND(.program = t.program), 0);
    (void)snprintf(whole, sizeof(whole), "%s", path_of("bin/../journal"));
    assert_string_equal(t.place.dir, whole);

    assert_int_equal(chdir(path_of("bin")), 0); /* started as ./gateway */
    assert_int_equal(FIND(.program = "./gateway"), 0);
    assert_string_equal(t.place.dir, "./../journal");
    assert_int_equal(FIND(.program = "gateway"), 0);
    assert_string_equal(t.place.dir, "./../journal");
}

static void a_link_counts_where_it_stands(void **state)
{
    char link[256];

    (void)state;
    (void)snprintf(link, sizeof(link), "%s", path_of("www/holdfast.fcgi"));
    assert_int_equal(symlink(t.program, link), 0);
    write_file("www/" HF_PLACE_FILE, "dir = /of/link\n", 0644);
    assert_int_equal(FIND(.program = link), 0);
    assert_string_equal(t.place.dir, "/of/link");
}

static void a_tilde_is_the_home_wherever_it_is_said(void **state)
{
    char whole[256];

    (void)state;
    (void)snprintf(whole, sizeof(whole), "%s", path_of("home/chat"));
    assert_int_equal(FIND(.option = "~/chat"), 0);
    assert_string_equal(t.place.dir, whole);
    assert_int_equal(FIND(.variable = "~/chat"), 0);
    assert_string_equal(t.place.dir, whole);
    write_file("bin/" HF_PLACE_FILE, "dir = ~/chat\n", 0644);
    assert_int_equal(FIND(.program = t.program), 0);
    assert_string_equal(t.place.dir, whole);

    assert_int_equal(FIND(.option = "~max/chat"), HF_EINVAL);
    expect_words("only ~/ is understood");
    t.no_account = true;
    assert_int_equal(FIND(.option = "~/chat"), HF_ENOTFOUND);
    expect_words("has no home");
}

static void home_is_that_of_the_environment_if_it_is_ours(void **state)
{
    char whole[256];

    (void)state;
    make_dir("other");
    assert_int_equal(setenv("HOME", path_of("other/"), 1), 0);
    (void)snprintf(whole, sizeof(whole), "%s", path_of("other/x"));
    assert_int_equal(FIND(.option = "~/x"), 0);
    assert_string_equal(t.place.dir, whole);

    /* as from a web server that root has started */
    if (geteuid() == 0)
        assert_int_equal(chown(path_of("other"), 1, 1), 0);
    else
        assert_int_equal(setenv("HOME", "/", 1), 0);
    (void)snprintf(whole, sizeof(whole), "%s", path_of("home/x"));
    assert_int_equal(FIND(.option = "~/x"), 0);
    assert_string_equal(t.place.dir, whole);

    assert_int_equal(setenv("HOME", "relative", 1), 0);
    assert_int_equal(FIND(.option = "~/x"), 0);
    assert_string_equal(t.place.dir, whole);
}

static void refused(const char *text, const char *words)
{
    make_home_journal();
    write_file("bin/" HF_PLACE_FILE, text, 0644);
    assert_int_equal(FIND(.program = t.program), HF_EINVAL);
    expect_words(path_of("bin/" HF_PLACE_FILE));
    expect_words(words);
    assert_int_equal(unlink(path_of("home/holdfast/journal.db")), 0);
    assert_int_equal(rmdir(path_of("home/holdfast")), 0);
}

static void a_file_that_says_something_else_is_refused(void **state)
{
    (void)state;
    refused("", "a line dir = PATH is missing");
    refused("dri = /x\n", ":1: unknown name 'dri': did you mean 'dir'?");
    refused("dir = /x\nmax_held = 3\n", ":2: unknown name 'max_held'; this");
    refused("[gateway]\nhold = 3s\n", ":2: this file has no sections");
    refused("dir = /x\ndir = /y\n", ":2: dir: said twice");
    refused("dir =\n", ":1: dir: a path is needed");
    refused("/home/me/holdfast\n", ":1: neither [section] nor name = value");
}

static void a_file_that_anybody_may_write_is_refused(void **state)
{
    (void)state;
    write_file("bin/" HF_PLACE_FILE, "dir = /x\n", 0646);
    assert_int_equal(FIND(.program = t.program), HF_EDENIED);
    expect_words("chmod o-w");
    assert_int_equal(chmod(path_of("bin/" HF_PLACE_FILE), 0664), 0);
    assert_int_equal(FIND(.program = t.program), 0);
    assert_int_equal(unlink(path_of("bin/" HF_PLACE_FILE)), 0);
    make_dir("bin/" HF_PLACE_FILE);
    assert_int_equal(FIND(.program = t.program), HF_EINVAL);
    expect_words("not a file");
}

/* As in /tmp, where anybody may put one beside a program of somebody else. */
static void a_file_of_a_stranger_is_refused(void **state)
{
    const uid_t stranger = 54321;

    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can give files away */
    write_file("www/" HF_PLACE_FILE, "dir = /x\n", 0644);
    assert_int_equal(chown(path_of("www/" HF_PLACE_FILE), stranger, 0), 0);
    assert_int_equal(FIND(.script = t.script), HF_EDENIED);
    expect_words("belongs to uid 54321");
    assert_int_equal(chown(path_of("www"), stranger, 0), 0);
    assert_int_equal(FIND(.script = t.script), 0); /* the site is his */
    assert_int_equal(chown(path_of("www"), 0, 0), 0);
}

/* SCRIPT_FILENAME of servers that put it together from the URL, or that say
 * something else by it. */
static void a_script_that_is_no_program_is_ignored(void **state)
{
    char path[256];

    (void)state;
    write_file("www/" HF_PLACE_FILE, "dir = /of/script\n", 0644);
    (void)snprintf(path, sizeof(path), "%s", path_of("www/longpoll"));
    assert_int_equal(FIND(.script = path), HF_ENOTFOUND);
    write_file("www/longpoll", "", 0644); /* not executable */
    assert_int_equal(FIND(.script = path), HF_ENOTFOUND);
    assert_int_equal(FIND(.script = t.top), HF_ENOTFOUND);
    assert_int_equal(chdir(path_of("www")), 0);
    assert_int_equal(FIND(.script = "holdfast.cgi"), HF_ENOTFOUND);
    assert_int_equal(FIND(.script = "proxy:fcgi://localhost/x"), HF_ENOTFOUND);
    assert_int_equal(FIND(.script = t.script), 0);
}

static void where_nothing_says_it_all_that_was_tried_is_listed(void **state)
{
    char path[256];

    (void)state;
    assert_int_equal(chdir(t.top), 0);
    assert_int_equal(
        FIND(.script = t.script, .program = t.program, .here = true),
        HF_ENOTFOUND);
    expect_words("`holdfast init` makes one");
    expect_words("--dir (not given), HOLDFAST_DIR (not set), ");
    (void)snprintf(path, sizeof(path), "%s/www/.htholdfast (not there)", t.top);
    expect_words(path);
    (void)snprintf(path, sizeof(path), "%s/bin/.htholdfast (not there)", t.top);
    expect_words(path);
    expect_words("the current directory (no journal in it)");
    (void)snprintf(path, sizeof(path), "%s/home/holdfast (not there)", t.top);
    expect_words(path);
    make_dir("home/holdfast"); /* something else of that name */
    assert_int_equal(FIND(.here = true), HF_ENOTFOUND);
    (void)snprintf(path, sizeof(path), "%s/home/holdfast (no journal in it)",
                   t.top);
    expect_words(path);

    t.no_account = true;
    assert_int_equal(FIND(.program = t.program), HF_ENOTFOUND);
    expect_words("has no home");
}

/* Each folder is named once. */
static void a_script_beside_the_program_is_looked_at_once(void **state)
{
    char script[256];
    const char *said;

    (void)state;
    (void)snprintf(script, sizeof(script), "%s", path_of("bin/holdfast.cgi"));
    write_file("bin/holdfast.cgi", "", 0755);
    assert_int_equal(FIND(.script = script, .program = t.program),
                     HF_ENOTFOUND);
    said = strstr(t.why.text, "bin/" HF_PLACE_FILE);
    assert_non_null(said);
    assert_null(strstr(said + 1, "bin/" HF_PLACE_FILE));
}

static void paths_that_do_not_fit_are_refused(void **state)
{
    static char path[PATH_MAX + 2];

    (void)state;
    memset(path, 'a', PATH_MAX);
    assert_int_equal(FIND(.option = path), HF_ELIMIT);
    expect_words("too long");
    path[PATH_MAX - 1] = '\0';
    assert_int_equal(FIND(.option = path), 0);
    memcpy(path, "~/", 2);
    assert_int_equal(FIND(.option = path), HF_ELIMIT);
}

static void the_program_is_known_by_the_path_it_was_started_by(void **state)
{
    (void)state;
    assert_non_null(strstr(hf_place_program(), "test_place"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_comes_first_counts),
        TEST(what_is_empty_is_not_said),
        TEST(the_current_directory_counts_if_it_holds_a_journal),
        TEST(a_path_in_the_file_is_relative_to_it),
        TEST(a_link_counts_where_it_stands),
        TEST(a_tilde_is_the_home_wherever_it_is_said),
        TEST(home_is_that_of_the_environment_if_it_is_ours),
        TEST(a_file_that_says_something_else_is_refused),
        TEST(a_file_that_anybody_may_write_is_refused),
        TEST(a_file_of_a_stranger_is_refused),
        TEST(a_script_that_is_no_program_is_ignored),
        TEST(where_nothing_says_it_all_that_was_tried_is_listed),
        TEST(a_script_beside_the_program_is_looked_at_once),
        TEST(paths_that_do_not_fit_are_refused),
        TEST(the_program_is_known_by_the_path_it_was_started_by),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
