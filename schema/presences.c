#include "schema/presences.h"

#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "schema/journal_impl.h"

/* Nested arrays and objects in a meta; within a diff it is four deeper. */
#define META_DEPTH 64u

/* What a diff holds beside keys and metas, and an entry beside its own: more
 * than enough. */
#define DIFF_BYTES  32u
#define ENTRY_BYTES 96u

/* As in the column `change`. */
enum change { KNOWN, NEW, LEFT };

/* --- legal ---------------------------------------------------------------- */

bool hf_presence_key_legal(struct hf_str key)
{
    static const struct hf_str traps[] = {
        HF_STR_INIT("__proto__"),
        HF_STR_INIT("constructor"),
        HF_STR_INIT("prototype"),
    };
    size_t i;

    if (key.len == 0 || key.len > HF_PRESENCE_KEY || !hf_utf8_valid(key) ||
        memchr(key.at, '\0', key.len))
        return false;
    for (i = 0; i < sizeof(traps) / sizeof(traps[0]); i++)
        if (hf_str_eq(key, traps[i]))
            return false;
    return true;
}

/* An old and a new meta must fit into one diff. */
static bool fits(const struct hf_journal *journal, struct hf_str key,
                 struct hf_str meta)
{
    size_t entry = 6 * key.len + meta.len + ENTRY_BYTES;

    return DIFF_BYTES + 2 * entry <= journal->settings->max_payload;
}

/* *out: the object without blanks around it. */
static int check(const struct hf_journal *journal, struct hf_str key,
                 struct hf_str meta, struct hf_str *out)
{
    struct hf_json object;

    if (!hf_presence_key_legal(key) || meta.len > HF_PRESENCE_META ||
        hf_json_read(meta, META_DEPTH, &object) ||
        object.type != HF_JSON_OBJECT || !fits(journal, key, object.raw))
        return HF_EINVAL;
    *out = object.raw;
    return 0;
}

/* --- texts ---------------------------------------------------------------- */

/* The application's object with phx_ref behind its own members: of two of one
 * name the last one counts. */
static void add_meta(struct hf_buf *out, struct hf_str meta, struct hf_str ref,
                     struct hf_str prev)
{
    struct hf_json object = {HF_JSON_OBJECT, meta}, name, value;
    struct hf_json_walk walk;

    hf_json_walk(object, &walk);
    (void)hf_buf_add(out, meta.at, meta.len - 1);
    (void)hf_buf_addf(out, "%s\"phx_ref\":\"%.*s\"",
                      hf_json_member(&walk, &name, &value) ? "," : "",
                      HF_STR_ARG(ref));
    if (prev.len > 0)
        (void)hf_buf_addf(out, ",\"phx_ref_prev\":\"%.*s\"", HF_STR_ARG(prev));
    (void)hf_buf_add_byte(out, '}');
}

/* Entries, in the order of their keys: "key":{"metas":[ {..}, {..} ]}, ... */
struct entries {
    struct hf_buf text;
    size_t key_len; /* of the entry that is open; 0 = none is */
    char key[HF_PRESENCE_KEY];
};

static void entries_add(struct entries *entries, struct hf_str key,
                        struct hf_str meta, struct hf_str ref,
                        struct hf_str prev)
{
    struct hf_buf *text = &entries->text;

    if (hf_str_eq(key, hf_str(entries->key, entries->key_len))) {
        (void)hf_buf_add_byte(text, ',');
    } else {
        if (entries->key_len > 0)
            (void)hf_buf_add_str(text, HF_STR("]},"));
        (void)hf_json_quote(text, key);
        (void)hf_buf_add_str(text, HF_STR(":{\"metas\":["));
        memcpy(entries->key, key.at, key.len);
        entries->key_len = key.len;
    }
    add_meta(text, meta, ref, prev);
}

static void entries_end(struct entries *entries)
{
    if (entries->key_len > 0)
        (void)hf_buf_add_str(&entries->text, HF_STR("]}"));
    entries->key_len = 0;
}

