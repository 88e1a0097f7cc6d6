/*
 * presences.h: rows, the diffs that tell of them, and a random test in which
 * a client that knows nothing but states and diffs must know who is there
 */
#include "schema_fixture.h"

#include "base/json.h"
#include "schema/presences.h"
#include "schema/sessions.h"

static struct hf_journal *w;

static int set_up(void **state)
{
    int err = fixture_set_up(state);

    if (err == 0)
        w = open_journal(HF_JOURNAL_WRITE);
    return err;
}

static int tear_down(void **state)
{
    hf_journal_close(w);
    return fixture_tear_down(state);
}

#define PRESENCE_TEST(name)                                                    \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* --- words ---------------------------------------------------------------- */

static void begin(void)
{
    assert_int_equal(hf_journal_begin(w), 0);
}

static void commit(void)
{
    assert_int_equal(hf_journal_commit(w), 0);
}

static struct hf_holder holder_of(const char *owner, const char *session)
{
    return (struct hf_holder){.owner = hf_str_of(owner),
                              .session = hf_str_of(session),
                              .member = 1,
                              .lease = hf_str_of(session)};
}

static int track_as(const char *owner, const char *session, const char *key,
                    const char *meta, enum hf_track how)
{
    struct hf_holder holder = holder_of(owner, session);

    return hf_presence_track(w, &holder, HF_STR("t"), hf_str_of(key),
                             hf_str_of(meta), how);
}

static void track(const char *owner, const char *key, const char *meta)
{
    assert_int_equal(track_as(owner, owner, key, meta, HF_TRACK), 0);
}

static void untrack(const char *owner, const char *key)
{
    assert_int_equal(
        hf_presence_untrack(w, hf_str_of(owner), HF_STR("t"), hf_str_of(key)),
        0);
}

static int add_diff(void *ctx, const struct hf_row *row)
{
    struct hf_buf *out = ctx;

    if (!hf_str_eq(row->event, HF_STR("presence_diff")))
        return 0;
    (void)hf_buf_add_str(out, row->payload);
    return hf_buf_add_byte(out, '\n');
}

/* Refs are random: as r1, r2, ... by first appearance in the test. */
static void number_refs(struct hf_buf *text)
{
    static const char word[] = "\"phx_ref";
    static char seen[64][HF_PRESENCE_REF];
    static size_t count;
    char *at = text->at, *end = text->at + text->len, *to = text->at;

    if (!text->len) {
        count = 0;
        return;
    }
    while (at < end) {
        char name[8];
        size_t n;

        if (end - at < 12 || memcmp(at, word, sizeof(word) - 1) != 0) {
            *to++ = *at++;
            continue;
        }
        do
            *to++ = *at;
        while (*at++ != ':');
        *to++ = *at++; /* the quote */
        for (n = 0; n < count; n++)
            if (memcmp(seen[n], at, HF_PRESENCE_REF) == 0)
                break;
        if (n == count && count < 64)
            memcpy(seen[count++], at, HF_PRESENCE_REF);
        to += sprintf(to, "%.0sr%zu", name, n + 1);
        at += HF_PRESENCE_REF;
    }
    text->len = (size_t)(to - text->at);
}

/* Diffs behind `after`, a line each. */
static const char *diffs(uint64_t after)
{
    static struct hf_buf out;
    uint64_t last;
    bool more;

    hf_buf_release(&out);
    hf_buf_init(&out, 16u << 20);
    assert_int_equal(hf_journal_read(w, after, 10000, 64u << 20, add_diff, &out,
                                     &last, &more),
                     0);
    if (out.len > 0)
        number_refs(&out);
    (void)hf_buf_add_byte(&out, '\0');
    return out.at;
}

static const char *state_of(struct hf_journal *journal)
{
    static struct hf_buf out;

    hf_buf_release(&out);
    hf_buf_init(&out, 16u << 20);
    assert_int_equal(hf_presence_state(journal, HF_STR("t"), &out), 0);
    number_refs(&out);
    (void)hf_buf_add_byte(&out, '\0');
    return out.at;
}

