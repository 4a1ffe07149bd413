// SPDX-License-Identifier: GPL-2.0
/*
 * Builds the world of verify.h and takes it down: three network namespaces, two wires, a cgroup, a
 * bpffs, and the processes that serve it. Everything hangs on descriptors and processes of ours.
 */
#define _GNU_SOURCE /* memfd_create, close_range */

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "addr.h"
#include "verify_world.h"

#define CLIENT_LINK "fe80::ff:fe00:7702" /* of VERIFY_CLIENT_MAC */

enum { PATIENCE_MS = 15000, PAGE_MS = 5000, CHANNEL = 3 };

/* Neighbours never change, so that the first packet is not a question. */
static const char client_lines[] =
	"link set eth0 address " VERIFY_CLIENT_MAC " up\n"
	"addr add " VERIFY_CLIENT4 "/24 dev eth0\n"
	"route add default via " VERIFY_ROUTER4 " metric 1024\n"
	"neigh add " VERIFY_ROUTER4 " lladdr " VERIFY_ROUTER_MAC " dev eth0 nud permanent\n"
	"neigh add " VERIFY_LAN4 " lladdr " VERIFY_ROUTER_MAC " dev eth0 nud permanent\n";
static const char client_lines6[] =
	"addr add " VERIFY_CLIENT6 "/64 dev eth0 nodad\n"
	"route add ::/0 via " VERIFY_ROUTER_LINK " dev eth0 metric 1024\n"
	"neigh add " VERIFY_ROUTER_LINK " lladdr " VERIFY_ROUTER_MAC " dev eth0 nud permanent\n"
	"neigh add " VERIFY_ROUTER6 " lladdr " VERIFY_ROUTER_MAC " dev eth0 nud permanent\n";
static const char router_lines[] =
	"link set client address " VERIFY_ROUTER_MAC " up\n"
	"link set server up\n"
	"addr add " VERIFY_ROUTER4 "/24 dev client\n"
	"addr add " VERIFY_LAN4 "/24 dev client\n"
	"neigh add " VERIFY_CLIENT4 " lladdr " VERIFY_CLIENT_MAC " dev client nud permanent\n"
	"addr add 203.0.113.1/24 dev server\n"
	"route add 198.51.100.0/24 via " VERIFY_VPN4 "\n";
static const char router_lines6[] =
	"addr add " VERIFY_ROUTER_LINK "/64 dev client nodad\n"
	"addr add " VERIFY_ROUTER6 "/64 dev client nodad\n"
	"neigh add " VERIFY_CLIENT6 " lladdr " VERIFY_CLIENT_MAC " dev client nud permanent\n"
	"neigh add " CLIENT_LINK " lladdr " VERIFY_CLIENT_MAC " dev client nud permanent\n"
	"addr add 2001:db8:113::1/64 dev server nodad\n"
	"route add 2001:db8:51::/64 via " VERIFY_VPN6 "\n";
static const char server_lines[] =
	"link set eth0 up\n"
	"addr add " VERIFY_VPN4 "/24 dev eth0\n"
	"addr add " VERIFY_WEB4 "/32 dev lo\n"
	"route add default via 203.0.113.1\n"
	"tuntap add dev " VERIFY_PEER_TUNNEL " mode tun\n"
	"addr add 10.66.0.1/24 dev " VERIFY_PEER_TUNNEL "\n"
	"link set " VERIFY_PEER_TUNNEL " up\n";
static const char server_lines6[] =
	"addr add " VERIFY_VPN6 "/64 dev eth0 nodad\n"
	"addr add " VERIFY_WEB6 "/128 dev lo nodad\n"
	"route add ::/0 via 2001:db8:113::1\n"
	"addr add fd66::1/64 dev " VERIFY_PEER_TUNNEL " nodad\n";
static const char tunnel_lines[] =
	"addr add " VERIFY_TUNNEL4 "/24 dev wg0\n"
	"link set wg0 mtu 1420 up\n"
	"route replace " VERIFY_VPN4 " via " VERIFY_ROUTER4 " dev eth0\n"
	"route add default dev wg0 metric 50\n";
static const char tunnel_lines6[] =
	"addr add " VERIFY_TUNNEL6 "/64 dev wg0 nodad\n"
	"route replace " VERIFY_VPN6 " via " VERIFY_ROUTER_LINK " dev eth0\n"
	"route add ::/0 dev wg0 metric 50\n";

