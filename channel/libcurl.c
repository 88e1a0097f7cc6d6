#include "channel/libcurl.h"

#include <stdbool.h>

/* The version of its interface since 2006; each call that is in the header we
 * are built with is in every later one. */
#define SONAME "libcurl.so.4"

static struct hf_libcurl lib;
static const struct hf_late_call calls[] = {HF_LIBCURL_CALLS(HF_LATE_ENTRY)};

int hf_libcurl_load(const struct hf_libcurl **out, struct hf_why *why)
{
    static bool loaded;
    int err = 0;

    if (!loaded)
        err = hf_late_load(SONAME, calls, HF_LATE_COUNT(calls), why);
    if (err)
        return err;
    loaded = true;
    *out = &lib;
    return 0;
}
