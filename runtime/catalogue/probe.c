#include "runtime/catalogue/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/own.h"
#include "isolation/clone.h"
#include "runtime/catalogue/text.h"
#include "runtime/protocol/messages.h" /* MESSAGE_INIT */

/* How long a killed process may take to die: only one that is stuck in the kernel (a dead network
 * filesystem) takes any time at all. */
#define DEATH_MS 1000

int probe_open(struct probe *probe, const char *path)
{
        struct stat st;
        int r;

        *probe = (struct probe){
                .state = PROBE_BAD, .file = -1, .channel = -1, .output = -1, .pidfd = -1};
        intake_init(&probe->intake);
        probe->path = strdup(path);
        if (!probe->path)
                return error_set(&probe->error, ENOMEM, "remembering its path");
        /* O_NONBLOCK: a fifo of this name shall not stop us. */
        probe->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (probe->file < 0 || fstat(probe->file, &st) < 0) {
                r = error_set(&probe->error, errno, "opening it");
                error_remedy(&probe->error, "make it readable, or let --modules not name it");
                return r;
        }
        if (!S_ISREG(st.st_mode)) {
                error_say(&probe->error, EINVAL, "it is not a regular file");
                return error_remedy(&probe->error, "let --modules name shared objects only");
        }
        probe->state = PROBE_WAITING;
        return 0;
}

void probe_finish(struct probe *probe)
{
        fd_close(probe->file);
        fd_close(probe->channel);
        fd_close(probe->output);
        fd_close(probe->pidfd);
        intake_finish(&probe->intake);
        free(probe->path);
}

/* --- start ---------------------------------------------------------------------------------- */

/* In the clone, when it cannot exec: says so as clade-discovery itself would. */
static void clone_failed(void *context, bool arranged, enum isolation_step_id step,
                         const struct error *error)
{
        struct discovery_failed message = MESSAGE_INIT(DISCOVERY_FAILED, struct discovery_failed);
        const int *channel = context;

        message.fault = DISCOVERY_FAULT_SANDBOX;
        message.error = *error;
        error_prefix(&message.error, "step %s", isolation_step_name(step));
        channel_send(arranged ? DISCOVERY_FD_CHANNEL : *channel, &message, sizeof(message));
}

static int start(struct probe *probe, int executable, const struct plan *plan, struct error *error)
{
        char name[] = "clade-discovery";
        char *arguments[] = {name, probe->path, NULL};
        char *environment[] = {NULL};
        cleanup_fd int theirs = -1, output = -1, nothing = -1;
        int descriptors[DISCOVERY_FD_COUNT];
        struct isolation_clone clone = {
                .plan = plan,
                .executable = executable,
                .arguments = arguments,
                .environment = environment,
                .descriptors = descriptors,
                .descriptor_count = DISCOVERY_FD_COUNT,
                .first_source = DISCOVERY_FD_COUNT,
                .failed = clone_failed,
        };
        enum isolation_step_id step;
        int pair[2], r;
        pid_t pid;

        r = channel_socket_pair(pair);
        if (r < 0)
                return error_set(error, -r, "socketpair");
        probe->channel = pair[0];
        theirs = pair[1];
        /* Neither end waits for the other: a module that floods loses what it writes. */
        if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
                return error_set(error, errno, "pipe2");
        probe->output = pair[0];
        output = pair[1];
        r = fd_nonblock(probe->channel, true);
        if (r < 0)
                return error_set(error, -r, "O_NONBLOCK");
        nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (nothing < 0)
                return error_set(error, errno, "open of /dev/null");

        descriptors[0] = nothing;
        descriptors[1] = descriptors[2] = output;
        descriptors[DISCOVERY_FD_CHANNEL] = theirs;
        descriptors[DISCOVERY_FD_MODULE] = probe->file;
        clone.context = &theirs;
        return isolation_clone(&clone, &pid, &probe->pidfd, &step, error);
}

static void forget_process(struct probe *probe)
{
        fd_close(TAKE_FD(probe->channel));
        fd_close(TAKE_FD(probe->output));
        fd_close(TAKE_FD(probe->pidfd));
}

void probe_start(struct probe *probe, int executable, const struct plan *plan)
{
        intake_finish(&probe->intake);
        intake_init(&probe->intake);
        probe->error = (struct error)ERROR_INIT;
        probe->state = PROBE_RUNNING;
        if (start(probe, executable, plan, &probe->error) < 0) {
                probe->state = PROBE_FAULTY;
                forget_process(probe);
        }
}

/* --- end ------------------------------------------------------------------------------------ */

/* Kills the process, and takes its status. False when it has not died. */
static bool end_process(struct probe *probe, siginfo_t *ret_status)
{
        struct pollfd death = {.fd = probe->pidfd, .events = POLLIN};

        /* A process that has crashed keeps the status of the crash. */
        *ret_status = (siginfo_t){.si_code = 0};
        syscall(SYS_pidfd_send_signal, probe->pidfd, SIGKILL, NULL, 0);
        if (poll(&death, 1, DEATH_MS) <= 0)
                return false;
        return waitid(P_PIDFD, (id_t)probe->pidfd, ret_status, WEXITED | WNOHANG) == 0 &&
               ret_status->si_pid != 0;
}

