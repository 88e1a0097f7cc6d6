#include "schema/holds.h"

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sys.h"
#include "schema/mapped.h"

#define MAGIC   UINT64_C(0x31646c6f48486648) /* "HfHHold1" in memory */
#define NO_SLOT HF_HOLDS_SLOTS

/* OFD locks: byte n of the file for slot n, and byte HF_HOLDS_SLOTS while the
 * file is made. A slot whose pid is 0 is free. One with a pid and without a
 * lock is that of a killed process. */
struct slot {
    _Atomic uint32_t pid;
    _Atomic uint32_t held[HF_HELD_KINDS];
    _Atomic uint64_t address;
    uint32_t unused[10];
};

struct shared {
    _Atomic uint64_t magic;
    _Atomic uint32_t used; /* slots from here on were never taken */
    uint32_t unused;
    struct hf_budget budget;
    unsigned char room[256 - 16 - sizeof(struct hf_budget)];
    struct slot slots[HF_HOLDS_SLOTS];
};

_Static_assert(sizeof(struct slot) == 64, "one cache line, in every version");
_Static_assert(offsetof(struct shared, slots) == 256, "the same");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared between processes");

static const struct hf_mapped_kind mapping = {
    .name = HF_FILE_HOLDS,
    .magic = MAGIC,
    .size = sizeof(struct shared),
    .lock_at = HF_HOLDS_SLOTS,
    .replaced = "holds_replaced",
    .effect = "processes of that version count their polls by themselves; "
              "restart them",
};

struct hf_holds {
    struct hf_mapped file;
    struct shared *shared; /* mapped */
    unsigned slot;
};

int hf_holds_open(const struct hf_dir *dir, struct hf_holds **out)
{
    struct hf_holds *holds = calloc(1, sizeof(*holds));
    int err;

    if (!holds)
        return HF_ENOMEM;
    err = hf_mapped_open(dir, &mapping, &holds->file);
    if (err) {
        free(holds);
        return err;
    }
    holds->shared = holds->file.at;
    holds->slot = NO_SLOT;
    *out = holds;
    return 0;
}

static uint32_t slots_used(const struct hf_holds *holds)
{
    uint32_t used = atomic_load(&holds->shared->used);

    return used < HF_HOLDS_SLOTS ? used : HF_HOLDS_SLOTS;
}

static void empty(struct slot *slot)
{
    unsigned kind;

    for (kind = 0; kind < HF_HELD_KINDS; kind++)
        atomic_store(&slot->held[kind], 0);
    atomic_store(&slot->address, 0);
    atomic_store(&slot->pid, 0);
}

void hf_holds_close(struct hf_holds *holds)
{
    if (!holds)
        return;
    if (holds->slot != NO_SLOT)
        empty(&holds->shared->slots[holds->slot]);
    hf_mapped_close(&holds->file); /* and its lock */
    free(holds);
}

/* --- slots ---------------------------------------------------------------- */

/* Among those that look free. HF_EBUSY: none was. */
static int claim(struct hf_holds *holds)
{
    struct shared *shared = holds->shared;
    uint32_t used, number;

    for (number = 0; number < HF_HOLDS_SLOTS; number++) {
        if (atomic_load(&shared->slots[number].pid) != 0)
            continue;
        switch (hf_lock_try(holds->file.fd, number, 1)) {
        case 0:
            break;
        case HF_EBUSY:
            continue; /* its owner comes, or goes */
        default:
            return HF_EIO;
        }
        empty(&shared->slots[number]);
        atomic_store(&shared->slots[number].pid, (uint32_t)getpid());
        holds->slot = number;
        used = atomic_load(&shared->used);
        while (used < number + 1 &&
               !atomic_compare_exchange_weak(&shared->used, &used, number + 1))
            continue;
        return 0;
    }
    return HF_EBUSY;
}

int hf_holds_add(struct hf_holds *holds, enum hf_held kind)
{
    int err = holds->slot == NO_SLOT ? claim(holds) : 0;

    if (err == HF_EBUSY && hf_holds_bury(holds) > 0)
        err = claim(holds);
    if (err)
        return err == HF_EBUSY ? HF_ELIMIT : err;
    atomic_fetch_add(&holds->shared->slots[holds->slot].held[kind], 1);
    return 0;
}

void hf_holds_drop(struct hf_holds *holds, enum hf_held kind)
{
    atomic_fetch_sub(&holds->shared->slots[holds->slot].held[kind], 1);
}

void hf_holds_set_address(struct hf_holds *holds, uint64_t address)
{
    if (holds->slot != NO_SLOT)
        atomic_store(&holds->shared->slots[holds->slot].address, address);
}

unsigned hf_holds_bury(struct hf_holds *holds)
{
    uint32_t used = slots_used(holds), number;
    unsigned count = 0;

#ifdef HF_BROKEN_BUDGET_FORGETS_NOTHING
    return 0;
#endif
    for (number = 0; number < used; number++) {
        struct slot *slot = &holds->shared->slots[number];

        if (number == holds->slot || atomic_load(&slot->pid) == 0 ||
            hf_lock_try(holds->file.fd, number, 1) != 0)
            continue;
        if (atomic_load(&slot->pid) != 0) { /* its owner had not just left */
            empty(slot);
            count++;
        }
        hf_unlock(holds->file.fd, number, 1);
    }
    return count;
}

/* --- sums ----------------------------------------------------------------- */

struct hf_holds_sum hf_holds_sum(const struct hf_holds *holds, uint64_t address)
{
    struct hf_holds_sum sum = {{0}, 0};
    uint32_t used = slots_used(holds), number;
    unsigned kind;

    for (number = 0; number < used; number++) {
        struct slot *slot = &holds->shared->slots[number];

        if (atomic_load(&slot->pid) == 0)
            continue;
        for (kind = 0; kind < HF_HELD_KINDS; kind++)
            sum.held[kind] += atomic_load(&slot->held[kind]);
        if (address != 0 && atomic_load(&slot->address) == address)
            sum.of_address++;
    }
    return sum;
}

struct hf_budget *hf_holds_budget(struct hf_holds *holds)
{
    return &holds->shared->budget;
}
