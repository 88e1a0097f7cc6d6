/*
 * fuzz_frame_1.c - any bytes as a client frame of version 1, see fuzz_frame.c
 */
#include "tests/fuzz/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return check_text(HF_VSN_1, data, size);
}
