/*
 * holdfast-gateway - long-poll for a web server, by FastCGI or CGI
 *
 * Which of the two it is shows in how we were started: with a listening socket
 * as descriptor 0 (lighttpd's bin-path, spawn-fcgi), with one that a service
 * manager passes (passed.h), with --socket, or with a request in the environment.
 */
#include <fcgiapp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/passed.h"
#include "base/standalone.h"
#include "base/sys.h"
#include "channel/check_config.h"
#include "channel/doctor.h"
#include "gateway/cgi.h"
#include "gateway/options.h"
#include "gateway/resident.h"

struct checking {
    struct hf_config_check check;
    const struct hf_options *options;
};

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

static void check_more(struct hf_config_check *check, const struct hf_dir *dir,
                       const struct hf_settings *settings)
{
    const struct checking *checking = HF_ITEM(check, struct checking, check);

    (void)dir;
    hf_config_found(check, HF_FINDING_OK, "path",
                    "requests to %s/longpoll are served", settings->mount);
    if (checking->options->socket)
        hf_config_check_socket(check, "gateway", checking->options->socket);
    else
        hf_config_found(check, HF_FINDING_OK, "socket",
                        "none was named (--socket): a web server starts this "
                        "program");
}

/* As it would be found by a gateway that the web server starts: SCRIPT_FILENAME
 * is there as CGI, or set by who tries it. */
static int check_config(const struct hf_options *options)
{
    struct checking checking = {
        .check =
            {
                .hints =
                    {
                        .option = options->dir,
                        .variable = getenv(HF_PLACE_VARIABLE),
                        .script = getenv("SCRIPT_FILENAME"),
                        .program = hf_place_program(),
                    },
                .more = check_more,
            },
        .options = options,
    };

    return hf_config_check_run(&checking.check);
}

/* For a gateway that serves, and cannot look itself (probe_facts.h). */
static int doctor(const struct hf_options *options)
{
    const struct hf_doctor doctor = {
        .hints = {.option = options->dir,
                  .variable = getenv(HF_PLACE_VARIABLE),
                  .script = getenv("SCRIPT_FILENAME"),
                  .program = hf_place_program()},
        .who = options->doctor,
    };
    struct hf_report *report = calloc(1, sizeof(*report));
    struct hf_doctor_seen *seen = calloc(1, sizeof(*seen));
    struct hf_buf text;
    int err = report && seen ? 0 : HF_ENOMEM;

    hf_buf_init(&text, HF_REPORT_MAX);
    if (!err) {
        hf_doctor_look(&doctor, report, seen);
        err = hf_report_json(report, &text);
    }
    if (!err)
        printf("%.*s\n", HF_STR_ARG(hf_buf_str(&text)));
    hf_buf_release(&text);
    if (report)
        hf_report_release(report);
    free(report);
    free(seen);
    return err ? complain(hf_strerror(err)) : fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    struct hf_options options;
    int code;

    hf_fill_standard_fds();
    hf_standalone_begin();
    if (hf_cgi_refused_arguments())
        return 0;
    code = hf_options_read(&options, argc, argv);
    if (code >= 0)
        return code;
    if (options.check)
        return check_config(&options);
    if (options.doctor)
        return doctor(&options);
    if (FCGX_Init() != 0)
        return complain("libfcgi does not start");
    if (options.socket || hf_passed_any() || !FCGX_IsCGI())
        return fastcgi(&options);
    if (hf_cgi_asked())
        return hf_cgi_serve(options.dir);
    fputs("holdfast-gateway: a web server starts me, or you with --socket\n",
          stderr);
    hf_options_usage();
    return 2;
}
