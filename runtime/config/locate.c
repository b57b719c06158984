#include "runtime/config/locate.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

struct mark {
        unsigned line, column;
};

/* A container that has been entered. */
struct frame {
        bool object;
        size_t path_length;  /* of the container itself */
        size_t next;         /* arrays: the index of the next element */
        struct mark entered; /* of the container: its key, or itself where it has none */
};

/* Something that is looked for. By length first, so that a path with a very long key in it is compared byte
 * by byte only with what can be equal. */
struct target {
        struct locate_query *query;
        size_t length; /* of its pointer */
};

enum expecting { EXPECT_VALUE, EXPECT_FIRST_ELEMENT, EXPECT_KEY, EXPECT_COLON, EXPECT_MORE };

struct scanner {
        const char *text;
        size_t size, at;
        struct mark mark; /* of text[at] */
        enum expecting expecting;
        int error;

        char *path; /* the pointer of the value that is open; ends with NUL */
        size_t path_length, path_room;
        struct frame *frames;
        size_t depth, frame_room;
        struct mark open; /* of the value that is open */

        struct target *targets; /* sorted */
        size_t target_count;
};

static void scanner_finish(struct scanner *scanner)
{
        free(scanner->path);
        free(scanner->frames);
}

/* Room for `more` bytes and a NUL behind the path. */
static bool path_reserve(struct scanner *scanner, size_t more)
{
        size_t needed = scanner->path_length + more + 1;
        char *path;

        if (needed <= scanner->path_room)
                return true;
        needed = needed < 128 ? 128 : needed * 2;
        path = realloc(scanner->path, needed);
        if (!path) {
                scanner->error = -ENOMEM;
                return false;
        }
        scanner->path = path;
        scanner->path_room = needed;
        return true;
}

static void path_cut(struct scanner *scanner, size_t length)
{
        scanner->path_length = length;
        scanner->path[length] = '\0';
}

static bool path_byte(struct scanner *scanner, unsigned char byte)
{
        if (!path_reserve(scanner, 2))
                return false;
        if (byte == '~' || byte == '/') {
                scanner->path[scanner->path_length++] = '~';
                byte = byte == '~' ? '0' : '1';
        }
        scanner->path[scanner->path_length++] = (char)byte;
        scanner->path[scanner->path_length] = '\0';
        return true;
}

static bool path_slash(struct scanner *scanner)
{
        if (!path_reserve(scanner, 1))
                return false;
        scanner->path[scanner->path_length++] = '/';
        scanner->path[scanner->path_length] = '\0';
        return true;
}

static bool path_code_point(struct scanner *scanner, uint32_t code)
{
        if (code < 0x80)
                return path_byte(scanner, (unsigned char)code);
        if (code < 0x800)
                return path_byte(scanner, 0xc0 | (unsigned char)(code >> 6)) &&
                       path_byte(scanner, 0x80 | (code & 0x3f));
        if (code < 0x10000)
                return path_byte(scanner, 0xe0 | (unsigned char)(code >> 12)) &&
                       path_byte(scanner, 0x80 | (code >> 6 & 0x3f)) &&
                       path_byte(scanner, 0x80 | (code & 0x3f));
        return path_byte(scanner, 0xf0 | (unsigned char)(code >> 18)) &&
               path_byte(scanner, 0x80 | (code >> 12 & 0x3f)) &&
               path_byte(scanner, 0x80 | (code >> 6 & 0x3f)) &&
               path_byte(scanner, 0x80 | (code & 0x3f));
}

static bool path_index(struct scanner *scanner, size_t index)
{
        char digits[24];

        snprintf(digits, sizeof(digits), "%zu", index);
        if (!path_slash(scanner))
                return false;
        for (const char *digit = digits; *digit; digit++)
                if (!path_byte(scanner, (unsigned char)*digit))
                        return false;
        return true;
}

/* The next byte, or -1 at the end. Only the first byte of a character moves the column. */
static int take(struct scanner *scanner)
{
        unsigned char byte;

        if (scanner->at == scanner->size)
                return -1;
        byte = (unsigned char)scanner->text[scanner->at++];
        if (byte == '\n') {
                scanner->mark.line++;
                scanner->mark.column = 1;
        } else if ((byte & 0xc0) != 0x80) {
                scanner->mark.column++;
        }
        return byte;
}

