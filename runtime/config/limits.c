#include "runtime/config/schema.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/own.h"
#include "runtime/config/resources.h"
#include "runtime/config/values.h"

#define CPUS_EXPECTED "processors as in \"0-1,3\""
#define CPU_DIGITS    4             /* of CONFIG_CPUS_MAX - 1 */
#define REQUESTS_MOST 1000000000000 /* a thousand a second for thirty years */
#define TIMEOUT_MOST  86400         /* s */

/* --- resource limits, in the form of the OCI runtime specification ----------------------------- */

static const struct rlimit_name {
        const char *name;
        uint32_t resource;
} rlimit_names[] = {
        {"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},
        {"RLIMIT_CPU", RLIMIT_CPU},         {"RLIMIT_DATA", RLIMIT_DATA},
        {"RLIMIT_FSIZE", RLIMIT_FSIZE},     {"RLIMIT_LOCKS", RLIMIT_LOCKS},
        {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
        {"RLIMIT_NICE", RLIMIT_NICE},       {"RLIMIT_NOFILE", RLIMIT_NOFILE},
        {"RLIMIT_NPROC", RLIMIT_NPROC},     {"RLIMIT_RSS", RLIMIT_RSS},
        {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},
        {"RLIMIT_STACK", RLIMIT_STACK},     {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
};

/* While one of them is being read. */
struct rlimit_draft {
        const struct rlimit_name *name;
        uint64_t soft, hard;
        bool soft_known, hard_known;
};

static void read_type(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        static const char expected[] = "a resource's name, as in \"RLIMIT_NOFILE\"";
        struct rlimit_draft *draft = member;
        struct suggestion near;
        const char *type;

        (void)rule;
        if (!value_string(reader, node, expected, &type))
                return;
        near = (struct suggestion){.word = type};
        for (size_t i = 0; i < ARRAY_SIZE(rlimit_names); i++) {
                suggest_offer(&near, rlimit_names[i].name);
                if (strcmp(rlimit_names[i].name, type) == 0)
                        draft->name = &rlimit_names[i];
        }
        if (!draft->name && near.best)
                fault_value(reader, node, "there is no such resource. Did you mean \"%s\"?",
                            near.best);
        else if (!draft->name)
                fault_expected(reader, node, expected);
}

static bool read_amount(struct reader *reader, const struct node *node, uint64_t *ret_amount)
{
        const char *word = json_string_value(node->json);

        if (word && strcmp(word, "unlimited") == 0) {
                *ret_amount = RLIM_INFINITY;
                return true;
        }
        if (json_is_integer(node->json) && json_integer_value(node->json) >= 0) {
                *ret_amount = (uint64_t)json_integer_value(node->json);
                return true;
        }
        fault_expected(reader, node, "an integer from 0 up, or \"unlimited\"");
        return false;
}

static void read_soft(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        struct rlimit_draft *draft = member;

        (void)rule;
        draft->soft_known = read_amount(reader, node, &draft->soft);
}

static void read_hard(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        struct rlimit_draft *draft = member;

        (void)rule;
        draft->hard_known = read_amount(reader, node, &draft->hard);
}

static const struct key rlimit_keys[] = {
        {"type", read_type, 0, NULL, "the resource, as in \"RLIMIT_NOFILE\""},
        {"soft", read_soft, 0, NULL, "the limit that holds"},
        {"hard", read_hard, 0, NULL, "the limit up to which the soft one can be raised"},
};

static const struct schema rlimit_schema = {
        .what = "a resource limit",
        .keys = rlimit_keys,
        .count = ARRAY_SIZE(rlimit_keys),
};

static void read_rlimit(struct reader *reader, const struct node *node,
                        struct config_limits *limits)
{
        struct rlimit_draft draft = {.name = NULL};

        if (!read_object(reader, node, &rlimit_schema, &draft) || !draft.name ||
            !draft.soft_known || !draft.hard_known)
                return;
        if (draft.soft > draft.hard) {
                fault_value(reader, node,
                            "the soft limit is above the hard one: expected at most "
                            "the same");
                return;
        }
        for (size_t i = 0; i < limits->rlimit_count; i++)
                if (limits->rlimits[i].resource == draft.name->resource) {
                        fault_value(reader, node, "there are two limits for %s: expected one",
                                    draft.name->name);
                        return;
                }
        limits->rlimits[limits->rlimit_count++] = (struct config_rlimit){
                .name = draft.name->name,
                .index = node->index,
                .resource = draft.name->resource,
                .soft = draft.soft,
                .hard = draft.hard,
        };
}

static void read_rlimits(struct reader *reader, const struct node *node, void *member,
                         const void *rule)
{
        struct config_limits *limits = member;

        (void)rule;
        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of resource limits");
                return;
        }
        limits->rlimits = calloc(ARRAY_SIZE(rlimit_names), sizeof(*limits->rlimits));
        if (!limits->rlimits) {
                reader_no_memory(reader);
                return;
        }
        for (size_t i = 0; i < json_array_size(node->json); i++) {
                const struct node element = NODE_ELEMENT(node, i);

                read_rlimit(reader, &element, limits);
        }
}

/* --- scheduling ------------------------------------------------------------------------------- */

static void read_nice(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        struct config_limits *limits = member;
        int64_t value;

        if (!value_integer(reader, node, rule, &value))
                return;
        limits->has_nice = true;
        limits->nice = (int32_t)value;
}

static void read_oom_score(struct reader *reader, const struct node *node, void *member,
                           const void *rule)
{
        struct config_limits *limits = member;
        int64_t value;

        if (!value_integer(reader, node, rule, &value))
                return;
        limits->has_oom_score = true;
        limits->oom_score = (int32_t)value;
}

/* A number at *text, which moves behind it. */
static bool take_cpu(const char **text, uint32_t *ret_cpu)
{
        size_t digits = strspn(*text, "0123456789");
        uint32_t cpu = 0;

        if (digits == 0 || digits > CPU_DIGITS)
                return false;
        for (; digits > 0; digits--)
                cpu = cpu * 10 + (uint32_t)(*(*text)++ - '0');
        *ret_cpu = cpu;
        return cpu < CONFIG_CPUS_MAX;
}

/* cpuset(7), "List format". */
static bool parse_cpus(const char *text, uint64_t *mask, size_t *ret_words)
{
        do {
                uint32_t first, last;

                if (!take_cpu(&text, &first))
                        return false;
                last = first;
                if (*text == '-') {
                        text++;
                        if (!take_cpu(&text, &last) || last < first)
                                return false;
                }
                for (uint32_t cpu = first; cpu <= last; cpu++)
                        mask[cpu / 64] |= 1ull << cpu % 64;
                if (last / 64 + 1 > *ret_words)
                        *ret_words = last / 64 + 1;
        } while (*text++ == ',');
        return text[-1] == '\0';
}

static void read_cpus(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        struct config_limits *limits = member;
        struct quoted quoted;
        const char *text;
        size_t words = 0;

        (void)rule;
        if (!value_string(reader, node, CPUS_EXPECTED, &text))
                return;
        limits->cpus = calloc(CONFIG_CPUS_MAX / 64, sizeof(*limits->cpus));
        if (!limits->cpus) {
                reader_no_memory(reader);
                return;
        }
        if (!parse_cpus(text, limits->cpus, &words))
                fault_value(reader, node,
                            "%s is no list of processors: expected " CPUS_EXPECTED
                            ", each below %d and the first of a range not above its last",
                            text_quote(&quoted, text), CONFIG_CPUS_MAX);
        else
                limits->cpu_words = words;
}

/* --- all of them ------------------------------------------------------------------------------ */

#define RESOURCES offsetof(struct config_limits, resources)

static const struct key limit_keys[] = {
        {"memory", read_memory, RESOURCES, NULL, NULL},
        {"swap", read_swap, RESOURCES, NULL, NULL},
        {"oom_group", read_boolean, RESOURCES + offsetof(struct config_resources, oom_group), NULL,
         NULL},
        {"cpu", read_cpu, RESOURCES, NULL, NULL},
        {"tasks", read_tasks, RESOURCES, NULL, NULL},
        {"io", read_io, RESOURCES, NULL, NULL},
        {"rlimits", read_rlimits, 0, NULL, NULL},
        {"nice", read_nice, 0, &(const struct integer_rule){-20, 19, NULL}, NULL},
        {"cpus", read_cpus, 0, NULL, NULL},
        {"requests", read_u64, offsetof(struct config_limits, requests),
         &(const struct integer_rule){1, REQUESTS_MOST, NULL}, NULL},
        {"timeout", read_u32, offsetof(struct config_limits, timeout),
         &(const struct integer_rule){1, TIMEOUT_MOST, "seconds"}, NULL},
        {"oom_score_adj", read_oom_score, 0, &(const struct integer_rule){-1000, 1000, NULL}, NULL},
};

static const struct schema limit_schema = {
        .what = "the limits",
        .keys = limit_keys,
        .count = ARRAY_SIZE(limit_keys),
};

void read_limits(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        (void)rule;
        read_object(reader, node, &limit_schema, member);
}

void limits_finish(struct config_limits *limits)
{
        resources_finish(&limits->resources);
        free(limits->rlimits);
        free(limits->cpus);
}
