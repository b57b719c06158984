/* An application behind the HTTP/1.1 unit: answers of every shape, as the query asks for them, and some that no
 * application should give. What the tests want to know of all workers together is in memory that they share. */
#include <clade/http.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define PIECE  (64 * 1024)

EXPORT int clade_preload(void);
EXPORT int clade_handle(struct clade_request *request);

struct shared {
        atomic_ulong calls;   /* of the handler, those that only ask for this aside */
        atomic_ulong running; /* that have not returned */
        atomic_int error;     /* what the last failed write said */
};

static struct shared *shared;

int clade_preload(void)
{
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        return shared == MAP_FAILED ? 1 : 0;
}

/* --- questions ---------------------------------------------------------------------------------- */

static const char *find(const struct clade_request *request, const char *name)
{
        size_t length = strlen(name);

        for (const char *at = request->query; at && *at; at = strchr(at, '&')) {
                at += *at == '&';
                if (strncmp(at, name, length) == 0 && at[length] == '=')
                        return at + length + 1;
        }
        return NULL;
}

static long long number(const struct clade_request *request, const char *name, long long otherwise)
{
        const char *value = find(request, name);

        return value ? strtoll(value, NULL, 10) : otherwise;
}

static void rest(long long ms)
{
        struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

        while (nanosleep(&left, &left) < 0 && errno == EINTR)
                ;
}

/* Byte number `at` of every long body, either way. */
static char pattern(uint64_t at)
{
        return (char)('a' + (at % 26 + at / 8192) % 26);
}

static void fill(char *piece, uint64_t at, size_t size)
{
        for (size_t i = 0; i < size; i++)
                piece[i] = pattern(at + i);
}

/* --- answers ------------------------------------------------------------------------------------ */

#define FIELD(name_, value_)                                                                       \
        (struct clade_field)                                                                       \
        {                                                                                          \
                .name = (name_), .value = (value_), .name_length = strlen(name_),                  \
                .value_length = strlen(value_)                                                     \
        }

static int respond_plain(struct clade_request *request, unsigned status)
{
        const struct clade_field type = FIELD("Content-Type", "text/plain");

        return request->respond(request, status, NULL, &type, 1);
}

static int respond_sized(struct clade_request *request, unsigned status, uint64_t size)
{
        char text[32];

        snprintf(text, sizeof(text), "%" PRIu64, size);
        return request->respond(request, status, NULL,
                                (struct clade_field[]){FIELD("Content-Type", "text/plain"),
                                                       FIELD("Content-Length", text)},
                                2);
}

static int put(struct clade_request *request, const void *data, size_t size)
{
        int r = request->write(request, data, size);

        if (r < 0)
                atomic_store(&shared->error, -r);
        return r;
}

