// SPDX-License-Identifier: GPL-2.0
/* Namespaces, devices and cgroups of our own: see sandbox.h. Never touches the root cgroup. */
#define _GNU_SOURCE
#include "kernel/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"
#include "world.h"

#define BRIDGE "br9"

static int failed(struct err *e, const char *what)
{
	return err_set(e, -errno, "%s: %s", what, strerror(errno));
}

static int make_cgroup(const struct sandbox *s, const char *child, struct err *e)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s%s", s->cgroup_path, child);
	return mkdir(path, 0755) ? failed(e, path) : 0;
}

static int make_directories(struct sandbox *s, struct err *e)
{
	char mount[4096];
	int r = cgroup_find_mount(mount, e);

	*s = (struct sandbox){ .fenced.fd = -1, .exempt.fd = -1, .netns = { -1, -1 } };
	if (r)
		return r;
	snprintf(s->directory, sizeof(s->directory), "/tmp/tunfence-test-XXXXXX");
	if (!mkdtemp(s->directory))
		return failed(e, s->directory);
	snprintf(s->bpffs, sizeof(s->bpffs), "%s/bpf", s->directory);
	snprintf(s->run, sizeof(s->run), "%s/run", s->directory);
	if ((size_t)snprintf(s->cgroup_path, sizeof(s->cgroup_path), "%.4000s/%s", mount,
			     strrchr(s->directory, '/') + 1) >= sizeof(s->cgroup_path))
		return err_set(e, -ENAMETOOLONG, "'%s' is too long a path", mount);
	r = make_cgroup(s, "", e);
	if (!r)
		r = make_cgroup(s, "/fenced", e);
	if (!r)
		r = make_cgroup(s, "/fenced/exempt", e);
	if (!r)
		r = make_cgroup(s, "/outside", e);
	return r ? r : make_cgroup(s, "/" SANDBOX_OUTSIDE, e);
}

static void remove_directories(struct sandbox *s)
{
	const char *const children[] = { "/fenced/exempt", "/fenced", "/" SANDBOX_OUTSIDE,
					 "/outside", "" };
	char path[4200];
	size_t i;

	for (i = 0; s->cgroup_path[0] && i < ARRAY_SIZE(children); i++) {
		snprintf(path, sizeof(path), "%s%s", s->cgroup_path, children[i]);
		rmdir(path);
	}
	rmdir(s->directory);
}

/* In the kernel, something of the old name is left behind the end of a shorter one. */
static int rename_device(struct ifreq *request, const char *name)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request->ifr_newname, sizeof(request->ifr_newname), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCSIFNAME, request))
		return -1;
	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", name);
	return 0;
}

/* The descriptor stays open, and with it the device. The type cannot be changed once it is up. */
static int make_device(const struct scene_device *d, struct err *e)
{
	struct ifreq request = { .ifr_name = "once-a-long-one" };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	short mode = d->ethernet ? IFF_TAP : IFF_TUN;

	if (fd < 0)
		return failed(e, "/dev/net/tun");
	request.ifr_flags = (short)(mode | IFF_NO_PI);
	if (ioctl(fd, TUNSETIFF, &request) || rename_device(&request, d->name))
		return failed(e, d->name);
	if (d->type && ioctl(fd, TUNSETLINK, d->type))
		return failed(e, d->name);
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, scene_mac, sizeof(scene_mac));
	if (d->ethernet && ioctl(fd, SIOCSIFHWADDR, &request))
		return failed(e, d->name);
	return 0;
}

/* Addresses and masters, by ip(8). */
static void write_batch(FILE *to, const struct scene_device *d)
{
	size_t i;

	for (i = 0; i < SCENE_ADDRESSES && d->own[i]; i++)
		fprintf(to, "addr add %s %s %s dev %s\n", d->own[i], d->broadcast[i] ? "brd" : "",
			d->broadcast[i] ? d->broadcast[i] : "", d->name);
	if (d->port)
		fprintf(to, "link set %s master " BRIDGE "\n", d->name);
}