static int peek(const struct scanner *scanner)
{
        return scanner->at == scanner->size ? -1 : (unsigned char)scanner->text[scanner->at];
}

static void skip_space(struct scanner *scanner)
{
        for (int c = peek(scanner); c == ' ' || c == '\t' || c == '\n' || c == '\r';
             c = peek(scanner))
                take(scanner);
}

/* Four hexadecimal digits, or -1. */
static int32_t take_hex(struct scanner *scanner)
{
        int32_t value = 0;

        for (int i = 0; i < 4; i++) {
                int c = take(scanner);

                if (c >= '0' && c <= '9')
                        c -= '0';
                else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
                        c = (c | 0x20) - 'a' + 10;
                else
                        return -1;
                value = value << 4 | c;
        }
        return value;
}

/* What follows "\u": one code point, of two escapes where the first is a high surrogate. */
static bool take_unicode(struct scanner *scanner)
{
        int32_t high = take_hex(scanner), low;

        if (high < 0)
                return false;
        if (high < 0xd800 || high > 0xdbff)
                return path_code_point(scanner, (uint32_t)high);
        if (take(scanner) != '\\' || take(scanner) != 'u')
                return false;
        low = take_hex(scanner);
        if (low < 0xdc00 || low > 0xdfff)
                return false;
        return path_code_point(scanner, 0x10000 + ((uint32_t)(high - 0xd800) << 10) +
                                                (uint32_t)(low - 0xdc00));
}

static bool take_escape(struct scanner *scanner)
{
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        int c = take(scanner);
        const char *found;

        if (c == 'u')
                return take_unicode(scanner);
        found = c > 0 ? strchr(from, c) : NULL;
        return found && path_byte(scanner, (unsigned char)to[found - from]);
}

/* A key becomes the last part of the path. False when it does not end or is none. */
static bool take_key(struct scanner *scanner)
{
        take(scanner);
        if (!path_slash(scanner))
                return false;
        for (;;) {
                int c = take(scanner);

                if (c == '"')
                        return true;
                if (c < 0 || c == '\n')
                        return false;
                if (!(c == '\\' ? take_escape(scanner) : path_byte(scanner, (unsigned char)c)))
                        return false;
        }
}

static bool skip_string(struct scanner *scanner)
{
        take(scanner);
        for (;;) {
                int c = take(scanner);

                if (c == '"')
                        return true;
                if (c == '\\')
                        c = take(scanner);
                if (c < 0 || c == '\n')
                        return false;
        }
}

/* A number, true, false or null: as many of such bytes as there are. */
static bool skip_word(struct scanner *scanner)
{
        size_t start = scanner->at;

        for (;;) {
                int c = peek(scanner);

                if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '+' || c == '-' || c == '.'))
                        break;
                take(scanner);
        }
        return scanner->at > start;
}

static bool enter(struct scanner *scanner, bool object)
{
        if (scanner->depth == scanner->frame_room) {
                size_t room = scanner->frame_room ? scanner->frame_room * 2 : 16;
                struct frame *frames = reallocarray(scanner->frames, room, sizeof(*frames));

                if (!frames) {
                        scanner->error = -ENOMEM;
                        return false;
                }
                scanner->frames = frames;
                scanner->frame_room = room;
        }
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): room for none is grown first */
        scanner->frames[scanner->depth++] = (struct frame){
                .object = object,
                .path_length = scanner->path_length,
                .entered = scanner->open,
        };
        scanner->expecting = object ? EXPECT_KEY : EXPECT_FIRST_ELEMENT;
        take(scanner);
        return true;
}

static int compare_target(const struct target *target, const char *pointer, size_t length)
{
        if (target->length != length)
                return target->length < length ? -1 : 1;
        return memcmp(target->query->pointer, pointer, length);
}

/* Answers the queries whose pointer is the path. */
static void answer(struct scanner *scanner, struct mark key, struct mark value)
{
        size_t low = 0, high = scanner->target_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (compare_target(&scanner->targets[middle], scanner->path, scanner->path_length) <
                    0)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < scanner->target_count; low++) {
                const struct target *target = &scanner->targets[low];

                if (compare_target(target, scanner->path, scanner->path_length) != 0)
                        break;
                target->query->line = target->query->key ? key.line : value.line;
                target->query->column = target->query->key ? key.column : value.column;
        }
}