static int print(struct clade_request *request, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static int print(struct clade_request *request, const char *format, ...)
{
        char text[16 * 1024];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (n < 0 || (size_t)n >= sizeof(text))
                return -EOVERFLOW;
        return put(request, text, (size_t)n);
}

static int put_pattern(struct clade_request *request, uint64_t size, size_t piece_size)
{
        char piece[PIECE];
        int r = 0;

        if (piece_size == 0 || piece_size > sizeof(piece))
                piece_size = sizeof(piece);
        for (uint64_t at = 0; at < size && r == 0;) {
                size_t now = size - at < piece_size ? (size_t)(size - at) : piece_size;

                fill(piece, at, now);
                r = put(request, piece, now);
                at += now;
                if (r == 0 && number(request, "flush", 0))
                        r = request->flush(request);
                rest(number(request, "pause", 0));
        }
        return r;
}

/* --- what a request said ------------------------------------------------------------------------ */

static int echo(struct clade_request *request)
{
        char piece[PIECE];
        ssize_t n;
        int r = respond_plain(request, 200);

        if (r < 0)
                return r;
        print(request, "method %s\n", request->method);
        print(request, "target %s\n", request->target);
        print(request, "path %s\nquery %s\nhost %s\n", request->path, request->query,
              request->host);
        print(request, "version %u\n", request->minor_version);
        print(request, "remote %s %u\n", request->remote_address, request->remote_port);
        print(request, "local %s %u\n", request->local_address, request->local_port);
        print(request, "listener %zu\nsize %" PRIu64 "\n", request->listener, request->body_size);
        for (size_t i = 0; i < request->field_count; i++) {
                const struct clade_field *field = &request->fields[i];

                if (strlen(field->name) != field->name_length ||
                    strlen(field->value) != field->value_length)
                        return -EBADMSG;
                print(request, "field %s: ", field->name);
                put(request, field->value, field->value_length);
                put(request, "\n", 1);
        }
        put(request, "\n", 1);
        while ((n = request->read(request, piece, sizeof(piece))) > 0)
                if ((r = put(request, piece, (size_t)n)) < 0)
                        return r;
        return n < 0 ? (int)n : 0;
}

/* The Adler-32 of the body, and how much of it there was. */
static int read_all(struct clade_request *request, size_t piece_size, uint64_t *ret_size,
                    uint32_t *ret_sum)
{
        uint32_t low = 1, high = 0;
        uint64_t size = 0;
        char piece[PIECE];
        ssize_t n;

        while ((n = request->read(request, piece, piece_size)) > 0) {
                size += (uint64_t)n;
                for (ssize_t i = 0; i < n; i++) {
                        low = (low + (unsigned char)piece[i]) % 65521;
                        high = (high + low) % 65521;
                }
        }
        *ret_size = size;
        *ret_sum = high << 16 | low;
        return (int)n;
}

static int sum(struct clade_request *request)
{
        uint64_t size, again_size;
        uint32_t first, again;
        int r = read_all(request, PIECE, &size, &first);

        if (r == 0)
                r = request->rewind(request);
        if (r == 0)
                r = read_all(request, 1021, &again_size, &again);
        if (r < 0)
                return r;
        if (size != request->body_size || size != again_size || first != again)
                return -EBADMSG;
        respond_plain(request, 200);
        return print(request, "%" PRIu64 " %08" PRIx32 "\n", size, first);
}

/* --- shapes of answers -------------------------------------------------------------------------- */

static int empty(struct clade_request *request)
{
        return request->respond(request, (unsigned)number(request, "status", 200), NULL, NULL, 0);
}

static int sized(struct clade_request *request)
{
        uint64_t size = (uint64_t)number(request, "size", 0);
        int r = respond_sized(request, (unsigned)number(request, "status", 200), size);

        return r < 0 ? r : put_pattern(request, size, (size_t)number(request, "piece", 0));
}

static int unsized(struct clade_request *request)
{
        int r = respond_plain(request, (unsigned)number(request, "status", 200));

        return r < 0 ? r
                     : put_pattern(request, (uint64_t)number(request, "size", 0),
                                   (size_t)number(request, "piece", 0));
}

/* A file of `size`, of which `length` bytes from `offset` on follow `before` bytes that are written. */
static int file(struct clade_request *request)
{
        uint64_t size = (uint64_t)number(request, "size", 0);
        uint64_t offset = (uint64_t)number(request, "offset", 0);
        uint64_t length = (uint64_t)number(request, "length", (long long)(size - offset));
        uint64_t before = (uint64_t)number(request, "before", 0);
        int fd = memfd_create("answer", MFD_CLOEXEC), r;
        char piece[PIECE];

        if (fd < 0)
                return -errno;
        for (uint64_t at = 0; at < size; at += sizeof(piece)) {
                size_t now = size - at < sizeof(piece) ? (size_t)(size - at) : sizeof(piece);

                fill(piece, at, now);
                if (write(fd, piece, now) != (ssize_t)now) {
                        r = -errno;
                        close(fd);
                        return r;
                }
        }
        r = number(request, "chunked", 0) ? respond_plain(request, 200)
                                          : respond_sized(request, 200, before + length);
        if (r == 0)
                r = put_pattern(request, before, 0);
        if (r < 0) {
                close(fd);
                return r;
        }
        return request->send_file(request, fd, offset, length);
}

/* Says one size and writes another; what the last write said is kept. */
static int declared(struct clade_request *request)
{
        int r = respond_sized(request, 200, (uint64_t)number(request, "size", 0));

        if (r == 0)
                put_pattern(request, (uint64_t)number(request, "written", 0),
                            (size_t)number(request, "piece", 0));
        return r;
}

/* Writes until it is told to stop. */
static int endless(struct clade_request *request)
{
        int r = respond_plain(request, 200);

        return r < 0 ? r : put_pattern(request, UINT64_MAX, 0);
}

/* --- answers that cannot be sent ---------------------------------------------------------------- */

static const struct {
        const char *name, *value;
        unsigned status;
} impossible[] = {
        {"X-Bad", "a\r\nInjected: yes", 200},
        {"X-Bad", "a\nInjected: yes", 200},
        {"X-Bad", "a\rInjected: yes", 200},
        {"X-Bad",
         "a\x01"
         "b",
         200},
        {"X-Bad", "a\x7f", 200},
        {"X Bad", "a", 200},
        {"X-Bad:", "a", 200},
        {"X-Bad\r\nInjected", "a", 200},
        {"", "a", 200},
        {"Content-Length", "-1", 200},
        {"Content-Length", "+1", 200},
        {"Content-Length", "1, 1", 200},
        {"Content-Length", "", 200},
        {"Content-Length", "99999999999999999999", 200},
        {"Transfer-Encoding", "chunked", 200},
        {"Connection", "keep-alive", 200},
        {"X-Good", "a", 99},
        {"X-Good", "a", 100},
        {"X-Good", "a", 101},
        {"X-Good", "a", 0},
        {"X-Good", "a", 600},
        {"X-Good", "a", 1200},
};

/* Each must be refused without a trace in the answer that is given at last. Says which were not. */
static int impossible_answers(struct clade_request *request)
{
        const struct clade_field twice[] = {FIELD("Content-Length", "3"),
                                            FIELD("content-length", "3")};
        const struct clade_field nul = {"X-Bad", "a\0b", 5, 3}, good = FIELD("X-Good", "a");
        char taken[256] = "";
        int r;

        for (size_t i = 0; i < sizeof(impossible) / sizeof(*impossible); i++) {
                struct clade_field field = FIELD(impossible[i].name, impossible[i].value);

                r = request->respond(request, impossible[i].status, NULL, &field, 1);
                if (r != -EINVAL)
                        snprintf(taken + strlen(taken), sizeof(taken) - strlen(taken), "%zu:%d ", i,
                                 r);
        }
        if (request->respond(request, 200, NULL, twice, 2) != -EINVAL)
                strcat(taken, "twice ");
        if (request->respond(request, 200, NULL, &nul, 1) != -EINVAL)
                strcat(taken, "nul ");
        if (request->respond(request, 200, "Fine\r\nInjected: yes", &good, 1) != -EINVAL)
                strcat(taken, "reason ");
        if ((r = request->write(request, "x", 1)) >= 0)
                strcat(taken, "write-before ");
        if ((r = respond_plain(request, 200)) < 0)
                return r;
        if (respond_plain(request, 200) >= 0)
                strcat(taken, "respond-twice ");
        return print(request, "taken: %s\n", taken);
}

static int nothing(struct clade_request *request)
{
        if (number(request, "respond", 0))
                respond_plain(request, 200);
        if (number(request, "write", 0))
                put_pattern(request, (uint64_t)number(request, "write", 0), 0);
        if (number(request, "flush", 0))
                request->flush(request);
        return (int)number(request, "value", 0);
}

/* --- time, ends --------------------------------------------------------------------------------- */

static int hello(struct clade_request *request)
{
        int r = respond_plain(request, 200);

        return r < 0 ? r : print(request, "hello %d\n", (int)getpid());
}

static int nap(struct clade_request *request)
{
        rest(number(request, "ms", 0));
        return hello(request);
}

static _Noreturn int hang(struct clade_request *request)
{
        (void)request;
        for (;;)
                pause();
}

static int leave(struct clade_request *request)
{
        _exit((int)number(request, "code", 0));
}

static int crash(struct clade_request *request)
{
        signal((int)number(request, "signal", SIGSEGV), SIG_DFL);
        raise((int)number(request, "signal", SIGSEGV));
        return 0;
}

/* How many descriptors this worker has open, not counting the one to look with. */
static int descriptors(struct clade_request *request)
{
        DIR *directory = opendir("/proc/self/fd");
        const struct dirent *entry;
        int count = -1, r;

        while (directory && (entry = readdir(directory)))
                count += entry->d_name[0] != '.';
        if (directory)
                closedir(directory);
        r = respond_plain(request, 200);
        return r < 0 ? r : print(request, "%d %d\n", (int)getpid(), count);
}

static int tell(struct clade_request *request)
{
        int r = respond_plain(request, 200);

        return r < 0 ? r
                     : print(request, "%lu %lu %s\n", atomic_load(&shared->calls),
                             atomic_load(&shared->running),
                             strerrorname_np(atomic_load(&shared->error)));
}

static const struct {
        const char *path;
        int (*handle)(struct clade_request *request);
} routes[] = {
        {"/", hello},          {"/echo", echo},
        {"/sum", sum},         {"/empty", empty},
        {"/sized", sized},     {"/unsized", unsized},
        {"/file", file},       {"/declared", declared},
        {"/endless", endless}, {"/impossible", impossible_answers},
        {"/nothing", nothing}, {"/nap", nap},
        {"/hang", hang},       {"/exit", leave},
        {"/crash", crash},     {"/descriptors", descriptors},
};

int clade_handle(struct clade_request *request)
{
        size_t i = 0;
        int r;

        if (strcmp(request->path, "/tell") == 0)
                return tell(request);
        atomic_fetch_add(&shared->calls, 1);
        atomic_fetch_add(&shared->running, 1);
        while (i < sizeof(routes) / sizeof(*routes) && strcmp(request->path, routes[i].path) != 0)
                i++;
        r = i < sizeof(routes) / sizeof(*routes) ? routes[i].handle(request) : echo(request);
        atomic_fetch_sub(&shared->running, 1);
        return r;
}
