/* A wide area network between two TUN devices: relay FD FD DELAY_MS MBIT QUEUE_KB. What comes out of one device goes into the
 * other, each way with a transmitter of its own: at so many megabits per second, after a first-in-first-out queue of so many
 * kilobytes that drops what does not fit, and so many milliseconds later. Runs until it is killed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 65536
#define BURST 64

struct packet {
    struct packet *next;
    int64_t due;
    size_t length;
    unsigned char data[];
};

/* One way: from the device `in` to the device `out`. */
struct way {
    int in, out;
    /* When the transmitter has sent all that it has taken. */
    int64_t free;
    struct packet *first, **last;
};

static int64_t delay, byte_time, queue;

static int64_t now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
}

static void take(struct way *way)
{
    static unsigned char data[LONGEST];
    for (int count = 0; count < BURST; count++) {
        ssize_t length = read(way->in, data, sizeof data);
        if (length <= 0)
            return;
        int64_t at = now(), begin = way->free > at ? way->free : at;
        if ((begin - at) / byte_time > queue)
            continue;
        struct packet *packet = malloc(sizeof *packet + length);
        if (packet == NULL)
            continue;
        way->free = begin + length * byte_time;
        packet->next = NULL;
        packet->due = way->free + delay;
        packet->length = length;
        memcpy(packet->data, data, length);
        *way->last = packet;
        way->last = &packet->next;
    }
}

/* Delivers what is due. When the next packet is, or -1. */
static int64_t deliver(struct way *way)
{
    while (way->first != NULL && way->first->due <= now()) {
        struct packet *packet = way->first;
        if (write(way->out, packet->data, packet->length) < 0 && errno == EAGAIN)
            break;
        way->first = packet->next;
        if (way->first == NULL)
            way->last = &way->first;
        free(packet);
    }
    return way->first == NULL ? -1 : way->first->due;
}

int main(int count, char **words)
{
    if (count != 6) {
        fprintf(stderr, "usage: relay FD FD DELAY_MS MBIT QUEUE_KB\n");
        return 2;
    }
    int near = atoi(words[1]), far = atoi(words[2]);
    delay = atof(words[3]) * 1e6;
    byte_time = 8000 / atof(words[4]);
    queue = atol(words[5]) * 1000;
    fcntl(near, F_SETFL, O_NONBLOCK);
    fcntl(far, F_SETFL, O_NONBLOCK);
    prctl(PR_SET_TIMERSLACK, 1000UL);
    struct way ways[] = {{near, far, 0, NULL, NULL}, {far, near, 0, NULL, NULL}};
    for (int way = 0; way < 2; way++)
        ways[way].last = &ways[way].first;
    for (;;) {
        int64_t next = -1;
        for (int way = 0; way < 2; way++) {
            int64_t due = deliver(&ways[way]);
            if (due >= 0 && (next < 0 || due < next))
                next = due;
        }
        int64_t wait = next < 0 ? 0 : next - now();
        struct timespec patience = {0, wait < 0 ? 0 : wait};
        if (patience.tv_nsec > 999999999)
            patience.tv_nsec = 999999999;
        struct pollfd ready[] = {{near, POLLIN, 0}, {far, POLLIN, 0}};
        if (ppoll(ready, 2, next < 0 ? NULL : &patience, NULL) < 0 && errno != EINTR)
            return 1;
        for (int way = 0; way < 2; way++)
            take(&ways[way]);
    }
}
