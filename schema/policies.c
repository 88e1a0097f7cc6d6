#include "schema/policies.h"

#include <stdio.h>
#include <string.h>

#include "schema/journal_impl.h"

static const struct {
    const char *word;
    unsigned right;
} words[] = {
    {"join", HF_RIGHT_JOIN},
    {"publish", HF_RIGHT_PUBLISH},
    {"presence", HF_RIGHT_PRESENCE},
};

#define WORDS (sizeof(words) / sizeof(words[0]))

int hf_policies_revision(struct hf_journal *journal, uint64_t *out)
{
    int64_t revision;
    int err;

    err = hf_db_number(hf_journal_db(journal),
                       "SELECT value FROM meta WHERE name = 'rights_rev'",
                       &revision);
    if (err)
        return err == HF_ENOTFOUND ? HF_ESTORE : err;
    *out = (uint64_t)revision;
    return 0;
}

int hf_policies_each(struct hf_journal *journal, hf_policy_fn each, void *ctx)
{
    struct hf_db *db = hf_journal_db(journal);
    sqlite3_stmt *stmt;
    bool row;
    int err;

    err = hf_db_get(db,
                    "SELECT pattern, rights, echo, rate FROM policies"
                    " ORDER BY pattern",
                    &stmt);
    if (err)
        return err;
    for (;;) {
        struct hf_policy policy = {.rights = 0};

        err = hf_db_step(db, stmt, &row);
        if (err || !row)
            return err;
        policy.pattern = hf_db_text(stmt, 0);
        policy.echo = sqlite3_column_int(stmt, 2) != 0;
        policy.rate = (unsigned)sqlite3_column_int(stmt, 3);
        /* A word that this version does not know gives no right. */
        if (hf_rights_parse(hf_db_text(stmt, 1), &policy.rights))
            policy.rights = 0;
        err = each(ctx, &policy);
        if (err) {
            hf_db_done(stmt);
            return err;
        }
    }
}

int hf_policy_set(struct hf_journal *journal, const struct hf_policy *policy)
{
    struct hf_db *db = hf_journal_db(journal);
    char rights[32];
    sqlite3_stmt *stmt;
    int err;

    if (policy->rights == 0)
        err = hf_db_get(db, "DELETE FROM policies WHERE pattern = ?1", &stmt);
    else
        err = hf_db_get(db,
                        "INSERT OR REPLACE INTO policies"
                        " (pattern, rights, echo, rate)"
                        " VALUES (?1, ?2, ?3, ?4)",
                        &stmt);
    if (err)
        return err;
    hf_db_bind_text(stmt, 1, policy->pattern);
    if (policy->rights != 0) {
        hf_rights_format(policy->rights, rights);
        hf_db_bind_text(stmt, 2, hf_str_of(rights));
        hf_db_bind_u64(stmt, 3, policy->echo);
        hf_db_bind_u64(stmt, 4, policy->rate);
    }
    return hf_db_finish(db, stmt);
}

static unsigned right_of(struct hf_str word)
{
    size_t i;

    for (i = 0; i < WORDS; i++) {
        if (hf_str_eq(word, hf_str_of(words[i].word)))
            return words[i].right;
    }
    return 0;
}

int hf_rights_parse(struct hf_str text, unsigned *out)
{
    unsigned rights = 0;

    if (hf_str_eq(text, HF_STR("none"))) {
        *out = 0;
        return 0;
    }
    for (;;) {
        const char *comma =
            text.len > 0 ? memchr(text.at, ',', text.len) : NULL;
        size_t len = comma ? (size_t)(comma - text.at) : text.len;
        unsigned right = right_of(hf_str(text.at, len));

        if (!right)
            return HF_EINVAL;
        rights |= right;
        if (!comma)
            break;
        text = hf_str_from(text, len + 1);
    }
    *out = rights;
    return 0;
}

void hf_rights_format(unsigned rights, char out[32])
{
    size_t len = 0;
    size_t i;

    (void)snprintf(out, 32, "none");
    for (i = 0; i < WORDS; i++) {
        if (rights & words[i].right)
            len += (size_t)snprintf(out + len, 32 - len, "%s%s",
                                    len > 0 ? "," : "", words[i].word);
    }
}
