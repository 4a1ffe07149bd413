// SPDX-License-Identifier: GPL-2.0
/* Sockets to know of: see sockets.h. */
#include "sockets.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "addr.h"
#include "group.h"
#include "util.h"

enum {
	STATE_LISTEN = 10, /* include/net/tcp_states.h; the fourth field of /proc/net/tcp */
	STATE_CLOSE = 7,   /* a UDP socket that is connected to nobody */
	QDISC_BYPASS = 20, /* PACKET_QDISC_BYPASS */
	FIRST_PICKED = 32768, /* of ip_local_port_range, where it cannot be read */
};

static bool read_text(const char *path, char *text, size_t room)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	if (!f || !fgets(text, (int)room, f))
		return false;
	text[strcspn(text, "\n")] = '\0';
	return true;
}

/* A walk over the sockets of all processes in a cgroup. */
struct walk {
	int question; /* an option that sockets of the fence refuse; 0: bypasses are looked for */
	struct socket_holders holders;
	int failed; /* why a socket could not be looked at; 0: none */
};

enum finding {
	FINDING_NONE = 0,
	FINDING_PACKET, /* AF_PACKET that bypasses */
	FINDING_XDP,
	FINDING_STRANGER,
	FINDING_COUNT,
};

static int ask(int fd, int level, int name)
{
	socklen_t bytes = sizeof(int);
	int value = 0;

	return getsockopt(fd, level, name, &value, &bytes) ? -errno : value;
}

/* What cannot be told counts. */
static enum finding find_bypass(int fd)
{
	switch (ask(fd, SOL_SOCKET, SO_DOMAIN)) {
	case AF_XDP:
		return FINDING_XDP;
	case AF_PACKET:
		return ask(fd, SOL_PACKET, QDISC_BYPASS) ? FINDING_PACKET : FINDING_NONE;
	default:
		return FINDING_NONE;
	}
}

static enum finding find_stranger(int fd, int question)
{
	const int domain = ask(fd, SOL_SOCKET, SO_DOMAIN), value = 1;

	if (domain != AF_INET && domain != AF_INET6 && domain != AF_PACKET)
		return FINDING_NONE;
	return setsockopt(fd, SOL_XDP, question, &value, sizeof(value)) && errno == EPERM ?
		       FINDING_NONE :
		       FINDING_STRANGER;
}

/* The socket itself is asked, by a descriptor of our own. One that has just been closed is none. */
static enum finding look_at(int process, __u32 number, struct walk *w)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_getfd, process, number, 0);

	if (fd >= 0)
		return w->question ? find_stranger(fd, w->question) : find_bypass(fd);
	if (errno != EBADF && errno != ESRCH)
		w->failed = -errno;
	return FINDING_NONE;
}

static void add_holder(struct socket_holders *holders, int pid, const char *name,
		       enum finding finding)
{
	struct socket_holder *h;

	if (holders->count++ >= SOCKETS_MAX_LISTED)
		return;
	h = &holders->list[holders->count - 1];
	*h = (struct socket_holder){ .pid = pid, .xdp = finding == FINDING_XDP };
	snprintf(h->name, sizeof(h->name), "%.15s", name);
}

/* What one process holds: named once for each kind. */
static int look_into(pid_t pid, const char *name, void *data)
{
	_cleanup_close_ int process = (int)syscall(SYS_pidfd_open, pid, 0);
	_cleanup_closedir_ DIR *dir = NULL;
	bool named[FINDING_COUNT] = {};
	char path[64], target[64];
	struct walk *w = data;
	struct dirent *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = process < 0 || pid == getpid() ? NULL : opendir(path);
	while (dir && (d = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, target, sizeof(target) - 1);
		enum finding finding;
		__u32 number;

		target[n < 0 ? 0 : n] = '\0';
		if (strncmp(target, "socket:", 7) != 0 ||
		    parse_u32(d->d_name, 0, INT32_MAX, &number))
			continue;
		finding = look_at(process, number, w);
		if (finding == FINDING_NONE || named[finding])
			continue;
		named[finding] = true;
		add_holder(&w->holders, pid, name, finding);
	}
	return 0;
}

/* The group itself is asked who is in it: what processes say of themselves is a path, and depends on
 * mounts and on cgroup namespaces. */
