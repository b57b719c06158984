#include "modules/http/body.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "modules/http/spill.h"

#define KEPT_MAX (8 * 1024)

void body_init(struct body *body)
{
        *body = (struct body){.spill = -1};
}

void body_finish(struct body *body)
{
        fd_close(TAKE_FD(body->spill));
        free(TAKE_PTR(body->memory));
}

void body_clear(struct body *body)
{
        fd_close(TAKE_FD(body->spill));
        if (body->capacity > KEPT_MAX) {
                free(TAKE_PTR(body->memory));
                body->capacity = 0;
        }
        body->size = body->position = 0;
}

static int grow(struct body *body, size_t wanted)
{
        size_t capacity = body->capacity ? body->capacity : 1024;
        char *memory;

        while (capacity < wanted)
                capacity *= 2;
        memory = realloc(body->memory, capacity);
        if (!memory)
                return -ENOMEM;
        body->memory = memory;
        body->capacity = capacity;
        return 0;
}

static int spill(struct body *body)
{
        int r;

        body->spill = spill_open();
        if (body->spill < 0) {
                r = body->spill;
                body->spill = -1;
                return r;
        }
        r = spill_write(body->spill, body->memory, body->size, 0);
        free(TAKE_PTR(body->memory));
        body->capacity = 0;
        return r;
}

int body_append(struct body *body, const void *data, size_t size)
{
        int r = 0;

        if (size == 0)
                return 0;
        if (body->spill < 0 && body->size + size > BODY_MEMORY_MAX)
                r = spill(body);
        else if (body->spill < 0 && body->size + size > body->capacity)
                r = grow(body, body->size + size);
        if (r < 0)
                return r;
        if (body->spill >= 0)
                r = spill_write(body->spill, data, size, body->size);
        else
                memcpy(body->memory + body->size, data, size);
        if (r == 0)
                body->size += size;
        return r;
}

ssize_t body_read(struct body *body, void *buffer, size_t size)
{
        uint64_t left = body->size - body->position;
        ssize_t n;

        if (size > left)
                size = (size_t)left;
        if (size == 0)
                return 0;
        if (body->spill < 0) {
                memcpy(buffer, body->memory + body->position, size);
                n = (ssize_t)size;
        } else {
                do
                        n = pread(body->spill, buffer, size, (off_t)body->position);
                while (n < 0 && errno == EINTR);
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
        }
        body->position += (uint64_t)n;
        return n;
}
