#include "base/late.h"

#include <dlfcn.h>
#include <string.h>

#ifdef HF_STANDALONE

int hf_late_load(const char *soname, const struct hf_late_call *calls,
                 size_t count, struct hf_why *why)
{
    size_t i;

    (void)soname;
    (void)why;
    for (i = 0; i < count; i++)
        memcpy(calls[i].at, &calls[i].linked, sizeof(calls[i].linked));
    return 0;
}

#else

int hf_late_load(const char *soname, const struct hf_late_call *calls,
                 size_t count, struct hf_why *why)
{
    /* All at once: what cannot be resolved is to be said here, not to end the
     * process in the middle of a request. */
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    size_t i;

    if (!library)
        return hf_explain(why, HF_ENOTFOUND, "%s", dlerror());
    for (i = 0; i < count; i++) {
        void *function = dlsym(library, calls[i].name);

        if (!function)
            return hf_explain(why, HF_ENOTFOUND,
                              "%s has no %s: another "
                              "version of it is needed",
                              soname, calls[i].name);
        /* POSIX has both kinds of pointers alike, C has no cast for it */
        memcpy(calls[i].at, &function, sizeof(function));
    }
    return 0;
}

#endif
