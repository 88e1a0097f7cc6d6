#include "tests/middlebox/visits.h"

#include "base/sys.h"
#include "tests/middlebox/visit.h"

void visit_begin(struct middlebox *box, int fd)
{
    struct visit *v = visit_new(box);

    if (!v) {
        hf_close(&fd);
        return;
    }
    v->ends[UP].watch.fd = fd;
    visit_settle(v);
}

void visits_heed_rules(struct middlebox *box)
{
    struct hf_list *node;
    struct hf_list *tmp;

    HF_LIST_EACH(node, tmp, &box->visits)
    {
        struct visit *v = HF_ITEM(node, struct visit, node);

        hf_loop_disarm(box->loop, &v->cutter);
        visit_heed(v, &box->rules.of[v->kind]);
        visit_settle(v);
    }
}

void visits_drop(struct middlebox *box, unsigned kinds)
{
    struct hf_list *node;
    struct hf_list *tmp;

    HF_LIST_EACH(node, tmp, &box->visits)
    {
        struct visit *v = HF_ITEM(node, struct visit, node);

        if (kinds & (1u << v->kind)) {
            visit_reset(v);
            visit_free(v);
        }
    }
}

void visits_move(struct middlebox *box)
{
    struct hf_list *node;
    struct hf_list *tmp;

    HF_LIST_EACH(node, tmp, &box->visits)
    {
        struct visit *v = HF_ITEM(node, struct visit, node);

        v->silent[UP] = v->silent[DOWN] = true;
        visit_settle(v);
    }
}

void visits_free(struct middlebox *box)
{
    struct hf_list *node;
    struct hf_list *tmp;

    HF_LIST_EACH(node, tmp, &box->visits)
    visit_free(HF_ITEM(node, struct visit, node));
}
