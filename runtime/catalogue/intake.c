#include "runtime/catalogue/intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "isolation/plan.h"
#include "runtime/catalogue/text.h"

void intake_init(struct intake *intake)
{
        *intake = (struct intake){.phase = DISCOVERY_CONFINING};
}

void intake_finish(struct intake *intake)
{
        catalogue_module_destroy(intake->module);
        intake->module = NULL;
}

/* --- fields --------------------------------------------------------------------------------- */

#define TERMINATED(field) (memchr((field), 0, sizeof(field)) != NULL)

static int unusable(struct error *error, const char *what, const char *field, size_t size,
                    const char *expected)
{
        char shown[72];

        text_show(field, size, shown, sizeof(shown));
        return error_say(error, EBADMSG, "%s \"%s\" cannot be used; expected %s", what, shown,
                         expected);
}

/* Whoever gives `valid` knows the field to be terminated. */
#define CHECK(error, valid, what, field, expected)                                                 \
        ((valid) ? 0 : unusable((error), (what), (field), sizeof(field), (expected)))

static int copy(const char *text, char **ret_copy, struct error *error)
{
        *ret_copy = strdup(text);
        return *ret_copy ? 0 : error_set(error, ENOMEM, "copying what the module says");
}

static int copy_unless_empty(const char *text, char **ret_copy, struct error *error)
{
        return text[0] ? copy(text, ret_copy, error) : 0;
}

/* --- one function for each message: check, then copy ------------------------------------------ */

static int take_confined(struct intake *intake, const void *packet, struct error *error)
{
        (void)packet;
        (void)error;
        intake->phase = DISCOVERY_LOADING;
        return 0;
}

static int take_failed(struct intake *intake, const void *packet, struct error *error)
{
        const struct discovery_failed *failed = packet;
        const struct error *theirs = &failed->error;
        char text[ERROR_TEXT_SIZE], remedy[ERROR_REMEDY_SIZE];

        if (failed->fault < DISCOVERY_FAULT_SANDBOX || failed->fault >= DISCOVERY_FAULTS_ ||
            theirs->code <= 0 || theirs->code > 4095 || !theirs->text[0] ||
            !TERMINATED(theirs->text) || !TERMINATED(theirs->remedy))
                return error_say(error, EBADMSG, "clade-discovery sent a failure of no sense");
        text_show(theirs->text, sizeof(theirs->text), text, sizeof(text));
        text_show(theirs->remedy, sizeof(theirs->remedy), remedy, sizeof(remedy));

        /* After CONFINED the module's code may be the sender: it cannot blame the host any more. */
        intake->fault = (enum discovery_fault)failed->fault;
        if (intake->phase != DISCOVERY_CONFINING && intake->fault == DISCOVERY_FAULT_SANDBOX)
                intake->fault = DISCOVERY_FAULT_MODULE;
        intake->phase = DISCOVERY_ENDED;

        /* The text has the errno's name in it already. */
        *error = (struct error){.code = theirs->code};
        memcpy(error->text, text, sizeof(text));
        memcpy(error->remedy, remedy, sizeof(remedy));
        return -error->code;
}

static int take_module(struct intake *intake, const void *packet, struct error *error)
{
        const struct discovery_module *message = packet;
        struct catalogue_module *module;
        int r;

        r = CHECK(error, TERMINATED(message->type) && text_is_type(message->type), "type",
                  message->type, "lower case letters, digits and \"-\", at most 31");
        if (r < 0)
                return r;
        r = CHECK(error, TERMINATED(message->version) && version_valid(message->version), "version",
                  message->version, "numbers separated by dots, at most 31 characters");
        if (r < 0)
                return r;
        if (message->aliases > DISCOVERY_ALIASES_MAX || message->options > DISCOVERY_OPTIONS_MAX ||
            message->mounts > DISCOVERY_MOUNTS_MAX)
                return error_say(error, EBADMSG,
                                 "%u aliases, %u options and %u mounts are too many; there may be "
                                 "%d, %d and %d",
                                 message->aliases, message->options, message->mounts,
                                 DISCOVERY_ALIASES_MAX, DISCOVERY_OPTIONS_MAX,
                                 DISCOVERY_MOUNTS_MAX);

        if (message->flags & ~(uint32_t)CLADE_COUNTS_REQUESTS)
                return error_say(error, EBADMSG, "flags %#x, of which not all are known",
                                 message->flags);

        module = intake->module = catalogue_module_create();
        if (!module)
                return error_set(error, ENOMEM, "taking in a module");
        module->aliases = calloc(message->aliases + 1, sizeof(*module->aliases));
        module->options = calloc(message->options + 1, sizeof(*module->options));
        module->mounts = calloc(message->mounts + 1, sizeof(*module->mounts));
        if (!module->aliases || !module->options || !module->mounts)
                return error_set(error, ENOMEM, "taking in a module");
        intake->aliases_room = message->aliases;
        intake->options_room = message->options;
        intake->mounts_room = message->mounts;
        module->counts_requests = message->flags & CLADE_COUNTS_REQUESTS;
        r = copy(message->type, &module->type, error);
        if (r == 0)
                r = copy(message->version, &module->version, error);
        intake->phase = DISCOVERY_DESCRIBING;
        return r;
}