static void forget_refs(void)
{
    struct hf_buf none = {0};

    number_refs(&none);
}

/* --- tests ----------------------------------------------------------------- */

static void tracking_is_told_with_the_commit(void **state)
{
    uint64_t head = head_of(w);

    (void)state;
    forget_refs();
    begin();
    track("a", "alice", "{ \"d\":\"pc\" }");
    assert_string_equal(diffs(head), "");
    commit();
    assert_string_equal(diffs(head),
                        "{\"joins\":{\"alice\":{\"metas\":[{ \"d\":\"pc\" "
                        ",\"phx_ref\":\"r1\"}]}},\"leaves\":{}}\n");
    assert_string_equal(
        state_of(w),
        "{\"alice\":{\"metas\":[{ \"d\":\"pc\" ,\"phx_ref\":\"r1\"}]}}");
    head = head_of(w);
    begin();
    untrack("a", "alice");
    commit();
    assert_string_equal(diffs(head),
                        "{\"joins\":{},\"leaves\":{\"alice\":{\"metas\":[{ "
                        "\"d\":\"pc\" ,\"phx_ref\":\"r1\"}]}}}\n");
    assert_string_equal(state_of(w), "{}");
    assert_int_equal(foreign_number("SELECT count(*) FROM presences"), 0);
}

static void a_rollback_takes_both_back(void **state)
{
    uint64_t head = head_of(w);

    (void)state;
    begin();
    track("a", "alice", "{}");
    hf_journal_rollback(w);
    begin();
    assert_int_equal(hf_journal_part_begin(w), 0);
    track("b", "bob", "{}");
    hf_journal_part_undo(w);
    commit();
    assert_string_equal(diffs(head), "");
    assert_string_equal(state_of(w), "{}");
}

static void a_change_of_meta_is_one_diff(void **state)
{
    uint64_t head;

    (void)state;
    forget_refs();
    begin();
    track("a", "alice", "{\"n\":1}");
    commit();
    head = head_of(w);
    (void)state_of(w); /* r1 */
    begin();
    assert_int_equal(track_as("a", "a", "alice", "{\"n\":2}", HF_UPDATE), 0);
    commit();
    assert_string_equal(
        diffs(head),
        "{\"joins\":{\"alice\":{\"metas\":[{\"n\":2,\"phx_ref\":\"r2\","
        "\"phx_ref_prev\":\"r1\"}]}},\"leaves\":{\"alice\":{\"metas\":[{\"n\":"
        "1,\"phx_ref\":\"r1\"}]}}}\n");
    begin();
    assert_int_equal(track_as("b", "b", "alice", "{}", HF_UPDATE),
                     HF_ENOTFOUND);
    commit();
    assert_string_equal(state_of(w),
                        "{\"alice\":{\"metas\":[{\"n\":2,\"phx_ref\":\"r2\","
                        "\"phx_ref_prev\":\"r1\"}]}}");
}

static void what_comes_and_goes_in_one_transaction_is_not_told(void **state)
{
    uint64_t head;

    (void)state;
    forget_refs();
    begin();
    track("a", "alice", "{}");
    commit();
    head = head_of(w);
    begin();
    track("b", "bob", "{}");
    untrack("b", "bob");
    untrack("a", "alice"); /* and back */
    track("a", "alice", "{}");
    commit();
    assert_string_equal(diffs(head), "");
    assert_string_equal(state_of(w),
                        "{\"alice\":{\"metas\":[{\"phx_ref\":\"r1\"}]}}");
}

static void a_key_may_have_several_owners(void **state)
{
    uint64_t head;
    const char *text;

    (void)state;
    forget_refs();
    begin();
    track("a", "bob", "{\"d\":1}");
    commit();
    head = head_of(w);
    begin();
    track("b", "bob", "{\"d\":2}");
    commit();
    assert_string_equal(diffs(head),
                        "{\"joins\":{\"bob\":{\"metas\":[{\"d\":2,\"phx_ref\":"
                        "\"r1\"}]}},\"leaves\":{}}\n");
    text = state_of(w);
    assert_non_null(strstr(text, "{\"d\":1,"));
    assert_non_null(strstr(text, "{\"d\":2,"));
    assert_non_null(strstr(text, "},{")); /* in one list */
    begin();
    untrack("a", "bob");
    commit();
    assert_null(strstr(state_of(w), "{\"d\":1,"));
}

