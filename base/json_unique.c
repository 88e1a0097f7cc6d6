#include "base/json.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/map.h"

/* Names of one object, unescaped one behind the other. */
static int collect(struct hf_json object, char *names, struct hf_map *seen)
{
    struct hf_json name, value;
    struct hf_json_walk walk;
    int err = 0;

    hf_json_walk(object, &walk);
    while (err == 0 && hf_json_member(&walk, &name, &value)) {
        struct hf_str key = hf_str(names, 0);

        err = hf_json_unescape(name, names, name.raw.len, &key.len);
        names += key.len;
        if (err == 0 && hf_map_get(seen, key))
            err = HF_EMALFORMED;
        if (err == 0)
            err = hf_map_put(seen, key, seen);
    }
    return err;
}

static int unique_names(struct hf_json object)
{
    struct hf_map seen = {0};
    char *names = malloc(object.raw.len);
    int err = names ? collect(object, names, &seen) : HF_ENOMEM;

    hf_map_release(&seen);
    free(names);
    return err;
}

/* As deep as the value, whose depth was bounded when it was read. */
int hf_json_unique(struct hf_json value)
{
    struct hf_json name, inner;
    struct hf_json_walk walk;
    int err = 0;

    if (value.type == HF_JSON_ARRAY) {
        hf_json_walk(value, &walk);
        while (err == 0 && hf_json_element(&walk, &inner))
            err = hf_json_unique(inner);
    } else if (value.type == HF_JSON_OBJECT) {
        err = unique_names(value);
        hf_json_walk(value, &walk);
        while (err == 0 && hf_json_member(&walk, &name, &inner))
            err = hf_json_unique(inner);
    }
    return err;
}
