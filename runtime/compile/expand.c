/* ${user} and the like in the content of a template's files. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "runtime/compile/template.h"

int template_expand(const struct template_context *context, const char *text, char **ret_text,
                    struct error *error)
{
        const struct {
                const char *name, *text;
                uint32_t number;
        } variables[] = {
                {"application", context->application, 0},
                {"user", context->user, 0},
                {"group", context->group, 0},
                {"uid", NULL, context->uid},
                {"gid", NULL, context->gid},
        };
        const size_t variable_count = sizeof(variables) / sizeof(variables[0]);
        cleanup_file FILE *out = NULL;
        size_t size;

        out = open_memstream(ret_text, &size);
        if (!out)
                return error_set(error, errno, "content");
        while (*text) {
                size_t plain = strcspn(text, "$"), length, i;

                fwrite(text, 1, plain, out);
                text += plain;
                if (text[0] == '$' && text[1] != '{')
                        fputc(*text++, out);
                if (text[0] != '$' || text[1] != '{')
                        continue;
                length = strcspn(text + 2, "}");
                for (i = 0; i < variable_count; i++)
                        if (strlen(variables[i].name) == length &&
                            strncmp(variables[i].name, text + 2, length) == 0)
                                break;
                if (i == variable_count || !text[2 + length]) {
                        error_say(error, EINVAL, "content: unknown variable \"%.*s\"",
                                  (int)(length < 64 ? length + 3 : 64), text);
                        return error_remedy(error, "known are ${application}, ${user}, ${group}, "
                                                   "${uid} and ${gid}");
                }
                if (variables[i].text)
                        fputs(variables[i].text, out);
                else
                        fprintf(out, "%u", variables[i].number);
                text += length + 3;
        }
        return fflush(out) == 0 ? 0 : error_set(error, errno, "content");
}
