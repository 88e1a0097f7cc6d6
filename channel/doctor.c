#include "channel/doctor.h"

#include "base/list.h"
#include "channel/check_config.h"
#include "channel/host.h"

struct looking {
    struct hf_config_check check;
    const struct hf_doctor *doctor;
    struct hf_report *report;
    struct hf_doctor_seen *seen;
};

static void found(struct hf_config_check *check, enum hf_finding_level level,
                  const char *subject, const char *text)
{
    struct looking *looking = HF_ITEM(check, struct looking, check);

    hf_report_add(looking->report, level, subject, text);
}

static void look_at_host(const struct looking *looking)
{
    struct hf_report *report = looking->report;
    struct hf_doctor_seen *seen = looking->seen;
    struct hf_dir dir;

    hf_settings_default(&seen->settings);
    if (!seen->place.dir[0] || hf_dir_open(&dir, seen->place.dir, NULL)) {
        hf_host_look_limits(report, &seen->settings);
        hf_host_look_cron(report);
        return;
    }
    if (hf_settings_read(&dir, &seen->settings, NULL))
        hf_settings_default(&seen->settings); /* it has been said */
    hf_host_look_limits(report, &seen->settings);
    hf_host_look_files(report, &dir);
    hf_host_look_cron(report);
    hf_host_look_survivor(report, &dir, looking->doctor->who,
                          !looking->doctor->leave_none);
    hf_dir_close(&dir);
}

void hf_doctor_look(const struct hf_doctor *doctor, struct hf_report *report,
                    struct hf_doctor_seen *out)
{
    struct looking looking = {
        .check = {.hints = doctor->hints, .found = found},
        .doctor = doctor,
        .report = report,
        .seen = out,
    };

    (void)hf_config_check_run(&looking.check); /* it is in the report */
    if (hf_place_find(&doctor->hints, &out->place, NULL))
        out->place.dir[0] = '\0';
    look_at_host(&looking);
}