static bool has_ipv6(void)
{
	return access("/proc/sys/net/ipv6", F_OK) == 0;
}

/* Makes e of what a tool wrote to its standard error. */
static int tool_failed(int said, const char *what, struct err *e)
{
	char text[512];
	ssize_t n = pread(said, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err_set(e, -EIO, "cannot build the world: %s failed: %s", what,
		       text[0] ? text : "is 'ip' of iproute2 installed?");
}

/* In a child: "ip -batch -", fed from a file. Never returns. */
static void __attribute__((noreturn)) exec_batch(int namespace_fd, int lines, int said)
{
	char *const words[] = { "ip", "-batch", "-", NULL };

	if (verify_enter_fd(namespace_fd) == 0 && dup2(lines, STDIN_FILENO) >= 0 &&
	    dup2(said, STDOUT_FILENO) >= 0 && dup2(said, STDERR_FILENO) >= 0)
		execvp(words[0], words);
	_exit(1);
}

static bool write_all(int fd, const char *text)
{
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* six: only where the kernel has IPv6. */
static int run_batch(int namespace_fd, const char *four, const char *six, struct err *e)
{
	_cleanup_close_ int lines = memfd_create("lines", MFD_CLOEXEC);
	_cleanup_close_ int said = memfd_create("said", MFD_CLOEXEC);
	pid_t child;
	int status;

	if (lines < 0 || said < 0 || !write_all(lines, four) ||
	    (has_ipv6() && !write_all(lines, six)) || lseek(lines, 0, SEEK_SET) < 0)
		return err_set(e, -EIO, "cannot build the world: %s", strerror(errno));
	child = fork();
	if (child < 0)
		return err_set(e, -errno, "cannot fork: %s", strerror(errno));
	if (child == 0)
		exec_batch(namespace_fd, lines, said);
	if (waitpid(child, &status, 0) != child || status != 0)
		return tool_failed(said, "'ip -batch'", e);
	return 0;
}

static int make_namespaces(struct verify_world *w, struct err *e)
{
	size_t i;

	for (i = 0; i < VERIFY_PLACES; i++) {
		w->places[i] = verify_make_namespace(i == VERIFY_ROUTER);
		if (w->places[i] < 0)
			return err_set(e, w->places[i], "cannot make a network namespace: %s",
				       strerror(-w->places[i]));
	}
	return 0;
}

/* From the middle: both wires are made in the router. */
static int make_wires(struct verify_world *w, struct err *e)
{
	char client[VERIFY_PATH], server[VERIFY_PATH];
	char lines[2048];
	int r;

	verify_namespace_path(w->places[VERIFY_CLIENT], client);
	verify_namespace_path(w->places[VERIFY_SERVER], server);
	snprintf(lines, sizeof(lines),
		 "link add client type veth peer name eth0 netns %s\n"
		 "link add server type veth peer name eth0 netns %s\n%s",
		 client, server, router_lines);
	r = run_batch(w->places[VERIFY_ROUTER], lines, router_lines6, e);
	if (!r)
		r = run_batch(w->places[VERIFY_CLIENT], client_lines, client_lines6, e);
	return r;
}

/* In a child: only its channel stays open, so that a world's end is an end. Never returns. */
static void __attribute__((noreturn)) run_daemon(const struct verify_world *w,
						 enum verify_daemon which, int channel)
{
	enum verify_place place = which == VERIFY_TUN ? VERIFY_CLIENT : VERIFY_SERVER;
	int r = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (which == VERIFY_TUN) /* it is a program of the machine: its packets are judged too */
		r = verify_join(w->cgroup);
	if (!r)
		r = verify_enter_fd(w->places[place]);
	if (r || dup3(channel, CHANNEL, O_CLOEXEC) < 0 || close_range(CHANNEL + 1, ~0U, 0) < 0)
		_exit(r ? -r : errno);
	if (which == VERIFY_TUN)
		verify_serve_tun(CHANNEL);
	if (which == VERIFY_PEER)
		verify_serve_peer(CHANNEL);
	verify_serve_echo(CHANNEL);
}

/* One byte from a daemon: it has done as it was told. */
static bool answers(int channel)
{
	struct pollfd fd = { .fd = channel, .events = POLLIN };
	char byte;

	return poll(&fd, 1, PATIENCE_MS) == 1 && read(channel, &byte, 1) == 1;
}

static void stop_daemon(struct verify_world *w, enum verify_daemon which)
{
	if (w->daemons[which] <= 0)
		return;
	kill(w->daemons[which], SIGKILL);
	waitpid(w->daemons[which], NULL, 0);
	w->daemons[which] = 0;
}

/* Returns our end of its channel. */
static int start_daemon(struct verify_world *w, enum verify_daemon which, const char *what,
			struct err *e)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	int ends[2], status = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(e, -errno, "cannot make a socket pair: %s", strerror(errno));
	ours = ends[0];
	theirs = ends[1];
	w->daemons[which] = fork();
	if (w->daemons[which] < 0)
		return err_set(e, -errno, "cannot fork: %s", strerror(errno));
	if (w->daemons[which] == 0)
		run_daemon(w, which, theirs);
	close(TAKE_FD(theirs));
	if (answers(ours))
		return TAKE_FD(ours);
	kill(w->daemons[which], SIGKILL);
	waitpid(w->daemons[which], &status, 0);
	w->daemons[which] = 0;
	return err_set(e, -EIO, "cannot serve the %s: %s%s", what,
		       WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "it does not answer",
		       which == VERIFY_ECHO ? "" : "; is '/dev/net/tun' there? (modprobe tun)");
}

/* Addresses first: what serves is bound to them. */
static int start_server(struct verify_world *w, struct err *e)
{
	_cleanup_close_ int peer = -1;
	int r = run_batch(w->places[VERIFY_SERVER], server_lines, server_lines6, e);

	if (r)
		return r;
	peer = start_daemon(w, VERIFY_PEER, "tunnel's far end", e);
	if (peer < 0)
		return peer;
	w->echo = start_daemon(w, VERIFY_ECHO, "echo", e);
	return w->echo < 0 ? w->echo : 0;
}

int verify_open_port(const struct verify_world *w, __u16 port, struct err *e)
{
	if (write(w->echo, &port, sizeof(port)) != sizeof(port) || !answers(w->echo))
		return err_set(e, -EIO, "the server does not open port %u", port);
	return 0;
}

static int make_places(const struct verify_run *run, struct verify_world *w, struct err *e)
{
	if (snprintf(w->cgroup, sizeof(w->cgroup), "%s/w%u", run->cgroup, w->number) >=
	    (int)sizeof(w->cgroup))
		return err_set(e, -ENAMETOOLONG, "the path of cgroup '%s' is too long",
			       run->cgroup);
	snprintf(w->run_dir, sizeof(w->run_dir), VERIFY_RUN "/run%u", w->number);
	snprintf(w->bpffs, sizeof(w->bpffs), VERIFY_RUN "/bpf%u", w->number);
	if (mkdir(w->cgroup, 0755) < 0)
		return err_set(e, -errno, "cannot make cgroup '%s': %s", w->cgroup,
			       strerror(errno));
	if (mkdir(w->run_dir, 0700) < 0 || mkdir(w->bpffs, 0700) < 0 ||
	    mount("bpf", w->bpffs, "bpf", 0, NULL) < 0)
		return err_set(e, -errno, "cannot mount a BPF file system on '%s': %s", w->bpffs,
			       strerror(errno));
	return 0;
}

/* In the router. */
static int await_wires(struct err *e)
{
	int r = verify_await_device("client");

	if (!r)
		r = verify_await_device("server");
	return r ? err_set(e, r, "the router's wires do not come up: %s", strerror(-r)) : 0;
}

/* The judge's two sockets, each opened in a namespace that is then left. */
static int open_judge(struct verify_world *w, struct err *e)
{
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (home < 0 || verify_enter_fd(w->places[VERIFY_ROUTER]) < 0)
		return err_set(e, -errno, "cannot enter the router: %s", strerror(errno));
	w->sniffer = verify_sniffer_open(e);
	w->far_side = if_nametoindex("server");
	r = w->sniffer < 0 ? w->sniffer : await_wires(e);
	if (!r)
		r = verify_enter_fd(w->places[VERIFY_SERVER]);
	if (!r) {
		w->beacon = verify_beacon_open(e);
		r = w->beacon < 0 ? w->beacon : 0;
	}
	if (verify_enter_fd(home) < 0)
		return err_set(e, -errno, "cannot leave the server: %s", strerror(errno));
	return r;
}

struct verify_world *verify_world_new(struct verify_run *run, struct err *e)
{
	_cleanup_verify_world_ struct verify_world *w = calloc(1, sizeof(*w));
	int r;

	if (!w) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	memset(w->places, -1, sizeof(w->places));
	w->sniffer = w->beacon = w->echo = -1;
	w->number = run->worlds++;
	w->notes = mmap(NULL, sizeof(*w->notes), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w->notes == MAP_FAILED) {
		w->notes = NULL;
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	r = make_places(run, w, e);
	if (!r)
		r = make_namespaces(w, e);
	if (!r)
		r = make_wires(w, e);
	if (!r)
		r = start_server(w, e);
	if (!r)
		r = open_judge(w, e);
	return r ? NULL : TAKE_PTR(w);
}

/* Unmounts all there is at a place, and removes it. */
static void remove_mount(const char *path)
{
	while (umount2(path, MNT_DETACH) == 0)
		;
	rmdir(path);
}

void verify_world_free(struct verify_world *w)
{
	char own[80];
	size_t i;

	if (!w)
		return;
	for (i = 0; i < VERIFY_DAEMONS; i++)
		stop_daemon(w, (enum verify_daemon)i);
	for (i = 0; i < VERIFY_PLACES; i++)
		cleanup_close(&w->places[i]);
	cleanup_close(&w->sniffer);
	cleanup_close(&w->beacon);
	cleanup_close(&w->echo);
	snprintf(own, sizeof(own), "%s/bpf", w->run_dir); /* where tunfence mounts its own */
	remove_mount(own);
	remove_mount(w->bpffs);
	if (w->cgroup[0])
		verify_remove_cgroup(w->cgroup);
	if (w->notes)
		munmap(w->notes, sizeof(*w->notes));
	free(w);
}

int verify_tunnel_up(struct verify_world *w, struct err *e)
{
	_cleanup_close_ int channel = start_daemon(w, VERIFY_TUN, "tunnel", e);

	return channel < 0 ? channel :
			     run_batch(w->places[VERIFY_CLIENT], tunnel_lines, tunnel_lines6, e);
}

/* As when wireguard-go is killed: the kernel takes the device, and its routes with it. */
void verify_tunnel_kill(struct verify_world *w)
{
	stop_daemon(w, VERIFY_TUN);
}

/* ---- whether the tunnel works --------------------------------------------------------------- */

/* Waits until a socket can be written to or read from. */
static bool ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, PAGE_MS) == 1;
}

