/* One description of a struct's fields, used in both directions.
 *
 * What crosses an exec (the plan) is written by one process and read by another. Writing and reading
 * are the same function here: it names each field once, and the codec either appends the field to an
 * image or fills it from one. So the two sides cannot drift apart.
 *
 *     static void point_fields(struct codec *codec, struct point *point)
 *     {
 *             codec_u32(codec, &point->x);
 *             codec_string(codec, &point->name);
 *     }
 *
 * Errors stick: after the first one every call does nothing (and clears the field when reading), and
 * codec_end reports it. Reading trusts no length: whatever is claimed must be there, and the memory
 * taken is bounded by the size of the image times a small factor. All of what is read lies in one
 * block that the caller wipes and frees with codec_memory_finish.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where decoded strings and arrays live: one mapping, filled from its start. */
struct codec_memory {
        char *base;
        size_t size, used;
};

struct codec {
        bool reading;
        int error; /* 0 or a negative errno, sticky */
        /* writing */
        char *image;
        size_t size, room;
        /* reading */
        const char *at;
        size_t left;
        struct codec_memory *memory;
};

/* Writing: afterwards codec_end gives the image, which the caller frees. */
void codec_write_begin(struct codec *codec);
int codec_write_end(struct codec *codec, char **ret_image, size_t *ret_size);

/* Reading from `size` bytes at `image`. codec_read_end fails with -EBADMSG when bytes are left over. */
int codec_read_begin(struct codec *codec, struct codec_memory *memory, const void *image,
                     size_t size);
int codec_read_end(struct codec *codec);

/* Overwrites and unmaps everything that was decoded. Takes a zeroed struct. */
void codec_memory_finish(struct codec_memory *memory);

void codec_u32(struct codec *codec, uint32_t *value);
void codec_u64(struct codec *codec, uint64_t *value);
void codec_bool(struct codec *codec, bool *value);    /* anything but 0 and 1 is -EBADMSG */
void codec_string(struct codec *codec, char **value); /* may be NULL, which is not "" */
void codec_bytes(struct codec *codec, void **data, size_t *size);

/* A list of strings that ends with NULL. */
void codec_strings(struct codec *codec, char ***value);

/* How many elements of `element` bytes follow, and, when reading, room for them at *array. The caller
 * then names the fields of each. False when there is nothing to do any more. */
bool codec_array(struct codec *codec, void **array, size_t *count, size_t element);
#define CODEC_ARRAY(codec, array, count)                                                           \
        ({                                                                                         \
                void *codec_array_ = *(array);                                                     \
                bool codec_more_ =                                                                 \
                        codec_array((codec), &codec_array_, (count), sizeof(**(array)));           \
                *(array) = codec_array_;                                                           \
                codec_more_;                                                                       \
        })
