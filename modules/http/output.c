#include "modules/http/output.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "modules/http/spill.h"

void output_init(struct output *output, struct output_room *room)
{
        *output = (struct output){.room = room, .spill = -1, .file = -1};
}

static void release_memory(struct output *output)
{
        output->room->held -= output->end - output->start;
        output->start = output->end = output->capacity = 0;
        free(TAKE_PTR(output->memory));
}

static void release_spill(struct output *output)
{
        output->room->held -= output->spill_end - output->spill_start;
        output->spill_start = output->spill_end = 0;
        fd_close(TAKE_FD(output->spill));
}

void output_finish(struct output *output)
{
        release_memory(output);
        release_spill(output);
        fd_close(TAKE_FD(output->file));
        output->file_left = output->tail_start = output->tail_end = 0;
}

bool output_is_empty(const struct output *output)
{
        return output->start == output->end && output->spill_start == output->spill_end &&
               output->file_left == 0 && output->tail_start == output->tail_end;
}

bool output_is_full(const struct output *output)
{
        return output->spill_end - output->spill_start >= OUTPUT_SPILL_MAX;
}

/* What has been sent makes room at the front. */
static int reserve(struct output *output, size_t size)
{
        size_t used = output->end - output->start, capacity = 4096;
        char *memory;

        if (output->end + size <= output->capacity)
                return 0;
        while (capacity < used + size)
                capacity *= 2;
        memory = malloc(capacity);
        if (!memory)
                return -ENOMEM;
        if (used > 0)
                memcpy(memory, output->memory + output->start, used);
        free(output->memory);
        output->memory = memory;
        output->capacity = capacity;
        output->start = 0;
        output->end = used;
        return 0;
}

static int add_memory(struct output *output, const void *data, size_t size)
{
        int r = reserve(output, size);

        if (r < 0)
                return r;
        memcpy(output->memory + output->end, data, size);
        output->end += size;
        return 0;
}

static int add_spill(struct output *output, const void *data, size_t size)
{
        int r;

        if (output->spill < 0) {
                r = spill_open();
                if (r < 0)
                        return r;
                output->spill = r;
        }
        r = spill_write(output->spill, data, size, output->spill_end);
        if (r == 0)
                output->spill_end += size;
        return r;
}

int output_add(struct output *output, const struct iovec *parts, int count, size_t skip)
{
        for (int i = 0; i < count; i++) {
                const char *data = parts[i].iov_base;
                size_t size = parts[i].iov_len;
                int r;

                if (skip >= size) {
                        skip -= size;
                        continue;
                }
                data += skip;
                size -= skip;
                skip = 0;
                if (output->spill < 0 && output->end - output->start + size <= OUTPUT_MEMORY_MAX)
                        r = add_memory(output, data, size);
                else
                        r = add_spill(output, data, size);
                if (r < 0)
                        return r;
                output->room->held += size;
        }
        return 0;
}

void output_file(struct output *output, int fd, uint64_t offset, uint64_t length, const char *tail,
                 size_t tail_size)
{
        output->file = fd;
        output->file_offset = offset;
        output->file_left = length;
        memcpy(output->tail, tail, tail_size);
        output->tail_start = 0;
        output->tail_end = (uint8_t)tail_size;
}

unsigned output_queued(int socket)
{
        int bytes = 0;

        return ioctl(socket, SIOCOUTQ, &bytes) < 0 || bytes < 0 ? 0 : (unsigned)bytes;
}

/* Some file systems have no sendfile: their bytes take the way through our memory. */
static ssize_t copy_file(int socket, int fd, uint64_t offset, size_t size)
{
        char buffer[16 * 1024];
        ssize_t n = pread(fd, buffer, size < sizeof(buffer) ? size : sizeof(buffer), (off_t)offset);

        return n <= 0 ? n : send(socket, buffer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t send_part(int socket, int fd, uint64_t offset, uint64_t left)
{
        size_t size = left < 1024 * 1024 ? (size_t)left : 1024 * 1024;
        off_t at = (off_t)offset;
        ssize_t n = sendfile(socket, fd, &at, size);

        if (n < 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
                n = copy_file(socket, fd, offset, size);
        return n;
}

/* One call's worth of whatever is at the front; the number of bytes, or a negative errno. */
static ssize_t send_some(struct output *output, int socket)
{
        bool more = output->file_left > 0;
        ssize_t n;

        if (output->start < output->end) {
                more = more || output->spill_start < output->spill_end;
                n = send(socket, output->memory + output->start, output->end - output->start,
                         MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
                if (n > 0) {
                        output->start += (size_t)n;
                        output->room->held -= (size_t)n;
                }
        } else if (output->spill_start < output->spill_end) {
                n = send_part(socket, output->spill, output->spill_start,
                              output->spill_end - output->spill_start);
                if (n > 0) {
                        output->spill_start += (uint64_t)n;
                        output->room->held -= (uint64_t)n;
                }
        } else if (output->file_left > 0) {
                n = send_part(socket, output->file, output->file_offset, output->file_left);
                if (n > 0) {
                        output->file_offset += (uint64_t)n;
                        output->file_left -= (uint64_t)n;
                }
        } else {
                n = send(socket, output->tail + output->tail_start,
                         (size_t)(output->tail_end - output->tail_start),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n > 0)
                        output->tail_start = (uint8_t)(output->tail_start + n);
        }
        if (n == 0)
                return -EIO;
        return n < 0 ? -errno : n;
}

int output_send(struct output *output, int socket, bool *ret_progress)
{
        *ret_progress = false;
        while (!output_is_empty(output)) {
                ssize_t n = send_some(output, socket);

                if (n == -EINTR)
                        continue;
                if (n < 0)
                        return (int)n;
                *ret_progress = true;
        }
        output_finish(output);
        return 0;
}
