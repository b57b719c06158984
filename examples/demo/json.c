#include "examples/demo/json.h"

#include <inttypes.h>

static void quoted(FILE *out, const char *text)
{
        fputc('"', out);
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                if (*p == '"' || *p == '\\')
                        fprintf(out, "\\%c", *p);
                else if (*p < 0x20 || *p == 0x7f || *p == '<')
                        fprintf(out, "\\u%04x", *p);
                else if (*p >= 0x80)
                        fputs("\\ufffd", out);
                else
                        fputc(*p, out);
        }
        fputc('"', out);
}

static void begin(struct json *json, const char *key)
{
        if (json->comma)
                fputc(',', json->out);
        json->comma = true;
        if (key) {
                quoted(json->out, key);
                fputc(':', json->out);
        }
}

void json_open(struct json *json, const char *key, char bracket)
{
        begin(json, key);
        fputc(bracket, json->out);
        json->comma = false;
}

void json_close(struct json *json, char bracket)
{
        fputc(bracket, json->out);
        json->comma = true;
}

void json_text(struct json *json, const char *key, const char *text)
{
        begin(json, key);
        if (text)
                quoted(json->out, text);
        else
                fputs("null", json->out);
}

void json_number(struct json *json, const char *key, int64_t number)
{
        begin(json, key);
        fprintf(json->out, "%" PRId64, number);
}

void json_raw(struct json *json, const char *key, const char *text)
{
        begin(json, key);
        fputs(text, json->out);
}
