#include "gateway/visit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/query.h"
#include "channel/origin.h"
#include "gateway/doctor.h"
#include "gateway/pages.h"
#include "gateway/setup.h"

/* --- who and what -------------------------------------------------------- */

static void read_field(struct hf_str form, struct hf_str name, char *out,
                       size_t cap)
{
    size_t len = 0;

    if (hf_query_get(form, name, out, cap - 1, &len))
        len = 0;
    out[len] = '\0';
    if (memchr(out, '\0', len))
        out[0] = '\0';
}

const char *hf_visit_field(const struct hf_visit *visit, const char *name,
                           char *out, size_t cap)
{
    out[0] = '\0';
    if (visit->post)
        read_field(visit->request->body, hf_str_of(name), out, cap);
    return out;
}

/* Settings of their own would be those of the journal, which may not be there:
 * the page's own host, and no other. */
static bool is_our_form(const struct hf_request *request)
{
    struct hf_settings settings;

    if (!hf_str_eq(request->method, HF_STR("POST")))
        return false;
    hf_settings_default(&settings);
    return hf_origin_check(&settings, &request->hello.from) == 0;
}

static void find(struct hf_visit *visit)
{
    int err = hf_place_find(&visit->hints, &visit->place, &visit->why);

    if (err == HF_ENOTFOUND) {
        visit->found = HF_VISIT_NOTHING;
        return;
    }
    if (!err)
        err = hf_dir_open(&visit->dir, visit->place.dir, &visit->why);
    visit->found = err ? HF_VISIT_BROKEN : HF_VISIT_SET_UP;
}

/* From now on the address alone will do, and the file may go. */
static void keep(const struct hf_visit *visit, struct hf_str key)
{
    if (!hf_ownership_kept(&visit->dir, key) &&
        hf_ownership_keep(&visit->dir, key) == 0)
        hf_ownership_tidy(visit->folder, key);
}

/* By the file only in a form: a link with a key in it is not to do anything. */
static void find_out_who(struct hf_visit *visit)
{
    struct hf_str key = hf_str_of(visit->key);

    if (key.len == 0)
        return;
    if (visit->found == HF_VISIT_SET_UP && hf_ownership_kept(&visit->dir, key))
        visit->owner = true;
    else if (visit->post && visit->folder[0])
        visit->owner = hf_ownership_proven(visit->folder, key, NULL) == 0;
    else
        return;
    if (visit->post && visit->owner && visit->found == HF_VISIT_SET_UP)
        keep(visit, key);
}

void hf_visit_begin(struct hf_visit *visit, const struct hf_request *request,
                    enum hf_route route, const char *option,
                    const char *served_by)
{
    *visit = (struct hf_visit){
        .request = request,
        .route = route,
        .post = is_our_form(request),
        .socket = hf_route_socket(request, route),
        .served_by = served_by,
        .hints =
            {
                .option = option,
                .variable = request->directory.len > 0
                                ? request->directory.at
                                : getenv(HF_PLACE_VARIABLE),
                .script = request->script.at,
                .program = hf_place_program(),
            },
        .dir = {.fd = -1},
    };
    if (hf_place_folder(&visit->hints, visit->folder))
        visit->folder[0] = '\0';
    /* wherever the form comes from: nobody else knows the key */
    if (hf_str_eq(request->method, HF_STR("POST")))
        read_field(request->body, HF_STR("k"), visit->key, sizeof(visit->key));
    if (!visit->key[0])
        read_field(request->hello.query, HF_STR("k"), visit->key,
                   sizeof(visit->key));
    find(visit);
    find_out_who(visit);
}

void hf_visit_end(struct hf_visit *visit)
{
    hf_dir_close(&visit->dir);
}

/* --- the page that asks for the proof ------------------------------------ */

/* The file that people see in the address, and have uploaded. */
static struct hf_str program_of(const struct hf_visit *visit)
{
    struct hf_str name = visit->request->script_name;
    const char *slash = name.len > 0 ? memrchr(name.at, '/', name.len) : NULL;

    if (slash)
        name = hf_str_from(name, (size_t)(slash - name.at) + 1);
    return name.len > 0 ? name : HF_STR("holdfast-gateway");
}

static int ask_for(const struct hf_visit *visit,
                   const struct hf_visit_gate *gate, const char *key,
                   struct hf_html *out)
{
    char name[HF_OWNERSHIP_NAME];

