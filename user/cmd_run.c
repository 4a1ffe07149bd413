// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence run: moves itself into a fence's cgroup, or the one of its exempt programs, and becomes the
 * program. So environment, terminal,
 * signals and exit status are the program's own, and nothing stays behind. As root it has a child
 * answer its request, as any other user the unit behind the socket: what is below the cover, and the
 * mount namespace to see it, never get to the program.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "admission.h"
#include "command.h"
#include "config.h"

/* As env(1) has them. */
enum {
	EXIT_CANNOT_RUN = 126,
	EXIT_NO_PROGRAM = 127,
};

static void answer_as_root(const struct options *o, int fd)
{
	const struct admission_place place = { .bpffs = o->bpffs, .run_dir = o->run_dir,
					       .state_dir = o->state_dir };
	struct admission_peer peer;
	struct err e = {};

	_exit(admission_serve(fd, &place, &peer, &e) ? EXIT_FAILED : EXIT_DONE);
}

/* A connection to a child that answers. */
static int connect_to_child(const struct options *o, pid_t *ret_child, struct err *e)
{
	int ends[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(e, -errno, "a pair of sockets cannot be made: %s", strerror(errno));
	child = fork();
	if (child == 0) {
		close(ends[0]);
		answer_as_root(o, ends[1]);
	}
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return err_set(e, -errno, "cannot fork: %s", strerror(errno));
	}
	*ret_child = child;
	return ends[0];
}

static int ask(const struct options *o, const char *name, struct admission *ret, struct err *e)
{
	_cleanup_close_ int fd = -1;
	pid_t child = 0;
	int r;

	fd = geteuid() == 0 ? connect_to_child(o, &child, e) : admission_connect(e);
	if (fd < 0)
		return fd;
	r = admission_ask(fd, name, o->exempt, ret, e);
	while (child && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

/* A socket that the program gets and that can reach a network. */
static bool is_inherited_socket(int fd)
{
	int domain, flags = fcntl(fd, F_GETFD);
	socklen_t size = sizeof(domain);

	return flags >= 0 && !(flags & FD_CLOEXEC) &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX;
}

static const char not_covered[] =
	"tunfence: warning: not covered by the fence, since it was made before: descriptor ";
static const char not_exempt[] =
	"tunfence: warning: not exempt, since it was made before: descriptor ";

/* They belong for life to the cgroup of whoever made them. */
static void warn_of_sockets(const char *name, bool exempt)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	const struct dirent *d;
	int shown = 0;

	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || !is_inherited_socket((int)strtol(d->d_name, NULL, 10)))
			continue;
		fprintf(stderr, "%s%s", shown++ ? ", " : exempt ? not_exempt : not_covered,
			d->d_name);
	}
	if (shown)
		fprintf(stderr, "; what the program makes itself is %s fence '%s'\n",
			exempt ? "exempt of" : "in", name);
	if (!dir && !exempt)
		fputs("tunfence: warning: '/proc/self/fd' cannot be read, so it is not known "
		      "whether the program gets sockets that the fence does not cover\n", stderr);
}

/* Only returns when it fails. */
static int become(char *argv[])
{
	int code;

	execvp(argv[0], argv);
	code = errno == ENOENT ? EXIT_NO_PROGRAM : EXIT_CANNOT_RUN;
	fprintf(stderr, "tunfence: '%s' cannot be run: %s\n", argv[0], strerror(errno));
	return code;
}

int cmd_run(const struct options *o, int argc, char *argv[], struct err *e)
{
	struct admission a;
	int r;

	if (argc < 2 || o->program != argc - 1)
		return command_usage("run", "put '--' between the fence's name and the program, as in "
				     "'tunfence run wg0 -- curl example.net'");
	r = config_check_name(argv[0], e);
	if (!r)
		r = ask(o, argv[0], &a, e);
	if (!r)
		r = admission_check(&a, argv[0], e);
	if (r)
		return err_prefix(e, "'%s' is not started %s fence '%s'", argv[1],
				  o->exempt ? "exempt of" : "in", argv[0]);
	if (a.observed)
		fprintf(stderr,
			"tunfence: warning: fence '%s' only observes: nothing that '%s' sends is "
			"stopped\n", argv[0], argv[1]);
	warn_of_sockets(argv[0], o->exempt);
	return become(argv + 1);
}
