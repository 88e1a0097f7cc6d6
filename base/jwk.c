#include "base/jwk.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/openssl.h"

/* Nested arrays and objects in a set. */
#define DEPTH 16u

#define COORDINATE  32u /* bytes of x, y and d on P-256, and of Ed25519's */
#define ES256_LEN   (2 * COORDINATE)
#define RSA_MIN     256u /* bytes of n */
#define RSA_MAX     1024u
#define RSA_E_MAX   8u
#define MADE_SECRET 32u

/* Since the first key was read or made that is not of HS256. */
static const struct hf_openssl *lib;

static const struct {
    const char *name;
    const char *kty;
} algs[] = {
    [HF_JWK_HS256] = {"HS256", "oct"},
    [HF_JWK_EDDSA] = {"EdDSA", "OKP"},
    [HF_JWK_ES256] = {"ES256", "EC"},
    [HF_JWK_RS256] = {"RS256", "RSA"},
};

#define ALGS (sizeof(algs) / sizeof(algs[0]))

const char *hf_jwk_alg_name(enum hf_jwk_alg alg)
{
    return algs[alg].name;
}

static bool same_word(struct hf_str a, const char *b)
{
    return a.len == strlen(b) && strncasecmp(a.at, b, a.len) == 0;
}

int hf_jwk_alg_of(struct hf_str name, enum hf_jwk_alg *out)
{
    unsigned i;

    for (i = 0; i < ALGS; i++) {
        if (same_word(name, algs[i].name)) {
            *out = (enum hf_jwk_alg)i;
            return 0;
        }
    }
    if (!same_word(name, "Ed25519"))
        return HF_EINVAL;
    *out = HF_JWK_EDDSA;
    return 0;
}

/* --- reading members ----------------------------------------------------- */

/* One key while it is read: what went wrong is told of it by its place. */
struct reading {
    struct hf_json object;
    struct hf_jwk *key;
    size_t place; /* from 1 */
    struct hf_why *why;
};

static int wrong(const struct reading *r, const char *what)
{
    char id[3 * HF_JWK_ID_MAX];
    size_t len = 0, i;

    /* a kid is anybody's text, and this goes to terminals */
    for (i = 0; i < r->key->id_len; i++) {
        char c = r->key->id[i];

        id[len++] = c >= ' ' && c <= '~' && c != '"' ? c : '?';
    }
    if (len == 0)
        return hf_explain(r->why, HF_EMALFORMED, "key %zu: %s", r->place, what);
    return hf_explain(r->why, HF_EMALFORMED, "key %zu (kid \"%.*s\"): %s",
                      r->place, (int)len, id, what);
}

/* The text of a member: 0; HF_ENOTFOUND; HF_EMALFORMED: no string, or longer
 * than cap. */
static int get_text(const struct reading *r, const char *name, char *out,
                    size_t cap, struct hf_str *out_text)
{
    struct hf_json value;

    if (!hf_json_find(r->object, hf_str_of(name), &value))
        return HF_ENOTFOUND;
    *out_text = hf_str(out, 0);
    return hf_json_unescape(value, out, cap, &out_text->len) ? HF_EMALFORMED
                                                             : 0;
}

/* The bytes of a member in base64url, at most cap of them; as get_text. */
static int get_bytes(const struct reading *r, const char *name,
                     unsigned char *out, size_t cap, size_t *out_len)
{
    char text[HF_BASE64URL_LEN(RSA_MAX) + 3];
    unsigned char bytes[sizeof(text) / 4 * 3 + 3];
    struct hf_str encoded;
    int err = get_text(r, name, text, sizeof(text), &encoded);

    if (err == 0 && (hf_base64url_decode(encoded, bytes, out_len) ||
                     *out_len == 0 || *out_len > cap))
        err = HF_EMALFORMED;
    if (err == 0)
        memcpy(out, bytes, *out_len);
    explicit_bzero(text, sizeof(text));
    explicit_bzero(bytes, sizeof(bytes));
    return err;
}

/* --- oct ----------------------------------------------------------------- */

