/*
 * power_judge.c - the first process after the power has come back
 */
#include "tests/crash/power.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "channel/dispatch.h"
#include "schema/journal.h"
#include "schema/live.h"

static const struct round *round_now;
static struct facts *facts;
static struct findings *found;
static struct hf_dir dir;
static struct hf_settings settings;
static struct hf_journal *journal;
static uint64_t id_of[MESSAGES]; /* in the image; 0 = not there */
static uint64_t last_ours, last_foreign;

/* --- opening -------------------------------------------------------------- */

/* Damage can only come of a control, which promises what it cannot keep. */
static bool opens(const char *image)
{
    struct hf_why why = {""};
    struct hf_live *live;

    if (hf_dir_open(&dir, image, &why) ||
        hf_journal_open(&dir, &settings, HF_JOURNAL_WRITE, &journal, &why)) {
        if (round_now->control)
            found->corrupt++;
        else
            power_bad(RULE_OPENS, "%s", why.text);
        return false;
    }
    if (hf_live_open(&dir, &live, &why))
        power_bad(RULE_OPENS, "%s", why.text);
    else
        hf_live_close(live);
    return true;
}

static bool is_sound(const char *image)
{
    char path[PATH_MAX];
    const char *words = "cannot be checked";
    sqlite3_stmt *stmt = NULL;
    bool sound;
    sqlite3 *db;

    (void)snprintf(path, sizeof(path), "%s/%s", image, HF_FILE_JOURNAL);
    if (sqlite3_open(path, &db) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL) ==
            SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        words = (const char *)sqlite3_column_text(stmt, 0);
    sound = words && strcmp(words, "ok") == 0;
    if (!sound && round_now->control)
        found->corrupt++;
    else if (!sound)
        power_bad(RULE_SOUND, "%s", words);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return sound;
}

static void check_epoch(void)
{
    uint64_t epoch = hf_journal_epoch(journal);

    if (epoch == facts->epoch || facts->epoch == 0)
        return;
    /* Allowed where commits may be lost, and then every cursor is reset. */
    found->new_epochs++;
    if (round_now->durability == HF_DURABILITY_FULL && !round_now->control)
        power_bad(RULE_EPOCH, "another epoch");
    facts->highest = 0;
    facts->epoch = epoch;
}

/* --- what is there -------------------------------------------------------- */

static void check_order(uint32_t n, uint64_t id)
{
    const struct fact *fact = &facts->messages[n];
    uint64_t *last = fact->foreign ? &last_foreign : &last_ours;
    static uint32_t last_n[2];

    if (fact->again)
        return;
    if (*last > 0 && n < last_n[fact->foreign])
        power_bad(RULE_ORDER, "message %u comes after its successor", n);
    *last = id;
    last_n[fact->foreign] = n;
}

static int take(void *ctx, const struct hf_row *row)
{
    static struct message message;
    unsigned n = MESSAGES;

    (void)ctx;
    if (sscanf(row->payload.at, "{\"n\":%u,", &n) != 1 || n >= facts->next) {
        power_bad(RULE_IDS, "row %" PRIu64 " is nobody's", row->id);
        return 0;
    }
    power_message(n, &message);
    if (!hf_str_eq(row->payload, hf_str_of(message.payload)) ||
        !hf_str_eq(row->topic, hf_str_of(message.topic)))
        power_bad(RULE_IDS, "row %" PRIu64 " is not as it was", row->id);
    if (id_of[n])
        power_bad(RULE_ONCE, "message %u is there twice", n);
    id_of[n] = row->id;
    check_order(n, row->id);
    return 0;
}

static void read_all(void)
{
    uint64_t after = 0;
    bool more = true;

    while (more) {
        if (hf_journal_read(journal, after, 500, 1 << 20, take, NULL, &after,
                            &more)) {
            if (!round_now->control)
                power_bad(RULE_SOUND, "cannot be read");
            return;
        }
    }
}

/* --- what was promised ---------------------------------------------------- */

static bool was_trimmed(uint32_t n)
{
    static struct message message;
    uint64_t through = 0;

    power_message(n, &message);
    if (hf_journal_trimmed(journal, hf_str_of(message.topic), &through))
        power_bad(RULE_SOUND, "trimmed cannot be read");
    return facts->messages[n].id <= facts->delete_end &&
           facts->messages[n].id <= through;
}

