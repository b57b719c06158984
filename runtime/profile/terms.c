#include "runtime/profile/terms.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>

#include "base/own.h"
#include "runtime/config/values.h"

#if defined(__x86_64__)
#define NATIVE "SCMP_ARCH_X86_64"
#elif defined(__aarch64__)
#define NATIVE "SCMP_ARCH_AARCH64"
#elif defined(__riscv)
#define NATIVE "SCMP_ARCH_RISCV64"
#elif defined(__s390x__)
#define NATIVE "SCMP_ARCH_S390X"
#elif defined(__powerpc64__)
#define NATIVE "SCMP_ARCH_PPC64LE"
#elif defined(__loongarch64)
#define NATIVE "SCMP_ARCH_LOONGARCH64"
#else
#error "name this machine's SCMP_ARCH_"
#endif

/* By the specification's name and by the one in "includes", which is Go's; side by side. */
static const char *const architectures[] = {
        "SCMP_ARCH_X86",         "SCMP_ARCH_X86_64",   "SCMP_ARCH_X32",     "SCMP_ARCH_ARM",
        "SCMP_ARCH_AARCH64",     "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",  "SCMP_ARCH_MIPS64N32",
        "SCMP_ARCH_MIPSEL",      "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_PPC",     "SCMP_ARCH_MIPSEL64N32",
        "SCMP_ARCH_PPC64",       "SCMP_ARCH_PPC64LE",  "SCMP_ARCH_S390",    "SCMP_ARCH_S390X",
        "SCMP_ARCH_PARISC",      "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64", "SCMP_ARCH_M68K",
        "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_SH",       "SCMP_ARCH_SHEB",
};

static const char *const go_names[] = {
        "x86",    "amd64",    "x32",     "arm",         "arm64",   "mips",    "mips64", "mips64n32",
        "mipsel", "mipsel64", "ppc",     "mipsel64n32", "ppc64",   "ppc64le", "s390",   "s390x",
        "parisc", "parisc64", "riscv64", "m68k",        "loong64", "sh",      "sheb",
};

_Static_assert(ARRAY_SIZE(architectures) == ARRAY_SIZE(go_names), "the same, side by side");

int read_word(struct reader *reader, const struct node *node, const char *what, const char *example,
              const char *const *names, size_t count)
{
        struct suggestion near;
        struct quoted found;
        const char *word;
        char expected[128];

        snprintf(expected, sizeof(expected), "%s, as in \"%s\"", what, example);
        if (!value_string(reader, node, expected, &word))
                return -1;
        near = (struct suggestion){.word = word};
        for (size_t i = 0; i < count; i++) {
                if (strcmp(names[i], word) == 0)
                        return (int)i;
                suggest_offer(&near, names[i]);
        }
        if (near.best)
                fault_value(reader, node, "%s is not %s: did you mean \"%s\"?",
                            text_quote(&found, word), what, near.best);
        else
                fault_expected(reader, node, expected);
        return -1;
}

/* --- architectures ----------------------------------------------------------------------------- */

static bool list_has_native(struct reader *reader, const struct node *node,
                            const char *const *names, const char *example, bool *ret_native)
{
        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of architectures");
                return false;
        }
        for (size_t i = 0; i < json_array_size(node->json); i++) {
                const struct node element = NODE_ELEMENT(node, i);
                int index = read_word(reader, &element, "an architecture", example, names,
                                      ARRAY_SIZE(architectures));

                if (index >= 0 && strcmp(architectures[index], NATIVE) == 0)
                        *ret_native = true;
        }
        return true;
}

static void fault_foreign(struct reader *reader, const struct node *node)
{
        fault_value(reader, node,
                    "the profile is for other machines: expected " NATIVE
                    " among its architectures, "
                    "or none at all");
}

void read_architectures(struct reader *reader, const struct node *node, void *member,
                        const void *rule)
{
        size_t faults = reader->fault_count;
        bool native = false;

        (void)member;
        (void)rule;
        if (!json_is_null(node->json) &&
            list_has_native(reader, node, architectures, NATIVE, &native) && !native &&
            json_array_size(node->json) > 0 && reader->fault_count == faults)
                fault_foreign(reader, node);
}

static void read_main(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        int index = read_word(reader, node, "an architecture", NATIVE, architectures,
                              ARRAY_SIZE(architectures));

        (void)rule;
        if (index >= 0 && strcmp(architectures[index], NATIVE) == 0)
                *(bool *)member = true;
}

