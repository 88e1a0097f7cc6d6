/*
 * holdfast-gateway - long-poll for a web server, by FastCGI or CGI
 *
 * Which of the two it is shows in how we were started: with a listening socket
 * as descriptor 0 (lighttpd's bin-path, spawn-fcgi), with --socket, or with a
 * request in the environment.
 */
#include <fcgiapp.h>
#include <stdio.h>

#include "base/sys.h"
#include "gateway/cgi.h"
#include "gateway/options.h"
#include "gateway/resident.h"

static int complain(const char *why)
{
    fprintf(stderr, "holdfast-gateway: %s\n", why);
    return 1;
}

static int fastcgi(const struct hf_options *options)
{
    struct hf_why why = {""};
    int err = hf_resident_run(options, &why);

    return err ? complain(why.text[0] ? why.text : hf_strerror(err)) : 0;
}

int main(int argc, char **argv)
{
    struct hf_options options;
    int code;

    hf_fill_standard_fds();
    if (hf_cgi_refused_arguments())
        return 0;
    code = hf_options_read(&options, argc, argv);
    if (code >= 0)
        return code;
    if (FCGX_Init() != 0)
        return complain("libfcgi does not start");
    if (options.socket || !FCGX_IsCGI())
        return fastcgi(&options);
    if (hf_cgi_asked())
        return hf_cgi_serve(options.dir);
    fputs("holdfast-gateway: a web server starts me, or you with --socket\n",
          stderr);
    hf_options_usage();
    return 2;
}
