/* What is about namespaces of the application's own: its clocks, its loopback interface, capabilities in its
 * user namespace; and a session keyring, which no namespace holds. */
#include <errno.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/socket.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/missing.h"
#include "runtime/compile/compilation.h"
#include "runtime/compile/ids.h"

static bool is_tcp(const struct config_listener *listener)
{
        return listener->socket_address.ss_family != AF_UNIX;
}

/* With loopback connect() is allowed, and so it would be on a connection that a TCP listener has accepted: a
 * socket of the host's network, whatever namespace its owner is in. */
static int loopback(struct compilation *compilation, struct error *error)
{
        const struct config *config = compilation->compile->config;

        if (compilation->application->isolation.network != CONFIG_NETWORK_LOOPBACK)
                return 0;
        for (size_t i = 0; i < config->listener_count; i++) {
                const struct config_listener *listener = &config->listeners[i];

                if (listener->application != compilation->index || !is_tcp(listener))
                        continue;
                error_say(error, EINVAL,
                          "an application with the listener %s cannot have the network "
                          "\"loopback\": a connection that it accepts is a socket of the host's "
                          "network, and could be connected to the host's loopback",
                          listener->address);
                error_remedy(error, "give it unix listeners only, or the network \"none\"");
                return error_at(error, compilation, "/isolation/network");
        }
        compilation->plan->loopback = true;
        return 0;
}

/* The kernel refuses too, but in the clone, and knows nothing of a file. */
static int clocks(struct compilation *compilation, struct error *error)
{
        static const struct {
                clockid_t clock;
                size_t offset;
                const char *name;
        } rows[] = {
                {CLOCK_MONOTONIC, offsetof(struct config_time_offsets, monotonic), "monotonic"},
                {CLOCK_BOOTTIME, offsetof(struct config_time_offsets, boottime), "boottime"},
        };
        const struct config_time_offsets *offsets =
                &compilation->application->isolation.time_offsets;

        if (!offsets->given)
                return 0;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                int64_t offset = *(const int64_t *)((const char *)offsets + rows[i].offset);
                struct timespec now = {0};

                clock_gettime(rows[i].clock, &now);
                if (now.tv_sec + offset >= 0)
                        continue;
                error_say(error, ERANGE, "the clock would show %lld seconds",
                          (long long)(now.tv_sec + offset));
                error_remedy(error, "choose -%lld or more: so long the host has been up",
                             (long long)now.tv_sec);
                return error_at(error, compilation, "/isolation/time_offsets/%s", rows[i].name);
        }
        compilation->plan->clocks = (struct plan_clocks){
                .set = true,
                .monotonic = (uint64_t)offsets->monotonic,
                .boottime = (uint64_t)offsets->boottime,
        };
        return 0;
}

static void capabilities(struct compilation *compilation)
{
        const struct config_capabilities *wanted =
                &compilation->application->isolation.capabilities;

        compilation->plan->capabilities = (struct plan_capabilities){
                .inheritable = wanted->inheritable,
                .ambient = wanted->ambient,
                .bounding = wanted->bounding,
        };
}

/* Asks for the session's keyring without making one. Container engines refuse that as well as making. */
static bool keyrings_work(void)
{
        return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) >= 0 ||
               (errno != ENOSYS && errno != EPERM && errno != EACCES);
}

/* Whoever has our own id counts against our own quota of 200 keys (keyrings(7)), so all of those together
 * have the one that the supervisor made for itself. */
static void keyring(struct compilation *compilation)
{
        struct plan *plan = compilation->plan;
        bool work = keyrings_work();

        plan->keyring = work && !ids_are_ours(&plan->identity);
        if (!work)
                compile_notice(compilation, "keyctl(2) is refused here, so the application has the "
                                            "session keyring that clade was started with; its own "
                                            "filter refuses it the calls for keys");
}

int compile_privileges(struct compilation *compilation, struct error *error)
{
        int r = loopback(compilation, error);

        if (r == 0)
                r = clocks(compilation, error);
        if (r < 0)
                return r;
        capabilities(compilation);
        keyring(compilation);
        return 0;
}
