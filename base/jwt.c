#include "base/jwt.h"

#include <math.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/err.h"

/* Nested arrays and objects in header and claims. */
#define DEPTH 16u

/* 9999-12-31, the last day that dates are written with four digits for. */
#define LAST_SECOND 253402300799.0

const char *hf_jwt_why(enum hf_jwt_state state)
{
    switch (state) {
    case HF_JWT_VALID:
        return "it is valid";
    case HF_JWT_LONG:
        return "it is longer than 4096 bytes";
    case HF_JWT_FORM:
        return "it is not three parts of base64url with dots between";
    case HF_JWT_HEADER:
        return "its header is not a JSON object with each member once";
    case HF_JWT_CRITICAL:
        return "its header has crit, of which nothing is understood";
    case HF_JWT_KEY:
        return "its kid names no key of keys.json";
    case HF_JWT_KEYS:
        return "it has no kid, and not exactly one key of keys.json is for "
               "its alg";
    case HF_JWT_ALGORITHM:
        return "its alg is not that of its key";
    case HF_JWT_SIGNATURE:
        return "its signature is wrong";
    case HF_JWT_CLAIMS:
        return "its claims are not a JSON object with each member once";
    case HF_JWT_NO_EXPIRY:
        return "it has no exp, or one that is no date";
    case HF_JWT_EXPIRED:
        return "it has expired";
    case HF_JWT_EARLY:
        return "its nbf or iat is no date, or in the future";
    case HF_JWT_MEMORY:
        return "there was no memory to look at it";
    }
    return "";
}

/* --- form ---------------------------------------------------------------- */

struct parts {
    struct hf_str header, claims, signature;
    struct hf_str input; /* what is signed: header, dot, claims */
};

static bool cut(struct hf_str *rest, struct hf_str *out)
{
    const char *dot = rest->len > 0 ? memchr(rest->at, '.', rest->len) : NULL;

    if (!dot)
        return false;
    *out = hf_str(rest->at, (size_t)(dot - rest->at));
    *rest = hf_str_from(*rest, out->len + 1);
    return true;
}

static bool split(struct hf_str compact, struct parts *out)
{
    struct hf_str rest = compact;

    if (!cut(&rest, &out->header) || !cut(&rest, &out->claims) ||
        (rest.len > 0 && memchr(rest.at, '.', rest.len)))
        return false;
    out->signature = rest;
    out->input = hf_str(compact.at, out->header.len + 1 + out->claims.len);
    return out->header.len > 0 && out->claims.len > 0;
}

/* Decode into *room, which is moved on, and read as a JSON object. */
static enum hf_jwt_state read_part(struct hf_str part, char **room,
                                   enum hf_jwt_state wrong, struct hf_json *out)
{
    size_t len;
    int err;

    if (hf_base64url_decode(part, (unsigned char *)*room, &len))
        return HF_JWT_FORM;
    if (hf_json_read(hf_str(*room, len), DEPTH, out) ||
        out->type != HF_JSON_OBJECT)
        return wrong;
    *room += len;
    err = hf_json_unique(*out);
    return err == 0 ? HF_JWT_VALID : err == HF_ENOMEM ? HF_JWT_MEMORY : wrong;
}

bool hf_jwt_shaped(struct hf_str compact)
{
    unsigned char bytes[HF_JWT_MAX / 4 * 3 + 3];
    struct hf_json header;
    struct parts parts;
    size_t len;

    return compact.len <= HF_JWT_MAX && split(compact, &parts) &&
           hf_base64url_decode(parts.header, bytes, &len) == 0 &&
           hf_json_read(hf_str((const char *)bytes, len), DEPTH, &header) ==
               0 &&
           header.type == HF_JSON_OBJECT;
}

/* --- key ----------------------------------------------------------------- */

/* A string member; false when it is absent, no string or longer than cap. */
static bool text_member(struct hf_json object, struct hf_str name, char *out,
                        size_t cap, struct hf_str *out_text)
{
    struct hf_json value;

    *out_text = hf_str(out, 0);
    return hf_json_find(object, name, &value) &&
           hf_json_unescape(value, out, cap, &out_text->len) == 0;
}

static const struct hf_jwk *only_key_for(const struct hf_jwks *keys,
                                         enum hf_jwk_alg alg)
{
    const struct hf_jwk *found = NULL;
    size_t i;

    for (i = 0; i < keys->count; i++) {
        if (keys->keys[i].alg != alg)
            continue;
        if (found)
            return NULL;
        found = &keys->keys[i];
    }
    return found;
}

static enum hf_jwt_state choose_key(struct hf_jwt *jwt,
                                    const struct hf_jwks *keys)
{
    char name[16], id[HF_JWK_ID_MAX];
    struct hf_str alg_name, kid;
    struct hf_json value;
    enum hf_jwk_alg alg;

    if (hf_json_find(jwt->header, HF_STR("crit"), &value))
        return HF_JWT_CRITICAL;
    if (!text_member(jwt->header, HF_STR("alg"), name, sizeof(name),
                     &alg_name) ||
        hf_jwk_alg_of(alg_name, &alg))
        return HF_JWT_ALGORITHM;
    if (hf_json_find(jwt->header, HF_STR("kid"), &value)) {
        if (!text_member(jwt->header, HF_STR("kid"), id, sizeof(id), &kid))
            return HF_JWT_KEY;
        jwt->key = hf_jwks_find(keys, kid);
        if (!jwt->key)
            return HF_JWT_KEY;
    } else {
        jwt->key = only_key_for(keys, alg);
        if (!jwt->key)
            return HF_JWT_KEYS;
    }
    return jwt->key->alg == alg ? HF_JWT_VALID : HF_JWT_ALGORITHM;
}

