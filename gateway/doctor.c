#include "gateway/doctor.h"

#include "gateway/pages.h"

static const char *lead_of(const struct hf_visit *visit)
{
    switch (visit->found) {
    case HF_VISIT_NOTHING:
        return "Nothing is set up here yet: see /setup instead of /doctor.";
    case HF_VISIT_BROKEN:
        return "The journal directory cannot be opened. Begin, and see why.";
    case HF_VISIT_SET_UP:
        return "What this host can do, what it cannot, and what to do about "
               "it. The address of this page is good for an hour.";
    }
    return "";
}

static int make_page(const struct hf_visit *visit, struct hf_html *out)
{
    const char *said = visit->found == HF_VISIT_BROKEN ? visit->why.text : "";
    const struct hf_html_value values[] = {
        {"lead", hf_str_of(lead_of(visit)), false},
        {"said", hf_str_of(said), false},
        {"socket", visit->socket, false},
        {"key", hf_str_of(visit->key), false},
    };
    struct hf_html_page page = {
        .status = 200,
        .title = "Doctor",
        .main = hf_page_doctor_doctor_html,
        .values = values,
        .count = sizeof(values) / sizeof(values[0]),
        .script = hf_page_doctor_doctor_js,
    };
    struct hf_buf style;
    int err;

    hf_buf_init(&style, HF_HTML_MAX);
    (void)hf_buf_add_str(&style, hf_str_of(hf_page_setup_page_css));
    (void)hf_buf_add_str(&style, hf_str_of(hf_page_doctor_doctor_css));
    err = hf_buf_add_byte(&style, '\0'); /* remembers the first error */
    page.style = style.at;
    if (!err)
        err = hf_buf_error(&style);
    if (!err)
        err = hf_html_make(out, &page);
    hf_buf_release(&style);
    return err;
}

int hf_doctor_page(struct hf_visit *visit, struct hf_html *out)
{
    const struct hf_visit_gate gate = {
        .title = "Doctor",
        .purpose = "What Holdfast finds out about this host is for the owner "
                   "of the site.",
        .action = "doctor",
        .said = "",
    };

    return visit->owner ? make_page(visit, out)
                        : hf_visit_ask(visit, &gate, out);
}
