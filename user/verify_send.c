// SPDX-License-Identifier: GPL-2.0
/*
 * What vectors do to the world: enter a namespace, run a tool there, send a frame: see verify.h.
 * Runs in a firing's own process and leaves a note of whatever outlives it. Never prints.
 */
#define _GNU_SOURCE /* setns, unshare */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util.h"
#include "verify.h"
#include "verify_world.h"

enum {
	MAX_WORDS = 96,
	MAX_LINE = 2048,
	NO_SUCH_TOOL = 127, /* a child's exit status, as a shell's */
	FAILED = 126,
	POLL_NS = 2000000,
	DEVICE_MS = 5000,
};

void verify_touched(const struct shot *s)
{
	s->world->notes->touched = true;
}

int verify_enter_fd(int namespace_fd)
{
	return setns(namespace_fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

int verify_enter(const struct shot *s, enum verify_place place)
{
	return verify_enter_fd(s->world->places[place]);
}

/* Waits for a child; its exit status, or -EIO if it did not end by itself. */
static int status_of(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

/* In a child: never returns. No shell: the line is split at its blanks. */
static void __attribute__((noreturn)) run_line(int namespace_fd, char *line)
{
	char *words[MAX_WORDS] = {}, *rest = line, *word;
	size_t count = 0;
	int nothing = open("/dev/null", O_RDWR);

	while ((word = strsep(&rest, " ")) && count + 1 < MAX_WORDS) {
		if (*word)
			words[count++] = word;
	}
	if (word || !count || nothing < 0 || verify_enter_fd(namespace_fd) < 0)
		_exit(FAILED);
	dup2(nothing, STDIN_FILENO);
	dup2(nothing, STDOUT_FILENO);
	dup2(nothing, STDERR_FILENO);
	execvp(words[0], words);
	_exit(errno == ENOENT ? NO_SUCH_TOOL : FAILED);
}

static int run_in(int namespace_fd, const char *tool, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static int run_in(int namespace_fd, const char *tool, const char *format, va_list args)
{
	size_t length = strlen(tool);
	char line[MAX_LINE];
	pid_t child;
	int r;

	memcpy(line, tool, length);
	r = vsnprintf(line + length, sizeof(line) - length, format, args);
	if (r < 0 || (size_t)r >= sizeof(line) - length)
		return -E2BIG;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		run_line(namespace_fd, line);
	r = status_of(child);
	if (r == NO_SUCH_TOOL)
		return -ENOENT;
	return r ? -EIO : 0;
}

int verify_ip(const struct shot *s, enum verify_place place, const char *format, ...)
{
	va_list args;
	int r;

	verify_touched(s);
	va_start(args, format);
	r = run_in(s->world->places[place], "ip ", format, args);
	va_end(args);
	return r;
}

int verify_ip_fd(int namespace_fd, const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = run_in(namespace_fd, "ip ", format, args);
	va_end(args);
	return r;
}

int verify_run(const struct shot *s, enum verify_place place, const char *format, ...)
{
	va_list args;
	int r;

	verify_touched(s);
	va_start(args, format);
	r = run_in(s->world->places[place], "", format, args);
	va_end(args);
	return r;
}

int verify_run_fd(int namespace_fd, const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = run_in(namespace_fd, "", format, args);
	va_end(args);
	return r;
}

/* /proc/sys/net shows the namespace of whoever looks. */
static int write_sysctl(const char *name, const char *value)
{
	_cleanup_close_ int fd = -1;
	char path[256];

	if (snprintf(path, sizeof(path), "/proc/sys/%s", name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int verify_sysctl_fd(int namespace_fd, const char *name, const char *value)
{
	int r;
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child == 0) {
		r = verify_enter_fd(namespace_fd);
		_exit(-(r ? r : write_sysctl(name, value)));
	}
	return -status_of(child);
}

int verify_sysctl(const struct shot *s, enum verify_place place, const char *name,
		  const char *value)
{
	verify_touched(s);
	return verify_sysctl_fd(s->world->places[place], name, value);
}

static int raise_loopback(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

/* A new namespace may inherit the machine's settings: the same everywhere, whatever those are. What
 * this kernel does not have needs no setting. No address needs detection: they are ours alone. */
static void set_defaults(bool forwards)
{
	static const char *const same[][2] = {
		{ "net/ipv4/conf/all/rp_filter", "0" },
		{ "net/ipv4/conf/default/rp_filter", "0" },
		{ "net/ipv4/ping_group_range", "0 2147483647" },
		{ "net/ipv4/tcp_fastopen", "3" },
		{ "net/ipv6/conf/all/disable_ipv6", "0" },
		{ "net/ipv6/conf/default/disable_ipv6", "0" },
		{ "net/ipv6/conf/all/accept_dad", "0" },
		{ "net/ipv6/conf/default/accept_dad", "0" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(same); i++)
		write_sysctl(same[i][0], same[i][1]);
	write_sysctl("net/ipv4/ip_forward", forwards ? "1" : "0");
	write_sysctl("net/ipv6/conf/all/forwarding", forwards ? "1" : "0");
}

/* Held by a descriptor; this process is back at home when it returns. */
int verify_make_namespace(bool forwards)
{
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int fresh = -1;
	int r = 0;

	if (home < 0 || unshare(CLONE_NEWNET) < 0)
		return -errno;
	fresh = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fresh < 0)
		r = -errno;
	set_defaults(forwards);
	if (!r)
		r = raise_loopback();
	if (setns(home, CLONE_NEWNET) < 0 && !r)
		r = -errno;
	return r ? r : TAKE_FD(fresh);
}

int verify_new_namespace(const struct shot *s)
{
	verify_touched(s);
	return verify_make_namespace(false);
}

const char *verify_namespace_path(int namespace_fd, char to[VERIFY_PATH])
{
	snprintf(to, VERIFY_PATH, "/proc/%d/fd/%d", getpid(), namespace_fd);
	return to;
}

const char *verify_place_path(const struct shot *s, enum verify_place place, char to[VERIFY_PATH])
{
	return verify_namespace_path(s->world->places[place], to);
}

int verify_new_uplink(const struct shot *s, const char *name)
{
	char there[VERIFY_PATH];

	return verify_ip(s, VERIFY_CLIENT, "link add %s type veth peer name far-%s netns %s", name,
			 name, verify_place_path(s, VERIFY_ROUTER, there));
}

int verify_in(int namespace_fd, int (*function)(struct shot *s), struct shot *s)
{
	int r;
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		r = verify_enter_fd(namespace_fd);
		if (!r)
			r = function(s);
		_exit(r < 0 ? -r : 0);
	}
	r = status_of(child);
	return r > 0 ? -r : r;
}

int verify_ifindex(const char *device)
{
	unsigned int index = if_nametoindex(device);

	return index ? (int)index : -errno;
}

static __u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000 + (__u64)t.tv_nsec / 1000000;
}

int verify_await_device(const char *device)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct timespec pause = { .tv_nsec = POLL_NS };
	struct ifreq request = {};
	__u64 end = now_ms() + DEVICE_MS;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	while (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0 ||
	       !(request.ifr_flags & IFF_RUNNING)) {
		if (fd < 0 || now_ms() > end)
			return fd < 0 ? -errno : -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	/* Bridges are told under a lock; changing nothing waits for it. */
	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

int verify_send_frame(const char *device, const void *frame, size_t bytes)
{
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = ETH_ALEN };
	int index = verify_ifindex(device);

	if (fd < 0)
		return -errno;
	if (index < 0)
		return index;
	if (bytes < ETH_HLEN)
		return -EINVAL;
	to.sll_ifindex = index;
	memcpy(&to.sll_protocol, (const char *)frame + 2 * ETH_ALEN, sizeof(to.sll_protocol));
	memcpy(to.sll_addr, frame, ETH_ALEN);
	if (sendto(fd, frame, bytes, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

int verify_until(bool (*function)(struct shot *s), struct shot *s, unsigned int milliseconds)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	__u64 end = now_ms() + milliseconds;

	while (!function(s)) {
		if (now_ms() > end)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}
