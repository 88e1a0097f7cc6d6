#include "base/queue.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"

/*
 * The eventfd changes under the lock only, so it is readable exactly while
 * the list is not empty. The one exception is a close, which makes it readable
 * once even if there is nothing to take.
 */

static void lock(struct hf_queue *queue)
{
    int err = pthread_mutex_lock(&queue->lock);

    assert(err == 0); /* ours, a plain one, and not held by this thread */
    (void)err;
}

static void unlock(struct hf_queue *queue)
{
    int err = pthread_mutex_unlock(&queue->lock);

    assert(err == 0);
    (void)err;
}

/* Neither can fail but for a counter that is full or 0 already, and then the
 * descriptor is as it should be. */
static void make_readable(struct hf_queue *queue)
{
    eventfd_t one = 1;

    (void)eventfd_write(queue->fd, one);
}

static void make_unreadable(struct hf_queue *queue)
{
    eventfd_t count;

    (void)eventfd_read(queue->fd, &count);
}

int hf_queue_init(struct hf_queue *queue, size_t max_count, size_t max_cost)
{
    *queue = (struct hf_queue){.max_count = max_count, .max_cost = max_cost};
    queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (queue->fd < 0)
        return HF_EIO;
    errno = pthread_mutex_init(&queue->lock, NULL);
    if (errno) {
        hf_close(&queue->fd);
        return HF_EIO;
    }
    queue->last = &queue->first;
    return 0;
}

void hf_queue_release(struct hf_queue *queue)
{
    if (!queue->last) /* zeroed, or its init failed */
        return;
    assert(!queue->first);
    hf_close(&queue->fd);
    (void)pthread_mutex_destroy(&queue->lock); /* nobody holds it any more */
    *queue = (struct hf_queue){.fd = -1};
}

static bool has_room(const struct hf_queue *queue,
                     const struct hf_queue_item *item)
{
    if (!queue->first)
        return true;
    if (queue->max_count > 0 && queue->count >= queue->max_count)
        return false;
    /* The cost may be past the maximum after one oversized item. */
    return queue->max_cost == 0 ||
           (queue->cost <= queue->max_cost &&
            item->cost <= queue->max_cost - queue->cost);
}

int hf_queue_push(struct hf_queue *queue, struct hf_queue_item *item)
{
    int err = 0;

    lock(queue);
    if (queue->closed) {
        err = HF_ECLOSED;
    } else if (!has_room(queue, item)) {
        err = HF_ELIMIT;
    } else {
        if (!queue->first)
            make_readable(queue);
        item->next = NULL;
        *queue->last = item;
        queue->last = &item->next;
        queue->count++;
        queue->cost += item->cost;
    }
    unlock(queue);
    return err;
}

void hf_queue_push_all(struct hf_queue *queue, struct hf_queue_item *first)
{
    struct hf_queue_item *item;
    size_t count = 0, cost = 0;
    struct hf_queue_item **last = &first;

    for (item = first; item; item = item->next) {
        last = &item->next;
        count++;
        cost += item->cost;
    }
    if (count == 0)
        return;
    lock(queue);
    assert(!queue->closed && queue->max_count == 0 && queue->max_cost == 0);
    if (!queue->first)
        make_readable(queue);
    *queue->last = first;
    queue->last = last;
    queue->count += count;
    queue->cost += cost;
    unlock(queue);
}

void hf_queue_close(struct hf_queue *queue)
{
    lock(queue);
    queue->closed = true;
    make_readable(queue);
    unlock(queue);
}

/* Cut the first max_count items off the list; there are more. */
static struct hf_queue_item *take_some(struct hf_queue *queue, size_t max_count)
{
    struct hf_queue_item *first = queue->first;
    struct hf_queue_item *item = first;
    size_t i;

    queue->cost -= item->cost;
    for (i = 1; i < max_count; i++) {
        item = item->next;
        queue->cost -= item->cost;
    }
    queue->first = item->next;
    queue->count -= max_count;
    item->next = NULL;
    return first;
}

static struct hf_queue_item *take_all(struct hf_queue *queue)
{
    struct hf_queue_item *first = queue->first;

    make_unreadable(queue);
    queue->first = NULL;
    queue->last = &queue->first;
    queue->count = 0;
    queue->cost = 0;
    return first;
}

struct hf_queue_item *hf_queue_take(struct hf_queue *queue, size_t max_count)
{
    struct hf_queue_item *first;

    lock(queue);
    if (max_count > 0 && queue->count > max_count)
        first = take_some(queue, max_count);
    else
        first = take_all(queue);
    unlock(queue);
    return first;
}

bool hf_queue_wait(struct hf_queue *queue)
{
    struct pollfd readable = {.fd = queue->fd, .events = POLLIN};

    for (;;) {
        bool some, closed;

        lock(queue);
        some = queue->first != NULL;
        closed = queue->closed;
        unlock(queue);
        if (some || closed)
            return some;
        (void)poll(&readable, 1, -1); /* on EINTR too: look again */
    }
}