static int more_than_announced(struct error *error, const char *what, size_t announced)
{
        return error_say(error, EBADMSG, "clade-discovery announced %zu %s and sent more",
                         announced, what);
}

static int take_alias(struct intake *intake, const void *packet, struct error *error)
{
        const struct discovery_alias *alias = packet;
        int r;

        if (intake->aliases == intake->aliases_room)
                return more_than_announced(error, "aliases", intake->aliases_room);
        r = CHECK(error, TERMINATED(alias->name) && text_is_type(alias->name), "alias", alias->name,
                  "lower case letters, digits and \"-\", at most 31");
        if (r < 0)
                return r;
        return copy(alias->name, &intake->module->aliases[intake->aliases++], error);
}

/* Keys that mean something in every application: an option of such a name could never be set. */
static bool is_reserved(const char *name)
{
        static const char *const reserved[] = {
                "type",   "processes", "environment", "working_directory", "stdout",
                "stderr", "user",      "group",       "isolation",         "limits",
        };

        for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
                if (strcmp(reserved[i], name) == 0)
                        return true;
        return false;
}

/* "a|b": words that are not empty. */
static bool choices_valid(const char *choices)
{
        size_t length = strlen(choices);

        return text_is_plain(choices) && choices[0] != '|' && choices[length - 1] != '|' &&
               !strstr(choices, "||");
}

/* Whether they are keys of the configuration, each another one: the members that a target can have. */
static bool members_valid(const char *choices)
{
        for (const char *word = choices; *word;) {
                size_t length = strcspn(word, "|");
                char member[DISCOVERY_TEXT_SIZE];

                memcpy(member, word, length);
                member[length] = '\0';
                if (!text_is_key(member))
                        return false;
                word += length + (word[length] == '|');
                for (const char *other = word; *other;) {
                        size_t other_length = strcspn(other, "|");

                        if (other_length == length && memcmp(other, member, length) == 0)
                                return false;
                        other += other_length + (other[other_length] == '|');
                }
        }
        return true;
}

static int check_choices(const struct catalogue_module *module,
                         const struct discovery_option *option, struct error *error)
{
        bool targets = option->type == CLADE_TARGETS;

        if (!TERMINATED(option->choices) ||
            (option->choices[0] &&
             ((option->type != CLADE_STRING && !targets) || !choices_valid(option->choices))))
                return error_say(error, EBADMSG,
                                 "option %s has choices that cannot be used; expected \"a|b\", for "
                                 "a CLADE_STRING or CLADE_TARGETS, at most 255 bytes",
                                 option->name);
        if (!targets)
                return 0;
        if (!option->choices[0] || !members_valid(option->choices))
                return error_say(
                        error, EBADMSG,
                        "option %s is a CLADE_TARGETS without choices that name a target's "
                        "members; expected \"a|b\": lower case letters, digits and "
                        "underscores, none twice",
                        option->name);
        for (size_t i = 0; i < module->option_count; i++)
                if (module->options[i].type == CLADE_TARGETS)
                        return error_say(error, EBADMSG,
                                         "option %s is a second CLADE_TARGETS beside %s; there may "
                                         "be one",
                                         option->name, module->options[i].name);
        return 0;
}

