#include "gateway/setup.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/log.h"
#include "channel/launch.h"
#include "channel/topic.h"
#include "gateway/founding.h"
#include "gateway/pages.h"
#include "gateway/spot.h"

/* What the form says. */
struct choice {
    char open[8]; /* "yes", "no"; "" = not said */
    char topics[HF_TOPIC_MAX + 1];
    char from[4]; /* the first spot to try */
    char seen[8]; /* of the test: "no", "yes"; "" = there was none */
};

static void read_choice(const struct hf_visit *visit, struct choice *choice)
{
    hf_visit_field(visit, "open", choice->open, sizeof(choice->open));
    hf_visit_field(visit, "topics", choice->topics, sizeof(choice->topics));
    hf_visit_field(visit, "from", choice->from, sizeof(choice->from));
    hf_visit_field(visit, "seen", choice->seen, sizeof(choice->seen));
}

/* What is wrong with it; NULL: nothing. */
static const char *wrong_choice(const struct choice *choice)
{
    if (strcmp(choice->open, "no") == 0)
        return NULL;
    if (strcmp(choice->open, "yes") != 0)
        return "Say who may speak.";
    if (!hf_pattern_legal(hf_str_of(choice->topics)) ||
        hf_topic_reserved(hf_str_of(choice->topics)))
        return "These are no topics: write one name, or the beginning of names "
               "and one * at its end, like room:*.";
    return NULL;
}

/* --- asking -------------------------------------------------------------- */

static int ask(const struct hf_visit *visit, const struct choice *choice,
               const char *said, struct hf_html *out)
{
    static const struct hf_str checked = HF_STR_INIT("checked");
    bool open = strcmp(choice->open, "yes") == 0;
    bool closed = strcmp(choice->open, "no") == 0;
    const struct hf_html_value values[] = {
        {"yes", open ? checked : HF_STR(""), true},
        {"no", closed ? checked : HF_STR(""), true},
        {"topics",
         choice->topics[0] ? hf_str_of(choice->topics) : HF_STR("room:*"),
         false},
    };
    struct hf_visit_gate gate = {
        .title = "Set up",
        .purpose = "Holdfast runs here, and keeps its messages nowhere yet. "
                   "Two answers, and it does.",
        .action = "setup",
        .said = said,
    };
    struct hf_buf more;
    int err;

    hf_buf_init(&more, HF_HTML_MAX);
    err = hf_html_fill(&more, hf_page_setup_rights_html, values,
                       sizeof(values) / sizeof(values[0]));
    gate.more = hf_buf_str(&more);
    if (!err)
        err = hf_visit_ask(visit, &gate, out);
    hf_buf_release(&more);
    return err;
}

/* --- what was found ------------------------------------------------------ */

static void add_fact(struct hf_buf *facts, const char *name, struct hf_str text)
{
    (void)hf_buf_addf(facts, "<dt>%s</dt><dd>", name); /* see `failed` */
    (void)hf_html_escape(facts, text);
    (void)hf_buf_add_str(facts, HF_STR("</dd>\n"));
}

static struct hf_str account(char *out, size_t cap)
{
    const struct passwd *found = getpwuid(geteuid());

    (void)snprintf(out, cap, "%s (number %lu)", found ? found->pw_name : "-",
                   (unsigned long)geteuid());
    return hf_str_of(out);
}

static void add_sidecar(struct hf_buf *facts, const struct hf_visit *visit)
{
    struct hf_settings settings;
    struct hf_why why = {""};
    char program[PATH_MAX];
    int err;

    if (hf_settings_read(&visit->dir, &settings, NULL))
        return; /* the doctor has more to say about that */
    err = hf_launch_find(&settings, program, &why);
    if (err == HF_ENOTFOUND)
        add_fact(
            facts, "Side-car",
            HF_STR("is not beside this program: messages go by long-poll"));
    else if (err)
        add_fact(facts, "Side-car", hf_str_of(why.text));
    else if (settings.start == HF_START_ON_DEMAND)
        add_fact(
            facts, "Side-car",
            HF_STR("is started when somebody could use a WebSocket, and "
                   "ends by itself later. Should your host forbid programs "
                   "that run on: start = never below [sidecar] in "
                   "holdfast.conf, in the journal directory"));
    else
        add_fact(facts, "Side-car",
                 HF_STR("is not started by this program. It would be with "
                        "start = on-demand below [sidecar] in holdfast.conf, "
                        "in the journal directory"));
}

