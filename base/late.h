/*
 * late.h - a shared library that is loaded when it is first needed
 *
 * Plain CGI starts a process for each request, and what is linked with it costs
 * each of them, called or not: libcurl and what it brings 2 ms of a processor,
 * libcrypto 0.5 ms and 0.4 MB that no two processes share (bench/RESULTS.md).
 * So neither is linked; who calls them names the calls in a table, whose types
 * are those of the library's own header:
 *
 *     #define CALLS(CALL) CALL(curl_easy_init) CALL(curl_easy_cleanup)
 *     static struct {
 *         CALLS(HF_LATE_MEMBER)
 *     } lib;
 *     static const struct hf_late_call calls[] = {CALLS(HF_LATE_ENTRY)};
 *
 *     err = hf_late_load("libcurl.so.4", calls, HF_LATE_COUNT(calls), why);
 *     easy = lib.curl_easy_init();
 *
 * Standalone programs (configure --enable-standalone) have them linked after
 * all: pages of a static program that nobody calls cost nothing. There the name
 * of the library means nothing, and loading cannot fail.
 */
#ifndef HF_BASE_LATE_H
#define HF_BASE_LATE_H

#include <stddef.h>

#include "base/err.h"

struct hf_late_call {
    const char *name;
    void *at;             /* of the pointer to the function */
    void (*linked)(void); /* the function; standalone programs only */
};

#define HF_LATE_MEMBER(name) __typeof__(name) *name;
#ifdef HF_STANDALONE
#define HF_LATE_ENTRY(name) {#name, &lib.name, (void (*)(void))name},
#else
#define HF_LATE_ENTRY(name) {#name, &lib.name, NULL},
#endif
#define HF_LATE_COUNT(calls) (sizeof(calls) / sizeof((calls)[0]))

/*
 * Load the library of that soname, found where the linker finds those of the
 * program, and fill in the pointers. It stays loaded. 0; HF_ENOTFOUND with
 * *why: there is none, or it lacks a call; then no pointer is to be used.
 */
int hf_late_load(const char *soname, const struct hf_late_call *calls,
                 size_t count, struct hf_why *why);

#endif
