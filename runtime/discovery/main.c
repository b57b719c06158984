/* clade-discovery: one process for one module file.
 *
 * The supervisor exec'd us with a channel and the module's file at fixed descriptors, in namespaces of our
 * own where the host allows them. We take from ourselves everything that loading and describing a library
 * does not need; only then is the module loaded, which runs its constructors. What it says goes to the
 * supervisor in messages of fixed sizes, which trusts none of it. If the module crashes, hangs or exits,
 * that is this process's end and nobody else's.
 *
 * The argument is the module's path, for ps(1); nothing is done with it. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/channel.h"
#include "runtime/discovery/describe.h"
#include "runtime/discovery/load.h"
#include "runtime/discovery/sandbox.h"
#include "runtime/protocol/discovery.h"
#include "runtime/protocol/messages.h" /* MESSAGE_INIT */

/* _exit: the destructors of the module are nobody's business. */
static _Noreturn void fail(enum discovery_fault fault, const struct error *error)
{
        struct discovery_failed message = MESSAGE_INIT(DISCOVERY_FAILED, struct discovery_failed);

        message.fault = fault;
        message.error = *error;
        channel_send(DISCOVERY_FD_CHANNEL, &message, sizeof(message));
        _exit(1);
}

/* As pid 1 of its namespace a process cannot kill itself by a signal; abort(3) would end in some other
 * fault. So the handler says by the status what happened. */
static void aborted(int number)
{
        _exit(DISCOVERY_EXIT_SIGNAL + number);
}

int main(void)
{
        struct discovery_confined confined =
                MESSAGE_INIT(DISCOVERY_CONFINED, struct discovery_confined);
        struct error error = ERROR_INIT;
        const struct clade_module *module;
        enum discovery_fault fault;

        /* Whoever stops listening is no reason to die of SIGPIPE before we can leave. */
        signal(SIGPIPE, SIG_IGN);
        signal(SIGABRT, aborted);

        if (sandbox_enter(&error) < 0)
                fail(DISCOVERY_FAULT_SANDBOX, &error);
        if (channel_send(DISCOVERY_FD_CHANNEL, &confined, sizeof(confined)) < 0)
                _exit(1);

        /* No capability, no network, nothing to write to but the channel: now the module's code runs. */
        if (load_module(&module, &fault, &error) < 0)
                fail(fault, &error);
        if (describe_module(module, DISCOVERY_FD_CHANNEL, &error) < 0)
                fail(DISCOVERY_FAULT_MODULE, &error);
        _exit(0);
}
