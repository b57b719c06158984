#include "runtime/protocol/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/own.h"

#define LAUNCH_MAGIC   0x65646163u /* "cade" */
#define LAUNCH_VERSION 2u
#define LAUNCH_MAX     (8u << 20) /* bytes: environment and filters are the large parts */
#define SLOTS_MAX      4096u

struct launch_header {
        uint32_t magic, version;
        uint64_t length; /* of what follows */
};

static void value_fields(struct codec *codec, struct launch_value *value)
{
        uint64_t integer = (uint64_t)value->integer;

        codec_string(codec, &value->name);
        codec_u32(codec, &value->type);
        codec_string(codec, &value->string);
        codec_u64(codec, &integer);
        value->integer = (int64_t)integer;
        codec_strings(codec, &value->strings);
        if (!value->name && !codec->error)
                codec->error = -EBADMSG;
}

static void requests_fields(struct codec *codec, struct launch *launch)
{
        codec_u32(codec, &launch->tells_load);
        codec_u64(codec, &launch->limits.requests);
        codec_u32(codec, &launch->limits.timeout);
        codec_u32(codec, &launch->http.header_read_timeout);
        codec_u32(codec, &launch->http.body_read_timeout);
        codec_u32(codec, &launch->http.send_timeout);
        codec_u32(codec, &launch->http.idle_timeout);
        codec_u64(codec, &launch->http.max_body_size);
}

void launch_fields(struct codec *codec, struct launch *launch)
{
        codec_string(codec, &launch->application);
        codec_string(codec, &launch->module);
        if (CODEC_ARRAY(codec, &launch->values, &launch->value_count))
                for (size_t i = 0; i < launch->value_count; i++)
                        value_fields(codec, &launch->values[i]);
        if (CODEC_ARRAY(codec, &launch->listeners, &launch->listener_count))
                for (size_t i = 0; i < launch->listener_count; i++) {
                        codec_string(codec, &launch->listeners[i].address);
                        codec_string(codec, &launch->listeners[i].target);
                }
        codec_strings(codec, &launch->environment);
        codec_string(codec, &launch->working_directory);
        codec_u32(codec, &launch->slot_count);
        requests_fields(codec, launch);
        plan_fields(codec, &launch->plan);
        if (codec->error)
                return;
        if (!launch->application || !launch->module || launch->slot_count > SLOTS_MAX)
                codec->error = -EBADMSG;
        for (size_t i = 0; i < launch->listener_count; i++)
                if (!launch->listeners[i].address)
                        codec->error = -EBADMSG;
}

int launch_write(const struct launch *launch)
{
        struct launch_header header = {LAUNCH_MAGIC, LAUNCH_VERSION, 0};
        cleanup_free char *image = NULL;
        cleanup_free char *whole = NULL;
        struct launch copy = *launch;
        struct codec codec;
        size_t size;
        int r;

        codec_write_begin(&codec);
        launch_fields(&codec, &copy);
        r = codec_write_end(&codec, &image, &size);
        if (r < 0)
                return r;
        if (size > LAUNCH_MAX)
                return -E2BIG;
        whole = malloc(sizeof(header) + size);
        if (!whole)
                return -ENOMEM;
        header.length = size;
        memcpy(whole, &header, sizeof(header));
        memcpy(whole + sizeof(header), image, size);
        r = fd_sealed("clade-launch", whole, sizeof(header) + size);
        explicit_bzero(image, size);
        explicit_bzero(whole, sizeof(header) + size);
        return r;
}

int launch_decode(const void *image, size_t size, struct launch *launch,
                  struct codec_memory *memory, struct error *error)
{
        const char *content = (const char *)image + sizeof(struct launch_header);
        struct launch_header header;
        struct codec codec;

        *launch = (struct launch){.application = NULL};
        *memory = (struct codec_memory){.base = NULL};
        if (size < sizeof(header) || size > sizeof(header) + LAUNCH_MAX)
                return error_say(error, EBADMSG, "launch of %zu bytes", size);
        memcpy(&header, image, sizeof(header));
        if (header.magic != LAUNCH_MAGIC)
                return error_say(error, EBADMSG, "this is no launch");
        if (header.version != LAUNCH_VERSION) {
                error_say(error, EBADMSG, "launch of version %u, where this binary wants %u",
                          header.version, LAUNCH_VERSION);
                return error_remedy(error, "clade and its prototype binary are of two different "
                                           "builds: install them together");
        }
        if (header.length != size - sizeof(header))
                return error_say(error, EBADMSG, "launch of %zu bytes claims %llu",
                                 size - sizeof(header), (unsigned long long)header.length);
        if (codec_read_begin(&codec, memory, content, header.length) == 0)
                launch_fields(&codec, launch);
        if (codec_read_end(&codec) == 0)
                return 0;
        codec_memory_finish(memory);
        *launch = (struct launch){.application = NULL}; /* it pointed there */
        return error_set(error, -codec.error, "the launch does not decode");
}

int launch_read(int fd, struct launch *launch, struct codec_memory *memory, struct error *error)
{
        struct stat st;
        void *image;
        int r;

        *launch = (struct launch){.application = NULL};
        *memory = (struct codec_memory){.base = NULL};
        if (fstat(fd, &st) < 0)
                return error_set(error, errno, "fstat of the launch");
        if (st.st_size < (off_t)sizeof(struct launch_header) ||
            st.st_size > (off_t)(sizeof(struct launch_header) + LAUNCH_MAX))
                return error_say(error, EBADMSG, "launch of %lld bytes", (long long)st.st_size);
        image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (image == MAP_FAILED)
                return error_set(error, errno, "mmap of the launch");
        r = launch_decode(image, (size_t)st.st_size, launch, memory, error);
        munmap(image, (size_t)st.st_size);
        return r;
}
