/* How many connections wait on a listening socket for somebody to accept them. */
#pragma once

/* The length of the queue, or a negative errno. TCP says it in TCP_INFO (tcpi_unacked of a socket that
 * listens, from 2.6.24); for a unix socket it is asked of the kernel by sock_diag(7), and where that
 * is not to be had, 1 stands for "some". */
int backlog_length(int fd);