static int read_oct(struct reading *r)
{
    struct hf_jwk *key = r->key;
    int err =
        get_bytes(r, "k", key->secret, sizeof(key->secret), &key->secret_len);

    if (err)
        return wrong(r, "k must be the secret in base64url without padding, "
                        "of 32 to 512 bytes");
    if (key->secret_len < HF_JWK_SECRET_MIN)
        return wrong(r, "its secret is shorter than 32 bytes, which can be "
                        "guessed from one token (RFC 7518 section 3.2)");
    key->can_sign = true;
    return 0;
}

/* --- OKP ----------------------------------------------------------------- */

static int read_okp(struct reading *r)
{
    unsigned char x[COORDINATE], d[COORDINATE], own[COORDINATE];
    size_t x_len = 0, d_len = 0, own_len = sizeof(own);
    char name[16];
    struct hf_str curve;
    int err;

    if (get_text(r, "crv", name, sizeof(name), &curve) ||
        !hf_str_eq(curve, HF_STR("Ed25519")))
        return wrong(r, "crv must be Ed25519");
    if (get_bytes(r, "x", x, sizeof(x), &x_len) || x_len != sizeof(x))
        return wrong(r, "x must be 32 bytes in base64url without padding");
    err = get_bytes(r, "d", d, sizeof(d), &d_len);
    if (err == HF_EMALFORMED || (err == 0 && d_len != sizeof(d)))
        return wrong(r, "d must be 32 bytes in base64url without padding");
    r->key->can_sign = err == 0;
    if (r->key->can_sign)
        r->key->pkey =
            lib->EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, d, d_len);
    else
        r->key->pkey =
            lib->EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, x_len);
    explicit_bzero(d, sizeof(d));
    if (!r->key->pkey)
        return HF_ENOMEM;
    if (lib->EVP_PKEY_get_raw_public_key(r->key->pkey, own, &own_len) != 1 ||
        memcmp(own, x, sizeof(x)) != 0)
        return wrong(r, "x is not the public part of d");
    return 0;
}

/* --- EC and RSA ---------------------------------------------------------- */

static size_t bytes_in(const BIGNUM *number)
{
    return ((size_t)lib->BN_num_bits(number) + 7) / 8;
}

/* What OpenSSL makes of the parameters; NULL when they are no key. */
static EVP_PKEY *build(const char *type, OSSL_PARAM_BLD *builder, int what)
{
    OSSL_PARAM *params = lib->OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = lib->EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (params && ctx && lib->EVP_PKEY_fromdata_init(ctx) == 1)
        (void)lib->EVP_PKEY_fromdata(ctx, &pkey, what, params);
    lib->EVP_PKEY_CTX_free(ctx);
    lib->OSSL_PARAM_free(params);
    return pkey;
}

static bool public_part_good(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *ctx = lib->EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool good = ctx && lib->EVP_PKEY_public_check(ctx) == 1;

    lib->EVP_PKEY_CTX_free(ctx);
    return good;
}

/* Do both parts belong together? */
static bool signs_for_itself(const struct hf_jwk *key)
{
    static const struct hf_str text = HF_STR_INIT("both parts of one key");
    unsigned char signature[HF_JWK_SIGNATURE_MAX];
    size_t len;

    return hf_jwk_sign(key, text, signature, &len) == 0 &&
           hf_jwk_verify(key, text, hf_str((const char *)signature, len));
}

static int check_private(struct reading *r)
{
    if (!r->key->can_sign || signs_for_itself(r->key))
        return 0;
    return wrong(r, "d is not the private part of this key");
}