/* Those that a kernel serves besides. They are known and not let in: see docs/seccomp.md. */
static void read_lesser(struct reader *reader, const struct node *node, void *member,
                        const void *rule)
{
        bool ignored = false;

        (void)member;
        (void)rule;
        if (!json_is_null(node->json))
                list_has_native(reader, node, architectures, "SCMP_ARCH_X86", &ignored);
}

static const struct key map_keys[] = {
        {"architecture", read_main, 0, NULL, "an architecture, as in \"" NATIVE "\""},
        {"subArchitectures", read_lesser, 0, NULL, NULL},
};

static const struct schema map_schema = {
        .what = "an entry of archMap",
        .keys = map_keys,
        .count = ARRAY_SIZE(map_keys),
};

void read_architecture_map(struct reader *reader, const struct node *node, void *member,
                           const void *rule)
{
        size_t faults = reader->fault_count;
        bool native = false;

        (void)member;
        (void)rule;
        if (json_is_null(node->json))
                return;
        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of objects with \"architecture\"");
                return;
        }
        for (size_t i = 0; i < json_array_size(node->json); i++) {
                const struct node element = NODE_ELEMENT(node, i);

                read_object(reader, &element, &map_schema, &native);
        }
        if (!native && json_array_size(node->json) > 0 && reader->fault_count == faults)
                fault_foreign(reader, node);
}

/* --- includes and excludes ---------------------------------------------------------------------- */

static void read_arches(struct reader *reader, const struct node *node, void *member,
                        const void *rule)
{
        struct seccomp_terms *terms = member;

        (void)rule;
        if (!json_is_null(node->json) &&
            list_has_native(reader, node, go_names, "amd64", &terms->native))
                terms->arches = json_array_size(node->json) > 0;
}

static void read_capability(struct reader *reader, const struct node *node,
                            struct seccomp_terms *terms)
{
        static const char expected[] = "a capability, as in \"CAP_SYS_ADMIN\"";
        const char *name;
        cap_value_t bit;

        if (!value_string(reader, node, expected, &name))
                return;
        if (strncmp(name, "CAP_", 4) != 0 ||
            strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != strlen(name))
                fault_expected(reader, node, expected);
        else if (cap_from_name(name, &bit) == 0 && bit < 64)
                terms->capabilities |= 1ull << bit;
        else
                terms->unknown_capability = true;
}

static void read_caps(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        (void)rule;
        if (json_is_null(node->json))
                return;
        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of capabilities");
                return;
        }
        for (size_t i = 0; i < json_array_size(node->json); i++) {
                const struct node element = NODE_ELEMENT(node, i);

                read_capability(reader, &element, member);
        }
}

/* One to four digits at *text, which moves behind them. */
static bool take_number(const char **text, unsigned *ret_number)
{
        size_t digits = strspn(*text, "0123456789");

        *ret_number = 0;
        if (digits == 0 || digits > 4)
                return false;
        for (; digits > 0; digits--)
                *ret_number = *ret_number * 10 + (unsigned)(*(*text)++ - '0');
        return true;
}

static void read_kernel(struct reader *reader, const struct node *node, void *member,
                        const void *rule)
{
        static const char expected[] = "a version of Linux, as in \"4.8\"";
        struct seccomp_terms *terms = member;
        unsigned major, minor;
        const char *text;

        (void)rule;
        if (!value_string(reader, node, expected, &text))
                return;
        if (!take_number(&text, &major) || *text++ != '.' || !take_number(&text, &minor) || *text ||
            (major == 0 && minor == 0))
                fault_expected(reader, node, expected);
        else
                terms->kernel = SECCOMP_KERNEL(major, minor);
}

static const struct key terms_keys[] = {
        {"arches", read_arches, 0, NULL, NULL},
        {"caps", read_caps, 0, NULL, NULL},
        {"minKernel", read_kernel, 0, NULL, NULL},
};

static void read_terms(struct reader *reader, const struct node *node, void *member,
                       const char *what)
{
        const struct schema schema = {what, terms_keys, ARRAY_SIZE(terms_keys), NULL, NULL};

        if (!json_is_null(node->json))
                read_object(reader, node, &schema, member);
}

void read_includes(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        (void)rule;
        read_terms(reader, node, member, "what includes a rule");
}

void read_excludes(struct reader *reader, const struct node *node, void *member, const void *rule)
{
        (void)rule;
        read_terms(reader, node, member, "what excludes a rule");
}
