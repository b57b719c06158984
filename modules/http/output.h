/* What a client has yet to take of an answer: memory first, behind that a spill, then a file, then a few last bytes.
 * One answer at a time, so that order is all there is to it. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define OUTPUT_MEMORY_MAX (128 * 1024)        /* bytes of one answer, before it spills */
#define OUTPUT_SPILL_MAX  (16 * 1024 * 1024)  /* ... and then, before whoever writes has to wait */
#define OUTPUT_TOTAL_MAX  (128 * 1024 * 1024) /* of all answers of a loop together */
#define OUTPUT_TAIL_MAX   16

/* What all outputs of a loop hold. */
struct output_room {
        _Atomic uint64_t held; /* bytes; the watching thread closes connections as well */
};

struct output {
        struct output_room *room;
        char *memory;
        size_t start, end, capacity;
        int spill; /* -1: none */
        uint64_t spill_start, spill_end;
        int file; /* -1: none */
        uint64_t file_offset, file_left;
        char tail[OUTPUT_TAIL_MAX];
        uint8_t tail_start, tail_end;
};

void output_init(struct output *output, struct output_room *room);
void output_finish(struct output *output);

bool output_is_empty(const struct output *output);

/* Whether all answers of the loop together hold as much as they may. */
static inline bool output_is_crowded(const struct output_room *room)
{
        return room->held >= OUTPUT_TOTAL_MAX;
}

/* Whether whoever writes should wait until the client has taken some. */
bool output_is_full(const struct output *output);

/* What is left of `parts` behind the first `skip` bytes. 0 or a negative errno. */
int output_add(struct output *output, const struct iovec *parts, int count, size_t skip);

/* Behind all that was added: `length` bytes of a file from `offset` on, then `tail`. Takes the descriptor. */
void output_file(struct output *output, int fd, uint64_t offset, uint64_t length, const char *tail,
                 size_t tail_size);

/* Bytes that the kernel holds for the client. It says that there is room only when much of that is gone: whether a slow
 * client takes anything at all is seen here. */
unsigned output_queued(int socket);

/* Sends what the socket takes. 0: all of it; -EAGAIN: it takes no more now; otherwise the client is gone, or the file
 * is shorter than it was (-EIO). *ret_progress: whether anything was sent. */
int output_send(struct output *output, int socket, bool *ret_progress);
