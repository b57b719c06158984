/* The framing of a chunked body, checked byte by byte before anything decodes it: sizes are hexadecimal digits and
 * nothing else, every line ends with CR LF, extensions and trailers are counted and can be no longer than said
 * here. They are read past, never handed on; even so a trailer that would say where the message ends, or whom it is
 * for, is refused, since others might believe it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "modules/http/head.h"

#define CHUNK_DIGITS_MAX     15          /* of a size */
#define CHUNK_EXTENSION_MAX  256         /* bytes, of one chunk */
#define CHUNK_EXTENSIONS_MAX (16 * 1024) /* of a whole body */
#define CHUNK_TRAILER_MAX    (8 * 1024)  /* bytes, all of it */

/* Longer than the names that no trailer may have. */
#define CHUNK_NAME 24

enum chunk_where {
        CHUNK_SIZE,      /* at its first digit */
        CHUNK_SIZE_MORE, /* behind that */
        CHUNK_EXTENSION,
        CHUNK_SIZE_CR, /* behind an extension */
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
        char name[CHUNK_NAME]; /* of the trailer's field, as far as it is of interest */
        size_t name_length;
};

/* Looks at more bytes; a chunk of zeros is the beginning. Returns how many it took: fewer than `size` when the body is
 * complete, or refused (413 when its data is more than `limit` bytes), and where an extension begins or ends, so that
 * those can be left out: its bytes were taken with `where` at CHUNK_EXTENSION before. */
size_t chunk_scan(struct chunk *chunk, const char *data, size_t size, uint64_t limit,
                  struct refusal *refusal);
