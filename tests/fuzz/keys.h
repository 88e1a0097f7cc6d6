/*
 * keys.h - the key set that the targets for tokens verify with
 *
 * The secrets are of this file only, and so known to everybody. What a corpus
 * holds of tokens is signed with them.
 */
#ifndef HF_TESTS_FUZZ_KEYS_H
#define HF_TESTS_FUZZ_KEYS_H

/* One of 32 bytes of 0, and the one of RFC 8037 appendix A. */
#define FUZZ_KEYS                                                              \
    "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"zero\",\"alg\":\"HS256\",\"k\":"    \
    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},"                       \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\","                     \
    "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","                   \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"

#endif