/* --- reading --------------------------------------------------------------- */

/* Columns of a presence, where a statement gives them first. */
#define COLUMNS "key, meta, ref, prev"

/* A key and meta that are whatever a foreign writer has put there are passed
 * over: one of them would spoil the message for everybody. */
static bool sound(struct hf_str key, struct hf_str meta)
{
    struct hf_json object;

    return hf_presence_key_legal(key) && meta.len <= HF_PRESENCE_META &&
           hf_json_read(meta, META_DEPTH, &object) == 0 &&
           object.type == HF_JSON_OBJECT && object.raw.len == meta.len;
}

static void add_row(struct entries *entries, sqlite3_stmt *stmt)
{
    struct hf_str key = hf_db_text(stmt, 0), meta = hf_db_text(stmt, 1);

    if (sound(key, meta))
        entries_add(entries, key, meta, hf_db_text(stmt, 2),
                    hf_db_text(stmt, 3));
}

static int read_state(struct hf_journal *journal, struct hf_str topic,
                      struct entries *entries)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT " COLUMNS " FROM presences WHERE topic = ?1"
                    " AND change <> 2 ORDER BY key, since, ref LIMIT ?2",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_u64(stmt, 2, HF_PRESENCE_MAX);
    for (;;) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            return err;
        add_row(entries, stmt);
    }
}

int hf_presence_state(struct hf_journal *journal, struct hf_str topic,
                      struct hf_buf *out)
{
    struct entries entries = {.key_len = 0};
    int err;

    hf_buf_init(&entries.text, HF_PRESENCE_STATE_MAX);
    (void)hf_buf_add_byte(&entries.text, '{');
    err = read_state(journal, topic, &entries);
    entries_end(&entries);
    (void)hf_buf_add_byte(&entries.text, '}');
    if (err == 0)
        err = hf_buf_error(&entries.text);
    if (err == 0)
        err = hf_buf_add_str(out, hf_buf_str(&entries.text));
    hf_buf_release(&entries.text);
    return err;
}

/* One row of one or two numbers; `topic` is bound when the text has it. */
static int numbers(struct hf_journal *journal, const char *sql,
                   const struct hf_str *topic, uint64_t *out_first,
                   uint64_t *out_second)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db, sql, &stmt);
    if (err)
        return err;
    if (topic)
        hf_db_bind_text(stmt, 1, *topic);
    err = hf_db_step(db, stmt, &row);
    if (err || !row)
        return err ? err : HF_ESTORE;
    *out_first = hf_db_u64(stmt, 0);
    if (out_second)
        *out_second = hf_db_u64(stmt, 1);
    return hf_db_finish(db, stmt);
}

int hf_presence_count(struct hf_journal *journal, struct hf_str topic,
                      uint64_t *out)
{
    return numbers(journal,
                   "SELECT count(*) FROM presences"
                   " WHERE topic = ?1 AND change <> 2",
                   &topic, out, NULL);
}

int hf_presences_count(struct hf_journal *journal, uint64_t *out_entries,
                       uint64_t *out_topics)
{
    return numbers(journal,
                   "SELECT count(*), count(DISTINCT topic) FROM presences",
                   NULL, out_entries, out_topics);
}

int hf_presences_leases(struct hf_journal *journal, struct hf_str after,
                        size_t max, hf_lease_fn each, void *ctx)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT DISTINCT lease FROM presences"
                    " WHERE lease > ?1 ORDER BY lease LIMIT ?2",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, after);
    hf_db_bind_u64(stmt, 2, max);
    for (;;) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            return err;
        err = each(ctx, hf_db_text(stmt, 0));
        if (err) {
            hf_db_done(stmt);
            return err;
        }
    }
}

/* --- tracking --------------------------------------------------------------- */

/* What the owner has under a key: at most one row that is present, and one that
 * has left in this transaction. */
struct had {
    char present[HF_PRESENCE_REF + 1]; /* its ref; "" = none */
    char left[HF_PRESENCE_REF + 1];
    bool is_new;    /* the present one: nobody knows it yet */
    bool same;      /* the present one has the meta asked for */
    bool left_same; /* and so does the one that left */
};

