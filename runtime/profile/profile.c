#include "runtime/profile/profile.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "runtime/config/reader.h"
#include "runtime/config/syntax.h"
#include "runtime/config/values.h"
#include "runtime/profile/terms.h"

#define NAME_MAX_BYTES 63 /* the longest call's name has 23 */

/* A value that JSON's absent and null both leave away. */
static bool absent(const struct node *node)
{
        return json_is_null(node->json);
}

static void read_comment(struct reader *reader, const struct node *node, void *member,
                         const void *rule)
{
        const char *ignored;

        (void)member;
        (void)rule;
        value_string(reader, node, "a string", &ignored);
}

/* --- actions ------------------------------------------------------------------------------------ */

static const char *const action_names[] = {
        "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL",
        "SCMP_ACT_TRAP",         "SCMP_ACT_ERRNO",       "SCMP_ACT_TRACE",
        "SCMP_ACT_ALLOW",        "SCMP_ACT_LOG",         "SCMP_ACT_NOTIFY",
};

static const uint32_t action_kinds[ARRAY_SIZE(action_names)] = {
        SECCOMP_KILL_PROCESS, SECCOMP_KILL_THREAD, SECCOMP_KILL_THREAD,
        SECCOMP_TRAP,         SECCOMP_ERRNO,       SECCOMP_TRACE,
        SECCOMP_ALLOW,        SECCOMP_LOG,         SECCOMP_ACTION_KINDS,
};

/* An action and what belongs to it, while they are read. */
struct action_draft {
        struct seccomp_action action;
        bool known, has_errno;
        uint32_t code;
};

static void read_action(struct reader *reader, const struct node *node, void *member,
                        const void *rule)
{
        struct action_draft *draft = member;
        int index = read_word(reader, node, "an action", "SCMP_ACT_ALLOW", action_names,
                              ARRAY_SIZE(action_names));

        (void)rule;
        if (index < 0)
                return;
        if (action_kinds[index] == SECCOMP_ACTION_KINDS) {
                fault_value(reader, node,
                            "clade has no agent that notifications could go to: expected another "
                            "action, as in \"SCMP_ACT_ERRNO\"");
                return;
        }
        draft->action.kind = action_kinds[index];
        draft->known = true;
}

/* After the action, which decides whether it has one. */
static void read_errno(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        struct action_draft *draft = member;
        int64_t value;

        if (absent(node) || !value_integer(reader, node, rule, &value))
                return;
        if (draft->known && draft->action.kind != SECCOMP_ERRNO &&
            draft->action.kind != SECCOMP_TRACE)
                fault_key(reader, node,
                          "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE return a number: remove it");
        draft->has_errno = true;
        draft->code = (uint32_t)value;
}

/* As the specification has it: EPERM where nothing else is said. */
static struct seccomp_action action_of(const struct action_draft *draft)
{
        struct seccomp_action action = draft->action;

        if (action.kind == SECCOMP_ERRNO || action.kind == SECCOMP_TRACE)
                action.data = draft->has_errno ? draft->code : EPERM;
        return action;
}

/* --- arguments ---------------------------------------------------------------------------------- */

