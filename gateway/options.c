#include "gateway/options.h"

#include <getopt.h>
#include <stdio.h>

static const char usage_text[] =
    "usage: holdfast-gateway [--dir DIR] [--socket PATH]\n"
    "       holdfast-gateway --check-config [--dir DIR] [--socket PATH]\n"
    "\n"
    "Long-poll for web pages, started by a web server (FastCGI or CGI) or by\n"
    "hand with --socket.\n"
    "\n"
    "  --dir DIR      the journal directory; else $HOLDFAST_DIR, else what a\n"
    "                 request's parameter HOLDFAST_DIR or a file .htholdfast\n"
    "                 beside the program says, else ~/holdfast\n"
    "  --socket PATH  listen on this Unix socket for FastCGI\n"
    "  --doctor WHO   say in JSON what this host allows; the gateway asks itself\n"
    "  --check-config say whether it would work, and what to do if not\n"
    "  --version      print the version and exit\n"
    "  --help         print this and exit\n";

void hf_options_usage(void)
{
    fputs(usage_text, stderr);
}

int hf_options_read(struct hf_options *out, int argc, char **argv)
{
    static const struct option known[] = {
        {"dir", required_argument, NULL, 'd'},
        {"socket", required_argument, NULL, 's'},
        {"check-config", no_argument, NULL, 'c'},
        {"doctor", required_argument, NULL, 'D'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    *out = (struct hf_options){.dir = NULL};
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'd':
            out->dir = optarg;
            break;
        case 's':
            out->socket = optarg;
            break;
        case 'c':
            out->check = true;
            break;
        case 'D':
            out->doctor = optarg;
            break;
        case 'v':
            puts("holdfast-gateway " PACKAGE_VERSION);
            return 0;
        case 'h':
            fputs(usage_text, stdout);
            return 0;
        default:
            hf_options_usage();
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "holdfast-gateway: unexpected argument: %s\n%s",
            argv[optind], usage_text);
    return 2;
}