static int configure_devices(struct err *e)
{
	FILE *ip = popen("ip -batch -", "we");
	size_t i;

	if (!ip)
		return failed(e, "ip -batch");
	fputs("link add " BRIDGE " type bridge\n", ip);
	for (i = 0; i < scene_device_count; i++)
		write_batch(ip, &scene_devices[i]);
	return pclose(ip) ? err_set(e, -EIO, "ip -batch failed") : 0;
}

/* A new network namespace with all devices. */
static int make_netns(struct sandbox *s, size_t which, __u32 *ret_inode, struct err *e)
{
	size_t i;
	int r = 0;

	if (unshare(CLONE_NEWNET))
		return failed(e, "a network namespace");
	s->netns[which] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (s->netns[which] < 0)
		return failed(e, "/proc/self/ns/net");
	for (i = 0; !r && i < scene_device_count; i++) {
		if (!streq(scene_devices[i].name, "lo"))
			r = make_device(&scene_devices[i], e);
		s->ifindex[which][i] = (int)if_nametoindex(scene_devices[i].name);
	}
	if (!r)
		r = configure_devices(e);
	return r ? r : world_netns(ret_inode, e);
}

static int make_mounts(const struct sandbox *s, struct err *e)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return failed(e, "a mount namespace");
	if (mount("tmpfs", s->directory, "tmpfs", 0, "mode=0700"))
		return failed(e, s->directory);
	if (mkdir(s->bpffs, 0700) || mount("bpf", s->bpffs, "bpf", 0, "mode=0700"))
		return failed(e, s->bpffs);
	return 0;
}

int sandbox_enter(struct sandbox *s, struct err *e)
{
	char path[4200];
	int r = scene_device_count > SANDBOX_DEVICES ? err_set(e, -E2BIG, "too many devices") :
						       make_mounts(s, e);

	if (!r)
		r = make_netns(s, 1, &s->place.other_netns, e);
	if (!r)
		r = make_netns(s, 0, &s->place.netns, e);
	snprintf(path, sizeof(path), "%s/fenced", s->cgroup_path);
	if (!r)
		r = cgroup_open(path, &s->fenced, e);
	snprintf(path, sizeof(path), "%s/fenced/exempt", s->cgroup_path);
	if (!r)
		r = cgroup_open(path, &s->exempt, e);
	if (r)
		return r;
	s->place.cgroup_id = s->fenced.id;
	s->place.cgroup_level = s->fenced.level;
	s->place.exempt_id = s->exempt.id;
	s->place.exempt_level = s->exempt.level;
	return sandbox_sit(s, false, true, e);
}

static int sit(const struct sandbox *s, bool foreign, const char *group, struct err *e)
{
	_cleanup_fclose_ FILE *procs = NULL;
	char path[4200];

	if (setns(s->netns[foreign], CLONE_NEWNET))
		return failed(e, "setns");
	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", s->cgroup_path, group);
	procs = fopen(path, "we");
	if (!procs || fputs("0\n", procs) < 0 || fflush(procs))
		return failed(e, path);
	return 0;
}

int sandbox_sit(const struct sandbox *s, bool foreign, bool outside, struct err *e)
{
	return sit(s, foreign, outside ? SANDBOX_OUTSIDE : "fenced", e);
}

int sandbox_sit_exempt(const struct sandbox *s, bool foreign, struct err *e)
{
	return sit(s, foreign, "fenced/exempt", e);
}

int sandbox_main(struct sandbox *s, const char *name, int (*inside)(void))
{
	struct err e = {};
	int status = -1;
	pid_t child = -1;

	if (geteuid() != 0) {
		fprintf(stderr, "%s needs root\n", name);
		return 1;
	}
	if (make_directories(s, &e)) {
		fprintf(stderr, "%s\n", e.text);
	} else {
		child = fork();
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			exit(inside());
		}
	}
	if (child > 0)
		waitpid(child, &status, 0);
	remove_directories(s);
	return status != 0;
}
