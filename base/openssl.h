/*
 * openssl.h - the calls of libcrypto that base/ makes, loaded late (late.h)
 *
 * For keys of two parts, and SHA-1. What every request needs is not among them:
 * see crypto.h.
 */
#ifndef HF_BASE_OPENSSL_H
#define HF_BASE_OPENSSL_H

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/late.h"

#define HF_OPENSSL_CALLS(CALL)                                                 \
    CALL(BN_bin2bn)                                                            \
    CALL(BN_bn2binpad)                                                         \
    CALL(BN_clear_free)                                                        \
    CALL(BN_free)                                                              \
    CALL(BN_is_odd)                                                            \
    CALL(BN_is_one)                                                            \
    CALL(BN_num_bits)                                                          \
    CALL(CRYPTO_free)                                                          \
    CALL(ECDSA_SIG_free)                                                       \
    CALL(ECDSA_SIG_get0_r)                                                     \
    CALL(ECDSA_SIG_get0_s)                                                     \
    CALL(ECDSA_SIG_new)                                                        \
    CALL(ECDSA_SIG_set0)                                                       \
    CALL(EVP_Digest)                                                           \
    CALL(EVP_DigestSign)                                                       \
    CALL(EVP_DigestSignInit)                                                   \
    CALL(EVP_DigestVerify)                                                     \
    CALL(EVP_DigestVerifyInit)                                                 \
    CALL(EVP_MD_CTX_free)                                                      \
    CALL(EVP_MD_CTX_new)                                                       \
    CALL(EVP_PKEY_CTX_free)                                                    \
    CALL(EVP_PKEY_CTX_new_from_name)                                           \
    CALL(EVP_PKEY_CTX_new_from_pkey)                                           \
    CALL(EVP_PKEY_Q_keygen)                                                    \
    CALL(EVP_PKEY_free)                                                        \
    CALL(EVP_PKEY_fromdata)                                                    \
    CALL(EVP_PKEY_fromdata_init)                                               \
    CALL(EVP_PKEY_get_bn_param)                                                \
    CALL(EVP_PKEY_get_raw_private_key)                                         \
    CALL(EVP_PKEY_get_raw_public_key)                                          \
    CALL(EVP_PKEY_new_raw_private_key)                                         \
    CALL(EVP_PKEY_new_raw_public_key)                                          \
    CALL(EVP_PKEY_public_check)                                                \
    CALL(EVP_sha1)                                                             \
    CALL(EVP_sha256)                                                           \
    CALL(OSSL_PARAM_BLD_free)                                                  \
    CALL(OSSL_PARAM_BLD_new)                                                   \
    CALL(OSSL_PARAM_BLD_push_BN)                                               \
    CALL(OSSL_PARAM_BLD_push_octet_string)                                     \
    CALL(OSSL_PARAM_BLD_push_utf8_string)                                      \
    CALL(OSSL_PARAM_BLD_to_param)                                              \
    CALL(OSSL_PARAM_free)                                                      \
    CALL(d2i_ECDSA_SIG)                                                        \
    CALL(i2d_ECDSA_SIG)

struct hf_openssl {
    HF_OPENSSL_CALLS(HF_LATE_MEMBER)
};

/* 0; HF_EIO with *why. From any thread. */
int hf_openssl_load(const struct hf_openssl **out, struct hf_why *why);

#endif
