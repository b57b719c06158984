#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/own.h"

struct point {
        uint32_t x;
        char *name;
};

/* One field of every type there is. */
struct sample {
        uint32_t u32;
        uint64_t u64;
        bool yes, no;
        char *text, *empty, *none;
        void *bytes;
        size_t byte_count;
        void *no_bytes;
        size_t no_byte_count;
        char **strings, **no_strings;
        struct point *points;
        size_t point_count;
        struct point *no_points;
        size_t no_point_count;
};

static void sample_fields(struct codec *codec, struct sample *sample)
{
        codec_u32(codec, &sample->u32);
        codec_u64(codec, &sample->u64);
        codec_bool(codec, &sample->yes);
        codec_bool(codec, &sample->no);
        codec_string(codec, &sample->text);
        codec_string(codec, &sample->empty);
        codec_string(codec, &sample->none);
        codec_bytes(codec, &sample->bytes, &sample->byte_count);
        codec_bytes(codec, &sample->no_bytes, &sample->no_byte_count);
        codec_strings(codec, &sample->strings);
        codec_strings(codec, &sample->no_strings);
        if (CODEC_ARRAY(codec, &sample->points, &sample->point_count))
                for (size_t i = 0; i < sample->point_count; i++) {
                        codec_u32(codec, &sample->points[i].x);
                        codec_string(codec, &sample->points[i].name);
                }
        if (CODEC_ARRAY(codec, &sample->no_points, &sample->no_point_count))
                cr_assert_fail("an array without elements has no fields");
}

/* The caller frees the image. */
static size_t encoded_sample(char **ret_image)
{
        static char one[] = "one", three[] = "three", text[] = "text", empty[] = "";
        static char *strings[] = {one, empty, three, NULL};
        static struct point points[] = {{7, text}, {8, NULL}};
        static char bytes[] = {1, 0, 2};
        struct sample sample = {
                .u32 = 0xdeadbeef,
                .u64 = 0x0123456789abcdef,
                .yes = true,
                .text = text,
                .empty = empty,
                .bytes = bytes,
                .byte_count = sizeof(bytes),
                .strings = strings,
                .points = points,
                .point_count = ARRAY_SIZE(points),
        };
        struct codec codec;
        size_t size;

        codec_write_begin(&codec);
        sample_fields(&codec, &sample);
        cr_assert_eq(codec_write_end(&codec, ret_image, &size), 0);
        return size;
}

/* The image lies in an allocation of exactly its size, so that a sanitizer sees a read past it. */
static int decode(const char *image, size_t size, struct sample *sample,
                  struct codec_memory *memory)
{
        cleanup_free char *exact = malloc(size ? size : 1);
        struct codec codec;

        cr_assert(exact);
        memcpy(exact, image, size);
        *sample = (struct sample){.u32 = 0};
        cr_assert_eq(codec_read_begin(&codec, memory, exact, size), 0);
        sample_fields(&codec, sample);
        return codec_read_end(&codec);
}

Test(base_codec, what_was_written_is_read)
{
        cleanup_free char *image = NULL;
        size_t size = encoded_sample(&image);
        struct codec_memory memory;
        struct sample sample;

        cr_assert_eq(decode(image, size, &sample, &memory), 0);
        cr_expect_eq(sample.u32, 0xdeadbeef);
        cr_expect_eq(sample.u64, 0x0123456789abcdef);
        cr_expect(sample.yes);
        cr_expect_not(sample.no);
        cr_expect_str_eq(sample.text, "text");
        cr_expect_str_eq(sample.empty, "");
        cr_expect_null(sample.none);
        cr_assert_eq(sample.byte_count, 3);
        cr_expect_eq(memcmp(sample.bytes, "\1\0\2", 3), 0);
        cr_expect_eq(sample.no_byte_count, 0);
        cr_expect_str_eq(sample.strings[0], "one");
        cr_expect_str_eq(sample.strings[1], "");
        cr_expect_str_eq(sample.strings[2], "three");
        cr_expect_null(sample.strings[3]);
        cr_expect_null(sample.no_strings[0]);
        cr_assert_eq(sample.point_count, 2);
        cr_expect_eq(sample.points[0].x, 7);
        cr_expect_str_eq(sample.points[0].name, "text");
        cr_expect_eq(sample.points[1].x, 8);
        cr_expect_null(sample.points[1].name);
        cr_expect_eq(sample.no_point_count, 0);
        codec_memory_finish(&memory);
        cr_expect_null(memory.base);
        codec_memory_finish(&memory);
}

Test(base_codec, every_truncation_is_refused)
{
        cleanup_free char *image = NULL;
        size_t size = encoded_sample(&image);

        for (size_t cut = 0; cut < size; cut++) {
                struct codec_memory memory;
                struct sample sample;

                cr_expect_eq(decode(image, cut, &sample, &memory), -EBADMSG, "%zu bytes", cut);
                codec_memory_finish(&memory);
        }
}

Test(base_codec, bytes_left_over_are_refused)
{
        cleanup_free char *image = NULL;
        size_t size = encoded_sample(&image);
        cleanup_free char *longer = calloc(1, size + 1);
        struct codec_memory memory;
        struct sample sample;

        cr_assert(longer);
        memcpy(longer, image, size);
        cr_expect_eq(decode(longer, size + 1, &sample, &memory), -EBADMSG);
        codec_memory_finish(&memory);
}

static size_t walk(const char *text)
{
        return text ? strlen(text) : 0;
}