static void metas_of_a_key_stand_in_the_order_in_which_they_came(void **state)
{
    char owner[2] = "a", meta[20];
    const char *at;
    int n;

    (void)state;
    for (n = 0; n < 8; n++) {
        owner[0] = (char)('a' + n);
        (void)snprintf(meta, sizeof(meta), "{\"d\":%d}", n);
        begin();
        track(owner, "bob", meta);
        commit();
    }
    at = state_of(w);
    for (n = 0; n < 8; n++) {
        (void)snprintf(meta, sizeof(meta), "{\"d\":%d,", n);
        at = strstr(at, meta);
        assert_non_null(at);
    }
}

static void the_same_meta_again_only_changes_the_holder(void **state)
{
    uint64_t head;

    (void)state;
    begin();
    assert_int_equal(track_as("me", "socket", "k", "{\"x\":1}", HF_TRACK), 0);
    commit();
    head = head_of(w);
    begin();
    assert_int_equal(track_as("me", "poll", "k", "{\"x\":1}", HF_TRACK), 0);
    commit();
    begin(); /* the former connection ends: it holds nothing any more */
    assert_int_equal(hf_presence_leave_all(w, HF_STR("socket")), 0);
    assert_int_equal(hf_presence_leave(w, HF_STR("socket"), 1), 0);
    assert_int_equal(
        hf_presence_reap(w, HF_STR("socket"), UINT64_MAX >> 1, NULL, NULL), 0);
    commit();
    assert_string_equal(diffs(head), "");
    begin();
    assert_int_equal(hf_presence_leave(w, HF_STR("poll"), 2), 0);
    commit();
    assert_string_equal(diffs(head), ""); /* of other memberships */
    begin();
    assert_int_equal(hf_presence_leave(w, HF_STR("poll"), 1), 0);
    commit();
    assert_string_equal(state_of(w), "{}");
}

static void an_entrusted_presence_stays_until_its_new_lease_ends(void **state)
{
    uint64_t head;

    (void)state;
    begin();
    assert_int_equal(track_as("me", "socket", "k", "{}", HF_TRACK), 0);
    assert_int_equal(hf_presence_entrust(w, HF_STR("socket"), HF_STR("grace")),
                     0);
    commit();
    head = head_of(w);
    begin();
    assert_int_equal(hf_presence_reap(w, HF_STR("socket"), head, NULL, NULL),
                     0);
    commit();
    assert_string_equal(diffs(head), "");
    begin();
    assert_int_equal(hf_presence_reap(w, HF_STR("grace"), head, NULL, NULL), 0);
    commit();
    assert_string_equal(state_of(w), "{}");
}

static int note_reaped(void *ctx, struct hf_str topic, struct hf_str session,
                       uint64_t member)
{
    (void)snprintf(ctx, 64, "%.*s %.*s %llu", HF_STR_ARG(topic),
                   HF_STR_ARG(session), (unsigned long long)member);
    return 0;
}

static int note_lease(void *ctx, struct hf_str lease)
{
    char *text = ctx;

    (void)sprintf(text + strlen(text), "%.*s;", HF_STR_ARG(lease));
    return 0;
}

