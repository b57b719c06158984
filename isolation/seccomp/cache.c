/* Sets of programs by what they depend on. */
#include "isolation/seccomp/compiler.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/own.h"
#include "isolation/seccomp/store.h"

struct seccomp_entry {
        struct seccomp_entry *next;
        struct store_key key;
        struct seccomp_set set;
};

/* The rules that clade itself adds are in its program: another build of it makes other programs. */
static void self_fields(struct codec *codec)
{
        struct stat st = {.st_size = 0};
        uint64_t device, inode, size, seconds, nanoseconds;

        if (stat("/proc/self/exe", &st) < 0 && codec->error == 0)
                codec->error = -errno;
        device = st.st_dev;
        inode = st.st_ino;
        size = (uint64_t)st.st_size;
        seconds = (uint64_t)st.st_mtim.tv_sec;
        nanoseconds = (uint64_t)st.st_mtim.tv_nsec;
        codec_u64(codec, &device);
        codec_u64(codec, &inode);
        codec_u64(codec, &size);
        codec_u64(codec, &seconds);
        codec_u64(codec, &nanoseconds);
}

static void machine_fields(struct codec *codec)
{
        const struct scmp_version *library = seccomp_version();
        uint32_t version[] = {library->major, library->minor, library->micro};
        uint32_t architecture = seccomp_arch_native(), level = seccomp_api_get();
        struct utsname name;
        char *release = name.release, *build = name.version;

        if (uname(&name) < 0 && codec->error == 0)
                codec->error = -errno;
        for (size_t i = 0; i < ARRAY_SIZE(version); i++)
                codec_u32(codec, &version[i]);
        codec_u32(codec, &architecture);
        codec_u32(codec, &level);
        codec_string(codec, &release);
        codec_string(codec, &build);
}

static void request_fields(struct codec *codec, const struct seccomp_request *request)
{
        struct seccomp_request copy = *request;
        struct seccomp_profile profile = *request->profile, worker = {.file = NULL};
        bool has_worker = request->worker != NULL;
        /* Most profiles do not care, and applications with different capabilities share a set. */
        bool asks = seccomp_profile_asks(&profile);

        seccomp_profile_fields(codec, &profile);
        codec_bool(codec, &has_worker);
        if (request->worker) {
                worker = *request->worker;
                asks = asks || seccomp_profile_asks(&worker);
                seccomp_profile_fields(codec, &worker);
        }
        if (!asks)
                copy.capabilities = 0;
        codec_u64(codec, &copy.capabilities);
        codec_bool(codec, &copy.own_network);
        codec_bool(codec, &copy.unix_clients);
        codec_bool(codec, &copy.tcp_confined);
        codec_bool(codec, &copy.fixed_cpus);
        codec_bool(codec, &copy.no_network_sockets);
        codec_bool(codec, &copy.no_unix_sockets);
        codec_bool(codec, &copy.deny_write_execute);
}

static int make_key(const struct seccomp_request *request, struct store_key *ret_key)
{
        struct codec codec;

        codec_write_begin(&codec);
        self_fields(&codec);
        machine_fields(&codec);
        request_fields(&codec, request);
        return codec_write_end(&codec, &ret_key->bytes, &ret_key->size);
}

static void set_finish(struct seccomp_set *set)
{
        seccomp_filter_finish(&set->profile);
        seccomp_filter_finish(&set->guards);
        seccomp_filter_finish(&set->difference);
}

static int make_set(const struct seccomp_request *request, struct seccomp_set *set,
                    struct error *error)
{
        if (seccomp_compile_profile(request->profile, request->capabilities, &set->profile, error) <
                    0 ||
            seccomp_compile_guards(request, &set->guards, error) < 0 ||
            seccomp_compile_difference(request, &set->difference, error) < 0) {
                set_finish(set);
                return -error->code;
        }
        return 0;
}

static int fill(struct seccomp_cache *cache, const struct seccomp_request *request,
                struct seccomp_entry *entry, struct error *error)
{
        int r;

        if (cache->directory >= 0 && store_read(cache->directory, &entry->key, &entry->set) == 0) {
                cache->found++;
                return 0;
        }
        r = make_set(request, &entry->set, error);
        if (r < 0)
                return r;
        cache->made++;
        /* A full disk, or one that is read-only, costs the next start some milliseconds, no more. */
        if (cache->directory >= 0)
                (void)store_write(cache->directory, &entry->key, &entry->set);
        return 0;
}

const struct seccomp_set *seccomp_cache_get(struct seccomp_cache *cache,
                                            const struct seccomp_request *request,
                                            struct error *error)
{
        struct seccomp_entry *entry = calloc(1, sizeof(*entry));
        int r = entry ? make_key(request, &entry->key) : -ENOMEM;

        if (r < 0) {
                error_set(error, -r, "looking for seccomp programs");
                free(entry);
                return NULL;
        }
        for (const struct seccomp_entry *at = cache->entries; at; at = at->next)
                if (at->key.size == entry->key.size &&
                    memcmp(at->key.bytes, entry->key.bytes, at->key.size) == 0) {
                        free(entry->key.bytes);
                        free(entry);
                        return &at->set;
                }
        if (fill(cache, request, entry, error) < 0) {
                free(entry->key.bytes);
                free(entry);
                return NULL;
        }
        entry->next = cache->entries;
        cache->entries = entry;
        return &entry->set;
}

int seccomp_cache_open(struct seccomp_cache *cache, const char *path)
{
        int fd = store_open(path);

        if (fd < 0)
                return fd;
        fd_close(cache->directory);
        cache->directory = fd;
        return 0;
}

void seccomp_cache_finish(struct seccomp_cache *cache)
{
        while (cache->entries) {
                struct seccomp_entry *entry = cache->entries;

                cache->entries = entry->next;
                set_finish(&entry->set);
                free(entry->key.bytes);
                free(entry);
        }
        fd_close(TAKE_FD(cache->directory));
}
