/*
 * power_init.c - the power fails while `holdfast init` makes a journal
 */
#include "tests/crash/power.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "schema/journal.h"

static void begin_init_cut(void *ctx)
{
    (void)ctx;
    shared->at_cut.next = shared->now.next; /* had init returned? */
}

static _Noreturn void end(void *ctx)
{
    (void)ctx;
    _exit(0);
}

static bool publish_in(const char *directory, struct hf_why *why)
{
    struct hf_publish publish = {
        .topic = HF_STR("t0"), .event = HF_STR("e"), .payload = HF_STR("1")};
    struct hf_settings settings;
    struct hf_journal *journal;
    struct hf_dir dir;
    uint64_t id;
    bool repeated, done;

    hf_settings_default(&settings);
    if (hf_dir_open(&dir, directory, why))
        return false;
    if (hf_journal_open(&dir, &settings, HF_JOURNAL_WRITE, &journal, why)) {
        hf_dir_close(&dir);
        return false;
    }
    done = hf_journal_begin(journal) == 0 &&
           hf_journal_append(journal, &publish, &id, &repeated) == 0 &&
           hf_journal_commit(journal) == 0;
    hf_journal_close(journal);
    hf_dir_close(&dir);
    return done;
}

_Noreturn void power_init(const char *directory, const char *image,
                          uint64_t seed)
{
    struct disk_plan plan = {
        .moment = DISK_ANY, .image = image, .cut = begin_init_cut, .made = end};
    struct hf_why why = {""};
    bool existed;

    hf_log_open("test", HF_LOG_ERROR + 1, false);
    plan.nth = 1 + disk_random(&seed) % 130;
    plan.fate = (enum disk_fate)(disk_random(&seed) % DISK_FATES);
    plan.seed = disk_random(&seed);
    shared->moment = DISK_ANY;
    shared->now.next = 0;
    if (mkdir(directory, 0700) < 0)
        power_die("mkdir", directory);
    disk_begin(directory);
    disk_plan(&plan);
    if (hf_dir_init(directory, NULL, &existed, &why))
        power_die("init", why.text);
    shared->now.next = 1;
    while (publish_in(directory, &why))
        ;
    power_die("publish after init", why.text);
}

_Noreturn void power_judge_init(const char *image)
{
    struct hf_why why = {""};
    bool existed;

    hf_log_open("test", HF_LOG_ERROR + 1, false);
    shared->findings.cuts++;
    if (shared->at_cut.next > 0 && !publish_in(image, &why))
        power_bad(RULE_INIT, "init had returned: %s", why.text);
    if (hf_dir_init(image, NULL, &existed, &why))
        power_bad(RULE_INIT, "init again: %s", why.text);
    else if (!publish_in(image, &why))
        power_bad(RULE_INIT, "publish: %s", why.text);
    _exit(0);
}