static void a_reaped_lease_spares_what_came_after_the_judgement(void **state)
{
    char reaped[64] = "", leases[64] = "";
    uint64_t judged;

    (void)state;
    begin();
    assert_int_equal(track_as("a", "s", "old", "{}", HF_TRACK), 0);
    assert_int_equal(track_as("b", "v", "b", "{}", HF_TRACK), 0);
    commit();
    assert_int_equal(hf_presences_leases(w, HF_STR(""), 10, note_lease, leases),
                     0);
    assert_string_equal(leases, "s;v;");
    judged = head_of(w);
    begin();
    assert_int_equal(track_as("a", "s", "new", "{}", HF_TRACK), 0);
    commit();
    begin();
    assert_int_equal(
        hf_presence_reap(w, HF_STR("s"), judged, note_reaped, reaped), 0);
    commit();
    assert_string_equal(reaped, "t s 1");
    assert_int_equal(foreign_number("SELECT count(*) FROM presences"
                                    " WHERE key IN ('new', 'b')"),
                     2);
    assert_int_equal(foreign_number("SELECT count(*) FROM presences"), 2);
}

/* No id is drawn by what follows the taking over, so that the head alone does
 * not tell the judgement of before from one of after. */
static void what_was_taken_over_can_be_reaped_again(void **state)
{
    uint64_t judged;

    (void)state;
    begin();
    assert_int_equal(track_as("a", "s", "k", "{}", HF_TRACK), 0);
    commit();
    judged = head_of(w);
    begin();
    assert_int_equal(track_as("a", "s", "k", "{}", HF_TRACK), 0);
    commit();
    begin();
    assert_int_equal(
        hf_presence_reap(w, HF_STR("s"), judged, note_reaped, (char[64]){0}),
        0);
    commit();
    assert_int_equal(foreign_number("SELECT count(*) FROM presences"), 1);
    judged = head_of(w);
    begin();
    assert_int_equal(
        hf_presence_reap(w, HF_STR("s"), judged, note_reaped, (char[64]){0}),
        0);
    commit();
    assert_int_equal(foreign_number("SELECT count(*) FROM presences"), 0);
}

static void keys_and_metas_are_bounded(void **state)
{
    static const char *const bad_metas[] = {"",    "1",   "[]",        "null",
                                            "{,}", "{} ", "{\"a\":1}x"};
    static const char *const bad_keys[] = {"", "__proto__", "constructor",
                                           "prototype", "\xff"};
    char key[130], meta[2100];
    size_t i;

    (void)state;
    begin();
    for (i = 0; i < sizeof(bad_keys) / sizeof(bad_keys[0]); i++)
        assert_int_equal(track_as("a", "a", bad_keys[i], "{}", HF_TRACK),
                         HF_EINVAL);
    for (i = 0; i < sizeof(bad_metas) / sizeof(bad_metas[0]); i++)
        assert_int_equal(track_as("a", "a", "k", bad_metas[i], HF_TRACK),
                         strcmp(bad_metas[i], "{} ") == 0 ? 0 : HF_EINVAL);
    memset(key, 'k', sizeof(key));
    key[129] = '\0';
    assert_int_equal(track_as("a", "a", key, "{}", HF_TRACK), HF_EINVAL);
    key[128] = '\0';
    assert_int_equal(track_as("a", "a", key, "{}", HF_TRACK), 0);
    (void)sprintf(meta, "{\"a\":\"%02039d\"}", 0);
    assert_int_equal(strlen(meta), 2047);
    assert_int_equal(track_as("a", "a", "k", meta, HF_TRACK), 0);
    (void)sprintf(meta, "{\"a\":\"%02041d\"}", 0);
    assert_int_equal(track_as("a", "a", "k", meta, HF_TRACK), HF_EINVAL);
    commit();
}

static void a_topic_has_at_most_1000_entries(void **state)
{
    char owner[16];
    int n;

    (void)state;
    begin();
    for (n = 0; n < (int)HF_PRESENCE_MAX; n++) {
        (void)sprintf(owner, "o%d", n);
        track(owner, owner, "{\"online_at\":\"2026-11-22T22:00:00Z\"}");
    }
    assert_int_equal(track_as("x", "x", "x", "{}", HF_TRACK), HF_ELIMIT);
    assert_int_equal(track_as("o7", "o7", "o7", "{}", HF_TRACK), 0);
    untrack("o8", "o8");
    track("x", "x", "{}");
    commit();
    assert_int_equal(foreign_number("SELECT count(*) FROM presences"), 1000);
}

