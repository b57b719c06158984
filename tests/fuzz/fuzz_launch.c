/* Arbitrary bytes as a launch, isolation plan included. What decodes must be usable to its last string, and
 * must encode to the very bytes that it came from: nothing is read that was not written. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/protocol/launch.h"

#define LENGTH_AT 8  /* of the header: magic, version, length */
#define HEADER    16 /* bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
        if (!holds)
                abort();
}

static void check_domain(const struct plan_landlock *domain)
{
        for (size_t i = 0; i < domain->rule_count; i++) {
                require(domain->rules[i].path && domain->rules[i].path[0] == '/');
                require(!(domain->rules[i].allowed & ~domain->handled_fs));
        }
        for (size_t i = 0; i < domain->port_count; i++)
                require(domain->ports[i].port <= UINT16_MAX);
}

static void check_plan(const struct plan *plan)
{
        for (size_t i = 0; i < plan->source_count; i++)
                require(plan->sources[i].path != NULL);
        for (size_t i = 0; i < plan->entry_count; i++) {
                const struct plan_entry *entry = &plan->entries[i];

                require(entry->kind < PLAN_ENTRY_KINDS);
                require(plan_target_valid(entry->target));
                require(entry->kind != PLAN_BIND || entry->source < plan->source_count);
                require(entry->kind != PLAN_SYMLINK || entry->content);
        }
        for (size_t i = 0; i < plan->prototype_filter_count; i++)
                require(plan->prototype_filters[i].length > 0 && plan->prototype_filters[i].name);
        require(plan->worker_filter.length <= BPF_MAXINSNS);
        check_domain(&plan->prototype_domain);
        check_domain(&plan->configured_domain);
        check_domain(&plan->worker_domain);
        for (size_t i = 0; i < plan->scheduling.cpu_words; i++)
                require(plan->scheduling.cpus != NULL);
}

static void check(const uint8_t *data, size_t size)
{
        struct error error = ERROR_INIT;
        cleanup_free char *image = NULL;
        struct codec_memory memory;
        struct launch launch;
        struct codec codec;
        size_t image_size = 0;

        if (launch_decode(data, size, &launch, &memory, &error) < 0) {
                require(error.code > 0 && error.text[0]);
                require(memory.base == NULL);
                return;
        }
        require(launch.application && launch.module);
        check_plan(&launch.plan);
        codec_write_begin(&codec);
        launch_fields(&codec, &launch);
        require(codec_write_end(&codec, &image, &image_size) == 0);
        require(image_size == size - HEADER);
        require(memcmp(image, data + HEADER, image_size) == 0);
        codec_memory_finish(&memory);
}

/* Magic and version, as launch_write writes them. */
static const char *good_header(void)
{
        static char header[LENGTH_AT];
        static char name[] = "a";
        const struct launch launch = {.application = name, .module = name};
        cleanup_fd int fd = -1;

        if (header[0])
                return header;
        fd = launch_write(&launch);
        require(fd >= 0 && pread(fd, header, LENGTH_AT, 0) == LENGTH_AT);
        return header;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_free uint8_t *copy = NULL;

        check(data, size);
        if (size < HEADER)
                return 0;
        /* The same with a header that is right, or nothing behind it would ever be reached: also what is kept from
         * before the version changed. */
        copy = malloc(size);
        if (!copy)
                return 0;
        memcpy(copy, data, size);
        memcpy(copy, good_header(), LENGTH_AT);
        memcpy(copy + LENGTH_AT, &(uint64_t){size - HEADER}, sizeof(uint64_t));
        check(copy, size);
        return 0;
}