static int find_holders(const char *cgroup, int question, struct socket_holders *ret,
			struct err *e)
{
	struct walk w = { .question = question };
	int r = group_each_process(cgroup, look_into, &w);

	if (r)
		return err_set(e, r, "the processes in cgroup '%s' cannot be looked at: %s", cgroup,
			       strerror(-r));
	if (w.failed)
		return err_set(e, w.failed, "the sockets of other processes cannot be looked at: %s",
			       strerror(-w.failed));
	*ret = w.holders;
	return 0;
}

int sockets_find_bypass(const char *cgroup, struct socket_holders *ret, struct err *e)
{
	return find_holders(cgroup, 0, ret, e);
}

int sockets_find_strangers(const char *cgroup, const struct tf_policy *policy,
			   struct socket_holders *ret, struct err *e)
{
	return find_holders(cgroup, tf_ask_option(policy), ret, e);
}

/* As /proc/net writes it: words of four bytes, each in host order. */
static bool is_loopback(const char *hex)
{
	const char *v4 = strlen(hex) == 8 ? hex : NULL;

	if (!v4 && strncmp(hex, "0000000000000000FFFF0000", 24) == 0)
		v4 = hex + 24;
	return v4 ? streq(v4 + 6, "7F") : streq(hex, "00000000000000000000000001000000");
}

/* Upper-case digits only, as sscanf was told to take. */
static __u16 hex(const char *digits)
{
	__u32 value = 0;

	for (; *digits; digits++)
		value = value * 16 + (__u32)(*digits < 'A' ? *digits - '0' : *digits - 'A' + 10);
	return (__u16)value;
}

__u16 socket_port_parse(const char *line, __u8 protocol)
{
	char address[33], port[5], far_port[5], state[3];

	if (sscanf(line, " %*[0-9]: %32[0-9A-F]:%4[0-9A-F] %*32[0-9A-F]:%4[0-9A-F] %2[0-9A-F]",
		   address, port, far_port, state) != 4)
		return 0;
	if (hex(state) != (protocol == IPPROTO_TCP ? STATE_LISTEN : STATE_CLOSE) ||
	    hex(far_port) || is_loopback(address))
		return 0;
	return hex(port);
}

static __u16 first_picked(void)
{
	char text[64];
	__u32 from;

	if (!read_text("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text)))
		return FIRST_PICKED;
	text[strcspn(text, " \t")] = '\0';
	return parse_u32(text, 1, UINT16_MAX, &from) ? FIRST_PICKED : (__u16)from;
}

static void add_port(struct socket_ports *ports, __u16 port)
{
	size_t listed = ports->count < SOCKETS_MAX_LISTED ? ports->count : SOCKETS_MAX_LISTED;
	size_t at = 0;

	while (at < listed && ports->list[at] < port)
		at++;
	if (at < listed && ports->list[at] == port)
		return;
	ports->count++;
	if (at == SOCKETS_MAX_LISTED)
		return;
	if (listed == SOCKETS_MAX_LISTED)
		listed--;
	memmove(&ports->list[at + 1], &ports->list[at], (listed - at) * sizeof(port));
	ports->list[at] = port;
}

static int read_ports(const char *path, __u8 protocol, __u32 below, struct socket_ports *ports,
		      struct err *e)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[512];

	if (!f && errno == ENOENT) /* a kernel without IPv6 */
		return 0;
	if (!f)
		return err_set(e, -errno, "'%s' cannot be read: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		__u16 port = socket_port_parse(line, protocol);

		if (port && port < below)
			add_port(ports, port);
	}
	return 0;
}

int sockets_find_open(__u8 protocol, struct socket_ports *ret, struct err *e)
{
	const bool tcp = protocol == IPPROTO_TCP;
	const __u32 below = tcp ? UINT16_MAX + 1 : first_picked();
	struct socket_ports ports = {};
	int r = read_ports(tcp ? "/proc/net/tcp" : "/proc/net/udp", protocol, below, &ports, e);

	if (!r)
		r = read_ports(tcp ? "/proc/net/tcp6" : "/proc/net/udp6", protocol, below, &ports, e);
	if (!r)
		*ret = ports;
	return r;
}