static bool is_from_tunnel(int fd)
{
	struct sockaddr_storage from = {};
	socklen_t length = sizeof(from);
	struct tf_addr addr;

	return getsockname(fd, (struct sockaddr *)&from, &length) == 0 &&
	       addr_from_sockaddr((struct sockaddr *)&from, &addr, NULL) == 0 &&
	       verify_is_addr(&addr, VERIFY_TUNNEL4);
}

/* A page by TCP, or rather its echo: true if it came, and from the tunnel's address. */
static bool fetch(void)
{
	static const char page[] = "a page\n";
	struct sockaddr_storage to;
	socklen_t length = verify_sockaddr(VERIFY_WEB4, 80, &to);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char answer[sizeof(page)];

	if (fd < 0 ||
	    (connect(fd, (struct sockaddr *)&to, length) < 0 && errno != EINPROGRESS) ||
	    !ready(fd, POLLOUT) || send(fd, page, sizeof(page), MSG_NOSIGNAL) != sizeof(page) ||
	    !ready(fd, POLLIN) || recv(fd, answer, sizeof(answer), 0) != sizeof(answer))
		return false;
	return memcmp(answer, page, sizeof(page)) == 0 && is_from_tunnel(fd);
}

bool verify_tunnel_works(const struct verify_world *w)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		if (verify_join(w->cgroup) < 0 || verify_enter_fd(w->places[VERIFY_CLIENT]) < 0)
			_exit(1);
		_exit(fetch() ? 0 : 1);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}
