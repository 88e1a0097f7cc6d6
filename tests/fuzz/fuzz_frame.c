/*
 * fuzz_frame.c - any bytes as a client frame of version 2, as text
 *
 * What decodes must be made of slices of its text, and must be the same frame
 * again after it was encoded, its payload byte for byte.
 */
#include "tests/fuzz/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return check_text(HF_VSN_2, data, size);
}
