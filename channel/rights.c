#include "channel/rights.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "channel/topic.h"

struct rule {
    struct hf_str key; /* the topic, or the prefix without its '*' */
    unsigned rights;
    bool echo;
    unsigned rate;
    char text[]; /* key's bytes */
};

/*
 * Rules by what they name, so that a look costs the same with ten patterns and
 * with ten thousand: the topic itself, then its prefixes from the longest on,
 * of the lengths that occur.
 */
struct rules {
    struct hf_map exact;
    struct hf_map prefix;
    bool lengths[HF_TOPIC_MAX]; /* of the keys in `prefix` */
};

struct hf_rights {
    struct rules rules;
    bool loaded;
    uint64_t revision; /* of the table when it was read */
};

/* --- the copy ------------------------------------------------------------ */

static void release_map(struct hf_map *map)
{
    struct rule *rule;
    size_t at = 0;

    while ((rule = hf_map_next(map, &at)) != NULL)
        free(rule);
    hf_map_release(map);
}

static void release_rules(struct rules *rules)
{
    release_map(&rules->exact);
    release_map(&rules->prefix);
}

static struct rule *new_rule(struct hf_str key, const struct hf_policy *policy)
{
    struct rule *rule = malloc(sizeof(*rule) + key.len);

    if (!rule)
        return NULL;
    if (key.len > 0)
        memcpy(rule->text, key.at, key.len);
    rule->key = hf_str(rule->text, key.len);
    rule->rights = policy->rights;
    rule->echo = policy->echo;
    rule->rate = policy->rate;
    return rule;
}

static int put_rule(struct hf_map *map, struct rule *rule)
{
    int err;

    if (!rule)
        return HF_ENOMEM;
    err = hf_map_put(map, rule->key, rule);
    if (err)
        free(rule);
    return err;
}

static int add_policy(void *ctx, const struct hf_policy *policy)
{
    struct rules *rules = ctx;
    struct hf_str prefix;

    if (!hf_pattern_legal(policy->pattern))
        return 0; /* matches no legal topic */
    if (!hf_pattern_prefix(policy->pattern, &prefix))
        return put_rule(&rules->exact, new_rule(policy->pattern, policy));
    rules->lengths[prefix.len] = true;
    return put_rule(&rules->prefix, new_rule(prefix, policy));
}

int hf_rights_new(struct hf_rights **out)
{
    struct hf_rights *rights = calloc(1, sizeof(*rights));

    if (!rights)
        return HF_ENOMEM;
    *out = rights;
    return 0;
}

void hf_rights_free(struct hf_rights *rights)
{
    if (!rights)
        return;
    release_rules(&rights->rules);
    free(rights);
}

int hf_rights_refresh(struct hf_rights *rights, struct hf_journal *journal,
                      bool *out_changed)
{
    struct rules rules = {0};
    uint64_t revision;
    int err;

    /* The revision first: if the table changes in between, we have newer rows
     * under an older number, and read once more next time. */
    err = hf_policies_revision(journal, &revision);
    if (err)
        return err;
    if (rights->loaded && rights->revision == revision) {
        if (out_changed)
            *out_changed = false;
        return 0;
    }

    err = hf_policies_each(journal, add_policy, &rules);
    if (err) {
        release_rules(&rules);
        return err;
    }
    release_rules(&rights->rules);
    rights->rules = rules;
    rights->revision = revision;
    rights->loaded = true;
    if (out_changed)
        *out_changed = true;
    return 0;
}

/* --- looking ------------------------------------------------------------- */

static const struct rule *most_specific(const struct rules *rules,
                                        struct hf_str topic)
{
    const struct rule *rule = hf_map_get(&rules->exact, topic);
    size_t len = topic.len < HF_TOPIC_MAX ? topic.len + 1 : HF_TOPIC_MAX;

    while (!rule && len-- > 0) {
        if (rules->lengths[len])
            rule = hf_map_get(&rules->prefix, hf_str(topic.at, len));
    }
    return rule;
}

struct hf_grant hf_rights_of(const struct hf_rights *rights,
                             const struct hf_client *client,
                             struct hf_str topic)
{
    struct hf_grant grant = {.echo = true};
    const struct rule *rule;

    if (!hf_topic_legal(topic) || hf_topic_reserved(topic))
        return (struct hf_grant){0};
    rule = most_specific(&rights->rules, topic);
    if (rule)
        grant = (struct hf_grant){rule->rights, rule->echo, true, rule->rate};
    if (client && client->identity)
        grant.rights |=
            hf_identity_rights(client->identity, topic, hf_wall_ms());
    grant.known = grant.known || grant.rights != 0;
    return grant;
}