/* Whatever a byte is changed to: an error, or values that can be used. */
Test(base_codec, every_corrupted_byte_is_survived)
{
        cleanup_free char *image = NULL;
        size_t size = encoded_sample(&image);
        size_t refused = 0, walked = 0;

        for (size_t at = 0; at < size; at++)
                for (unsigned change = 1; change < 256; change++) {
                        struct codec_memory memory;
                        struct sample sample;
                        int r;

                        image[at] = (char)(image[at] ^ (char)change);
                        r = decode(image, size, &sample, &memory);
                        image[at] = (char)(image[at] ^ (char)change);
                        cr_assert(r == 0 || r == -EBADMSG);
                        refused += r != 0;
                        if (r == 0) {
                                walked += walk(sample.text) + walk(sample.none);
                                for (char **s = sample.strings; *s; s++)
                                        walked += walk(*s);
                                for (size_t i = 0; i < sample.point_count; i++)
                                        walked += walk(sample.points[i].name);
                        }
                        codec_memory_finish(&memory);
                }
        cr_expect_gt(refused, 0);
        cr_expect_gt(walked, 0);
}

/* A count of four thousand million in an image of eight bytes. */
Test(base_codec, counts_are_not_believed)
{
        static const uint32_t hostile[] = {1, 2, 0x7fffffff, 0xfffffffe, 0xffffffff};

        for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
                const uint32_t image[] = {hostile[i]};
                struct codec_memory memory;
                struct codec codec;
                size_t count = 9;
                void *array = &count;
                char **strings = NULL;

                cr_assert_eq(codec_read_begin(&codec, &memory, image, sizeof(image)), 0);
                cr_expect_not(codec_array(&codec, &array, &count, 1000));
                cr_expect_eq(codec.error, -EBADMSG);
                cr_expect_eq(count, 0);
                cr_expect_null(array);
                codec_memory_finish(&memory);

                cr_assert_eq(codec_read_begin(&codec, &memory, image, sizeof(image)), 0);
                codec_strings(&codec, &strings);
                cr_expect_eq(codec_read_end(&codec), -EBADMSG);
                codec_memory_finish(&memory);

                cr_assert_eq(codec_read_begin(&codec, &memory, image, sizeof(image)), 0);
                codec_bytes(&codec, &array, &count);
                cr_expect_eq(codec_read_end(&codec), -EBADMSG);
                cr_expect_eq(count, 0);
                codec_memory_finish(&memory);
        }
}

/* Many small claims must not add up to more memory than the image is worth. */
Test(base_codec, memory_is_bounded_by_the_image)
{
        static uint32_t image[1024];
        struct codec_memory memory;
        struct codec codec;
        size_t count;
        void *array;

        for (size_t i = 0; i < ARRAY_SIZE(image); i++)
                image[i] = 64;
        cr_assert_eq(codec_read_begin(&codec, &memory, image, sizeof(image)), 0);
        while (!codec.error)
                codec_array(&codec, &array, &count, 256);
        cr_expect_eq(codec.error, -EBADMSG);
        cr_expect_leq(memory.used, memory.size);
        cr_expect_leq(memory.size, sizeof(image) * 16 + 4096);
        codec_memory_finish(&memory);
        cr_expect_eq(codec_read_begin(&codec, &memory, image, SIZE_MAX / 8), -E2BIG);
        cr_expect_null(memory.base);
}

Test(base_codec, a_nul_inside_a_string_is_refused)
{
        static const char image[] = "\3\0\0\0a\0b";
        struct codec_memory memory;
        struct codec codec;
        char *text;

        cr_assert_eq(codec_read_begin(&codec, &memory, image, 7), 0);
        codec_string(&codec, &text);
        cr_expect_eq(codec_read_end(&codec), -EBADMSG);
        codec_memory_finish(&memory);
}

Test(base_codec, a_bool_is_0_or_1)
{
        for (uint32_t value = 0; value < 3; value++) {
                struct codec_memory memory;
                struct codec codec;
                bool yes = true;

                cr_assert_eq(codec_read_begin(&codec, &memory, &value, sizeof(value)), 0);
                codec_bool(&codec, &yes);
                cr_expect_eq(codec_read_end(&codec), value > 1 ? -EBADMSG : 0);
                cr_expect_eq(yes, value == 1);
                codec_memory_finish(&memory);
        }
}

/* After the first error nothing is read any more, and fields are cleared. */
Test(base_codec, errors_stick)
{
        const uint32_t image[] = {2, 3, 4};
        struct codec_memory memory;
        struct codec codec;
        uint64_t u64 = 1;
        uint32_t u32 = 1;
        char *text = (char *)&u32;
        size_t size = 9;
        void *bytes = &u32;
        bool yes = true;

        cr_assert_eq(codec_read_begin(&codec, &memory, image, sizeof(image)), 0);
        codec_bool(&codec, &yes);
        codec_u32(&codec, &u32);
        codec_u64(&codec, &u64);
        codec_string(&codec, &text);
        codec_bytes(&codec, &bytes, &size);
        cr_expect_eq(codec_read_end(&codec), -EBADMSG);
        cr_expect_not(yes);
        cr_expect_eq(u32, 0);
        cr_expect_eq(u64, 0);
        cr_expect_null(text);
        cr_expect_null(bytes);
        cr_expect_eq(size, 0);
        codec_memory_finish(&memory);
}

Test(base_codec, an_error_while_writing_leaves_no_image)
{
        struct codec codec;
        size_t size = 9, huge = SIZE_MAX;
        uint32_t word = 1;
        char *image = NULL;
        void *bytes = &word;

        codec_write_begin(&codec);
        codec_u32(&codec, &word);
        codec_bytes(&codec, &bytes, &huge);
        cr_expect_eq(codec_write_end(&codec, &image, &size), -EOVERFLOW);
        cr_expect_null(image);
        cr_expect_eq(size, 9);
}
