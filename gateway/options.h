/*
 * options.h - the command line of holdfast-gateway
 */
#ifndef HF_GATEWAY_OPTIONS_H
#define HF_GATEWAY_OPTIONS_H

#include <stdbool.h>

struct hf_options {
    const char *dir;    /* --dir; NULL = not said */
    const char *socket; /* NULL = descriptor 0, or CGI; one passed goes first */
    bool check;         /* --check-config */
    const char *doctor; /* --doctor: who asks; NULL = nobody */
};

/* Returns an exit code, everything having been said, or -1 to go on. */
int hf_options_read(struct hf_options *out, int argc, char **argv);

/* How it is started, on standard error. */
void hf_options_usage(void);

#endif
