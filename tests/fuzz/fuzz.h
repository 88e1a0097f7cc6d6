/*
 * fuzz.h - what a fuzz target is: one function that is given bytes
 *
 * It returns 0 for any bytes at all and aborts when something that must hold
 * does not. driver.c calls it; with clang's -fsanitize=fuzzer libFuzzer does.
 */
#ifndef HF_TESTS_FUZZ_H
#define HF_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): these must stay with NDEBUG. */
#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__,      \
                          __LINE__, #condition);                               \
            abort();                                                           \
        }                                                                      \
    } while (0)

#endif
