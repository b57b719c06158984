/* The framing of a chunked body, checked byte by byte before anything decodes it: sizes are hexadecimal digits and
 * nothing else, every line ends with CR LF, extensions and trailers are counted and can be no longer than said
 * here. They are read past, never handed on. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "modules/http/head.h"

#define CHUNK_DIGITS_MAX     15          /* of a size */
#define CHUNK_EXTENSION_MAX  256         /* bytes, of one chunk */
#define CHUNK_EXTENSIONS_MAX (16 * 1024) /* of a whole body */
#define CHUNK_TRAILER_MAX    (8 * 1024)  /* bytes, all of it */

enum chunk_where {
        CHUNK_SIZE,      /* at its first digit */
        CHUNK_SIZE_MORE, /* behind that */
        CHUNK_EXTENSION,
        CHUNK_SIZE_LF,
        CHUNK_DATA,
        CHUNK_DATA_CR,
        CHUNK_DATA_LF,
        CHUNK_TRAILER, /* at a line's beginning */
        CHUNK_TRAILER_NAME,
        CHUNK_TRAILER_VALUE,
        CHUNK_TRAILER_LF,
        CHUNK_END_LF,
        CHUNK_COMPLETE,
};

struct chunk {
        enum chunk_where where;
        unsigned digits;
        uint64_t left;     /* bytes of this chunk's data that are still to come */
        uint64_t total;    /* of all data so far */
        size_t extension;  /* bytes of this chunk's */
        size_t extensions; /* of all of them */
        size_t trailer;
};

/* Looks at more bytes; a chunk of zeros is the beginning. Returns how many belong to the body: fewer than `size` only
 * when it is complete or refused, with 413 when its data is more than `limit` bytes. */
size_t chunk_scan(struct chunk *chunk, const char *data, size_t size, uint64_t limit,
                  struct refusal *refusal);