static EVP_PKEY *build_ec(const unsigned char point[1 + ES256_LEN], BIGNUM *d)
{
    OSSL_PARAM_BLD *builder = lib->OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;

    if (builder &&
        lib->OSSL_PARAM_BLD_push_utf8_string(
            builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        lib->OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY,
                                              point, 1 + ES256_LEN) == 1 &&
        (!d || lib->OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY,
                                           d) == 1))
        pkey = build("EC", builder, d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
    lib->OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static int read_ec(struct reading *r)
{
    unsigned char point[1 + ES256_LEN] = {POINT_CONVERSION_UNCOMPRESSED};
    unsigned char d[COORDINATE];
    size_t x_len = 0, y_len = 0, d_len = 0;
    char name[16];
    struct hf_str curve;
    BIGNUM *number = NULL;
    int err;

    if (get_text(r, "crv", name, sizeof(name), &curve) ||
        !hf_str_eq(curve, HF_STR("P-256")))
        return wrong(r, "crv must be P-256");
    if (get_bytes(r, "x", point + 1, COORDINATE, &x_len) ||
        get_bytes(r, "y", point + 1 + COORDINATE, COORDINATE, &y_len) ||
        x_len != COORDINATE || y_len != COORDINATE)
        return wrong(r, "x and y must be 32 bytes each in base64url without "
                        "padding");
    err = get_bytes(r, "d", d, sizeof(d), &d_len);
    if (err == HF_EMALFORMED || (err == 0 && d_len != COORDINATE))
        return wrong(r, "d must be 32 bytes in base64url without padding");
    r->key->can_sign = err == 0;
    if (r->key->can_sign)
        number = lib->BN_bin2bn(d, COORDINATE, NULL);
    r->key->pkey = build_ec(point, number);
    lib->BN_clear_free(number);
    explicit_bzero(d, sizeof(d));
    if (!r->key->pkey || !public_part_good(r->key->pkey))
        return wrong(r, "x and y are no point of P-256");
    return check_private(r);
}

struct rsa_parts {
    BIGNUM *n, *e, *d;
};

static EVP_PKEY *build_rsa(const struct rsa_parts *rsa)
{
    OSSL_PARAM_BLD *builder = lib->OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;

    if (builder &&
        lib->OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, rsa->n) ==
            1 &&
        lib->OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, rsa->e) ==
            1 &&
        (!rsa->d || lib->OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_D,
                                                rsa->d) == 1))
        pkey = build("RSA", builder,
                     rsa->d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
    lib->OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static int read_number(const struct reading *r, const char *name, size_t cap,
                       BIGNUM **out)
{
    unsigned char bytes[RSA_MAX];
    size_t len;
    int err = get_bytes(r, name, bytes, cap, &len);

    if (err)
        return err;
    *out = lib->BN_bin2bn(bytes, (int)len, NULL);
    explicit_bzero(bytes, sizeof(bytes));
    return *out ? 0 : HF_ENOMEM;
}

static int read_rsa_parts(struct reading *r, struct rsa_parts *rsa)
{
    int err;

    if (read_number(r, "n", RSA_MAX, &rsa->n) || bytes_in(rsa->n) < RSA_MIN ||
        !lib->BN_is_odd(rsa->n))
        return wrong(r, "n must be a modulus of 2048 to 8192 bits in "
                        "base64url without padding");
    if (read_number(r, "e", RSA_E_MAX, &rsa->e) || !lib->BN_is_odd(rsa->e) ||
        lib->BN_is_one(rsa->e))
        return wrong(r, "e must be an odd number above 1 of at most 8 bytes "
                        "in base64url without padding");
    err = read_number(r, "d", RSA_MAX, &rsa->d);
    if (err == HF_EMALFORMED)
        return wrong(r, "d must be a number in base64url without padding");
    r->key->can_sign = err == 0;
    r->key->pkey = build_rsa(rsa);
    return r->key->pkey ? check_private(r) : wrong(r, "it is no RSA key");
}

static int read_rsa(struct reading *r)
{
    struct rsa_parts rsa = {NULL, NULL, NULL};
    int err = read_rsa_parts(r, &rsa);

    lib->BN_free(rsa.n);
    lib->BN_free(rsa.e);
    lib->BN_clear_free(rsa.d);
    return err;
}

/* --- a key --------------------------------------------------------------- */

static int read_kty(struct reading *r)
{
    char name[16];
    struct hf_str kty, alg;
    enum hf_jwk_alg said;
    unsigned i;

    if (get_text(r, "kty", name, sizeof(name), &kty))
        return wrong(r, "kty is missing: oct, OKP, EC or RSA");
    for (i = 0; i < ALGS && !hf_str_eq(kty, hf_str_of(algs[i].kty)); i++)
        ;
    if (i == ALGS)
        return wrong(r, "kty is none of oct, OKP, EC and RSA");
    r->key->alg = (enum hf_jwk_alg)i;
    switch (get_text(r, "alg", name, sizeof(name), &alg)) {
    case HF_ENOTFOUND:
        return 0;
    case 0:
        if (hf_jwk_alg_of(alg, &said) == 0 && said == r->key->alg)
            return 0;
        break;
    default:
        break;
    }
    return wrong(r, "its alg is not served for its kty: oct has HS256, OKP "
                    "EdDSA, EC ES256, RSA RS256");
}

/* Is it for signatures, as far as it says? (RFC 7517 sections 4.2, 4.3) */
static int read_use(struct reading *r)
{
    char name[16];
    struct hf_json ops, op;
    struct hf_json_walk walk;
    struct hf_str use;
    bool any = false;
    int err = get_text(r, "use", name, sizeof(name), &use);

    if (err == HF_EMALFORMED || (err == 0 && !hf_str_eq(use, HF_STR("sig"))))
        return wrong(r, "its use is not sig: it is not for signatures");
    if (!hf_json_find(r->object, HF_STR("key_ops"), &ops))
        return 0;
    if (ops.type != HF_JSON_ARRAY)
        return wrong(r, "key_ops is no list");
    hf_json_walk(ops, &walk);
    while (hf_json_element(&walk, &op)) {
        if (hf_str_eq(op.raw, HF_STR("\"sign\"")) ||
            hf_str_eq(op.raw, HF_STR("\"verify\"")))
            any = true;
    }
    return any ? 0 : wrong(r, "key_ops has neither sign nor verify");
}

static int read_id(struct reading *r)
{
    struct hf_str id;
    int err = get_text(r, "kid", r->key->id, sizeof(r->key->id), &id);

    if (err == HF_EMALFORMED || (err == 0 && id.len == 0))
        return wrong(r, "kid must be a text of 1 to 128 bytes");
    r->key->id_len = err ? 0 : id.len;
    return 0;
}

static int load(size_t place, struct hf_why *why)
{
    struct hf_why here = {""};
    int err = hf_openssl_load(&lib, &here);

    return err ? hf_explain(why, err, "key %zu needs OpenSSL: %s", place,
                            here.text)
               : 0;
}

static int read_key(struct reading *r)
{
    int err;

    if (r->object.type != HF_JSON_OBJECT)
        return wrong(r, "it is no JSON object");
    err = read_id(r);
    if (err == 0)
        err = read_kty(r);
    if (err == 0)
        err = read_use(r);
    if (err == 0 && r->key->alg != HF_JWK_HS256)
        err = load(r->place, r->why);
    if (err)
        return err;
    switch (r->key->alg) {
    case HF_JWK_HS256:
        return read_oct(r);
    case HF_JWK_EDDSA:
        return read_okp(r);
    case HF_JWK_ES256:
        return read_ec(r);
    case HF_JWK_RS256:
        return read_rsa(r);
    }
    return 0;
}

/* --- a set --------------------------------------------------------------- */

static int count_keys(struct hf_json list, size_t *out, struct hf_why *why)
{
    struct hf_json_walk walk;
    struct hf_json key;
    size_t count = 0;

    hf_json_walk(list, &walk);
    while (hf_json_element(&walk, &key))
        count++;
    if (count > HF_JWKS_KEYS)
        return hf_explain(why, HF_ELIMIT, "more than %u keys", HF_JWKS_KEYS);
    *out = count;
    return 0;
}

static int read_list(struct hf_json list, struct hf_jwks *out,
                     struct hf_why *why)
{
    struct reading r = {.why = why};
    struct hf_json_walk walk;
    size_t count = 0;
    int err = count_keys(list, &count, why);

    if (err)
        return err;
    out->keys = calloc(count ? count : 1, sizeof(*out->keys));
    if (!out->keys)
        return HF_ENOMEM;
    hf_json_walk(list, &walk);
    while (err == 0 && hf_json_element(&walk, &r.object)) {
        r.key = &out->keys[out->count];
        r.place = out->count + 1;
        err = read_key(&r);
        if (err == 0 && r.key->id_len > 0 &&
            hf_jwks_find(out, hf_jwk_id(r.key)))
            err = wrong(&r, "an earlier key has the same kid");
        out->count++; /* a half-read one is released, too */
    }
    return err;
}

int hf_jwks_read(struct hf_str text, struct hf_jwks *out, struct hf_why *why)
{
    struct hf_jwks set = {0};
    struct hf_json object, list;
    int err;

    if (text.len > HF_JWKS_MAX)
        return hf_explain(why, HF_ELIMIT, "longer than %u bytes", HF_JWKS_MAX);
    if (hf_json_read(text, DEPTH, &object) || object.type != HF_JSON_OBJECT)
        return hf_explain(why, HF_EMALFORMED, "not a JSON object");
    err = hf_json_unique(object);
    if (err)
        return err == HF_ENOMEM
                   ? err
                   : hf_explain(why, err, "a member stands twice in an object");
    if (!hf_json_find(object, HF_STR("keys"), &list) ||
        list.type != HF_JSON_ARRAY)
        return hf_explain(why, HF_EMALFORMED, "no list \"keys\"");
    err = read_list(list, &set, why);
    if (err) {
        hf_jwks_release(&set);
        return err;
    }
    *out = set;
    return 0;
}

void hf_jwks_release(struct hf_jwks *set)
{
    size_t i;

    for (i = 0; i < set->count; i++) {
        if (set->keys[i].pkey)
            lib->EVP_PKEY_free(set->keys[i].pkey);
        explicit_bzero(&set->keys[i], sizeof(set->keys[i]));
    }
    free(set->keys);
    *set = (struct hf_jwks){0};
}

const struct hf_jwk *hf_jwks_find(const struct hf_jwks *set, struct hf_str id)
{
    size_t i;

    for (i = 0; i < set->count; i++) {
        if (set->keys[i].id_len > 0 && hf_str_eq(hf_jwk_id(&set->keys[i]), id))
            return &set->keys[i];
    }
    return NULL;
}

/* --- signatures ---------------------------------------------------------- */

static const unsigned char *bytes_of(struct hf_str s)
{
    return (const unsigned char *)(s.len ? s.at : "");
}

/* Ed25519 hashes by itself. */
static const EVP_MD *digest_of(const struct hf_jwk *key)
{
    return key->alg == HF_JWK_EDDSA ? NULL : lib->EVP_sha256();
}

/* JOSE writes r and s one behind the other (RFC 7518 section 3.4), OpenSSL
 * reads and writes DER. */
static int to_der(struct hf_str raw, unsigned char **out)
{
    ECDSA_SIG *sig = lib->ECDSA_SIG_new();
    BIGNUM *r = lib->BN_bin2bn(bytes_of(raw), COORDINATE, NULL);
    BIGNUM *s = lib->BN_bin2bn(bytes_of(raw) + COORDINATE, COORDINATE, NULL);
    int len = -1;

    if (sig && r && s && lib->ECDSA_SIG_set0(sig, r, s) == 1) {
        *out = NULL;
        len = lib->i2d_ECDSA_SIG(sig, out);
    } else {
        lib->BN_free(r);
        lib->BN_free(s);
    }
    lib->ECDSA_SIG_free(sig);
    return len;
}

static int from_der(unsigned char *signature, size_t *len)
{
    const unsigned char *at = signature;
    ECDSA_SIG *sig = lib->d2i_ECDSA_SIG(NULL, &at, (long)*len);
    int err = HF_ENOMEM;

    if (sig &&
        lib->BN_bn2binpad(lib->ECDSA_SIG_get0_r(sig), signature, COORDINATE) >
            0 &&
        lib->BN_bn2binpad(lib->ECDSA_SIG_get0_s(sig), signature + COORDINATE,
                          COORDINATE) > 0) {
        *len = ES256_LEN;
        err = 0;
    }
    lib->ECDSA_SIG_free(sig);
    return err;
}

static bool verify_with(const struct hf_jwk *key, struct hf_str data,
                        const unsigned char *signature, size_t len)
{
    EVP_MD_CTX *ctx = lib->EVP_MD_CTX_new();
    bool good = ctx &&
                lib->EVP_DigestVerifyInit(ctx, NULL, digest_of(key), NULL,
                                          key->pkey) == 1 &&
                lib->EVP_DigestVerify(ctx, signature, len, bytes_of(data),
                                      data.len) == 1;

    lib->EVP_MD_CTX_free(ctx);
    return good;
}

static bool verify_es256(const struct hf_jwk *key, struct hf_str data,
                         struct hf_str signature)
{
    unsigned char *der = NULL;
    bool good = false;
    int len;

    if (signature.len != ES256_LEN)
        return false;
    len = to_der(signature, &der);
    if (len > 0)
        good = verify_with(key, data, der, (size_t)len);
    lib->CRYPTO_free(der, __FILE__, __LINE__);
    return good;
}

static struct hf_str secret_of(const struct hf_jwk *key)
{
    return hf_str((const char *)key->secret, key->secret_len);
}

bool hf_jwk_verify(const struct hf_jwk *key, struct hf_str data,
                   struct hf_str signature)
{
    unsigned char mac[HF_SHA256_LEN];

    switch (key->alg) {
    case HF_JWK_HS256:
        hf_hmac_sha256(secret_of(key), data, mac);
        return hf_equal_secret(signature,
                               hf_str((const char *)mac, sizeof(mac)));
    case HF_JWK_ES256:
        return verify_es256(key, data, signature);
    case HF_JWK_EDDSA:
    case HF_JWK_RS256:
        return verify_with(key, data, bytes_of(signature), signature.len);
    }
    return false;
}

static int sign_with(const struct hf_jwk *key, struct hf_str data,
                     unsigned char *out, size_t *out_len)
{
    EVP_MD_CTX *ctx = lib->EVP_MD_CTX_new();
    bool made =
        ctx &&
        lib->EVP_DigestSignInit(ctx, NULL, digest_of(key), NULL, key->pkey) ==
            1 &&
        lib->EVP_DigestSign(ctx, out, out_len, bytes_of(data), data.len) == 1;

    lib->EVP_MD_CTX_free(ctx);
    return made ? 0 : HF_ENOMEM;
}

int hf_jwk_sign(const struct hf_jwk *key, struct hf_str data,
                unsigned char out[HF_JWK_SIGNATURE_MAX], size_t *out_len)
{
    int err;

    if (!key->can_sign)
        return HF_EINVAL;
    *out_len = HF_JWK_SIGNATURE_MAX;
    switch (key->alg) {
    case HF_JWK_HS256:
        *out_len = HF_SHA256_LEN;
        hf_hmac_sha256(secret_of(key), data, out);
        return 0;
    case HF_JWK_ES256:
        err = sign_with(key, data, out, out_len);
        return err ? err : from_der(out, out_len);
    case HF_JWK_EDDSA:
    case HF_JWK_RS256:
        return sign_with(key, data, out, out_len);
    }
    return HF_EINVAL;
}

/* --- making -------------------------------------------------------------- */

static void add_member(struct hf_buf *out, const char *name, const void *bytes,
                       size_t len)
{
    char *room;

    (void)hf_buf_addf(out, ",\"%s\":\"", name);
    room = hf_buf_room(out, HF_BASE64URL_LEN(len));
    if (room)
        hf_buf_grown(out, hf_base64url(hf_str(bytes, len), room));
    (void)hf_buf_add_byte(out, '"');
}

static int add_number(struct hf_buf *out, const char *name, EVP_PKEY *pkey,
                      const char *param, size_t len)
{
    unsigned char bytes[RSA_MAX];
    BIGNUM *number = NULL;
    int err = HF_ENOMEM;

    if (lib->EVP_PKEY_get_bn_param(pkey, param, &number) == 1) {
        if (len == 0)
            len = bytes_in(number);
        if (len <= sizeof(bytes) &&
            lib->BN_bn2binpad(number, bytes, (int)len) == (int)len)
            err = 0;
    }
    lib->BN_clear_free(number);
    if (err == 0)
        add_member(out, name, bytes, len);
    explicit_bzero(bytes, sizeof(bytes));
    return err;
}

static int make_oct(struct hf_buf *out)
{
    unsigned char secret[MADE_SECRET];

    if (hf_random(secret, sizeof(secret)))
        return HF_EIO;
    add_member(out, "k", secret, sizeof(secret));
    explicit_bzero(secret, sizeof(secret));
    return 0;
}

static int make_okp(struct hf_buf *out)
{
    EVP_PKEY *pkey = lib->EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    unsigned char x[COORDINATE], d[COORDINATE];
    size_t x_len = sizeof(x), d_len = sizeof(d);
    int err = HF_ENOMEM;

    if (pkey && lib->EVP_PKEY_get_raw_public_key(pkey, x, &x_len) == 1 &&
        lib->EVP_PKEY_get_raw_private_key(pkey, d, &d_len) == 1) {
        (void)hf_buf_add_str(out, HF_STR(",\"crv\":\"Ed25519\""));
        add_member(out, "x", x, x_len);
        add_member(out, "d", d, d_len);
        err = 0;
    }
    explicit_bzero(d, sizeof(d));
    lib->EVP_PKEY_free(pkey);
    return err;
}

static int make_ec(struct hf_buf *out)
{
    EVP_PKEY *pkey = lib->EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    int err = pkey ? 0 : HF_ENOMEM;

    (void)hf_buf_add_str(out, HF_STR(",\"crv\":\"P-256\""));
    if (err == 0)
        err = add_number(out, "x", pkey, OSSL_PKEY_PARAM_EC_PUB_X, COORDINATE);
    if (err == 0)
        err = add_number(out, "y", pkey, OSSL_PKEY_PARAM_EC_PUB_Y, COORDINATE);
    if (err == 0)
        err = add_number(out, "d", pkey, OSSL_PKEY_PARAM_PRIV_KEY, COORDINATE);
    lib->EVP_PKEY_free(pkey);
    return err;
}

static int make_rsa(struct hf_buf *out)
{
    EVP_PKEY *pkey = lib->EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    int err = pkey ? 0 : HF_ENOMEM;

    if (err == 0)
        err = add_number(out, "n", pkey, OSSL_PKEY_PARAM_RSA_N, 0);
    if (err == 0)
        err = add_number(out, "e", pkey, OSSL_PKEY_PARAM_RSA_E, 0);
    if (err == 0)
        err = add_number(out, "d", pkey, OSSL_PKEY_PARAM_RSA_D, 0);
    lib->EVP_PKEY_free(pkey);
    return err;
}

static int make_parts(enum hf_jwk_alg alg, struct hf_buf *out)
{
    switch (alg) {
    case HF_JWK_HS256:
        return make_oct(out);
    case HF_JWK_EDDSA:
        return make_okp(out);
    case HF_JWK_ES256:
        return make_ec(out);
    case HF_JWK_RS256:
        return make_rsa(out);
    }
    return HF_EINVAL;
}

int hf_jwk_name(char out[HF_JWK_NAME_MAX])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    int64_t now_s = hf_wall_ms() / 1000;
    unsigned char bits[4];
    struct tm day;
    size_t i, len;

    if (hf_random(bits, sizeof(bits)) || !gmtime_r(&(time_t){now_s}, &day))
        return HF_EIO;
    len = strftime(out, HF_JWK_NAME_MAX, "%Y-%m-%d-", &day);
    for (i = 0; i < sizeof(bits); i++)
        out[len + i] = letters[bits[i] % 32];
    out[len + i] = '\0';
    return 0;
}

int hf_jwk_make(enum hf_jwk_alg alg, struct hf_str id, struct hf_buf *out)
{
    int err;

    if (alg != HF_JWK_HS256 && hf_openssl_load(&lib, NULL))
        return HF_EIO;
    (void)hf_buf_addf(out, "{\"kty\":\"%s\",\"kid\":", algs[alg].kty);
    (void)hf_json_quote(out, id);
    (void)hf_buf_addf(out, ",\"alg\":\"%s\"", algs[alg].name);
    err = make_parts(alg, out);
    (void)hf_buf_add_byte(out, '}');
    return err ? err : hf_buf_error(out);
}
