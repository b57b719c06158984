/* execve says ENOENT both for a program that is not there and for one whose interpreter or loader is
 * not; EACCES for four things. A person wants to know which. We are still the worker, inside its root,
 * and can look. */
#include "modules/external/explain.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PATH_ROOM 256 /* as much of "#! path" as the kernel reads (BINPRM_BUF_SIZE) */

enum kind {
        UNREADABLE,
        SCRIPT, /* it names an interpreter */
        ELF,    /* for this machine; it may name a loader */
        FOREIGN_ELF,
        OTHER,
};

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#else
#define MACHINE EM_NONE
#endif

/* "#!  /path/of interpreter": the path ends at a blank. */
static void script_interpreter(const char *head, char *interpreter)
{
        size_t length;

        head += 2;
        head += strspn(head, " \t");
        length = strcspn(head, " \t\r\n");
        snprintf(interpreter, PATH_ROOM, "%.*s", (int)length, head);
}

/* The loader that PT_INTERP names; "" for a static program, or where the file makes no sense. */
static void elf_interpreter(int fd, const Elf64_Ehdr *header, char *interpreter)
{
        for (unsigned i = 0; i < header->e_phnum; i++) {
                off_t at = (off_t)(header->e_phoff + (Elf64_Off)i * sizeof(Elf64_Phdr));
                Elf64_Phdr segment;
                ssize_t n;

                if (pread(fd, &segment, sizeof(segment), at) != (ssize_t)sizeof(segment))
                        return;
                if (segment.p_type != PT_INTERP || segment.p_filesz >= PATH_ROOM)
                        continue;
                n = pread(fd, interpreter, segment.p_filesz, (off_t)segment.p_offset);
                interpreter[n > 0 ? n : 0] = '\0';
                return;
        }
}

/* What the file is, and which other one it needs in order to run ("" when none). */
static enum kind look(const char *path, char *interpreter)
{
        union {
                Elf64_Ehdr elf;
                char text[PATH_ROOM];
        } head = {.text = ""};
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        enum kind kind = OTHER;
        ssize_t n;

        interpreter[0] = '\0';
        if (fd < 0)
                return UNREADABLE;
        n = pread(fd, head.text, sizeof(head.text) - 1, 0);
        if (n > 2 && memcmp(head.text, "#!", 2) == 0) {
                kind = SCRIPT;
                script_interpreter(head.text, interpreter);
        } else if (n >= (ssize_t)sizeof(head.elf) &&
                   memcmp(head.elf.e_ident, ELFMAG, SELFMAG) == 0) {
                kind = FOREIGN_ELF;
                if (head.elf.e_ident[EI_CLASS] == ELFCLASS64 && head.elf.e_machine == MACHINE) {
                        kind = ELF;
                        elf_interpreter(fd, &head.elf, interpreter);
                }
        }
        close(fd);
        return kind;
}

#define FAIL(worker, code, remedy, ...)                                                            \
        (worker)->application->host->fail((worker)->failure, (code), (remedy), __VA_ARGS__)

static int explain_missing(const struct clade_worker *worker, const char *executable)
{
        char interpreter[PATH_ROOM];
        enum kind kind;

        if (access(executable, F_OK) < 0)
                return FAIL(worker, ENOENT,
                            "check \"executable\": the path must exist on the host, and inside the "
                            "application's root",
                            "exec of %s: the program is not there", executable);
        kind = look(executable, interpreter);
        if (interpreter[0] && access(interpreter, F_OK) < 0)
                return FAIL(worker, ENOENT,
                            "declare it, and the libraries it needs, under isolation.mounts, or "
                            "use the rootfs \"host\"",
                            "exec of %s: it is there, but its %s %s is not inside this root",
                            executable, kind == SCRIPT ? "interpreter" : "loader", interpreter);
        return FAIL(worker, ENOENT,
                    "declare what it needs under isolation.mounts, or use the rootfs \"host\"",
                    "exec of %s: it is there, but something that it needs is not inside this root",
                    executable);
}

static int explain_denied(const struct clade_worker *worker, const char *executable)
{
        char interpreter[PATH_ROOM];
        struct statvfs filesystem;
        struct stat st;

        if (stat(executable, &st) < 0)
                return FAIL(worker, EACCES,
                            "make the directories on the way searchable for everybody (chmod o+x)",
                            "exec of %s: uid %u may not go there", executable, geteuid());
        if (!S_ISREG(st.st_mode))
                return FAIL(worker, EACCES, "name a program", "exec of %s: it is not a file",
                            executable);
        if (statvfs(executable, &filesystem) == 0 && (filesystem.f_flag & ST_NOEXEC))
                return FAIL(worker, EACCES, "remove noexec from the options of that mount",
                            "exec of %s: it lies on a mount with noexec", executable);
        if (access(executable, X_OK) < 0)
                return FAIL(worker, EACCES, "make it executable for everybody (chmod o+rx)",
                            "exec of %s: its mode %04o does not let uid %u execute it", executable,
                            st.st_mode & 07777, geteuid());
        look(executable, interpreter);
        if (interpreter[0] && access(interpreter, X_OK) < 0)
                return FAIL(worker, EACCES, "make the interpreter executable for everybody",
                            "exec of %s: its interpreter %s may not be executed by uid %u",
                            executable, interpreter, geteuid());
        return FAIL(worker, EACCES, "the isolation of this application may forbid it", "exec of %s",
                    executable);
}

int explain_exec(const struct clade_worker *worker, const char *executable, int code)
{
        char interpreter[PATH_ROOM];

        switch (code) {
        case ENOENT:
                return explain_missing(worker, executable);
        case EACCES:
                return explain_denied(worker, executable);
        case ENOEXEC:
                if (look(executable, interpreter) == FOREIGN_ELF)
                        return FAIL(worker, code, "build it for this machine",
                                    "exec of %s: it was built for another kind of machine",
                                    executable);
                return FAIL(worker, code, "give a script a first line such as \"#!/bin/sh\"",
                            "exec of %s: it is neither a program nor a script", executable);
        case E2BIG:
                return FAIL(worker, code, "shorten \"arguments\" or \"environment\"", "exec of %s",
                            executable);
        default:
                return FAIL(worker, code, NULL, "exec of %s", executable);
        }
}