static void copy_ref(sqlite3_stmt *stmt, char out[HF_PRESENCE_REF + 1])
{
    struct hf_str ref = hf_db_text(stmt, 0);
    size_t len = ref.len < HF_PRESENCE_REF ? ref.len : HF_PRESENCE_REF;

    if (len > 0)
        memcpy(out, ref.at, len);
    out[len] = '\0';
}

static int look(struct hf_journal *journal, struct hf_str owner,
                struct hf_str topic, struct hf_str key, struct hf_str meta,
                struct had *had)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    *had = (struct had){.same = false};
    err = hf_db_get(db,
                    "SELECT ref, change, meta = ?4 FROM presences"
                    " WHERE topic = ?1 AND key = ?2 AND owner = ?3",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_text(stmt, 2, key);
    hf_db_bind_text(stmt, 3, owner);
    hf_db_bind_text(stmt, 4, meta);
    for (;;) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            return err;
        if (sqlite3_column_int(stmt, 1) == LEFT) {
            copy_ref(stmt, had->left);
            had->left_same = sqlite3_column_int(stmt, 2) == 1;
            continue;
        }
        copy_ref(stmt, had->present);
        had->is_new = sqlite3_column_int(stmt, 1) == NEW;
        had->same = sqlite3_column_int(stmt, 2) == 1;
    }
}

/* The row (topic, key, ref) is held by this holder, with this meta, from now
 * on. */
static int hold(struct hf_journal *journal, const struct hf_holder *holder,
                struct hf_str topic, struct hf_str key, const char *ref,
                struct hf_str meta, uint64_t since)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db,
                    "UPDATE presences SET session = ?4, member = ?5,"
                    " lease = ?6, meta = ?7, since = ?8,"
                    " change = CASE change WHEN 1 THEN 1 ELSE 0 END"
                    " WHERE topic = ?1 AND key = ?2 AND ref = ?3",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_text(stmt, 2, key);
    hf_db_bind_text(stmt, 3, hf_str_of(ref));
    hf_db_bind_text(stmt, 4, holder->session);
    hf_db_bind_u64(stmt, 5, holder->member);
    hf_db_bind_text(stmt, 6, holder->lease);
    hf_db_bind_text(stmt, 7, meta);
    hf_db_bind_u64(stmt, 8, since);
    return hf_db_finish(db, stmt);
}

static int new_ref(char out[HF_PRESENCE_REF])
{
    unsigned char random[HF_PRESENCE_REF / 4 * 3];
    int err = hf_random(random, sizeof(random));

    if (err)
        return err;
    (void)hf_base64url(hf_str((const char *)random, sizeof(random)), out);
    return 0;
}

static int insert(struct hf_journal *journal, const struct hf_holder *holder,
                  struct hf_str topic, struct hf_str key, const char *prev,
                  struct hf_str meta, uint64_t since)
{
    struct hf_db *db = hf_journal_db(journal);
    char ref[HF_PRESENCE_REF];
    sqlite3_stmt *stmt;
    int err;

    err = new_ref(ref);
    if (!err)
        err = hf_db_get(db,
                        "INSERT INTO presences (topic, key, ref, prev, meta,"
                        " owner, session, member, lease, since, change)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1)",
                        &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_text(stmt, 2, key);
    hf_db_bind_text(stmt, 3, hf_str(ref, sizeof(ref)));
    hf_db_bind_text_or_null(stmt, 4, hf_str_of(prev));
    hf_db_bind_text(stmt, 5, meta);
    hf_db_bind_text(stmt, 6, holder->owner);
    hf_db_bind_text(stmt, 7, holder->session);
    hf_db_bind_u64(stmt, 8, holder->member);
    hf_db_bind_text(stmt, 9, holder->lease);
    hf_db_bind_u64(stmt, 10, since);
    journal->presence_changed = true;
    return hf_db_finish(db, stmt);
}

static int mark_left(struct hf_journal *journal, struct hf_str topic,
                     struct hf_str key, const char *ref)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err;

