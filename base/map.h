/*
 * map.h - hash table from bytes to a pointer
 *
 * The hash is keyed with random bits of this process, so that peers cannot
 * choose names which collide. Keys are borrowed: they must live, unchanged, as
 * long as their entry, which is natural when the key is a member of the value.
 * Open addressing, grows at three quarters, shrinks never.
 */
#ifndef HF_BASE_MAP_H
#define HF_BASE_MAP_H

#include <stdint.h>

#include "base/str.h"

/* 24 bytes: there may be as many as connections, and a third of them free. */
struct hf_map_entry {
    const char *key;
    void *value; /* NULL = free */
    uint32_t key_len;
    uint32_t hash;
};

struct hf_map {
    struct hf_map_entry *entries;
    size_t count;
    size_t size; /* 0 or a power of two */
};

/* The zeroed struct is an empty map. */
void hf_map_release(struct hf_map *map);
/* Put or replace; value is not NULL, and the key shorter than 4 GB. 0 or
 * HF_ENOMEM. */
int hf_map_put(struct hf_map *map, struct hf_str key, void *value);
/* The value, or NULL. */
void *hf_map_get(const struct hf_map *map, struct hf_str key);
/* Take out; the value that was there, or NULL. */
void *hf_map_remove(struct hf_map *map, struct hf_str key);

/* Walk: start with *at = 0; NULL at the end. No change while walking. */
void *hf_map_next(const struct hf_map *map, size_t *at);

#endif
