#include "base/openssl.h"

#include <openssl/opensslv.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/standalone.h"

#define TEXT(number)      #number
#define SONAME_OF(number) "libcrypto.so." TEXT(number)

/* Of the version that our headers are of: another has another interface. */
#define SONAME SONAME_OF(OPENSSL_SHLIB_VERSION)

static struct hf_openssl lib;
static const struct hf_late_call calls[] = {HF_OPENSSL_CALLS(HF_LATE_ENTRY)};

int hf_openssl_load(const struct hf_openssl **out, struct hf_why *why)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool loaded;
    int err = 0;

    (void)pthread_mutex_lock(&lock); /* of this kind it cannot fail */
    if (!loaded) {
        hf_standalone_openssl();
        err = hf_late_load(SONAME, calls, HF_LATE_COUNT(calls), why);
    }
    loaded = err == 0;
    (void)pthread_mutex_unlock(&lock);
    if (err)
        return HF_EIO;
    *out = &lib;
    return 0;
}
