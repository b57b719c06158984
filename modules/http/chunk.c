#include "modules/http/chunk.h"

static enum chunk_where refuse(struct refusal *refusal, const char *why)
{
        *refusal = (struct refusal){400, why};
        return CHUNK_COMPLETE;
}

static int hex(unsigned char byte)
{
        if (byte >= '0' && byte <= '9')
                return byte - '0';
        byte |= 0x20;
        return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static enum chunk_where size_digit(struct chunk *chunk, unsigned char byte, struct refusal *refusal)
{
        if (chunk->digits++ == CHUNK_DIGITS_MAX)
                return refuse(refusal, "a chunk's size of more than 15 digits");
        chunk->left = chunk->left << 4 | (uint64_t)hex(byte);
        return CHUNK_SIZE_MORE;
}

static enum chunk_where extension(struct chunk *chunk, unsigned char byte, struct refusal *refusal)
{
        if (byte == '\r')
                return CHUNK_SIZE_CR;
        if (!is_value_byte(byte) || byte >= 0x80)
                return refuse(refusal, "a byte that no chunk extension has");
        if (chunk->extension++ == CHUNK_EXTENSION_MAX ||
            chunk->extensions++ == CHUNK_EXTENSIONS_MAX)
                return refuse(refusal, "chunk extensions without end");
        return CHUNK_EXTENSION;
}

/* The size's line is over: what comes is data, or, behind the chunk of no bytes, the trailer. */
static enum chunk_where size_end(struct chunk *chunk, uint64_t limit, struct refusal *refusal)
{
        chunk->digits = 0;
        chunk->extension = 0;
        if (chunk->left == 0)
                return CHUNK_TRAILER;
        if (chunk->left > limit - chunk->total) {
                *refusal = (struct refusal){413, "a body larger than max_body_size"};
                return CHUNK_COMPLETE;
        }
        return CHUNK_DATA;
}

static enum chunk_where trailer_name(struct chunk *chunk, unsigned char byte,
                                     struct refusal *refusal)
{
        static const char *const forbidden[] = {"content-length", "transfer-encoding", "host"};

        if (byte == ':') {
                for (size_t i = 0; i < sizeof(forbidden) / sizeof(*forbidden); i++)
                        if (text_is(chunk->name, chunk->name_length, forbidden[i]))
                                return refuse(refusal, "a trailer that only a head may have");
                return CHUNK_TRAILER_VALUE;
        }
        if (!is_token_byte(byte))
                return refuse(refusal, "a trailer that is no field");
        if (chunk->name_length < CHUNK_NAME)
                chunk->name[chunk->name_length++] = (char)byte;
        return CHUNK_TRAILER_NAME;
}

static enum chunk_where trailer(struct chunk *chunk, unsigned char byte, struct refusal *refusal)
{
        if (chunk->trailer++ == CHUNK_TRAILER_MAX)
                return refuse(refusal, "a trailer of more than 8192 bytes");
        switch (chunk->where) {
        case CHUNK_TRAILER:
                if (byte == '\r')
                        return CHUNK_END_LF;
                chunk->name_length = 0;
                return byte == ':' ? refuse(refusal, "a trailer that is no field")
                                   : trailer_name(chunk, byte, refusal);
        case CHUNK_TRAILER_NAME:
                return trailer_name(chunk, byte, refusal);
        default:
                if (byte == '\r')
                        return CHUNK_TRAILER_LF;
                return is_value_byte(byte) ? CHUNK_TRAILER_VALUE
                                           : refuse(refusal, "a byte that no trailer has");
        }
}

static enum chunk_where expect(unsigned char byte, unsigned char wanted, enum chunk_where next,
                               struct refusal *refusal)
{
        return byte == wanted ? next : refuse(refusal, "no CR LF where a chunk's line ends");
}

static enum chunk_where step(struct chunk *chunk, unsigned char byte, uint64_t limit,
                             struct refusal *refusal)
{
        switch (chunk->where) {
        case CHUNK_SIZE:
        case CHUNK_SIZE_MORE:
                if (hex(byte) >= 0)
                        return size_digit(chunk, byte, refusal);
                if (chunk->where == CHUNK_SIZE_MORE && byte == ';')
                        return CHUNK_EXTENSION;
                if (chunk->where == CHUNK_SIZE_MORE && byte == '\r')
                        return CHUNK_SIZE_LF;
                return refuse(refusal, "a chunk's size that is no hexadecimal number");
        case CHUNK_EXTENSION:
                return extension(chunk, byte, refusal);
        case CHUNK_SIZE_CR:
                return expect(byte, '\r', CHUNK_SIZE_LF, refusal);
        case CHUNK_SIZE_LF:
                if (byte != '\n')
                        return refuse(refusal, "no CR LF where a chunk's line ends");
                return size_end(chunk, limit, refusal);
        case CHUNK_DATA_CR:
                return expect(byte, '\r', CHUNK_DATA_LF, refusal);
        case CHUNK_DATA_LF:
                return expect(byte, '\n', CHUNK_SIZE, refusal);
        case CHUNK_TRAILER_LF:
                return expect(byte, '\n', CHUNK_TRAILER, refusal);
        case CHUNK_END_LF:
                return expect(byte, '\n', CHUNK_COMPLETE, refusal);
        case CHUNK_TRAILER:
        case CHUNK_TRAILER_NAME:
        case CHUNK_TRAILER_VALUE:
                return trailer(chunk, byte, refusal);
        case CHUNK_DATA:
        case CHUNK_COMPLETE:
                break;
        }
        return CHUNK_COMPLETE;
}

size_t chunk_scan(struct chunk *chunk, const char *data, size_t size, uint64_t limit,
                  struct refusal *refusal)
{
        size_t i = 0;

        while (i < size && chunk->where != CHUNK_COMPLETE) {
                bool extension = chunk->where == CHUNK_EXTENSION;

                if (chunk->where == CHUNK_DATA) {
                        size_t passed = size - i < chunk->left ? size - i : (size_t)chunk->left;

                        chunk->left -= passed;
                        chunk->total += passed;
                        i += passed;
                        if (chunk->left == 0)
                                chunk->where = CHUNK_DATA_CR;
                        continue;
                }
                chunk->where = step(chunk, (unsigned char)data[i], limit, refusal);
                /* The ";" belongs to the extension, the CR behind it does not: both are looked at twice. */
                if (extension != (chunk->where == CHUNK_EXTENSION))
                        return i;
                i++;
        }
        return i;
}