static void add_facts(struct hf_buf *facts, const struct hf_visit *visit)
{
    const struct hf_request *request = visit->request;
    char text[PATH_MAX + 64];

    add_fact(facts, "Journal directory", hf_str_of(visit->dir.path));
    add_fact(facts, "which is found by", hf_str_of(visit->place.said_by));
    add_fact(facts, "Socket of your pages", visit->socket);
    add_fact(facts, "Served by",
             hf_str(text, (size_t)snprintf(
                              text, sizeof(text), "%.*s, as %s",
                              (int)(request->software.len > 200
                                        ? 200
                                        : request->software.len),
                              request->software.at ? request->software.at : "-",
                              visit->served_by)));
    add_fact(facts, "Account", account(text, sizeof(text)));
    add_sidecar(facts, visit);
    add_fact(facts, "Program", hf_str_of("holdfast-gateway " PACKAGE_VERSION));
}

/* A topic that is open to a first message. */
static struct hf_str first_topic(const struct choice *choice,
                                 char out[HF_TOPIC_MAX + 8])
{
    size_t len = strlen(choice->topics);

    if (len == 0 || choice->topics[len - 1] != '*')
        return hf_str_of(choice->topics);
    (void)snprintf(out, HF_TOPIC_MAX + 8, "%.*shello", (int)len - 1,
                   choice->topics);
    return hf_str_of(out);
}

/* For the owner: what there is, and what comes next. `choice` is the one that it
 * was just made by, or an empty one. */
static int report(const struct hf_visit *visit, const struct choice *choice,
                  struct hf_html *out)
{
    char topic[HF_TOPIC_MAX + 8];
    char journal[PATH_MAX];
    struct hf_buf facts;
    int err;

    hf_buf_init(&facts, HF_HTML_MAX);
    add_facts(&facts, visit);
    err = hf_buf_error(&facts);
    if (!err)
        err =
            hf_dir_file(&visit->dir, HF_FILE_JOURNAL, journal, sizeof(journal));
    if (!err) {
        const struct hf_html_value values[] = {
            {"facts", hf_buf_str(&facts), true},
            {"socket", visit->socket, false},
            {"journal", hf_str_of(journal), false},
            {"key", hf_str_of(visit->key), false},
            {"topic", first_topic(choice, topic), false},
        };
        const struct hf_html_page page = {
            .status = 200,
            .title = "It is set up",
            .main = hf_page_setup_done_html,
            .values = values,
            .count = sizeof(values) / sizeof(values[0]),
            .style = hf_page_setup_page_css,
            .script = hf_page_setup_setup_js,
        };

        err = hf_html_make(out, &page);
    }
    hf_buf_release(&facts);
    return err;
}

/* --- making it ----------------------------------------------------------- */

static int say_no_spot(const struct hf_visit *visit, struct hf_html *out)
{
    struct hf_spot_notes notes = {.count = 0};
    struct hf_buf list;
    unsigned i;
    int err;

    hf_spot_explain(visit, &notes);
    hf_buf_init(&list, HF_HTML_MAX);
    for (i = 0; i < notes.count; i++) {
        (void)hf_buf_add_str(&list, HF_STR("<li>")); /* see `failed` */
        (void)hf_html_escape(&list, hf_str_of(notes.text[i]));
        (void)hf_buf_add_str(&list, HF_STR("</li>\n"));
    }
    err = hf_buf_error(&list);
    if (!err) {
        const struct hf_html_value values[] = {
            {"notes", hf_buf_str(&list), true},
        };
        const struct hf_html_page page = {
            .status = 200,
            .title = "There is no place",
            .main = hf_page_setup_nowhere_html,
            .values = values,
            .count = sizeof(values) / sizeof(values[0]),
            .style = hf_page_setup_page_css,
        };

        err = hf_html_make(out, &page);
    }
    hf_buf_release(&list);
    return err;
}

/* The page that tries to read what must not be readable. */
static int ask_for_test(const struct hf_visit *visit,
                        const struct choice *choice, const struct hf_spot *spot,
                        struct hf_html *out)
{
    char word[HF_FOUNDING_WORD];
    char from[4];
    struct hf_buf links;
    unsigned url;
    size_t i;
    int err;

