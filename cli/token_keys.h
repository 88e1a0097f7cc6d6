/*
 * token_keys.h - the keys in keys.json: what `holdfast token` does with them
 *
 * The text of the file is edited and not written anew, so what an operator put
 * there stays as it is; it is replaced at one go, and never by a set that a
 * server would refuse. All return an exit code.
 */
#ifndef HF_CLI_TOKEN_KEYS_H
#define HF_CLI_TOKEN_KEYS_H

#include "base/jwk.h"
#include "cli/cli.h"

int hf_token_list_keys(struct hf_cli *cli, const struct hf_jwks *set);
/* `kid` NULL: a name is found. Prints the name. */
int hf_token_add_key(struct hf_cli *cli, const char *alg, const char *kid);
int hf_token_remove_key(struct hf_cli *cli, const char *kid);

#endif