/* --- times --------------------------------------------------------------- */

/* A NumericDate may have a fraction (RFC 7519 section 2); rounded down. */
static bool date_of(struct hf_json value, int64_t *out)
{
    char text[40];
    double seconds;

    if (value.type != HF_JSON_NUMBER || value.raw.len >= sizeof(text))
        return false;
    memcpy(text, value.raw.at, value.raw.len);
    text[value.raw.len] = '\0';
    seconds = strtod(text, NULL); /* JSON's form is C's */
    if (!isfinite(seconds) || seconds < 0 || seconds > LAST_SECOND)
        return false;
    *out = (int64_t)seconds;
    return true;
}

/* Absent, or a date that is not ahead of us. */
static bool has_come(struct hf_json claims, struct hf_str name, int64_t now_s)
{
    struct hf_json value;
    int64_t at;

    if (!hf_json_find(claims, name, &value))
        return true;
    return date_of(value, &at) && at <= now_s + HF_JWT_SKEW_S;
}

static enum hf_jwt_state check_times(struct hf_jwt *jwt, int64_t now_s)
{
    struct hf_json value;

    if (!hf_json_find(jwt->claims, HF_STR("exp"), &value) ||
        !date_of(value, &jwt->expires_s))
        return HF_JWT_NO_EXPIRY;
    if (now_s >= jwt->expires_s)
        return HF_JWT_EXPIRED;
    if (!has_come(jwt->claims, HF_STR("nbf"), now_s) ||
        !has_come(jwt->claims, HF_STR("iat"), now_s))
        return HF_JWT_EARLY;
    return HF_JWT_VALID;
}

/* ------------------------------------------------------------------------- */

enum hf_jwt_state hf_jwt_verify(struct hf_jwt *jwt, struct hf_str compact,
                                const struct hf_jwks *keys, int64_t now_s)
{
    unsigned char signature[HF_JWT_MAX / 4 * 3 + 3];
    enum hf_jwt_state state;
    char *room = jwt->text;
    struct parts parts;
    size_t len;

    jwt->key = NULL;
    jwt->header = jwt->claims = (struct hf_json){.type = HF_JSON_NULL};
    if (compact.len > HF_JWT_MAX)
        return HF_JWT_LONG;
    if (!split(compact, &parts) ||
        hf_base64url_decode(parts.signature, signature, &len))
        return HF_JWT_FORM;
    state = read_part(parts.header, &room, HF_JWT_HEADER, &jwt->header);
    if (state == HF_JWT_VALID)
        state = choose_key(jwt, keys);
    if (state != HF_JWT_VALID)
        return state;
    if (!hf_jwk_verify(jwt->key, parts.input,
                       hf_str((const char *)signature, len)))
        return HF_JWT_SIGNATURE;
    state = read_part(parts.claims, &room, HF_JWT_CLAIMS, &jwt->claims);
    return state == HF_JWT_VALID ? check_times(jwt, now_s) : state;
}

/* --- making -------------------------------------------------------------- */

static int add_encoded(struct hf_buf *out, struct hf_str bytes)
{
    char *room = hf_buf_room(out, HF_BASE64URL_LEN(bytes.len));

    if (!room)
        return hf_buf_error(out);
    hf_buf_grown(out, hf_base64url(bytes, room));
    return 0;
}

static int make_header(const struct hf_jwk *key, struct hf_buf *out)
{
    (void)hf_buf_addf(out, "{\"alg\":\"%s\",\"typ\":\"JWT\"",
                      hf_jwk_alg_name(key->alg));
    if (key->id_len > 0) {
        (void)hf_buf_add_str(out, HF_STR(",\"kid\":"));
        (void)hf_json_quote(out, hf_jwk_id(key));
    }
    (void)hf_buf_add_byte(out, '}');
    return hf_buf_error(out);
}

int hf_jwt_make(const struct hf_jwk *key, struct hf_str claims,
                struct hf_buf *out)
{
    unsigned char signature[HF_JWK_SIGNATURE_MAX];
    size_t start = out->len, len;
    struct hf_buf header;
    int err;

    hf_buf_init(&header, HF_JWT_MAX);
    err = make_header(key, &header);
    if (err == 0)
        err = add_encoded(out, hf_buf_str(&header));
    hf_buf_release(&header);
    if (err == 0)
        err = hf_buf_add_byte(out, '.');
    if (err == 0)
        err = add_encoded(out, claims);
    if (err == 0)
        err = hf_jwk_sign(key, hf_str_from(hf_buf_str(out), start), signature,
                          &len);
    if (err == 0)
        err = hf_buf_add_byte(out, '.');
    if (err == 0)
        err = add_encoded(out, hf_str((const char *)signature, len));
    if (err == 0 && out->len - start > HF_JWT_MAX)
        err = HF_ELIMIT;
    return err;
}
