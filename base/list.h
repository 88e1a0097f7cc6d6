/*
 * list.h - intrusive doubly linked list
 *
 * The node lives in the struct that is listed; HF_ITEM finds the way back. A
 * node that is in no list is linked to itself or zeroed, and removing it again
 * does nothing.
 */
#ifndef HF_BASE_LIST_H
#define HF_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct hf_list {
    struct hf_list *next;
    struct hf_list *prev;
};

/* The struct of type `type` whose member `member` is at `node`. */
#define HF_ITEM(node, type, member)                                           \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Safe against removal of `node` itself; `tmp` holds the next one. */
#define HF_LIST_EACH(node, tmp, list)                                         \
    for ((node) = (list)->next, (tmp) = (node)->next; (node) != (list);       \
         (node) = (tmp), (tmp) = (node)->next)

static inline void hf_list_init(struct hf_list *list)
{
    list->next = list->prev = list;
}

static inline bool hf_list_empty(const struct hf_list *list)
{
    return list->next == list || list->next == NULL;
}

/* Is this node in a list? */
static inline bool hf_list_linked(const struct hf_list *node)
{
    return node->next != NULL && node->next != node;
}

static inline void hf_list_append(struct hf_list *list, struct hf_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void hf_list_remove(struct hf_list *node)
{
    if (node->next == NULL)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = node;
}

/* First node, or NULL. */
static inline struct hf_list *hf_list_first(const struct hf_list *list)
{
    return hf_list_empty(list) ? NULL : list->next;
}

#endif