static const char *const comparison_names[SECCOMP_COMPARISONS] = {
        [SECCOMP_NE] = "SCMP_CMP_NE",
        [SECCOMP_LT] = "SCMP_CMP_LT",
        [SECCOMP_LE] = "SCMP_CMP_LE",
        [SECCOMP_EQ] = "SCMP_CMP_EQ",
        [SECCOMP_GE] = "SCMP_CMP_GE",
        [SECCOMP_GT] = "SCMP_CMP_GT",
        [SECCOMP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
};

static void read_comparison(struct reader *reader, const struct node *node, void *member,
                            const void *rule)
{
        int index = read_word(reader, node, "a comparison", "SCMP_CMP_EQ", comparison_names,
                              SECCOMP_COMPARISONS);

        (void)rule;
        if (index >= 0)
                *(uint32_t *)member = (uint32_t)index;
}

static void read_value(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        int64_t value;

        if (value_integer(reader, node, rule, &value))
                *(uint64_t *)member = (uint64_t)value;
}

static const struct key argument_keys[] = {
        {"index", read_u32, offsetof(struct seccomp_argument, index),
         &(const struct integer_rule){0, SECCOMP_ARGUMENTS_MAX - 1, NULL},
         "the number of the argument, from 0"},
        {"value", read_value, offsetof(struct seccomp_argument, value),
         &(const struct integer_rule){0, INT64_MAX, NULL}, "what it is compared with"},
        {"valueTwo", read_value, offsetof(struct seccomp_argument, value_two),
         &(const struct integer_rule){0, INT64_MAX, NULL}, NULL},
        {"op", read_comparison, offsetof(struct seccomp_argument, comparison), NULL,
         "a comparison, as in \"SCMP_CMP_EQ\""},
};

static const struct schema argument_schema = {
        .what = "a condition on an argument",
        .keys = argument_keys,
        .count = ARRAY_SIZE(argument_keys),
};

static void read_arguments(struct reader *reader, const struct node *node, void *member,
                           const void *unused)
{
        struct seccomp_rule *rule = member;
        size_t count = json_array_size(node->json);

        (void)unused;
        if (absent(node))
                return;
        if (!json_is_array(node->json) || count > SECCOMP_ARGUMENTS_MAX) {
                fault_expected(reader, node, "an array of at most 6 conditions");
                return;
        }
        rule->arguments = calloc(count + 1, sizeof(*rule->arguments));
        if (!rule->arguments) {
                reader_no_memory(reader);
                return;
        }
        for (size_t i = 0; i < count; i++) {
                const struct node element = NODE_ELEMENT(node, i);
                struct seccomp_argument *argument = &rule->arguments[rule->argument_count];

                *argument = (struct seccomp_argument){.index = 0};
                if (!read_object(reader, &element, &argument_schema, argument))
                        continue;
                if (argument->comparison == SECCOMP_MASKED_EQ &&
                    (argument->value_two & ~argument->value))
                        fault_value(reader, &element,
                                    "this can never be met: \"value\" is the mask, and "
                                    "\"valueTwo\" has bits outside it");
                rule->argument_count++;
        }
}

/* --- rules -------------------------------------------------------------------------------------- */

struct rule_draft {
        struct seccomp_rule rule;
        struct action_draft action;
        size_t count; /* of names */
};

static bool good_name(const char *name)
{
        size_t length = strlen(name);

        return length > 0 && length <= NAME_MAX_BYTES &&
               strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

/* `names` has room for one more and a NULL behind it. */
static void add_name(struct reader *reader, const struct node *node, struct rule_draft *draft)
{
        static const char expected[] = "the name of a system call, as in \"openat\"";
        const char *name;

        if (!value_string(reader, node, expected, &name))
                return;
        if (!good_name(name)) {
                fault_expected(reader, node, expected);
                return;
        }
        store_string(reader, &draft->rule.names[draft->count], name);
        draft->count += draft->rule.names[draft->count] != NULL;
}

static void read_names(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        struct rule_draft *draft = member;
        size_t count = json_array_size(node->json);

        (void)rule;
        if (absent(node))
                return;
        if (!json_is_array(node->json) || count == 0) {
                fault_expected(reader, node, "an array of names of system calls, at least one");
                return;
        }
        draft->rule.names = calloc(count + 1, sizeof(*draft->rule.names));
        if (!draft->rule.names) {
                reader_no_memory(reader);
                return;
        }
        for (size_t i = 0; i < count; i++) {
                const struct node element = NODE_ELEMENT(node, i);

                add_name(reader, &element, draft);
        }
}

/* Docker's first form, one call in each rule. */
static void read_name(struct reader *reader, const struct node *node, void *member,
                      const void *rule)
{
        struct rule_draft *draft = member;

        (void)rule;
        if (absent(node) || (json_is_string(node->json) && json_string_length(node->json) == 0))
                return; /* as it is written beside "names" */
        if (draft->rule.names) {
                fault_key(reader, node, "there is \"names\" already: expected one of the two");
                return;
        }
        draft->rule.names = calloc(2, sizeof(*draft->rule.names));
        if (draft->rule.names)
                add_name(reader, node, draft);
        else
                reader_no_memory(reader);
}

static const struct key rule_keys[] = {
        {"names", read_names, 0, NULL, NULL},
        {"name", read_name, 0, NULL, NULL},
        {"action", read_action, offsetof(struct rule_draft, action), NULL,
         "an action, as in \"SCMP_ACT_ALLOW\""},
        {"errnoRet", read_errno, offsetof(struct rule_draft, action),
         &(const struct integer_rule){0, SECCOMP_ERRNO_MAX, NULL}, NULL},
        {"args", read_arguments, offsetof(struct rule_draft, rule), NULL, NULL},
        {"includes", read_includes, offsetof(struct rule_draft, rule.includes), NULL, NULL},
        {"excludes", read_excludes, offsetof(struct rule_draft, rule.excludes), NULL, NULL},
        {"comment", read_comment, 0, NULL, NULL},
};

static const struct schema rule_schema = {
        .what = "a rule",
        .keys = rule_keys,
        .count = ARRAY_SIZE(rule_keys),
};

static void read_rules(struct reader *reader, const struct node *node, void *member,
                       const void *unused)
{
        struct seccomp_profile *profile = member;
        size_t count = json_array_size(node->json);

        (void)unused;
        if (absent(node))
                return;
        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of rules");
                return;
        }
        profile->rules = calloc(count + 1, sizeof(*profile->rules));
        if (!profile->rules) {
                reader_no_memory(reader);
                return;
        }
        for (size_t i = 0; i < count; i++) {
                const struct node element = NODE_ELEMENT(node, i);
                struct rule_draft draft = {.rule = {.place = i}};

                if (read_object(reader, &element, &rule_schema, &draft) && !draft.rule.names &&
                    !json_object_get(element.json, "names") &&
                    !json_object_get(element.json, "name"))
                        fault_value(reader, &element,
                                    "\"names\" is missing in a rule: expected an array of names of "
                                    "system calls");
                /* Kept also when it is faulty: whoever frees the profile frees it. */
                draft.rule.action = action_of(&draft.action);
                profile->rules[profile->rule_count++] = draft.rule;
        }
}

/* --- the whole ---------------------------------------------------------------------------------- */

struct profile_draft {
        struct seccomp_profile profile;
        struct action_draft action;
};

static void read_flags(struct reader *reader, const struct node *node, void *member,
                       const void *rule)
{
        static const char *const names[] = {
                "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                "SECCOMP_FILTER_FLAG_TSYNC", /* says nothing here: there is one thread */
        };
        static const uint32_t bits[ARRAY_SIZE(names)] = {
                SECCOMP_FILTER_FLAG_LOG,
                SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                0,
        };

        (void)rule;
        if (absent(node))
                return;
        if (!json_is_array(node->json)) {
                fault_expected(reader, node, "an array of flags");
                return;
        }
        for (size_t i = 0; i < json_array_size(node->json); i++) {
                const struct node element = NODE_ELEMENT(node, i);
                int index = read_word(reader, &element, "a flag that clade knows", names[0], names,
                                      ARRAY_SIZE(names));

                if (index >= 0)
                        *(uint32_t *)member |= bits[index];
        }
}

static void refuse_listener(struct reader *reader, const struct node *node, void *member,
                            const void *rule)
{
        (void)member;
        (void)rule;
        if (!absent(node) && json_string_length(node->json) > 0)
                fault_key(reader, node,
                          "clade has no agent that notifications could go to: remove it");
}

static const struct key profile_keys[] = {
        {"defaultAction", read_action, offsetof(struct profile_draft, action), NULL,
         "an action, as in \"SCMP_ACT_ERRNO\""},
        {"defaultErrnoRet", read_errno, offsetof(struct profile_draft, action),
         &(const struct integer_rule){0, SECCOMP_ERRNO_MAX, NULL}, NULL},
        {"architectures", read_architectures, 0, NULL, NULL},
        {"archMap", read_architecture_map, 0, NULL, NULL},
        {"flags", read_flags, offsetof(struct profile_draft, profile.flags), NULL, NULL},
        {"listenerPath", refuse_listener, 0, NULL, NULL},
        {"listenerMetadata", refuse_listener, 0, NULL, NULL},
        {"syscalls", read_rules, offsetof(struct profile_draft, profile), NULL, NULL},
        {"comment", read_comment, 0, NULL, NULL},
};

static const struct schema profile_schema = {
        .what = "a seccomp profile",
        .keys = profile_keys,
        .count = ARRAY_SIZE(profile_keys),
};

int profile_parse(const char *file, const char *text, size_t size,
                  struct seccomp_profile *ret_profile, struct diagnostics *diagnostics)
{
        struct profile_draft draft = {.profile = {.file = NULL}};
        struct reader reader = {.catalogue = NULL};
        struct node node = {.up = NULL};
        int r;

        if (size > PROFILE_FILE_MAX) {
                r = diagnostics_add(diagnostics, file, 0, 0, "",
                                    "the file has %zu bytes: expected at most %u", size,
                                    PROFILE_FILE_MAX);
                return r < 0 ? r : -EINVAL;
        }
        if (size == 0) {
                r = diagnostics_add(diagnostics, file, 1, 1, "",
                                    "the file is empty: expected an object with "
                                    "\"defaultAction\"");
                return r < 0 ? r : -EINVAL;
        }
        r = syntax_parse(file, text, size, &node.json, diagnostics);
        if (r < 0)
                return r;
        store_string(&reader, &draft.profile.file, file);
        read_object(&reader, &node, &profile_schema, &draft);
        draft.profile.default_action = action_of(&draft.action);
        r = reader_finish(&reader, file, text, size, diagnostics);
        json_decref(node.json);
        if (r < 0) {
                seccomp_profile_finish(&draft.profile);
                return r;
        }
        *ret_profile = draft.profile;
        return 0;
}

/* The first of them; there is one. */
static int tell(const struct diagnostics *diagnostics, struct error *error)
{
        const struct diagnostic *first = &diagnostics->list[0];
        size_t more = diagnostics->count - 1;

        if (first->line)
                error_say(error, EINVAL, "%s:%u:%u: %s%s%s", first->file, first->line,
                          first->column, first->pointer, first->pointer[0] ? ": " : "",
                          first->text);
        else
                error_say(error, EINVAL, "%s: %s", first->file, first->text);
        if (more)
                error_remedy(error, "%zu more error%s of this profile %s not shown", more,
                             more == 1 ? "" : "s", more == 1 ? "is" : "are");
        return -EINVAL;
}

int profile_read(int fd, const char *file, struct seccomp_profile *ret_profile, struct error *error)
{
        struct diagnostics diagnostics = {.count = 0};
        cleanup_free char *text = NULL;
        size_t size;
        int r = fd_read_file(fd, PROFILE_FILE_MAX, &text, &size);

        if (r < 0) {
                error_set(error, -r, "reading of seccomp profile %s", file);
                if (r == -EFBIG)
                        error_remedy(error, "a profile has at most %u bytes", PROFILE_FILE_MAX);
                return r;
        }
        r = profile_parse(file, text, size, ret_profile, &diagnostics);
        if (r == -EINVAL)
                tell(&diagnostics, error);
        else if (r < 0)
                error_set(error, -r, "seccomp profile %s", file);
        diagnostics_finish(&diagnostics);
        return r;
}
