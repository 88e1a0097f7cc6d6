#include "base/map.h"

#include <assert.h>
#include <endian.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "base/err.h"

#define FIRST_SIZE 8u /* entries; a power of two */

/*
 * SipHash-1-3: made for hash tables whose keys an attacker may choose, and as
 * fast as the weaker ones on names of our length.
 */
static uint64_t hash_key[2];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

/* The kernel gives every process 16 random bytes: no call that could fail. */
static void make_key(void)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): it comes as a number */
    const void *random = (const void *)getauxval(AT_RANDOM);

    if (random)
        memcpy(hash_key, random, sizeof(hash_key));
}

static uint64_t rotl(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

static uint64_t hash_of(struct hf_str key)
{
    uint64_t v[4];
    uint64_t word;
    size_t i;

    (void)pthread_once(&key_once, make_key); /* cannot fail on Linux */
    v[0] = hash_key[0] ^ UINT64_C(0x736f6d6570736575);
    v[1] = hash_key[1] ^ UINT64_C(0x646f72616e646f6d);
    v[2] = hash_key[0] ^ UINT64_C(0x6c7967656e657261);
    v[3] = hash_key[1] ^ UINT64_C(0x7465646279746573);

    for (i = 0; key.len - i >= 8; i += 8) {
        memcpy(&word, key.at + i, 8);
        sip_word(v, le64toh(word));
    }
    word = 0;
    if (key.len > i)
        memcpy(&word, key.at + i, key.len - i);
    /* The length stands in the one byte the rest never fills. */
    sip_word(v, le64toh(word) | (uint64_t)key.len << 56);

    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* As much of it as an entry keeps. */
static uint32_t hash32(struct hf_str key)
{
    return (uint32_t)hash_of(key);
}

static struct hf_str key_of(const struct hf_map_entry *entry)
{
    return hf_str(entry->key, entry->key_len);
}

/* Where the key is, or the free entry where it would go. The table is never
 * full, so the walk ends. */
static struct hf_map_entry *slot_of(struct hf_map_entry *entries, size_t size,
                                    struct hf_str key, uint32_t hash)
{
    size_t i = hash & (size - 1);

    while (entries[i].value &&
           (entries[i].hash != hash || !hf_str_eq(key_of(&entries[i]), key)))
        i = (i + 1) & (size - 1);
    return &entries[i];
}

static int grow(struct hf_map *map)
{
    size_t size = map->size ? map->size * 2 : FIRST_SIZE;
    struct hf_map_entry *entries = calloc(size, sizeof(*entries));
    size_t i;

    if (!entries)
        return HF_ENOMEM;
    for (i = 0; i < map->size; i++) {
        const struct hf_map_entry *old = &map->entries[i];

        if (old->value)
            *slot_of(entries, size, key_of(old), old->hash) = *old;
    }
    free(map->entries);
    map->entries = entries;
    map->size = size;
    return 0;
}

void hf_map_release(struct hf_map *map)
{
    free(map->entries);
    *map = (struct hf_map){0};
}

int hf_map_put(struct hf_map *map, struct hf_str key, void *value)
{
    struct hf_map_entry fresh = {key.at, value, (uint32_t)key.len, hash32(key)};
    struct hf_map_entry *entry;
    int err;

    assert(value && key.len <= UINT32_MAX);
    if (map->count > 0) {
        entry = slot_of(map->entries, map->size, key, fresh.hash);
        if (entry->value) {
            *entry = fresh; /* the key too: the old one may go away now */
            return 0;
        }
    }
    if (map->count >= map->size / 4 * 3) {
        err = grow(map);
        if (err)
            return err;
    }
    *slot_of(map->entries, map->size, key, fresh.hash) = fresh;
    map->count++;
    return 0;
}

void *hf_map_get(const struct hf_map *map, struct hf_str key)
{
    if (map->count == 0)
        return NULL;
    return slot_of(map->entries, map->size, key, hash32(key))->value;
}

/*
 * Free entry `hole`, then move back every later one of the same run that the
 * hole would hide: a walk from its home would stop there. No tombstones.
 */
static void close_hole(struct hf_map *map, size_t hole)
{
    size_t mask = map->size - 1;
    size_t i;

    for (i = (hole + 1) & mask; map->entries[i].value; i = (i + 1) & mask) {
        size_t home = map->entries[i].hash & mask;

        /* Does the hole lie between its home and where it is? */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole] = (struct hf_map_entry){0};
}

void *hf_map_remove(struct hf_map *map, struct hf_str key)
{
    struct hf_map_entry *entry;
    void *value;

    if (map->count == 0)
        return NULL;
    entry = slot_of(map->entries, map->size, key, hash32(key));
    value = entry->value;
    if (!value)
        return NULL;
    close_hole(map, (size_t)(entry - map->entries));
    map->count--;
    return value;
}

void *hf_map_next(const struct hf_map *map, size_t *at)
{
    while (*at < map->size) {
        void *value = map->entries[(*at)++].value;

        if (value)
            return value;
    }
    return NULL;
}
