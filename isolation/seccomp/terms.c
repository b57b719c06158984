/* What a profile says of itself, without making a program of it. */
#include "isolation/seccomp/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

static void names_free(char **names)
{
        for (char **name = names; name && *name; name++)
                free(*name);
        free(names);
}

void seccomp_profile_finish(struct seccomp_profile *profile)
{
        for (size_t i = 0; i < profile->rule_count; i++) {
                names_free(profile->rules[i].names);
                free(profile->rules[i].arguments);
        }
        free(profile->rules);
        free(profile->file);
        *profile = (struct seccomp_profile){.file = NULL};
}

static void action_fields(struct codec *codec, struct seccomp_action *action)
{
        codec_u32(codec, &action->kind);
        codec_u32(codec, &action->data);
}

static void terms_fields(struct codec *codec, struct seccomp_terms *terms)
{
        codec_bool(codec, &terms->arches);
        codec_bool(codec, &terms->native);
        codec_u64(codec, &terms->capabilities);
        codec_bool(codec, &terms->unknown_capability);
        codec_u32(codec, &terms->kernel);
}

static void rule_fields(struct codec *codec, struct seccomp_rule *rule)
{
        codec_strings(codec, &rule->names);
        action_fields(codec, &rule->action);
        if (CODEC_ARRAY(codec, &rule->arguments, &rule->argument_count))
                for (size_t i = 0; i < rule->argument_count; i++) {
                        codec_u32(codec, &rule->arguments[i].index);
                        codec_u32(codec, &rule->arguments[i].comparison);
                        codec_u64(codec, &rule->arguments[i].value);
                        codec_u64(codec, &rule->arguments[i].value_two);
                }
        terms_fields(codec, &rule->includes);
        terms_fields(codec, &rule->excludes);
}

void seccomp_profile_fields(struct codec *codec, struct seccomp_profile *profile)
{
        codec_string(codec, &profile->file);
        action_fields(codec, &profile->default_action);
        codec_u32(codec, &profile->flags);
        if (CODEC_ARRAY(codec, &profile->rules, &profile->rule_count))
                for (size_t i = 0; i < profile->rule_count; i++)
                        rule_fields(codec, &profile->rules[i]);
}

/* As the container engines read them: all that is included must be there, nothing that is excluded may be. */
bool seccomp_rule_applies(const struct seccomp_rule *rule, uint64_t capabilities, uint32_t kernel)
{
        const struct seccomp_terms *in = &rule->includes, *out = &rule->excludes;

        if ((in->arches && !in->native) || in->unknown_capability ||
            (in->capabilities & ~capabilities) || in->kernel > kernel)
                return false;
        return !(out->arches && out->native) && !(out->capabilities & capabilities) &&
               !(out->kernel && out->kernel <= kernel);
}

uint32_t seccomp_kernel(void)
{
        struct utsname name;
        unsigned major = 0, minor = 0;

        /* "6.18.44-fly"; a name that is none makes the rules for newer kernels not count */
        if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2 ||
            major > UINT16_MAX || minor > UINT16_MAX)
                return 0;
        return SECCOMP_KERNEL(major, minor);
}

bool seccomp_profile_asks(const struct seccomp_profile *profile)
{
        for (size_t i = 0; i < profile->rule_count; i++) {
                const struct seccomp_terms *in = &profile->rules[i].includes;
                const struct seccomp_terms *out = &profile->rules[i].excludes;

                if (in->capabilities || out->capabilities || in->kernel || out->kernel)
                        return true;
        }
        return false;
}

/* Two conditions on one argument are two rules, of which one must be met: so the container engines have it,
 * and libseccomp cannot say it otherwise. */
bool seccomp_rule_is_any(const struct seccomp_rule *rule)
{
        unsigned seen = 0;

        for (size_t i = 0; i < rule->argument_count; i++) {
                unsigned bit = 1u << rule->arguments[i].index;

                if (seen & bit)
                        return true;
                seen |= bit;
        }
        return false;
}
