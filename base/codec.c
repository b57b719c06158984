#include "base/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NO_STRING UINT32_MAX

/* What decoding may take for each byte of the image: an empty string of one element needs a pointer
 * of 8 bytes for its 4 in the image, and the largest element that is counted with no byte of its own
 * in the image is bounded by the check in codec_array. */
#define MEMORY_FACTOR 16
#define MEMORY_EXTRA  4096

static void *memory_take(struct codec *codec, size_t size)
{
        struct codec_memory *memory = codec->memory;
        size_t rounded = (size + 15) & ~(size_t)15;
        void *at;

        if (rounded < size || rounded > memory->size - memory->used) {
                codec->error = -EBADMSG;
                return NULL;
        }
        at = memory->base + memory->used;
        memory->used += rounded;
        return at;
}

void codec_write_begin(struct codec *codec)
{
        *codec = (struct codec){.reading = false};
}

int codec_write_end(struct codec *codec, char **ret_image, size_t *ret_size)
{
        if (codec->error) {
                free(codec->image);
                codec->image = NULL;
                return codec->error;
        }
        *ret_image = codec->image;
        *ret_size = codec->size;
        return 0;
}

int codec_read_begin(struct codec *codec, struct codec_memory *memory, const void *image,
                     size_t size)
{
        *codec = (struct codec){.reading = true, .at = image, .left = size, .memory = memory};
        *memory = (struct codec_memory){.base = NULL};
        if (size > (SIZE_MAX - MEMORY_EXTRA) / MEMORY_FACTOR)
                return codec->error = -E2BIG;
        *memory = (struct codec_memory){.size = size * MEMORY_FACTOR + MEMORY_EXTRA};
        memory->base = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                            -1, 0);
        if (memory->base == MAP_FAILED) {
                *memory = (struct codec_memory){.base = NULL};
                return codec->error = -ENOMEM;
        }
        return 0;
}

int codec_read_end(struct codec *codec)
{
        if (!codec->error && codec->left > 0)
                codec->error = -EBADMSG;
        return codec->error;
}

void codec_memory_finish(struct codec_memory *memory)
{
        if (!memory->base)
                return;
        explicit_bzero(memory->base, memory->used);
        munmap(memory->base, memory->size);
        *memory = (struct codec_memory){.base = NULL};
}

/* The one place that moves bytes. */
static void codec_raw(struct codec *codec, void *data, size_t size)
{
        if (codec->reading) {
                if (!codec->error && size > codec->left)
                        codec->error = -EBADMSG;
                if (codec->error) {
                        memset(data, 0, size);
                        return;
                }
                memcpy(data, codec->at, size);
                codec->at += size;
                codec->left -= size;
                return;
        }
        if (codec->error || size == 0)
                return;
        if (size > codec->room - codec->size) {
                size_t room = (codec->room + size) * 2;
                char *grown = realloc(codec->image, room);

                if (!grown) {
                        codec->error = -ENOMEM;
                        return;
                }
                codec->image = grown;
                codec->room = room;
        }
        memcpy(codec->image + codec->size, data, size);
        codec->size += size;
}

void codec_u32(struct codec *codec, uint32_t *value)
{
        codec_raw(codec, value, sizeof(*value));
}

void codec_u64(struct codec *codec, uint64_t *value)
{
        codec_raw(codec, value, sizeof(*value));
}

void codec_bool(struct codec *codec, bool *value)
{
        uint32_t word = codec->reading ? 0 : *value;

        codec_u32(codec, &word);
        if (!codec->reading)
                return;
        if (word > 1 && !codec->error)
                codec->error = -EBADMSG;
        *value = word == 1;
}

/* A length that must fit 32 bits and, when reading, be there. */
static size_t codec_length(struct codec *codec, size_t length)
{
        uint32_t word = (uint32_t)length;

        if (!codec->reading && length >= NO_STRING)
                codec->error = -EOVERFLOW;
        codec_u32(codec, &word);
        return word;
}

void codec_string(struct codec *codec, char **value)
{
        size_t length = 0;

        if (!codec->reading)
                length = *value ? strlen(*value) : NO_STRING;
        if (!codec->reading && !*value) {
                uint32_t word = NO_STRING;

                codec_u32(codec, &word);
                return;
        }
        length = codec_length(codec, length);
        if (!codec->reading) {
                codec_raw(codec, *value, length);
                return;
        }
        *value = NULL;
        if (codec->error || length == NO_STRING)
                return;
        if (length > codec->left) {
                codec->error = -EBADMSG;
                return;
        }
        *value = memory_take(codec, length + 1);
        if (!*value)
                return;
        codec_raw(codec, *value, length);
        (*value)[length] = '\0';
        if (strlen(*value) != length)
                codec->error = -EBADMSG;
}

void codec_bytes(struct codec *codec, void **data, size_t *size)
{
        *size = codec_length(codec, *size);
        if (!codec->reading) {
                codec_raw(codec, *data, *size);
                return;
        }
        *data = NULL;
        if (!codec->error && *size > codec->left)
                codec->error = -EBADMSG;
        if (codec->error) {
                *size = 0;
                return;
        }
        *data = memory_take(codec, *size);
        if (*data)
                codec_raw(codec, *data, *size);
        else
                *size = 0;
}

bool codec_array(struct codec *codec, void **array, size_t *count, size_t element)
{
        *count = codec_length(codec, *count);
        if (!codec->reading)
                return !codec->error && *count > 0;
        *array = NULL;
        /* Every element has at least four bytes in the image. */
        if (!codec->error && *count > codec->left / sizeof(uint32_t))
                codec->error = -EBADMSG;
        if (codec->error || *count == 0) {
                *count = 0;
                return false;
        }
        *array = memory_take(codec, *count * element);
        if (!*array) {
                *count = 0;
                return false;
        }
        memset(*array, 0, *count * element);
        return true;
}

void codec_strings(struct codec *codec, char ***value)
{
        size_t count = 0;
        void *array = NULL;

        if (!codec->reading)
                while (*value && (*value)[count])
                        count++;
        count = codec_length(codec, count);
        if (!codec->reading) {
                for (size_t i = 0; i < count && !codec->error; i++)
                        codec_string(codec, &(*value)[i]);
                return;
        }
        *value = NULL;
        if (!codec->error && count > codec->left / sizeof(uint32_t))
                codec->error = -EBADMSG;
        if (!codec->error)
                array = memory_take(codec, (count + 1) * sizeof(char *));
        if (!array)
                return;
        *value = array;
        for (size_t i = 0; i < count; i++) {
                codec_string(codec, &(*value)[i]);
                if (!(*value)[i]) {
                        codec->error = codec->error ? codec->error : -EBADMSG;
                        break;
                }
        }
        (*value)[count] = NULL;
}