/* All diffs are whole messages of the journal, below its limit. */
static void a_crowd_is_told_in_few_messages(void **state)
{
    const char *count = "SELECT count(*) FROM messages";
    char owner[16];
    int n;

    (void)state;
    begin();
    for (n = 0; n < 1000; n++) {
        (void)sprintf(owner, "o%d", n);
        track(owner, owner, "{\"online_at\":\"2026-11-22T22:00:00Z\"}");
    }
    commit();
    assert_in_range(foreign_number(count), 1, 3);
    print_message(
        "1000 tracked: %lld rows, %lld bytes\n",
        (long long)foreign_number(count),
        (long long)foreign_number("SELECT sum(length(payload)) FROM messages"));
    begin();
    for (n = 0; n < 1000; n++) {
        (void)sprintf(owner, "o%d", n);
        assert_int_equal(hf_presence_leave_all(w, hf_str_of(owner)), 0);
    }
    commit();
    assert_in_range(foreign_number(count), 2, 6);
    assert_in_range(foreign_number("SELECT max(length(payload)) FROM messages"),
                    1, 65536);
    assert_string_equal(state_of(w), "{}");
}

static void a_small_max_payload_splits_and_refuses(void **state)
{
    char owner[16];
    int n;

    (void)state;
    hf_journal_close(w);
    f.settings.max_payload = 1024;
    w = open_journal(HF_JOURNAL_WRITE);
    begin();
    for (n = 0; n < 20; n++) {
        (void)sprintf(owner, "o%d", n);
        track(owner, owner, "{\"online_at\":\"2026-11-22T22:00:00Z\"}");
    }
    commit();
    begin();
    for (n = 0; n < 20; n++) {
        (void)sprintf(owner, "o%d", n);
        track(owner, owner, "{\"online_at\":\"2026-11-22T22:00:01Z\"}");
    }
    commit();
    assert_in_range(foreign_number("SELECT max(length(payload))"
                                   " FROM messages"),
                    1, 1024);
    /* what belongs together is in one message */
    assert_int_equal(foreign_number("SELECT count(*) FROM messages WHERE"
                                    " payload LIKE '%\"leaves\":{\"%' AND"
                                    " payload LIKE '{\"joins\":{}%'"),
                     0);
    begin();
    {
        char meta[600];

        (void)sprintf(meta, "{\"a\":\"%0500d\"}", 0);
        assert_int_equal(track_as("b", "b", "b", meta, HF_TRACK), HF_EINVAL);
    }
    commit();
}

static void a_session_that_is_removed_leaves(void **state)
{
    uint64_t head;

    (void)state;
    forget_refs();
    begin();
    assert_int_equal(hf_session_add(w, HF_STR("s")), 0);
    assert_int_equal(track_as("a", "s", "k", "{}", HF_TRACK), 0);
    commit();
    head = head_of(w);
    begin();
    assert_int_equal(hf_session_remove(w, HF_STR("s")), 0);
    commit();
    assert_string_equal(diffs(head), "{\"joins\":{},\"leaves\":{\"k\":{"
                                     "\"metas\":[{\"phx_ref\":\"r1\"}]}}}\n");
}

static void a_new_epoch_knows_nobody(void **state)
{
    (void)state;
    begin();
    track("a", "a", "{}");
    commit();
    publish(w, "a", "1");
    foreign_ok("UPDATE sqlite_sequence SET seq = 1");
    (void)head_of(w); /* notices */
    assert_int_equal(foreign_number("SELECT count(*) FROM presences"), 0);
}

/* --- a client that believes what it is told --------------------------------- */

#define OWNERS 6
#define KEYS   3

struct believer {
    uint64_t cursor;
    size_t count;
    char refs[OWNERS * KEYS][HF_PRESENCE_REF];
};