/* Was told its id, and is not there. */
static void missing(uint32_t n, uint64_t *lowest_lost)
{
    const struct fact *fact = &facts->messages[n];

    if (was_trimmed(n)) {
        found->deleted++;
        return;
    }
    if (fact->promise == PROMISED) {
        found->lost++;
        if (!round_now->control)
            power_bad(RULE_KEPT, "message %u, id %" PRIu64 ", is lost", n,
                      fact->id);
        return;
    }
    /* With full sync nobody sees a row before it is on the disk. */
    if (fact->seen && round_now->durability == HF_DURABILITY_FULL &&
        round_now->foreign <= FOREIGN_FULL)
        power_bad(RULE_SEEN, "message %u, id %" PRIu64 ", was seen", n,
                  fact->id);
    found->lost_normal++;
    if (fact->id < *lowest_lost)
        *lowest_lost = fact->id;
}

static void compare(void)
{
    uint64_t lowest_lost = UINT64_MAX, highest_kept = 0;
    uint32_t n;

    for (n = 0; n < facts->next; n++) {
        const struct fact *fact = &facts->messages[n];

        if (id_of[n] && fact->id && id_of[n] != fact->id)
            power_bad(RULE_IDS,
                      "message %u has id %" PRIu64 " and was told %" PRIu64, n,
                      id_of[n], fact->id);
        if (id_of[n] && id_of[n] <= facts->deleted)
            power_bad(RULE_DELETED, "message %u is back", n);
        if (id_of[n] > highest_kept)
            highest_kept = id_of[n];
        found->promised += id_of[n] && fact->promise == PROMISED;
        found->unpromised += id_of[n] && fact->promise != PROMISED;
        if (!id_of[n] && fact->id)
            missing(n, &lowest_lost);
    }
    if (lowest_lost < highest_kept && !round_now->control)
        power_bad(RULE_SUFFIX,
                  "id %" PRIu64 " is lost and %" PRIu64 " is there",
                  lowest_lost, highest_kept);
}

/* --- cursors -------------------------------------------------------------- */

struct continuation {
    uint64_t after;
    unsigned rows;
};

static int follow(void *ctx, const struct hf_row *row)
{
    struct continuation *seen = ctx;

    if (row->id <= seen->after)
        power_bad(RULE_CURSORS, "id %" PRIu64 " comes again", row->id);
    seen->after = row->id;
    seen->rows++;
    return 0;
}

/* Messages of the topic above the cursor: those promised, and those there. */
static void count_after(uint32_t topic, uint64_t cursor, unsigned *promised,
                        unsigned *there)
{
    uint32_t n;

    *promised = *there = 0;
    for (n = topic; n < facts->next; n += TOPICS) {
        const struct fact *fact = &facts->messages[n];

        *there += id_of[n] > cursor;
        *promised += fact->promise == PROMISED && fact->id > cursor;
    }
}

/* A reader of the topic returns with a cursor it had before the cut. */
static void come_back(uint32_t topic, uint64_t cursor)
{
    struct hf_resume resume = {.asked = true,
                               .since = {hf_journal_epoch(journal), cursor}};
    struct continuation seen = {.after = cursor};
    uint64_t head = 0, trimmed = 0, last;
    unsigned promised, there;
    struct hf_start start;
    char name[16];
    bool more = true;

    (void)snprintf(name, sizeof(name), "t%u", topic);
    if (hf_journal_head(journal, &head) ||
        hf_journal_trimmed(journal, hf_str_of(name), &trimmed))
        power_bad(RULE_SOUND, "no head");
    start = hf_resume_start(&resume, hf_journal_epoch(journal), head, trimmed);
    found->cursors++;
    if (start.gap) {
        found->resets += strcmp(start.gap, "reset") == 0;
        found->gaps += strcmp(start.gap, "reset") != 0;
        if (strcmp(start.gap, "reset") == 0 &&
            round_now->durability == HF_DURABILITY_FULL)
            power_bad(RULE_CURSORS, "cursor %" PRIu64 " is beyond the head",
                      cursor);
        return;
    }
    last = start.cursor;
    while (more) {
        if (hf_journal_read_topic(journal, hf_str_of(name), last, head, 100,
                                  1 << 20, follow, &seen, &last, &more)) {
            power_bad(RULE_SOUND, "a topic cannot be read");
            return;
        }
    }
    count_after(topic, cursor, &promised, &there);
    if (seen.rows != there || there < promised)
        power_bad(RULE_CURSORS,
                  "topic %u after %" PRIu64 ": %u rows, %u there, %u promised",
                  topic, cursor, seen.rows, there, promised);
}

