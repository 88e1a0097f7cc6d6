/*
 * doctor.h - everything that can be known of a host from within
 *
 * What --check-config finds (check_config.h), and what the machine allows
 * (host.h), in one report. What lies between a browser and the gateway is seen
 * from outside only: front.h.
 */
#ifndef HF_CHANNEL_DOCTOR_H
#define HF_CHANNEL_DOCTOR_H

#include "channel/report.h"
#include "schema/place.h"

struct hf_doctor {
    struct hf_place_hints hints;
    const char *who; /* asks: "shell", "cgi", "fastcgi" */
    bool leave_none; /* start no background process to see whether it lives */
};

struct hf_doctor_seen {
    struct hf_place place;       /* "" when none was found */
    struct hf_settings settings; /* the defaults, if they cannot be read */
};

/* With one thread, and no database open. Adds to `report`. */
void hf_doctor_look(const struct hf_doctor *doctor, struct hf_report *report,
                    struct hf_doctor_seen *out);

#endif