static int check_option(const struct catalogue_module *module,
                        const struct discovery_option *option, struct error *error)
{
        int r = CHECK(error, TERMINATED(option->name) && text_is_key(option->name), "option",
                      option->name, "lower case letters, digits and underscores, at most 63");

        if (r < 0)
                return r;
        if (is_reserved(option->name))
                return error_say(error, EBADMSG, "option %s has the name of a key of clade's",
                                 option->name);
        for (size_t i = 0; i < module->option_count; i++)
                if (strcmp(module->options[i].name, option->name) == 0)
                        return error_say(error, EBADMSG, "option %s is there twice", option->name);
        if (option->type > CLADE_TARGETS || option->required > 1)
                return error_say(error, EBADMSG,
                                 "option %s has type %u and required %u; expected an enum "
                                 "clade_type, and 0 or 1",
                                 option->name, option->type, option->required);
        if (option->type == CLADE_INTEGER && option->minimum > option->maximum)
                return error_say(error, EBADMSG,
                                 "option %s allows no value: its minimum is above "
                                 "its maximum",
                                 option->name);
        if (!TERMINATED(option->help) || !text_is_plain(option->help))
                return error_say(error, EBADMSG,
                                 "option %s has texts that cannot be shown; "
                                 "expected at most 255 bytes of UTF-8, in one line",
                                 option->name);
        return check_choices(module, option, error);
}

static int take_option(struct intake *intake, const void *packet, struct error *error)
{
        const struct discovery_option *message = packet;
        struct catalogue_module *module = intake->module;
        struct catalogue_option *option;
        int r;

        if (module->option_count == intake->options_room)
                return more_than_announced(error, "options", intake->options_room);
        r = check_option(module, message, error);
        if (r < 0)
                return r;
        option = &module->options[module->option_count++];
        option->type = (enum clade_type)message->type;
        option->required = message->required;
        option->minimum = message->minimum;
        option->maximum = message->maximum;
        r = copy(message->name, &option->name, error);
        if (r == 0)
                r = copy_unless_empty(message->choices, &option->choices, error);
        if (r == 0)
                r = copy_unless_empty(message->help, &option->help, error);
        return r;
}

static int take_mount(struct intake *intake, const void *packet, struct error *error)
{
        static const char expected[] =
                "an absolute path without \".\", \"..\" and doubled slashes, in UTF-8";
        const struct discovery_mount *message = packet;
        struct catalogue_module *module = intake->module;
        struct catalogue_mount *mount;
        int r;

        if (module->mount_count == intake->mounts_room)
                return more_than_announced(error, "mounts", intake->mounts_room);
        r = CHECK(error,
                  TERMINATED(message->source) && plan_target_valid(message->source) &&
                          text_is_plain(message->source),
                  "mount source", message->source, expected);
        if (r < 0)
                return r;
        r = CHECK(error,
                  TERMINATED(message->target) && plan_target_valid(message->target) &&
                          text_is_plain(message->target),
                  "mount target", message->target, expected);
        if (r < 0)
                return r;
        if (message->optional > 1)
                return error_say(error, EBADMSG, "mount %s has optional %u; expected 0 or 1",
                                 message->target, message->optional);
        mount = &module->mounts[module->mount_count++];
        mount->optional = message->optional;
        r = copy(message->source, &mount->source, error);
        if (r == 0)
                r = copy(message->target, &mount->target, error);
        return r;
}

static int take_done(struct intake *intake, const void *packet, struct error *error)
{
        const struct catalogue_module *module = intake->module;

        (void)packet;
        if (intake->aliases != intake->aliases_room ||
            module->option_count != intake->options_room ||
            module->mount_count != intake->mounts_room)
                return error_say(error, EBADMSG,
                                 "clade-discovery announced %zu aliases, %zu options and %zu "
                                 "mounts, and sent %zu, %zu and %zu",
                                 intake->aliases_room, intake->options_room, intake->mounts_room,
                                 intake->aliases, module->option_count, module->mount_count);
        intake->phase = DISCOVERY_ENDED;
        return 0;
}

int intake_packet(struct intake *intake, const void *packet, size_t size, struct error *error)
{
        static int (*const take[])(struct intake *, const void *, struct error *) = {
                [DISCOVERY_CONFINED] = take_confined, [DISCOVERY_FAILED] = take_failed,
                [DISCOVERY_MODULE] = take_module,     [DISCOVERY_ALIAS] = take_alias,
                [DISCOVERY_OPTION] = take_option,     [DISCOVERY_MOUNT] = take_mount,
                [DISCOVERY_DONE] = take_done,
        };
        const struct message_rule *rule =
                message_check(&discovery_table, intake->phase, packet, size, &intake->seen, error);
        int r = rule ? take[rule->type](intake, packet, error) : -EBADMSG;

        if (r < 0) {
                intake->phase = DISCOVERY_ENDED;
                intake_finish(intake);
        }
        return r;
}
