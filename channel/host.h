/*
 * host.h - what the machine allows this account, for the doctor
 *
 * Each look adds facts and troubles (findings.h) to a report. They ask the
 * kernel and the files that everybody may read, and two of them start a
 * process: hf_host_look_cron runs `crontab -l`, hf_host_look_survivor leaves
 * one behind (schema/survivor.h). For a process with one thread and no database
 * open, as inspect.h.
 */
#ifndef HF_CHANNEL_HOST_H
#define HF_CHANNEL_HOST_H

#include "channel/report.h"

/* Longest wait for `crontab -l`. */
#define HF_HOST_CRON_MS INT64_C(5000)

/* Limits of processes, files and memory; what a process of CGI each costs of
 * them becomes a recommended setting. */
void hf_host_look_limits(struct hf_report *report,
                         const struct hf_settings *settings);
/* Is the directory on something that can be written, and may programs be
 * started from the home? */
void hf_host_look_files(struct hf_report *report, const struct hf_dir *dir);
void hf_host_look_cron(struct hf_report *report);
/* What became of the one that was started last; unless one lives, and if
 * `start`, another is. `who` starts it: "shell", "cgi". */
void hf_host_look_survivor(struct hf_report *report, const struct hf_dir *dir,
                           const char *who, bool start);

#endif