    hf_ownership_name(hf_str_of(key), name);
    const struct hf_html_value values[] = {
        {"purpose", hf_str_of(gate->purpose), false},
        {"said", hf_str_of(gate->said), false},
        {"action", hf_str_of(gate->action), false},
        {"key", hf_str_of(key), false},
        {"name", hf_str_of(name), false},
        {"program", program_of(visit), false},
        {"more", gate->more, true},
    };
    const struct hf_html_page page = {
        .status = 200,
        .title = gate->title,
        .main = hf_page_setup_prove_html,
        .values = values,
        .count = sizeof(values) / sizeof(values[0]),
        .style = hf_page_setup_page_css,
        .script = hf_page_setup_setup_js,
    };

    return hf_html_make(out, &page);
}

/* Whoever came with a key that was not shown here. */
static int ask_to_resume(const struct hf_visit *visit,
                         const struct hf_visit_gate *gate, struct hf_html *out)
{
    const struct hf_html_value values[] = {
        {"said", hf_str_of(gate->said), false},
        {"action", hf_str_of(gate->action), false},
        {"key", hf_str_of(visit->key), false},
        {"more", gate->more, true},
    };
    const struct hf_html_page page = {
        .status = 200,
        .title = gate->title,
        .main = hf_page_setup_resume_html,
        .values = values,
        .count = sizeof(values) / sizeof(values[0]),
        .style = hf_page_setup_page_css,
        .script = hf_page_setup_setup_js,
    };

    return hf_html_make(out, &page);
}

int hf_visit_ask(const struct hf_visit *visit, const struct hf_visit_gate *gate,
                 struct hf_html *out)
{
    struct hf_visit_gate again = *gate;
    char fresh[HF_OWNERSHIP_KEY + 1];
    char shown[8];
    struct hf_why why = {""};

    if (!hf_ownership_is_key(hf_str_of(visit->key)))
        return hf_ownership_make(fresh) ? HF_EIO
                                        : ask_for(visit, gate, fresh, out);
    if (visit->post && !visit->owner && !again.said[0]) {
        (void)hf_ownership_proven(visit->folder, hf_str_of(visit->key), &why);
        again.said = why.text;
    }
    if (*hf_visit_field(visit, "shown", shown, sizeof(shown)))
        return ask_for(visit, &again, visit->key, out);
    return ask_to_resume(visit, &again, out);
}

int hf_visit_say(unsigned status, const char *title, const char *text,
                 struct hf_html *out)
{
    const struct hf_html_value values[] = {
        {"text", hf_str_of(text), false},
    };
    const struct hf_html_page page = {
        .status = status,
        .title = title,
        .main = hf_page_setup_said_html,
        .values = values,
        .count = sizeof(values) / sizeof(values[0]),
        .style = hf_page_setup_page_css,
    };

    return hf_html_make(out, &page);
}

/* ------------------------------------------------------------------------- */

static int refuse_method(struct hf_html *out)
{
    int err = hf_visit_say(405, "No such method",
                           "This page is read (GET), and its form is sent "
                           "(POST) from the page itself.",
                           out);

    if (!err)
        hf_head_add(&out->head, "Allow", "GET, POST");
    return err;
}

static int page(struct hf_visit *visit, struct hf_html *out)
{
    struct hf_str method = visit->request->method;

    if (!visit->post && hf_str_eq(method, HF_STR("POST")))
        return hf_visit_say(403, "Refused",
                            "This form was sent by a page of another site.",
                            out);
    if (!visit->post && !hf_str_eq(method, HF_STR("GET")))
        return refuse_method(out);
    return visit->route == HF_ROUTE_DOCTOR ? hf_doctor_page(visit, out)
                                           : hf_setup_page(visit, out);
}

void hf_visit_answer(const struct hf_request *request, enum hf_route route,
                     const char *option, const char *served_by,
                     struct hf_html *out)
{
    struct hf_visit visit;
    int err;

    hf_visit_begin(&visit, request, route, option, served_by);
    err = page(&visit, out);
    hf_visit_end(&visit);
    if (!err)
        return;
    HF_LOG(HF_LOG_ERROR, "page_failed", hf_field("error", hf_strerror(err)));
    hf_buf_reset(&out->body);
    hf_head_text(&out->head, 500, 0);
}