static void check_cursors(uint64_t *random)
{
    unsigned i;

    if (facts->highest == 0)
        return;
    for (i = 0; i < 24; i++) {
        uint32_t n = (uint32_t)(disk_random(random) % (facts->next + 1));
        uint64_t cursor = facts->highest;

        if (n < facts->next && facts->messages[n].id &&
            facts->messages[n].id <= facts->highest)
            cursor = facts->messages[n].id;
        come_back((uint32_t)(disk_random(random) % TOPICS), cursor);
    }
}

/* --- life goes on --------------------------------------------------------- */

/* Publishes message n; its id. */
static uint64_t publish(uint32_t n, bool *repeated)
{
    static struct message message;
    struct hf_publish publish = {.event = HF_STR("e")};
    uint64_t id = 0;

    power_message(n, &message);
    publish.topic = hf_str_of(message.topic);
    publish.payload = hf_str_of(message.payload);
    publish.key = hf_str_of(message.key);
    if (publish.key.len > 0)
        publish.publisher = HF_STR("power");
    if (hf_journal_begin(journal) ||
        hf_journal_append(journal, &publish, &id, repeated) ||
        hf_journal_commit(journal)) {
        power_bad(RULE_OPENS, "cannot publish");
        return 0;
    }
    return id;
}

static void is_new(uint32_t n, uint64_t id)
{
    found->fresh++;
    if (id <= facts->highest)
        power_bad(RULE_NEW_IDS,
                  "message %u gets id %" PRIu64 ", and ids up to %" PRIu64
                  " were given",
                  n, id, facts->highest);
    id_of[n] = id;
    power_learnt(facts, id);
}

/* What had a key and may have got no answer is published again. */
static void repeat(uint32_t n)
{
    static struct message message;
    bool repeated = false;
    uint64_t id;

    power_message(n, &message);
    if (!message.key[0] || (facts->messages[n].id && !id_of[n]))
        return; /* without a key, or deleted or lost */
    id = publish(n, &repeated);
    found->repeats++;
    if (!id)
        return;
    if (repeated != (id_of[n] != 0) || (repeated && id != id_of[n]))
        power_bad(RULE_ONCE, "message %u again: id %" PRIu64 ", was %" PRIu64,
                  n, id, id_of[n]);
    if (repeated)
        return;
    facts->messages[n].again = 1;
    is_new(n, id);
}

static void publish_on(uint64_t *random)
{
    uint32_t known = facts->next;
    bool repeated;
    unsigned i;

    for (i = 0; i < 10 && known > 0; i++)
        repeat((uint32_t)(disk_random(random) % known));
    for (i = 0; i < 40 && i < known; i++) /* the last: some without answer */
        repeat(known - 1 - i);
    for (i = 0; i < 3; i++) {
        uint32_t n = facts->next++;

        is_new(n, publish(n, &repeated));
    }
}

/* What is on the disk now is durable, and what is not there is forgotten. */
static void begin_anew(void)
{
    uint32_t n;

    for (n = 0; n < facts->next; n++) {
        facts->messages[n].id = id_of[n];
        facts->messages[n].seen = 0;
        facts->messages[n].promise = id_of[n] ? PROMISED : PROMISED_NOTHING;
    }
}

_Noreturn void power_judge(const struct round *round, const char *image,
                           unsigned boot)
{
    uint64_t random = round->seed ^ boot;

    hf_log_open("test", HF_LOG_ERROR + 1, false);
    round_now = round;
    facts = &shared->at_cut;
    found = &shared->findings;
    found->cuts++;
    found->at[shared->moment]++;
    hf_settings_default(&settings);
    settings.durability = round->durability;
    power_boot(boot);
    if (opens(image)) {
        check_epoch();
        read_all();
        compare();
        if (!round->control) {
            check_cursors(&random);
            publish_on(&random);
        }
        hf_journal_close(journal);
        hf_dir_close(&dir);
        (void)is_sound(image);
    }
    begin_anew();
    _exit(0);
}