/* The innermost container; NULL outside of all. */
static struct frame *innermost(const struct scanner *scanner)
{
        return scanner->frames && scanner->depth ? &scanner->frames[scanner->depth - 1] : NULL;
}

static bool scan_value(struct scanner *scanner)
{
        struct frame *top = innermost(scanner);
        int c = peek(scanner);

        if (top && !top->object && !path_index(scanner, top->next++))
                return false;
        if (!top || !top->object)
                scanner->open = scanner->mark;
        answer(scanner, scanner->open, scanner->mark);
        if (c == '{' || c == '[')
                return enter(scanner, c == '{');
        scanner->expecting = EXPECT_MORE;
        return c == '"' ? skip_string(scanner) : skip_word(scanner);
}

/* Out of the container, which itself stays open until its own successor comes. */
static bool leave(struct scanner *scanner)
{
        const struct frame *top = innermost(scanner);

        if (!top)
                return false;
        scanner->depth--;
        path_cut(scanner, top->path_length);
        scanner->open = top->entered;
        scanner->expecting = EXPECT_MORE;
        take(scanner);
        return true;
}

static bool scan_more(struct scanner *scanner)
{
        const struct frame *top = innermost(scanner);
        int c = peek(scanner);

        if (!top)
                return false;
        if (c == (top->object ? '}' : ']'))
                return leave(scanner);
        if (c != ',')
                return false;
        path_cut(scanner, top->path_length);
        scanner->open = top->entered;
        scanner->expecting = top->object ? EXPECT_KEY : EXPECT_VALUE;
        take(scanner);
        return true;
}

/* One token, or a little more. False at the end, or where it is not JSON. */
static bool scan(struct scanner *scanner)
{
        int c;

        skip_space(scanner);
        c = peek(scanner);
        if (c < 0)
                return false;
        switch (scanner->expecting) {
        case EXPECT_FIRST_ELEMENT:
                if (c == ']')
                        return leave(scanner);
                return scan_value(scanner);
        case EXPECT_VALUE:
                return scan_value(scanner);
        case EXPECT_KEY:
                if (c == '}')
                        return leave(scanner);
                if (c != '"')
                        return false;
                scanner->open = scanner->mark;
                scanner->expecting = EXPECT_COLON;
                return take_key(scanner);
        case EXPECT_COLON:
                scanner->expecting = EXPECT_VALUE;
                return take(scanner) == ':';
        case EXPECT_MORE:
                return scan_more(scanner);
        }
        return false;
}

static int scan_all(struct scanner *scanner)
{
        scanner->mark = (struct mark){.line = 1, .column = 1};
        scanner->open = scanner->mark;
        if (!path_reserve(scanner, 0))
                return scanner->error;
        path_cut(scanner, 0);
        while (scan(scanner))
                ;
        return scanner->error;
}

static int compare_targets(const void *a, const void *b)
{
        const struct target *other = b;

        return compare_target(a, other->query->pointer, other->length);
}

int locate(const char *text, size_t size, struct locate_query *queries, size_t count)
{
        struct scanner scanner = {.text = text, .size = size, .target_count = count};
        cleanup_free struct target *targets = calloc(count ? count : 1, sizeof(*targets));
        int r;

        if (!targets)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                queries[i].line = queries[i].column = 0;
                targets[i] = (struct target){&queries[i], strlen(queries[i].pointer)};
        }
        qsort(targets, count, sizeof(*targets), compare_targets);
        scanner.targets = targets;
        r = scan_all(&scanner);
        scanner_finish(&scanner);
        return r;
}

int locate_open(const char *text, size_t size, struct locate_open *ret_open)
{
        struct scanner scanner = {.text = text, .size = size};
        int r = scan_all(&scanner);

        while (take(&scanner) >= 0)
                ;
        if (r == 0)
                *ret_open = (struct locate_open){
                        .pointer = TAKE_PTR(scanner.path),
                        .line = scanner.open.line,
                        .column = scanner.open.column,
                        .end_line = scanner.mark.line,
                        .end_column = scanner.mark.column,
                };
        scanner_finish(&scanner);
        return r;
}
