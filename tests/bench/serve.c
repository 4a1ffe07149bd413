// SPDX-License-Identifier: GPL-2.0
/*
 * The far end of the traffic: a UDP socket that nobody reads, a TCP sink and a TCP echo, each in a
 * process of its own and on a port of its own. Until its standard input ends.
 */
#include "bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "traffic.h"
#include "util.h"

static int listen_at(int type, int port, struct err *e)
{
	const struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons((__u16)port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&here, sizeof(here)) ||
	    (type == SOCK_STREAM && listen(fd, 1)))
		return err_set(e, -errno, "port %d: %s", port, strerror(errno));
	return fd;
}

/* One connection after the other, as they come; each byte back if it is an echo. */
static void serve(int listener, bool echo)
{
	static char data[256 << 10];
	const int one = 1;
	ssize_t got;

	for (;;) {
		_cleanup_close_ int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		while ((got = read(fd, data, sizeof(data))) > 0) {
			if (echo && write(fd, data, (size_t)got) != got)
				break;
		}
	}
}

static int start(int port, bool echo, struct err *e)
{
	_cleanup_close_ int listener = listen_at(SOCK_STREAM, port, e);
	pid_t child;

	if (listener < 0)
		return listener;
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		serve(listener, echo);
		_exit(1);
	}
	return child < 0 ? err_set(e, -errno, "fork: %s", strerror(errno)) : child;
}

int bench_serve(int argc, char *argv[], struct err *e)
{
	_cleanup_close_ int udp = listen_at(SOCK_DGRAM, PORT_UDP, e);
	_cleanup_close_ int other = listen_at(SOCK_DGRAM, PORT_OTHER, e);
	int sink = start(PORT_STREAM, false, e), echo = start(PORT_ECHO, true, e);
	char byte;

	(void)argc;
	(void)argv;
	if (udp < 0 || other < 0 || sink < 0 || echo < 0)
		return e->code;
	printf("ready %d %d %d\n", (int)getpid(), sink, echo);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
