/* Opening the address of a listener, and telling whether a listening socket still is one. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"
#include "runtime/config/config.h"

/* The file of a unix socket, remembered so that only our own one is ever removed, and only from where it
 * was made. */
struct listener_file {
        dev_t device;
        ino_t inode;   /* 0: there is none, and no directory either */
        int directory; /* owned; O_PATH */
};

/* Socket, bind, listen. Blocking (workers inherit it), close-on-exec. A unix socket's file gets mode
 * 0666: who may connect is decided by the directory it is in. On the way to that, links are followed only where
 * root made them (base/path.h). A stale file, one that nobody listens on any more, is
 * replaced. getsockname(2) tells the configured path, or, on a kernel without Landlock, only its last part.
 * The descriptor or a negative errno. */
int listener_open(const struct config_listener *config, struct listener_file *ret_file,
                  struct error *error);

/* Removes the file if it is still the one that was made, and lets go of its directory. Harmless when there is
 * none. */
void listener_unlink(const struct config_listener *config, struct listener_file *file);

/* Whether clients can still get through: shutdown(2) and connect(AF_UNSPEC) end a TCP listener, which then
 * says so by SO_ACCEPTCONN; a unix one goes on saying that it listens, but hangs up. One that was bound to a
 * device listens to nobody else. */
bool listener_alive(int fd);

/* Closes it, whatever it has become. A tenant can make a connection of a TCP listener, with data that nobody
 * takes and a lingering close, and whoever closes it last waits for as long as the tenant likes. An exiting
 * process does not: so a child is made that has it, too, and closes it by its end. */
void listener_let_go(int fd);