/* The end of what the process wrote, for people: a loader's or an assertion's last line, say. */
static void quote_output(struct probe *probe)
{
        char data[4096], shown[200];
        const char *line;
        size_t length = 0;
        ssize_t n;

        /* A pipe holds 64 KB (pipe(7)): more than that only comes if the process has not died. */
        for (int i = 0; i < 32; i++) {
                n = read(probe->output, data, sizeof(data) - 1);
                if (n <= 0)
                        break;
                length = (size_t)n;
        }
        while (length > 0 && data[length - 1] == '\n')
                length--;
        data[length] = '\0';
        line = strrchr(data, '\n');
        line = line ? line + 1 : data;
        if (!*line)
                return;
        text_show(line, sizeof(shown) * 2, shown, sizeof(shown));
        length = strlen(probe->error.text);
        snprintf(probe->error.text + length, sizeof(probe->error.text) - length,
                 "; its last words: \"%s\"", shown);
}

/* What the process was doing when it ended without having said why. */
static const char *occupation(const struct probe *probe)
{
        switch (probe->intake.phase) {
        case DISCOVERY_CONFINING:
                return "while it locked itself in";
        case DISCOVERY_LOADING:
                return "while the module was loaded and described itself";
        default:
                return "while it told about the module";
        }
}

static void explain_status(struct probe *probe, const siginfo_t *status)
{
        struct error *error = &probe->error;
        const char *doing = occupation(probe);
        int number = 0;

        if (status->si_code != CLD_EXITED)
                number = status->si_status;
        else if (status->si_status > DISCOVERY_EXIT_SIGNAL)
                number = status->si_status - DISCOVERY_EXIT_SIGNAL;
        if (number > 0 && sigabbrev_np(number)) {
                error_say(error, EBADMSG, "clade-discovery died of SIG%s (%s) %s",
                          sigabbrev_np(number), strsignal(number), doing);
                error_remedy(error, number == SIGKILL
                                            ? "it closed its channel, or the kernel ended "
                                              "it for lack of memory: see dmesg"
                                            : "the module crashes: load it in a debugger, "
                                              "its constructors and describe are what ran");
                return;
        }
        error_say(error, EBADMSG, "clade-discovery exited with status %d %s", status->si_status,
                  doing);
        error_remedy(error, "a module must not exit: its constructors and describe are what ran");
}

/* The probe is over. `said` tells that probe->error is filled already. */
static void conclude(struct probe *probe, bool said)
{
        bool confined = probe->intake.phase != DISCOVERY_CONFINING;
        siginfo_t status;
        bool dead;

        /* What the sandbox says is about the sandbox. */
        if (said && probe->intake.fault)
                confined = probe->intake.fault != DISCOVERY_FAULT_SANDBOX;
        dead = end_process(probe, &status);
        if (!dead && !said) {
                error_set(&probe->error, EBUSY, "clade-discovery does not die %s",
                          occupation(probe));
                error_remedy(&probe->error, "it is stuck in the kernel: is the module on a "
                                            "filesystem that has gone away?");
        } else if (!said) {
                explain_status(probe, &status);
        }
        quote_output(probe);
        if (confined)
                error_remedy(&probe->error,
                             "the module must be corrected; let --modules not name it "
                             "until then");
        forget_process(probe);
        probe->foreign = probe->intake.fault == DISCOVERY_FAULT_FOREIGN;
        probe->state = confined ? PROBE_BAD : PROBE_FAULTY;
        intake_finish(&probe->intake);
}

void probe_receive(struct probe *probe)
{
        _Alignas(uint64_t) char packet[MESSAGE_MAX];

        while (probe->state == PROBE_RUNNING) {
                ssize_t n = channel_receive(probe->channel, packet, sizeof(packet));

                if (n == -EAGAIN)
                        return;
                if (n == 0 || n == -ECONNRESET) {
                        conclude(probe, false);
                        return;
                }
                if (n < 0) {
                        error_set(&probe->error, (int)-n, "receiving from clade-discovery");
                        conclude(probe, true);
                        return;
                }
                if (intake_packet(&probe->intake, packet, (size_t)n, &probe->error) < 0) {
                        conclude(probe, true);
                        return;
                }
                if (probe->intake.phase == DISCOVERY_ENDED) {
                        siginfo_t status;

                        end_process(probe, &status);
                        forget_process(probe);
                        probe->state = PROBE_GOOD;
                }
        }
}

void probe_expire(struct probe *probe, int deadline_ms)
{
        error_say(&probe->error, EBADMSG, "it was not done after %d ms, and was killed %s",
                  deadline_ms, occupation(probe));
        error_remedy(&probe->error, "the module hangs: load it in a debugger, its constructors and "
                                    "describe are what runs");
        conclude(probe, true);
}
