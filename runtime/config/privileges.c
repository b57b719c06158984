#include "runtime/config/privileges.h"

#include <errno.h>
#include <string.h>
#include <sys/capability.h>

#include "base/own.h"
#include "runtime/config/values.h"

#define HOSTNAME_MAX 64          /* __NEW_UTS_LEN, without the NUL */
#define OFFSET_MAX   (1ll << 31) /* seconds, some 68 years */

static void free_iab(cap_iab_t *iab)
{
        if (*iab)
                cap_free(*iab);
}

/* The bits of one vector. libcap's bounding vector says what is blocked. */
static uint64_t vector(cap_iab_t iab, cap_iab_vector_t which)
{
        uint64_t set = 0;

        for (cap_value_t capability = 0; capability < cap_max_bits(); capability++)
                if (cap_iab_get_vector(iab, which, capability) == CAP_SET)
                        set |= 1ull << capability;
        return set;
}

void read_capabilities(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        static const char expected[] = "capabilities as cap_iab(3) writes them, as in "
                                       "\"^cap_net_bind_service\"";
        struct config_capabilities *capabilities = member;
        cleanup(free_iab) cap_iab_t iab = NULL;
        struct quoted quoted;
        const char *text;

        (void)rule;
        if (!value_string(reader, node, expected, &text))
                return;
        errno = 0;
        iab = cap_iab_from_text(text);
        if (!iab && errno == ENOMEM) {
                reader_no_memory(reader);
                return;
        }
        if (!iab) {
                fault_value(reader, node, "%s is not understood: expected %s",
                            text_quote(&quoted, text), expected);
                return;
        }
        capabilities->ambient = vector(iab, CAP_IAB_AMB);
        capabilities->inheritable = vector(iab, CAP_IAB_INH) | capabilities->ambient;
        /* What is neither inheritable nor ambient is of no use in the bounding set. */
        capabilities->bounding = capabilities->inheritable & ~vector(iab, CAP_IAB_BOUND);
}

void read_hostname(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789.-";
        struct quoted quoted;
        const char *name;
        size_t length;

        (void)rule;
        if (!value_string(reader, node, "a host name", &name))
                return;
        length = strlen(name);
        if (length == 0 || length > HOSTNAME_MAX || strspn(name, letters) != length ||
            strchr(".-", name[0]) || strchr(".-", name[length - 1])) {
                fault_value(reader, node,
                            "%s is no host name: expected 1 to %d letters, digits, \".\" and "
                            "\"-\", with a letter or digit at both ends",
                            text_quote(&quoted, name), HOSTNAME_MAX);
                return;
        }
        store_string(reader, member, name);
}

static void read_offset(struct reader *reader, const struct node *node, void *member,
                        const void *rule)
{
        value_integer(reader, node, rule, member);
}

static const struct integer_rule offset_rule = {-OFFSET_MAX, OFFSET_MAX, "seconds"};

static const struct key offset_keys[] = {
        {"monotonic", read_offset, offsetof(struct config_time_offsets, monotonic), &offset_rule,
         NULL},
        {"boottime", read_offset, offsetof(struct config_time_offsets, boottime), &offset_rule,
         NULL},
};

static const struct schema offset_schema = {
        .what = "the time offsets",
        .keys = offset_keys,
        .count = ARRAY_SIZE(offset_keys),
};

void read_time_offsets(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        struct config_time_offsets *offsets = member;

        (void)rule;
        if (read_object(reader, node, &offset_schema, offsets))
                offsets->given = true;
}

void read_new_privs(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        bool wanted = false;

        (void)member;
        read_boolean(reader, node, &wanted, rule);
        if (wanted)
                fault_value(
                        reader, node,
                        "found true, expected false: a worker enters a Landlock domain and adds "
                        "a filter of its own, and the kernel lets only those do so that can "
                        "gain no privileges any more, or that hold CAP_SYS_ADMIN");
}
