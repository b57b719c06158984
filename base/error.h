/* Errors are values.
 *
 * A function that can fail returns 0 or a negative errno and, where a person will read about it,
 * fills a struct error that the caller owns. On the way up each caller puts its own context in
 * front; at the top it is printed once. Nothing here allocates, so it also serves in a freshly
 * cloned child and when memory is gone, and a struct error can be sent as it is.
 *
 *     return error_set(error, errno, "open of %s", path);        open of /srv/x: Permission denied
 *     return error_prefix(error, "application %s", name);        application a: open of /srv/x: ...
 *
 * A remedy is one sentence that tells the reader what to do. The innermost one that was given wins:
 * whoever was nearest to the fault knows best.
 */
#pragma once

#define ERROR_TEXT_SIZE   768 /* bytes, with the final NUL; longer texts are cut */
#define ERROR_REMEDY_SIZE 384

struct error {
        int code; /* a positive errno; 0 as long as there is no error */
        char text[ERROR_TEXT_SIZE];
        char remedy[ERROR_REMEDY_SIZE]; /* "" when there is none */
};

#define ERROR_INIT                                                                                 \
        {                                                                                          \
                .code = 0                                                                          \
        }

/* What went wrong, in place of whatever the object held. `code` is a positive errno. error_set is for an
 * errno that the kernel gave: its text is appended. error_say is for a fault that we found ourselves,
 * where our own words say all. Both return -code. */
int error_set(struct error *error, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
int error_say(struct error *error, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* "context: " in front of what is there. Returns -error->code. */
int error_prefix(struct error *error, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* What would help, unless somebody nearer to the fault has said so already. Returns -error->code. */
int error_remedy(struct error *error, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* The analyzer reads one file at a time: without this it takes each of them for a possible success. */
static inline int error_is_negative(int r)
{
        if (r >= 0)
                __builtin_unreachable();
        return r;
}
#define error_set(...)    error_is_negative(error_set(__VA_ARGS__))
#define error_say(...)    error_is_negative(error_say(__VA_ARGS__))
#define error_prefix(...) error_is_negative(error_prefix(__VA_ARGS__))
#define error_remedy(...) error_is_negative(error_remedy(__VA_ARGS__))
#endif

/* The name of an errno ("EPERM"), or "E?" for a number this libc does not know. */
const char *error_name(int code);