    err = hf_db_get(db,
                    "UPDATE presences SET change = 2"
                    " WHERE topic = ?1 AND key = ?2 AND ref = ?3",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, topic);
    hf_db_bind_text(stmt, 2, key);
    hf_db_bind_text(stmt, 3, hf_str_of(ref));
    journal->presence_changed = true;
    return hf_db_finish(db, stmt);
}

static int check_room(struct hf_journal *journal, struct hf_str topic)
{
    uint64_t count;
    int err = hf_presence_count(journal, topic, &count);

    return err ? err : count < HF_PRESENCE_MAX ? 0 : HF_ELIMIT;
}

int hf_presence_room(struct hf_journal *journal, struct hf_str owner,
                     struct hf_str topic, struct hf_str key, struct hf_str meta)
{
    struct had had;
    int err = check(journal, key, meta, &meta);

    if (!err)
        err = look(journal, owner, topic, key, meta, &had);
    return err || had.present[0] ? err : check_room(journal, topic);
}

int hf_presence_track(struct hf_journal *journal,
                      const struct hf_holder *holder, struct hf_str topic,
                      struct hf_str key, struct hf_str meta, enum hf_track how)
{
    struct had had;
    uint64_t since;
    int err;

    err = check(journal, key, meta, &meta);
    if (!err)
        err = look(journal, holder->owner, topic, key, meta, &had);
    if (!err && how == HF_UPDATE && !had.present[0])
        err = HF_ENOTFOUND;
    if (!err && !had.present[0])
        err = check_room(journal, topic);
    if (!err)
        err = hf_journal_draw(journal, &since);
    if (err)
        return err;
    if (had.present[0] && (had.same || had.is_new))
        return hold(journal, holder, topic, key, had.present, meta, since);
    if (!had.present[0] && had.left_same) /* it has not left after all */
        return hold(journal, holder, topic, key, had.left, meta, since);
    if (had.present[0])
        err = mark_left(journal, topic, key, had.present);
    if (err)
        return err;
    return insert(journal, holder, topic, key,
                  had.present[0] ? had.present : had.left, meta, since);
}

/* --- ends -------------------------------------------------------------------- */

/* What nobody knows yet goes, what others know is marked. */
struct ending {
    const char *mark, *drop;
};

#define ENDING(where)                                                          \
    {                                                                          \
        "UPDATE presences SET change = 2 WHERE change = 0 AND " where,         \
            "DELETE FROM presences WHERE change = 1 AND " where                \
    }

/* Up to three parameters: texts, and a number behind them if there is one. */
static int end_by(struct hf_journal *journal, const char *sql,
                  const struct hf_str *texts, int count, const uint64_t *number)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    int err, n;

    err = hf_db_get(db, sql, &stmt);
    if (err)
        return err;
    for (n = 0; n < count; n++)
        hf_db_bind_text(stmt, n + 1, texts[n]);
    if (number)
        hf_db_bind_u64(stmt, n + 1, *number);
    err = hf_db_finish(db, stmt);
    if (!err && sqlite3_changes(db->handle) > 0)
        journal->presence_changed = true;
    return err;
}

static int end_all(struct hf_journal *journal, const struct ending *ending,
                   const struct hf_str *texts, int count,
                   const uint64_t *number)
{
    int err = end_by(journal, ending->mark, texts, count, number);

    return err ? err : end_by(journal, ending->drop, texts, count, number);
}

int hf_presence_untrack(struct hf_journal *journal, struct hf_str owner,
                        struct hf_str topic, struct hf_str key)
{
    static const struct ending ending =
        ENDING("topic = ?1 AND key = ?2 AND owner = ?3");
    struct hf_str texts[] = {topic, key, owner};

    return end_all(journal, &ending, texts, 3, NULL);
}

