/*
 * sidecar.h - the parts of `holdfast sidecar`
 *
 * Each works in the directory that hf_cli_open_dir has opened, says on standard
 * error what went wrong, and returns an exit code.
 */
#ifndef HF_CLI_SIDECAR_H
#define HF_CLI_SIDECAR_H

#include "cli/cli.h"

/* The parent of the side-car that runs; 0: none does. */
pid_t hf_sidecar_runs(const struct hf_cli *cli);

/* Did a service manager start that process? It starts another one when this one
 * ends. */
bool hf_sidecar_is_managed(pid_t pid);

/* Start it unless it runs, and wait until it serves. `by_cron`: say nothing,
 * unless it fails, and respect pauses and what was stopped by hand. */
int hf_sidecar_start(struct hf_cli *cli, bool by_cron);

/* End it and wait until it has ended. `for_good`: until it is started by hand. */
int hf_sidecar_stop(struct hf_cli *cli, bool for_good);

/* Print what is known of it. Exit code 0 if it runs. */
int hf_sidecar_status(struct hf_cli *cli);

/* Print a line for crontab(5). */
int hf_sidecar_cron(struct hf_cli *cli);

#endif
