#include "runtime/discovery/describe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/channel.h"
#include "base/own.h"
#include "runtime/protocol/discovery.h"
#include "runtime/protocol/messages.h" /* MESSAGE_INIT */

struct clade_failure {
        struct error error;
};

/* What the module's functions added. `public` is first: a description is one of these. */
struct description {
        struct clade_description public;
        struct clade_failure failure;
        char version[DISCOVERY_TYPE_SIZE];
        struct discovery_mount *mounts; /* finished messages */
        size_t mount_count, mount_room;
};

/* Copies a module's string into a field. A string that does not fit is refused, never cut. */
static int put(char *field, size_t size, const char *text, const char *what, struct error *error)
{
        if (!text)
                return error_say(error, EBADMSG, "%s is NULL", what);
        if (strnlen(text, size) == size) {
                error_say(error, EBADMSG, "%s is too long: \"%.40s...\"", what, text);
                return error_remedy(error, "at most %zu bytes are possible", size - 1);
        }
        memcpy(field, text, strlen(text) + 1);
        return 0;
}

/* --- what the module calls ------------------------------------------------------------------- */

static int host_fail(struct clade_failure *failure, int code, const char *remedy,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

static int host_fail(struct clade_failure *failure, int code, const char *remedy,
                     const char *format, ...)
{
        char text[ERROR_TEXT_SIZE];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        error_set(&failure->error, code > 0 && code < 4096 ? code : EINVAL, "%s", text);
        if (remedy)
                error_remedy(&failure->error, "%s", remedy);
        return -failure->error.code;
}

static int description_version(struct clade_description *public, const char *version)
{
        struct description *description = (struct description *)public;

        return put(description->version, sizeof(description->version), version, "version",
                   &description->failure.error);
}

static int add_mount(struct description *description, const struct clade_mount *mount,
                     struct error *error)
{
        struct discovery_mount message = MESSAGE_INIT(DISCOVERY_MOUNT, struct discovery_mount);
        int r;

        if (description->mount_count == DISCOVERY_MOUNTS_MAX)
                return error_say(error, EBADMSG, "more than %d mounts", DISCOVERY_MOUNTS_MAX);
        r = put(message.source, sizeof(message.source), mount->source, "mount source", error);
        if (r == 0)
                r = put(message.target, sizeof(message.target),
                        mount->target ? mount->target : mount->source, "mount target", error);
        if (r < 0)
                return r;
        message.optional = mount->optional != 0;

        if (description->mount_count == description->mount_room) {
                size_t room = description->mount_room ? description->mount_room * 2 : 16;
                void *grown = reallocarray(description->mounts, room, sizeof(*description->mounts));

                if (!grown)
                        return error_set(error, ENOMEM, "remembering mounts");
                description->mounts = grown;
                description->mount_room = room;
        }
        description->mounts[description->mount_count++] = message;
        return 0;
}

static int description_mount(struct clade_description *public, const struct clade_mount *mount)
{
        struct description *description = (struct description *)public;

        return add_mount(description, mount, &description->failure.error);
}

static const struct clade_host host = {.fail = host_fail};

/* --- in the order of the messages ---------------------------------------------------------- */

static int collect(struct description *description, const struct clade_module *module,
                   struct error *error)
{
        int r;

        if (module->version) {
                r = put(description->version, sizeof(description->version), module->version,
                        "version", error);
                if (r < 0)
                        return r;
        }
        for (const struct clade_mount *mount = module->mounts; mount && mount->source; mount++) {
                r = add_mount(description, mount, error);
                if (r < 0)
                        return r;
        }
        if (!module->describe)
                return 0;
        r = module->describe(&description->public);
        if (r >= 0)
                return 0;
        *error = description->failure.error;
        if (!error->code)
                error_set(error, -r < 4096 ? -r : EINVAL, "it gave no reason");
        return error_prefix(error, "describe");
}

static int send_module(const struct description *description, const struct clade_module *module,
                       int channel, struct error *error)
{
        struct discovery_module message = MESSAGE_INIT(DISCOVERY_MODULE, struct discovery_module);
        int r;

        r = put(message.type, sizeof(message.type), module->type, "type", error);
        if (r < 0)
                return r;
        memcpy(message.version, description->version, sizeof(message.version));
        /* Counting stops at what would be refused anyway. */
        for (const char *const *alias = module->aliases;
             alias && *alias && message.aliases <= DISCOVERY_ALIASES_MAX; alias++)
                message.aliases++;
        for (const struct clade_option *option = module->options;
             option && option->name && message.options <= DISCOVERY_OPTIONS_MAX; option++)
                message.options++;
        message.mounts = (uint32_t)description->mount_count;
        message.flags = module->flags;
        return channel_send(channel, &message, sizeof(message));
}

static int send_alias(const char *alias, int channel, struct error *error)
{
        struct discovery_alias message = MESSAGE_INIT(DISCOVERY_ALIAS, struct discovery_alias);
        int r = put(message.name, sizeof(message.name), alias, "alias", error);

        return r < 0 ? r : channel_send(channel, &message, sizeof(message));
}

static int send_option(const struct clade_option *option, int channel, struct error *error)
{
        struct discovery_option message = MESSAGE_INIT(DISCOVERY_OPTION, struct discovery_option);
        int r;

        r = put(message.name, sizeof(message.name), option->name, "option name", error);
        if (r == 0 && option->choices)
                r = put(message.choices, sizeof(message.choices), option->choices, "choices",
                        error);
        if (r == 0 && option->help)
                r = put(message.help, sizeof(message.help), option->help, "help", error);
        if (r < 0)
                return r;
        message.type = option->type;
        message.required = (uint32_t)option->required;
        message.minimum = option->minimum;
        message.maximum = option->maximum;
        return channel_send(channel, &message, sizeof(message));
}

static int send_all(const struct description *description, const struct clade_module *module,
                    int channel, struct error *error)
{
        struct discovery_done done = MESSAGE_INIT(DISCOVERY_DONE, struct discovery_done);
        int r = send_module(description, module, channel, error);

        for (const char *const *alias = module->aliases; r == 0 && alias && *alias; alias++)
                r = send_alias(*alias, channel, error);
        for (const struct clade_option *option = module->options; r == 0 && option && option->name;
             option++)
                r = send_option(option, channel, error);
        for (size_t i = 0; r == 0 && i < description->mount_count; i++)
                r = channel_send(channel, &description->mounts[i], sizeof(*description->mounts));
        if (r == 0)
                r = channel_send(channel, &done, sizeof(done));
        return r;
}

int describe_module(const struct clade_module *module, int channel, struct error *error)
{
        struct description description = {.public = {.host = &host,
                                                     .version = description_version,
                                                     .mount = description_mount}};
        int r;

        description.public.failure = &description.failure;
        r = collect(&description, module, error);
        if (r == 0)
                r = send_all(&description, module, channel, error);
        if (r < 0 && !error->code)
                error_set(error, -r, "telling the supervisor");
        free(description.mounts);
        return r;
}
