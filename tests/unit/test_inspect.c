/* What no directory of a test has: other file systems, other libraries, locks
 * that do not lock. */
#include "schema_fixture.h"

#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>

#include "schema/inspect.h"

int __real_fstatfs(int fd, struct statfs *fs);
int __wrap_fstatfs(int fd, struct statfs *fs);
int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __wrap_sqlite3_libversion_number(void);

static unsigned long magic; /* 0 = as it is */
static bool flock_grants_all;
static int library;

int __wrap_fstatfs(int fd, struct statfs *fs)
{
    int result = __real_fstatfs(fd, fs);

    if (magic)
        fs->f_type = (__typeof__(fs->f_type))magic;
    return result;
}

int __wrap_flock(int fd, int operation)
{
    return flock_grants_all ? 0 : __real_flock(fd, operation);
}

int __wrap_sqlite3_libversion_number(void)
{
    return library;
}

struct findings {
    const char *subject; /* looked for */
    enum hf_finding_level worst;
    char text[1024];
    unsigned count;
};

static void note(void *ctx, const struct hf_finding *finding)
{
    struct findings *findings = ctx;

    assert_null(strchr(finding->text, '\n')); /* one line each */
    if (strcmp(finding->subject, findings->subject) != 0)
        return;
    findings->count++;
    if (finding->level >= findings->worst) {
        findings->worst = finding->level;
        (void)snprintf(findings->text, sizeof(findings->text), "%s",
                       finding->text);
    }
}

static struct findings look(const char *subject)
{
    struct findings findings = {.subject = subject};
    struct hf_inspection inspection = {.found = note, .ctx = &findings};

    (void)hf_inspect(f.path, &inspection);
    return findings;
}

static int set_up(void **state)
{
    magic = 0;
    flock_grants_all = false;
    library = SQLITE_VERSION_NUMBER;
    return fixture_set_up(state);
}

static void a_network_file_system_is_named_with_the_remedy(void **state)
{
    struct findings findings;

    (void)state;
    magic = 0x6969;
    findings = look("filesystem");
    assert_int_equal(findings.worst, HF_FINDING_PROBLEM);
    assert_non_null(strstr(findings.text, "NFS"));
    assert_non_null(strstr(findings.text, "local disk"));
}

static void locks_that_lock_nobody_out_are_found(void **state)
{
    struct findings findings;

    (void)state;
    flock_grants_all = true;
    findings = look("locks");
    assert_int_equal(findings.worst, HF_FINDING_PROBLEM);
    assert_int_equal(findings.count, 1); /* the others do lock */
    assert_non_null(strstr(findings.text, "flock"));
    assert_non_null(strstr(findings.text, "two processes at once"));
}

static void locks_that_lock_are_fine(void **state)
{
    struct findings findings = look("locks");

    (void)state;
    assert_int_equal(findings.worst, HF_FINDING_OK);
    assert_int_equal(findings.count, 1);
}

static void versions_with_the_wal_reset_bug_are_told_from_others(void **state)
{
    static const struct {
        int version;
        bool affected;
    } versions[] = {
        {3038000, true},  {3040001, true}, {3044005, true},  {3044006, false},
        {3044099, false}, {3045000, true}, {3050006, true},  {3050007, false},
        {3051000, true},  {3051002, true}, {3051003, false}, {3053002, false},
        {4000000, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        struct findings findings;

        library = versions[i].version;
        findings = look("sqlite");
        assert_int_equal(findings.count, 1);
        assert_int_equal(findings.worst, versions[i].affected
                                             ? HF_FINDING_WARNING
                                             : HF_FINDING_OK);
    }
}

static void a_clock_that_was_never_set_is_a_warning(void **state)
{
    struct findings findings;
    int64_t back = -(hf_wall_ms() - 1000);

    (void)state;
    hf_clock_shift(0, back);
    findings = look("clock");
    hf_clock_shift(0, 0);
    assert_int_equal(findings.worst, HF_FINDING_WARNING);
}

#define INSPECT_TEST(name)                                                     \
    cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        INSPECT_TEST(a_network_file_system_is_named_with_the_remedy),
        INSPECT_TEST(locks_that_lock_nobody_out_are_found),
        INSPECT_TEST(locks_that_lock_are_fine),
        INSPECT_TEST(versions_with_the_wal_reset_bug_are_told_from_others),
        INSPECT_TEST(a_clock_that_was_never_set_is_a_warning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