static size_t find_ref(const struct believer *b, struct hf_str ref)
{
    size_t n;

    for (n = 0; n < b->count; n++)
        if (memcmp(b->refs[n], ref.at, HF_PRESENCE_REF) == 0)
            break;
    return n;
}

/* Each meta of {"key":{"metas":[...]}}. */
static int each_ref(struct hf_json object,
                    int (*each)(struct believer *b, struct hf_str ref),
                    struct believer *b)
{
    struct hf_json_walk keys, metas;
    struct hf_json key, entry, list, meta, ref;

    hf_json_walk(object, &keys);
    while (hf_json_member(&keys, &key, &entry)) {
        assert_true(hf_json_find(entry, HF_STR("metas"), &list));
        hf_json_walk(list, &metas);
        while (hf_json_element(&metas, &meta)) {
            assert_true(hf_json_find(meta, HF_STR("phx_ref"), &ref));
            if (each(b, hf_str(ref.raw.at + 1, HF_PRESENCE_REF)))
                return 1;
        }
    }
    return 0;
}

/* Strictly: nobody comes who is there, nobody goes who is not. */
static int comes(struct believer *b, struct hf_str ref)
{
    if (find_ref(b, ref) < b->count || b->count == OWNERS * KEYS)
        return 1;
    memcpy(b->refs[b->count++], ref.at, HF_PRESENCE_REF);
    return 0;
}

static int goes(struct believer *b, struct hf_str ref)
{
    size_t n = find_ref(b, ref);

    if (n == b->count)
        return 1;
    memmove(b->refs[n], b->refs[--b->count], HF_PRESENCE_REF);
    return 0;
}

static int believe_diff(void *ctx, const struct hf_row *row)
{
    struct hf_json diff, joins, leaves;

    assert_int_equal(hf_json_read(row->payload, 64, &diff), 0);
    assert_true(hf_json_find(diff, HF_STR("joins"), &joins));
    assert_true(hf_json_find(diff, HF_STR("leaves"), &leaves));
    return each_ref(leaves, goes, ctx) || each_ref(joins, comes, ctx)
               ? HF_ECONFLICT
               : 0;
}

static int read_on(struct believer *b, struct hf_journal *r)
{
    bool more;

    return hf_journal_read(r, b->cursor, 1000, 1u << 20, believe_diff, b,
                           &b->cursor, &more);
}

static void join(struct believer *b, struct hf_journal *r)
{
    struct hf_buf out;
    struct hf_json object;

    b->count = 0;
    hf_buf_init(&out, 1u << 20);
    assert_int_equal(hf_journal_snapshot(r), 0);
    assert_int_equal(hf_journal_head(r, &b->cursor), 0);
    assert_int_equal(hf_presence_state(r, HF_STR("t"), &out), 0);
    hf_journal_snapshot_end(r);
    assert_int_equal(hf_json_read(hf_buf_str(&out), 64, &object), 0);
    assert_int_equal(each_ref(object, comes, b), 0);
    hf_buf_release(&out);
}

static unsigned seed;

static int dice(int sides)
{
    seed = seed * 1103515245u + 12345u;
    return (int)((seed >> 16) % (unsigned)sides);
}

/* What an owner holds by the oracle: a number for each meta, 0 = nothing. */
static int oracle[OWNERS][KEYS];

static void random_step(void)
{
    static const char *const names[] = {"o0", "o1", "o2", "o3", "o4", "o5"};
    static const char *const keys[] = {"k0", "k1", "k2"};
    int owner = dice(OWNERS), key = dice(KEYS), meta = 1 + dice(2);
    bool undo = dice(5) == 0;
    int before[OWNERS][KEYS];
    char text[16];

    memcpy(before, oracle, sizeof(oracle));
    (void)sprintf(text, "{\"n\":%d}", meta);
    assert_int_equal(hf_journal_part_begin(w), 0);
    switch (dice(5)) {
    case 0:
    case 1:
        assert_int_equal(
            track_as(names[owner], names[owner], keys[key], text, HF_TRACK), 0);
        oracle[owner][key] = meta;
        break;
    case 2:
        assert_int_equal(
            track_as(names[owner], names[owner], keys[key], text, HF_UPDATE),
            oracle[owner][key] ? 0 : HF_ENOTFOUND);
        if (oracle[owner][key])
            oracle[owner][key] = meta;
        break;
    case 3:
        untrack(names[owner], keys[key]);
        oracle[owner][key] = 0;
        break;
    default:
        assert_int_equal(hf_presence_leave_all(w, hf_str_of(names[owner])), 0);
        memset(oracle[owner], 0, sizeof(oracle[owner]));
        break;
    }
    if (!undo) {
        assert_int_equal(hf_journal_part_keep(w), 0);
        return;
    }
    hf_journal_part_undo(w);
    memcpy(oracle, before, sizeof(oracle));
}

