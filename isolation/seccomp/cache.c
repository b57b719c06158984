#include "isolation/seccomp/compiler.h"

static void set_finish(struct seccomp_set *set)
{
        seccomp_filter_finish(&set->profile);
        seccomp_filter_finish(&set->guards);
        seccomp_filter_finish(&set->difference);
        *set = (struct seccomp_set){.made = false};
}

const struct seccomp_set *seccomp_cache_get(struct seccomp_cache *cache,
                                            const struct seccomp_request *request,
                                            struct error *error)
{
        size_t index = (request->own_network ? 1u : 0u) | (request->unix_clients ? 2u : 0u) |
                       (request->tcp_confined ? 4u : 0u);
        struct seccomp_set *set = &cache->sets[index];

        if (set->made)
                return set;
        if (seccomp_compile_profile(request, &set->profile, error) < 0 ||
            seccomp_compile_guards(request, &set->guards, error) < 0 ||
            seccomp_compile_difference(request, &set->difference, error) < 0) {
                set_finish(set);
                return NULL;
        }
        set->made = true;
        return set;
}

void seccomp_cache_finish(struct seccomp_cache *cache)
{
        for (size_t i = 0; i < sizeof(cache->sets) / sizeof(cache->sets[0]); i++)
                set_finish(&cache->sets[i]);
}