    hf_buf_init(&links, HF_HTML_MAX);
    for (url = 0; url < spot->url_count; url++)
        for (i = 0; hf_founding_canaries[i]; i++) {
            (void)hf_buf_add_str(&links,
                                 HF_STR("<li><a rel=\"noreferrer\" href=\""));
            (void)hf_html_escape(&links, hf_str_of(spot->urls[url]));
            (void)hf_buf_addf(&links, "/%s\">", hf_founding_canaries[i]);
            (void)hf_html_escape(&links, hf_str_of(spot->urls[url]));
            (void)hf_buf_addf(&links, "/%s</a></li>\n",
                              hf_founding_canaries[i]);
        }
    err = hf_buf_error(&links);
    hf_founding_word(visit, word);
    (void)snprintf(from, sizeof(from), "%u", spot->number);
    if (!err) {
        const struct hf_html_value values[] = {
            {"links", hf_buf_str(&links), true},
            {"dir", hf_str_of(spot->dir), false},
            {"word", hf_str_of(word), false},
            {"key", hf_str_of(visit->key), false},
            {"open", hf_str_of(choice->open), false},
            {"topics", hf_str_of(choice->topics), false},
            {"from", hf_str_of(from), false},
        };
        const struct hf_html_page page = {
            .status = 200,
            .title = "One test",
            .main = hf_page_setup_test_html,
            .values = values,
            .count = sizeof(values) / sizeof(values[0]),
            .style = hf_page_setup_page_css,
            .script = hf_page_setup_setup_js,
        };

        err = hf_html_make(out, &page);
    }
    hf_buf_release(&links);
    return err;
}

static int say_failed(const struct hf_why *why, struct hf_html *out)
{
    HF_LOG(HF_LOG_WARN, "set_up_failed", hf_field("error", why->text));
    return hf_visit_say(200, "It could not be set up", why->text, out);
}

/* There is a journal now: the visit is to see it. */
static int show(const struct hf_visit *visit, const struct choice *choice,
                struct hf_html *out)
{
    struct hf_visit again;
    int err;

    hf_visit_begin(&again, visit->request, visit->route, visit->hints.option,
                   visit->served_by);
    err = again.found == HF_VISIT_SET_UP ? report(&again, choice, out)
                                         : say_failed(&again.why, out);
    hf_visit_end(&again);
    return err;
}

static int make_at(const struct hf_founding *founding,
                   const struct choice *choice, const struct hf_spot *spot,
                   struct hf_html *out)
{
    const struct hf_visit *visit = founding->visit;
    bool tested =
        strcmp(choice->seen, "no") == 0 && hf_founding_tested(founding, spot);
    struct hf_why why = {""};
    int err;

    if (spot->url_count > 0 && !tested) {
        err = hf_founding_test(founding, spot, &why);
        return err ? say_failed(&why, out)
                   : ask_for_test(visit, choice, spot, out);
    }
    err = hf_founding_found(founding, spot, &why);
    return err ? say_failed(&why, out) : show(visit, choice, out);
}

static int make(const struct hf_founding *founding, const struct choice *choice,
                struct hf_html *out)
{
    unsigned from = (unsigned)strtoul(choice->from, NULL, 10);
    struct hf_spot spot;
    int err;

    err = hf_spot_find(founding->visit, from, &spot);
    if (!err && strcmp(choice->seen, "yes") == 0 && spot.number == from) {
        hf_founding_drop(&spot);
        err = hf_spot_find(founding->visit, from + 1, &spot);
    }
    return err ? say_no_spot(founding->visit, out)
               : make_at(founding, choice, &spot, out);
}

static int found(const struct hf_visit *visit, const struct choice *choice,
                 struct hf_html *out)
{
    struct hf_founding founding;
    struct hf_why why = {""};
    bool open = strcmp(choice->open, "yes") == 0;
    int err;

    err = hf_founding_begin(&founding, visit, open ? choice->topics : "", &why);
    err = err ? say_failed(&why, out) : make(&founding, choice, out);
    hf_founding_end(&founding);
    return err;
}

/* ------------------------------------------------------------------------- */

static int begin(struct hf_visit *visit, struct hf_html *out)
{
    struct choice choice;
    const char *wrong;

    read_choice(visit, &choice);
    if (!visit->owner)
        return ask(visit, &choice, "", out);
    wrong = wrong_choice(&choice);
    return wrong ? ask(visit, &choice, wrong, out) : found(visit, &choice, out);
}

static int mend(struct hf_visit *visit, struct hf_html *out)
{
    const struct hf_visit_gate gate = {
        .title = "Something is wrong",
        .purpose = "Something here says where the messages are, but there they "
                   "cannot be read. The owner is shown what it is.",
        .action = "setup",
        .said = "",
    };

    return visit->owner ? hf_visit_say(200, gate.title, visit->why.text, out)
                        : hf_visit_ask(visit, &gate, out);
}

int hf_setup_page(struct hf_visit *visit, struct hf_html *out)
{
    static const struct choice none = {.open = ""};

    switch (visit->found) {
    case HF_VISIT_NOTHING:
        return begin(visit, out);
    case HF_VISIT_BROKEN:
        return mend(visit, out);
    case HF_VISIT_SET_UP:
        break;
    }
    return visit->owner
               ? report(visit, &none, out)
               : hf_visit_say(404, "There is nothing to set up",
                              "This Holdfast is set up already. Its owner "
                              "finds how it does at doctor instead of setup "
                              "in the address of this page.",
                              out);
}
