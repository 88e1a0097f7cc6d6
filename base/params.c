#include "base/params.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "base/query.h"
#include "base/utf8.h"

#define NONE 0 /* node 0 is the object itself, which is nobody's child */

enum kind { VALUE, OBJECT, LIST };

struct node {
    enum kind kind;
    struct hf_str name;  /* in an object */
    struct hf_str value; /* of a VALUE */
    uint16_t first, last, next;
};

struct params {
    size_t count;
    struct node nodes[HF_PARAMS_MAX];
    size_t used;
    char bytes[HF_PARAMS_BYTES]; /* names and values, decoded */
};

static int decode(struct params *params, struct hf_str text, struct hf_str *out)
{
    char *at = params->bytes + params->used;
    size_t len;
    int err =
        hf_query_decode(text, at, sizeof(params->bytes) - params->used, &len);

    if (err)
        return err;
    if (!hf_utf8_valid(hf_str(at, len)))
        return HF_EMALFORMED;
    params->used += len;
    *out = hf_str(at, len);
    return 0;
}

static void become(struct node *node, enum kind kind)
{
    node->kind = kind;
    node->value = hf_str(NULL, 0);
    node->first = node->last = NONE;
}

static int add(struct params *params, uint16_t parent, struct hf_str name,
               uint16_t *out)
{
    struct node *above = &params->nodes[parent];
    uint16_t at = (uint16_t)params->count;

    if (params->count == HF_PARAMS_MAX)
        return HF_ELIMIT;
    params->nodes[params->count++] = (struct node){.name = name};
    if (above->last == NONE)
        above->first = at;
    else
        params->nodes[above->last].next = at;
    above->last = at;
    *out = at;
    return 0;
}

static int member(struct params *params, uint16_t parent, struct hf_str name,
                  uint16_t *out)
{
    uint16_t at;

    for (at = params->nodes[parent].first; at != NONE;
         at = params->nodes[at].next) {
        if (hf_str_eq(params->nodes[at].name, name)) {
            *out = at;
            return 0;
        }
    }
    return add(params, parent, name, out);
}

/* The next "[...]" of a name; false where there is none, or it is not closed. */
static bool bracket(struct hf_str *rest, struct hf_str *out)
{
    const char *end;

    if (rest->len < 2 || rest->at[0] != '[')
        return false;
    end = memchr(rest->at, ']', rest->len);
    if (!end)
        return false;
    *out = hf_str(rest->at + 1, (size_t)(end - rest->at) - 1);
    *rest = hf_str_from(*rest, out->len + 2);
    return true;
}

/* One step down: into a list, or to a member of an object. */
static int descend(struct params *params, uint16_t *at, struct hf_str key)
{
    struct node *node = &params->nodes[*at];
    enum kind kind = key.len == 0 ? LIST : OBJECT;

    if (node->kind != kind)
        become(node, kind);
    return kind == LIST ? add(params, *at, key, at)
                        : member(params, *at, key, at);
}

static bool is_one_of(struct hf_str name, const char *const *names)
{
    for (; *names; names++)
        if (hf_str_eq(name, hf_str_of(*names)))
            return true;
    return false;
}

static int put(struct params *params, struct hf_str name, struct hf_str value,
               const char *const *without)
{
    const char *open = name.len > 0 ? memchr(name.at, '[', name.len) : NULL;
    struct hf_str rest = hf_str(NULL, 0), key = name;
    unsigned depth = 0;
    uint16_t at = 0;
    int err;

    if (open && open > name.at && name.at[name.len - 1] == ']') {
        key = hf_str(name.at, (size_t)(open - name.at));
        rest = hf_str_from(name, key.len);
    }
    if (is_one_of(key, without))
        return 0;
    err = member(params, 0, key, &at);
    while (err == 0 && bracket(&rest, &key))
        err = ++depth > HF_PARAMS_DEPTH ? HF_ELIMIT : descend(params, &at, key);
    if (err)
        return err;
    become(&params->nodes[at], VALUE);
    params->nodes[at].value = value;
    return 0;
}

static void write_node(const struct params *params, uint16_t at,
                       struct hf_buf *out)
{
    const struct node *node = &params->nodes[at];
    uint16_t child;

    if (node->kind == VALUE) {
        (void)hf_json_quote(out, node->value);
        return;
    }
    (void)hf_buf_add_byte(out, node->kind == LIST ? '[' : '{');
    for (child = node->first; child != NONE;
         child = params->nodes[child].next) {
        if (child != node->first)
            (void)hf_buf_add_byte(out, ',');
        if (node->kind == OBJECT) {
            (void)hf_json_quote(out, params->nodes[child].name);
            (void)hf_buf_add_byte(out, ':');
        }
        write_node(params, child, out);
    }
    (void)hf_buf_add_byte(out, node->kind == LIST ? ']' : '}');
}

static int read_all(struct params *params, struct hf_str query,
                    const char *const *without)
{
    struct hf_str raw_name, raw_value, name, value;

    while (hf_query_next(&query, &raw_name, &raw_value)) {
        int err = decode(params, raw_name, &name);

        if (err == 0)
            err = decode(params, raw_value, &value);
        if (err == 0)
            err = put(params, name, value, without);
        if (err)
            return err;
    }
    return 0;
}

int hf_params_json(struct hf_str query, const char *const *without,
                   struct hf_buf *out)
{
    struct params *params;
    int err;

    if (query.len > HF_PARAMS_BYTES)
        return HF_ELIMIT;
    params = malloc(sizeof(*params));
    if (!params)
        return HF_ENOMEM;
    params->nodes[0] = (struct node){.kind = OBJECT};
    params->count = 1;
    params->used = 0;
    err = read_all(params, query, without);
    if (err == 0) {
        write_node(params, 0, out);
        err = hf_buf_error(out);
    }
    free(params);
    return err;
}