int hf_presence_leave(struct hf_journal *journal, struct hf_str session,
                      uint64_t member)
{
    static const struct ending ending = ENDING("session = ?1 AND member = ?2");

    return end_all(journal, &ending, &session, 1, &member);
}

int hf_presence_leave_all(struct hf_journal *journal, struct hf_str session)
{
    static const struct ending ending = ENDING("session = ?1");

    return end_all(journal, &ending, &session, 1, NULL);
}

int hf_presence_entrust(struct hf_journal *journal, struct hf_str session,
                        struct hf_str lease)
{
    struct hf_str texts[] = {session, lease};

    /* Nobody is told, for nothing is different to them. */
    return end_by(journal, "UPDATE presences SET lease = ?2 WHERE session = ?1",
                  texts, 2, NULL);
}

static int each_reaped(struct hf_journal *journal, struct hf_str lease,
                       uint64_t through, hf_reaped_fn each, void *ctx)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT DISTINCT topic, session, member FROM presences"
                    " WHERE lease = ?1 AND since <= ?2 AND change <> 2"
                    " ORDER BY session, member", /* read before they change */
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, lease);
    hf_db_bind_u64(stmt, 2, through);
    for (;;) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            return err;
        err = each(ctx, hf_db_text(stmt, 0), hf_db_text(stmt, 1),
                   hf_db_u64(stmt, 2));
        if (err) {
            hf_db_done(stmt);
            return err;
        }
    }
}

int hf_presence_reap(struct hf_journal *journal, struct hf_str lease,
                     uint64_t through, hf_reaped_fn each, void *ctx)
{
    static const struct ending ending = ENDING("lease = ?1 AND since <= ?2");
    int err = each ? each_reaped(journal, lease, through, each, ctx) : 0;

    return err ? err : end_all(journal, &ending, &lease, 1, &through);
}

/* --- telling ------------------------------------------------------------------ */

/* A diff that is being put together. */
struct diff {
    struct hf_journal *journal;
    struct hf_str topic;
    struct entries joins, leaves;
    struct hf_buf payload; /* scratch */
    char owner[64];        /* of the row before; its two rows stay together */
    size_t owner_len;
};

static bool is_empty(const struct diff *diff)
{
    return diff->joins.text.len == 0 && diff->leaves.text.len == 0;
}

static size_t bytes_of(const struct diff *diff)
{
    return DIFF_BYTES + diff->joins.text.len + diff->leaves.text.len;
}

static int append(struct diff *diff)
{
    struct hf_publish publish = {.topic = diff->topic,
                                 .event = HF_STR("presence_diff"),
                                 .payload = hf_buf_str(&diff->payload)};
    bool repeated;
    uint64_t id;
    int err = hf_journal_append(diff->journal, &publish, &id, &repeated);

    if (err != HF_ELIMIT && err != HF_EINVAL)
        return err;
    /* Only when max_payload was lowered below what a meta needs, or by a
     * trigger that is none of ours. Whoever joins next is told the state. */
    HF_LOG(HF_LOG_WARN, "presence_diff_lost", hf_field_s("topic", diff->topic),
           hf_field("why", err == HF_EINVAL ? hf_journal_refusal(diff->journal)
                                            : hf_strerror(err)));
    return 0;
}

static int send(struct diff *diff)
{
    struct hf_buf *out = &diff->payload;
    int err;

    if (is_empty(diff))
        return 0;
    entries_end(&diff->joins);
    entries_end(&diff->leaves);
    hf_buf_reset(out);
    (void)hf_buf_add_str(out, HF_STR("{\"joins\":{"));
    (void)hf_buf_add_str(out, hf_buf_str(&diff->joins.text));
    (void)hf_buf_add_str(out, HF_STR("},\"leaves\":{"));
    (void)hf_buf_add_str(out, hf_buf_str(&diff->leaves.text));
    (void)hf_buf_add_str(out, HF_STR("}}"));
    err = hf_buf_error(out);
    if (!err)
        err = hf_buf_error(&diff->joins.text);
    if (!err)
        err = hf_buf_error(&diff->leaves.text);
    if (!err)
        err = append(diff);
    hf_buf_reset(&diff->joins.text);
    hf_buf_reset(&diff->leaves.text);
    return err;
}

