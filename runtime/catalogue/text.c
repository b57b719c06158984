#include "runtime/catalogue/text.h"

#include <stdint.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

bool text_is_type(const char *text)
{
        return text[0] >= 'a' && text[0] <= 'z' && text[strspn(text, LOWER DIGITS "-")] == '\0';
}

bool text_is_key(const char *text)
{
        return text[0] && text[strspn(text, LOWER DIGITS "_")] == '\0';
}

/* One character of UTF-8: how many bytes it has, or 0 where there is none (RFC 3629, section 4). */
static size_t decode(const unsigned char *at, uint32_t *ret_character)
{
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t character;
        size_t length;

        if (at[0] < 0x80) {
                *ret_character = at[0];
                return 1;
        }
        length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
        if (at[0] < 0xc2 || at[0] > 0xf4)
                return 0;
        character = at[0] & (0xffu >> (length + 1));
        for (size_t i = 1; i < length; i++) {
                if ((at[i] & 0xc0) != 0x80) /* the final NUL, too */
                        return 0;
                character = character << 6 | (at[i] & 0x3f);
        }
        if (character < least[length] || character > 0x10ffff ||
            (character >= 0xd800 && character <= 0xdfff))
                return 0;
        *ret_character = character;
        return length;
}

bool text_is_plain(const char *text)
{
        const unsigned char *at = (const unsigned char *)text;

        while (*at) {
                uint32_t character;
                size_t length = decode(at, &character);

                if (!length || character < 0x20 || (character >= 0x7f && character < 0xa0))
                        return false;
                at += length;
        }
        return true;
}

void text_show(const char *text, size_t length, char *copy, size_t size)
{
        size_t used = 0;

        length = strnlen(text, length);
        if (length < size) {
                memcpy(copy, text, length);
                copy[length] = '\0';
                if (text_is_plain(copy))
                        return;
        }
        for (size_t i = 0; i < length; i++) {
                if (used + 1 == size) {
                        copy[used - 1] = '~';
                        break;
                }
                copy[used++] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
        }
        copy[used] = '\0';
}
