/*
 * fuzz_params.c - any bytes as the parameters of a connection
 *
 * What is taken becomes one JSON object, no deeper than names may be.
 */
#include "tests/fuzz/fuzz.h"

#include "base/json.h"
#include "base/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const without[] = {"vsn", "token", NULL};
    struct hf_json object, left;
    struct hf_buf out;

    hf_buf_init(&out, 8 * HF_PARAMS_BYTES);
    if (hf_params_json(hf_str((const char *)data, size), without, &out) == 0) {
        CHECK(hf_json_read(hf_buf_str(&out), HF_PARAMS_DEPTH + 1, &object) ==
              0);
        CHECK(object.type == HF_JSON_OBJECT);
        CHECK(!hf_json_find(object, HF_STR("vsn"), &left));
    }
    hf_buf_release(&out);
    return 0;
}