/* The two rows of a change of meta, which follow each other, never come into
 * two messages: between them the key would be gone. */
static int make_room(struct diff *diff, sqlite3_stmt *stmt)
{
    struct hf_str owner = hf_db_text(stmt, 5);
    size_t largest =
        HF_PRESENCE_META + 6 * hf_db_text(stmt, 0).len + ENTRY_BYTES;
    bool second = hf_str_eq(owner, hf_str(diff->owner, diff->owner_len)) &&
                  hf_str_eq(hf_db_text(stmt, 0),
                            hf_str(diff->leaves.key, diff->leaves.key_len));

    diff->owner_len = owner.len <= sizeof(diff->owner) ? owner.len : 0;
    if (diff->owner_len > 0)
        memcpy(diff->owner, owner.at, diff->owner_len);
    if (second ||
        bytes_of(diff) + 2 * largest <= diff->journal->settings->max_payload)
        return 0;
    return send(diff);
}

static int add_changes(struct diff *diff)
{
    struct hf_db *db = hf_journal_db(diff->journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT " COLUMNS ", change, owner FROM presences"
                    " WHERE topic = ?1 AND change <> 0"
                    " ORDER BY key, owner, change DESC",
                    &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, diff->topic);
    for (;;) {
        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            return err;
        err = make_room(diff, stmt);
        if (err) {
            hf_db_done(stmt);
            return err;
        }
        add_row(sqlite3_column_int(stmt, 4) == LEFT ? &diff->leaves
                                                    : &diff->joins,
                stmt);
    }
}

static int now_known(struct hf_journal *journal, struct hf_str topic)
{
    int err = end_by(journal,
                     "UPDATE presences SET change = 0"
                     " WHERE topic = ?1 AND change = 1",
                     &topic, 1, NULL);

    return err ? err
               : end_by(journal,
                        "DELETE FROM presences"
                        " WHERE topic = ?1 AND change = 2",
                        &topic, 1, NULL);
}

static int tell_topic(struct hf_journal *journal, struct hf_str topic)
{
    struct diff diff = {.journal = journal, .topic = topic};
    int err;

    hf_buf_init(&diff.joins.text, HF_PAYLOAD_LIMIT);
    hf_buf_init(&diff.leaves.text, HF_PAYLOAD_LIMIT);
    hf_buf_init(&diff.payload, HF_PAYLOAD_LIMIT);
    err = add_changes(&diff);
    if (!err)
        err = send(&diff);
    if (!err)
        err = now_known(journal, topic);
    hf_buf_release(&diff.joins.text);
    hf_buf_release(&diff.leaves.text);
    hf_buf_release(&diff.payload);
    return err;
}

/* The next topic that has something to tell, copied out: its rows change. */
static int next_topic(struct hf_journal *journal, char name[256],
                      struct hf_str *out)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    struct hf_str topic;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT topic FROM presences WHERE change <> 0"
                    " ORDER BY topic LIMIT 1",
                    &stmt);
    if (!err)
        err = hf_db_step(db, stmt, &row);
    if (err)
        return err;
    if (!row)
        return HF_ENOTFOUND;
    topic = hf_db_text(stmt, 0);
    if (topic.len > 200) /* CHECK refuses it */
        err = HF_ESTORE;
    else
        memcpy(name, topic.at, topic.len);
    *out = hf_str(name, err ? 0 : topic.len);
    hf_db_done(stmt);
    return err;
}

int hf_presences_tell(struct hf_journal *journal)
{
    char name[256];
    struct hf_str topic;
    int err = 0;

    if (!journal->presence_changed)
        return 0;
    for (;;) {
        err = next_topic(journal, name, &topic);
        if (err)
            break;
        err = tell_topic(journal, topic);
        if (err)
            return err;
    }
    journal->presence_changed = false;
    return err == HF_ENOTFOUND ? 0 : err;
}