static size_t oracle_count(void)
{
    size_t count = 0;
    int owner, key;

    for (owner = 0; owner < OWNERS; owner++)
        for (key = 0; key < KEYS; key++)
            count += oracle[owner][key] != 0;
    return count;
}

/* HF_PRESENCE_SEED=n runs that schedule alone. */
static void believers_know_who_is_there(void **state)
{
    const char *only = getenv("HF_PRESENCE_SEED");
    struct hf_journal *r = open_journal(HF_JOURNAL_READ);
    struct believer b[3] = {{0}};
    int step, n, committed;

    (void)state;
    seed = only ? (unsigned)atoi(only) : 20261122u;
    for (n = 0; n < 3; n++)
        join(&b[n], r);
    for (step = 0; step < 400; step++) {
        begin();
        for (n = dice(6); n >= 0; n--)
            random_step();
        if (dice(8) == 0) {
            hf_journal_rollback(w);
            /* the parts that were kept are gone as well: ask the rows */
            memset(oracle, 0, sizeof(oracle));
            for (n = 0; n < OWNERS * KEYS; n++) {
                char sql[160];

                (void)sprintf(sql,
                              "SELECT coalesce(max(json_extract(meta, '$.n')),"
                              " 0) FROM presences WHERE owner = 'o%d'"
                              " AND key = 'k%d'",
                              n / KEYS, n % KEYS);
                oracle[n / KEYS][n % KEYS] = (int)foreign_number(sql);
            }
        } else {
            commit();
        }
        n = dice(3);
        if (dice(4) == 0)
            join(&b[n], r);
        committed = read_on(&b[n], r);
        if (committed)
            fail_msg("step %d: a diff tells what cannot be", step);
        assert_int_equal(b[n].count, oracle_count());
    }
    for (n = 0; n < 3; n++) {
        assert_int_equal(read_on(&b[n], r), 0);
        assert_int_equal(b[n].count, oracle_count());
    }
    hf_journal_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PRESENCE_TEST(tracking_is_told_with_the_commit),
        PRESENCE_TEST(a_rollback_takes_both_back),
        PRESENCE_TEST(a_change_of_meta_is_one_diff),
        PRESENCE_TEST(what_comes_and_goes_in_one_transaction_is_not_told),
        PRESENCE_TEST(a_key_may_have_several_owners),
        PRESENCE_TEST(metas_of_a_key_stand_in_the_order_in_which_they_came),
        PRESENCE_TEST(the_same_meta_again_only_changes_the_holder),
        PRESENCE_TEST(an_entrusted_presence_stays_until_its_new_lease_ends),
        PRESENCE_TEST(a_reaped_lease_spares_what_came_after_the_judgement),
        PRESENCE_TEST(what_was_taken_over_can_be_reaped_again),
        PRESENCE_TEST(keys_and_metas_are_bounded),
        PRESENCE_TEST(a_topic_has_at_most_1000_entries),
        PRESENCE_TEST(a_crowd_is_told_in_few_messages),
        PRESENCE_TEST(a_small_max_payload_splits_and_refuses),
        PRESENCE_TEST(a_session_that_is_removed_leaves),
        PRESENCE_TEST(a_new_epoch_knows_nobody),
        PRESENCE_TEST(believers_know_who_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
