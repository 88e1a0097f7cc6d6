#include "cli/token_keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/sys.h"
#include "channel/keys.h"

/* Nested arrays and objects. */
#define DEPTH 16u

/* For another one who edits, ms. */
#define WAIT_MS 5000

int hf_token_list_keys(struct hf_cli *cli, const struct hf_jwks *set)
{
    size_t i, j;

    for (i = 0; i < set->count; i++) {
        const struct hf_jwk *key = &set->keys[i];

        printf("%-5s  %-6s  ", hf_jwk_alg_name(key->alg),
               key->can_sign ? "signs" : "public");
        for (j = 0; j < key->id_len; j++) {
            unsigned char c = (unsigned char)key->id[j];

            putchar(c < ' ' || c == 0x7f ? '?' : c);
        }
        puts(key->id_len == 0 ? "(no kid)" : "");
    }
    return hf_cli_flush(cli);
}

/* --- editing ------------------------------------------------------------- */

/* The file while it is edited. */
struct editing {
    struct hf_cli *cli;
    int lock; /* the secret: never replaced, and nobody else locks it */
    size_t len;
    char text[HF_JWKS_MAX];
    struct hf_jwks set;
    struct hf_json list; /* of the keys; a slice of text */
};

static int start(struct editing *e)
{
    struct hf_why why = {""};
    struct hf_json object;
    int err;

    e->lock = hf_dir_open_file(&e->cli->dir, HF_FILE_SECRET);
    err = e->lock < 0 ? HF_EIO
                      : hf_lock_wait(e->lock, 0, 1, hf_boot_ms() + WAIT_MS);
    if (err)
        return hf_cli_fail(e->cli, "%s/" HF_FILE_SECRET " cannot be locked: %s",
                           e->cli->dir.path,
                           err == HF_EIO ? strerror(errno)
                                         : "another one edits the keys now");
    err = hf_keys_read(&e->cli->dir, e->text, &e->len, &e->set, &why);
    if (err)
        return hf_cli_fail(e->cli, "%s", why.text);
    /* it was read, so it has this form */
    (void)hf_json_read(hf_str(e->text, e->len), DEPTH, &object);
    (void)hf_json_find(object, HF_STR("keys"), &e->list);
    return HF_EXIT_OK;
}

static void finish(struct editing *e)
{
    hf_close(&e->lock);
    explicit_bzero(e->text, e->len);
    hf_jwks_release(&e->set);
}

static int put(struct editing *e, struct hf_str text)
{
    const struct hf_dir *dir = &e->cli->dir;
    struct hf_why why = {""};
    struct hf_jwks set = {0};

    if (hf_jwks_read(text, &set, &why))
        return hf_cli_fail(e->cli, "the set would not be good: %s", why.text);
    hf_jwks_release(&set);
    if (hf_file_replace(dir->fd, HF_FILE_KEYS, dir->file_mode & 0640, text,
                        true))
        return hf_cli_fail(e->cli, "%s/" HF_FILE_KEYS ": %s", dir->path,
                           strerror(errno));
    return HF_EXIT_OK;
}

/* What lies before `from` and from `to` on, with `between` in the middle. */
static int splice(struct editing *e, const char *from, const char *to,
                  struct hf_str between)
{
    struct hf_buf out;
    int exit_code;

    hf_buf_init(&out, HF_JWKS_MAX);
    (void)hf_buf_add(&out, e->text, (size_t)(from - e->text));
    (void)hf_buf_add_str(&out, between);
    (void)hf_buf_add(&out, to, (size_t)(e->text + e->len - to));
    exit_code = hf_buf_error(&out)
                    ? hf_cli_fail(e->cli, "too many keys: remove one first")
                    : put(e, hf_buf_str(&out));
    if (out.at)
        explicit_bzero(out.at, out.len);
    hf_buf_release(&out);
    return exit_code;
}

/* --- adding -------------------------------------------------------------- */

/* In front: the first key that can sign does. */
static int add(struct editing *e, enum hf_jwk_alg alg, const char *kid)
{
    const char *at = e->list.raw.at + 1; /* behind the bracket */
    struct hf_buf made;
    int exit_code;

    if (hf_jwks_find(&e->set, hf_str_of(kid)))
        return hf_cli_fail(e->cli, "there is a key '%s' already", kid);
    hf_buf_init(&made, 8192);
    (void)hf_buf_add_str(&made, HF_STR("\n  "));
    if (hf_jwk_make(alg, hf_str_of(kid), &made))
        exit_code = hf_cli_fail(e->cli, "no key could be made");
    else if (e->set.count > 0 && hf_buf_add_byte(&made, ','))
        exit_code = hf_cli_fail(e->cli, "%s", hf_strerror(HF_ENOMEM));
    else
        exit_code = splice(e, at, at, hf_buf_str(&made));
    if (made.at)
        explicit_bzero(made.at, made.len);
    hf_buf_release(&made);
    return exit_code;
}

int hf_token_add_key(struct hf_cli *cli, const char *alg_name, const char *kid)
{
    struct editing e = {.cli = cli, .lock = -1};
    char name[HF_JWK_NAME_MAX];
    enum hf_jwk_alg alg;
    int exit_code;

    if (hf_jwk_alg_of(hf_str_of(alg_name), &alg))
        return hf_cli_usage(cli, "--add-key '%s': HS256, EdDSA, ES256 or RS256",
                            alg_name);
    if (kid && (kid[0] == '\0' || strlen(kid) > HF_JWK_ID_MAX))
        return hf_cli_usage(cli, "--kid has 1 to %u bytes", HF_JWK_ID_MAX);
    if (!kid && hf_jwk_name(name))
        return hf_cli_fail(cli, "no random bytes for a name");
    exit_code = start(&e);
    if (!exit_code)
        exit_code = add(&e, alg, kid ? kid : name);
    finish(&e);
    if (exit_code)
        return exit_code;
    puts(kid ? kid : name);
    return hf_cli_flush(cli);
}

/* --- removing ------------------------------------------------------------ */

static const char *end_of(struct hf_json value)
{
    return value.raw.at + value.raw.len;
}

/* With the comma behind it, or before it when it is the last. */
static int remove_element(struct editing *e, size_t which)
{
    const char *behind_former = e->list.raw.at + 1;
    struct hf_json_walk walk;
    struct hf_json element, next;
    size_t i;

    hf_json_walk(e->list, &walk);
    for (i = 0; hf_json_element(&walk, &element) && i < which; i++)
        behind_former = end_of(element);
    if (hf_json_element(&walk, &next))
        return splice(e, element.raw.at, next.raw.at, HF_STR(""));
    return splice(e, behind_former, end_of(element), HF_STR(""));
}

int hf_token_remove_key(struct hf_cli *cli, const char *kid)
{
    struct editing e = {.cli = cli, .lock = -1};
    const struct hf_jwk *key;
    int exit_code = start(&e);

    if (!exit_code) {
        key = hf_jwks_find(&e.set, hf_str_of(kid));
        exit_code = key ? remove_element(&e, (size_t)(key - e.set.keys))
                        : hf_cli_fail(cli, "there is no key '%s'", kid);
    }
    finish(&e);
    return exit_code;
}
