// SPDX-License-Identifier: GPL-2.0
/*
 * The guard plane, by real calls: setsockopt(), connect() and sendto() in a child cgroup with the
 * programs attached and nothing else of a fence. What is refused must say EPERM and be counted;
 * what is not must be neither. No packet can go further than a tap that nobody reads.
 *
 * All of that twice: by the programs that read the kernel by plain loads, where it lets them, and by
 * those that the loader falls back to.
 *
 * TUNFENCE_BENCH=1 also measures what a call costs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include <tunfence/policy.h>

#include "addr.h"
#include "guard.skel.h"
#include "guard_direct.skel.h"
#include "kernel/object.h"
#include "kernel/sandbox.h"
#include "planes.h"
#include "util.h"
#include "vectors/scene.h"
#include "vectors/vector.h"

enum {
	SOL_XDP_OPTIONS = 283,
	XDP_UMEM_REGISTER = 4,
	NETFILTER_TYPE = 32,   /* BPF_PROG_TYPE_NETFILTER */
	NETFILTER_ATTACH = 45, /* BPF_NETFILTER */
	GUARD_PROGRAMS = 5,
	MANY_PAIRS = 20, /* of devices */
	LONG_BYTES = 8192,
	BATCHES = 200,
	CALLS = 1000,
};

/* A policy's guard plane, attached to the fenced cgroup. */
struct guard {
	struct bpf_object *object;
	struct maps maps;
	int link[GUARD_PROGRAMS];
};

static bool fallback; /* by probe reads */
static struct sandbox sandbox;
static struct scene_policies policies;
static struct guard the_guard = { .link = { -1, -1, -1, -1, -1 } };

static void guard_lower(struct guard *g)
{
	size_t i;

	for (i = 0; i < GUARD_PROGRAMS; i++)
		cleanup_close(&g->link[i]);
	bpf_object__close(g->object);
	*g = (struct guard){ .link = { -1, -1, -1, -1, -1 } };
}

static struct bpf_object *open_guard(void)
{
	size_t bytes;
	const void *elf = fallback ? tunfence_guard_bpf__elf_bytes(&bytes) :
				     tunfence_guard_direct_bpf__elf_bytes(&bytes);

	return bpf_object__open_mem(elf, bytes, NULL);
}

static struct tf_policy *constants_of(struct bpf_object *o)
{
	struct bpf_map *map = bpf_object__find_map_by_name(o, ".rodata");
	size_t bytes;

	return (struct tf_policy *)bpf_map__initial_value(map, &bytes);
}

/* There is one at a time: a test that fails does not lower its own. */
static const struct guard *guard_raise(const char *policy)
{
	static const struct {
		enum program program;
		enum bpf_attach_type type;
	} parts[GUARD_PROGRAMS] = {
		{ PROGRAM_OPT, BPF_CGROUP_SETSOCKOPT },
		{ PROGRAM_CONN4, BPF_CGROUP_INET4_CONNECT },
		{ PROGRAM_CONN6, BPF_CGROUP_INET6_CONNECT },
		{ PROGRAM_SEND4, BPF_CGROUP_UDP4_SENDMSG },
		{ PROGRAM_SEND6, BPF_CGROUP_UDP6_SENDMSG },
	};
	const struct policy *p = scene_find_policy(&policies, policy);
	struct guard *g = &the_guard;
	struct bpf_program *program;
	struct err e = {};
	size_t i;

	guard_lower(g);
	assert_non_null(p);
	g->object = open_guard();
	assert_non_null(g->object);
	if (object_load(g->object, constants_of(g->object), p, &g->maps, &e))
		fail_msg("'%s': %s", policy, e.text);
	for (i = 0; i < GUARD_PROGRAMS; i++) {
		program = bpf_object__find_program_by_name(g->object,
							   programs[parts[i].program].name);
		g->link[i] = bpf_link_create(bpf_program__fd(program), sandbox.fenced.fd,
					     parts[i].type, NULL);
		assert_true(g->link[i] >= 0);
	}
	return g;
}

static __u64 refused(const struct guard *g, enum tf_reason reason)
{
	return object_count(&g->maps, TF_PLANE_GUARD, reason);
}

static void sit(bool foreign, bool outside)
{
	assert_int_equal(sandbox_sit(&sandbox, foreign, outside, NULL), 0);
}

/* ---- round the wire plane -------------------------------------------------------------------- */

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

static void bypasses_are_refused_in_every_namespace(void **state)
{
	const struct guard *g;
	int foreign;

	(void)state;
	g = guard_raise("strict");
	for (foreign = 0; foreign < 2; foreign++) {
		_cleanup_close_ int packet = -1, udp = -1;
		__u64 before = refused(g, TF_REASON_BYPASS);

		sit(foreign, false);
		packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		assert_true(packet >= 0 && udp >= 0);
		assert_int_equal(set(packet, SOL_PACKET, PACKET_QDISC_BYPASS, 1), -EPERM);
		assert_int_equal(set(packet, SOL_PACKET, PACKET_QDISC_BYPASS, 0), -EPERM);
		assert_int_equal(set(udp, SOL_XDP_OPTIONS, XDP_UMEM_REGISTER, 1), -EPERM);
		assert_int_equal(set(udp, SOL_XDP_OPTIONS, 77, 1), -EPERM);
		assert_int_equal(refused(g, TF_REASON_BYPASS) - before, 4);
	}
}

static void whether_a_socket_is_held_can_be_asked(void **state)
{
	const struct policy *p = scene_find_policy(&policies, "observe");
	const struct guard *g;
	int family, foreign, option;

	(void)state;
	g = guard_raise("observe");
	option = tf_ask_option(&p->rodata);
	for (family = 0; family < 2; family++) {
		for (foreign = 0; foreign < 2; foreign++) {
			_cleanup_close_ int in = -1, out = -1;

			sit(foreign, false);
			in = socket(family ? AF_PACKET : AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1);
			sit(foreign, true);
			out = socket(family ? AF_PACKET : AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1);
			assert_true(in >= 0 && out >= 0);
			assert_int_equal(set(in, SOL_XDP_OPTIONS, option, 1), -EPERM);
			assert_int_equal(set(out, SOL_XDP_OPTIONS, option, 1), -ENOPROTOOPT);
			assert_int_equal(set(in, SOL_XDP_OPTIONS, option ^ 1, 1), -ENOPROTOOPT);
		}
	}
	assert_int_equal(refused(g, TF_REASON_BYPASS), 0);
}

static void other_options_are_not_touched(void **state)
{
	const struct guard *g;
	_cleanup_close_ int packet = -1, udp = -1;
	int value = 0;
	socklen_t bytes = sizeof(value);

	(void)state;
	g = guard_raise("strict");
	sit(false, false);
	packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(set(packet, SOL_PACKET, PACKET_RESERVE, 20), 0);
	assert_int_equal(getsockopt(packet, SOL_PACKET, PACKET_RESERVE, &value, &bytes), 0);
	assert_int_equal(value, 20);
	/* The same number at another level is another option. */
	assert_int_equal(set(udp, SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1), 0);
	assert_int_equal(set(udp, SOL_IP, PACKET_QDISC_BYPASS, 1), 0);
	assert_int_equal(refused(g, TF_REASON_BYPASS), 0);
}

static void who_is_outside_is_not_refused(void **state)
{
	_cleanup_close_ int packet = -1, udp = -1;

	(void)state;
	guard_raise("strict");
	sit(false, true);
	packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(set(packet, SOL_PACKET, PACKET_QDISC_BYPASS, 1), 0);
	assert_int_equal(set(udp, SOL_XDP_OPTIONS, XDP_UMEM_REGISTER, 1), -ENOPROTOOPT);
}

static void an_observing_fence_counts_and_refuses_nothing(void **state)
{
	const struct guard *g;
	_cleanup_close_ int packet = -1, udp = -1;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };

	(void)state;
	g = guard_raise("observe");
	sit(false, false);
	packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_int_equal(set(packet, SOL_PACKET, PACKET_QDISC_BYPASS, 1), 0);
	assert_int_equal(refused(g, TF_REASON_BYPASS), 1);
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	to.sin_addr.s_addr = htonl(0xc6336401);
	assert_int_equal(connect(udp, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(refused(g, TF_REASON_NO_TUNNEL), 1);
}

#define LONG_SOURCES ((LONG_BYTES - 16) / 128 - 1)

/* A page is all that the program could see of it. The last source is far behind that. */
static void an_option_longer_than_a_page_stays_whole(void **state)
{
	size_t room = GROUP_FILTER_SIZE(LONG_SOURCES), i;
	_cleanup_free_ struct group_filter *in = calloc(1, room), *out = calloc(1, room);
	_cleanup_close_ int fd = -1, limit = -1;
	struct group_req join = {};
	struct sockaddr_in *group;
	socklen_t bytes = (socklen_t)room;

	(void)state;
	guard_raise("strict");
	sit(false, false);
	assert_non_null(in);
	assert_non_null(out);
	assert_true(room > 4096);
	limit = open("/proc/sys/net/ipv4/igmp_max_msf", O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(limit, "128", 3), 3);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	join.gr_interface = (__u32)sandbox.ifindex[0][1];
	group = (struct sockaddr_in *)&join.gr_group;
	group->sin_family = AF_INET;
	group->sin_addr.s_addr = htonl(0xe8010203);
	assert_int_equal(setsockopt(fd, SOL_IP, MCAST_JOIN_GROUP, &join, sizeof(join)), 0);
	in->gf_interface = join.gr_interface;
	in->gf_group = join.gr_group;
	in->gf_fmode = MCAST_EXCLUDE;
	in->gf_numsrc = LONG_SOURCES;
	for (i = 0; i < LONG_SOURCES; i++) {
		group = (struct sockaddr_in *)&in->gf_slist[i];
		group->sin_family = AF_INET;
		group->sin_addr.s_addr = htonl((in_addr_t)(0xc0000201 + i));
	}
	assert_int_equal(setsockopt(fd, SOL_IP, MCAST_MSFILTER, in, (socklen_t)room), 0);
	*out = *in;
	assert_int_equal(getsockopt(fd, SOL_IP, MCAST_MSFILTER, out, &bytes), 0);
	assert_int_equal(out->gf_numsrc, LONG_SOURCES);
	assert_memory_equal(out->gf_slist, in->gf_slist, LONG_SOURCES * sizeof(*in->gf_slist));
}

/* ---- for the user's sake --------------------------------------------------------------------- */

enum how { CONNECT = 1, SEND = 2, BOTH = 3 };

/* A call and what must become of it. Unless it says otherwise: no tunnel is up. */
struct attempt {
	const char *policy;
	const char *address;
	__u16 port;
	bool refused;
	int type;          /* 0: SOCK_DGRAM */
	enum how how;      /* 0: BOTH; a stream only connects */
	bool v6_socket;    /* IPv4 as a mapped address */
	const char *bound; /* device */
	__u16 from;        /* local port */
	bool foreign;      /* in the other namespace */
	const char *up;    /* device that is up for it */
};

static const struct attempt attempts[] = {
	/* nowhere to go */
	{ "strict", "198.51.100.1", 443, .refused = true },
	{ "strict", "198.51.100.1", 443, .refused = true, .type = SOCK_STREAM },
	{ "strict", "2001:db8:99::1", 443, .refused = true },
	{ "strict", "2001:db8:99::1", 443, .refused = true, .type = SOCK_STREAM },
	{ "strict", "198.51.100.1", 443, .refused = true, .v6_socket = true },
	{ "strict", "198.51.100.1", 443, .refused = true, .type = SOCK_STREAM, .v6_socket = true },
	{ "strict", "224.0.0.251", 9, .refused = true },
	{ "strict", "ff02::fb", 9, .refused = true },
	{ "strict", "192.168.1.1", 80, .refused = true },
	{ "cgroup", "198.51.100.1", 443, .refused = true },
	/* another's to judge */
	{ "strict", "198.51.100.1", 443, .foreign = true },
	{ "cgroup", "198.51.100.1", 443, .foreign = true },
	/* a tunnel is up; a device of its name alone is none */
	{ "strict", "198.51.100.1", 443, .up = "wg0" },
	{ "strict", "198.51.100.1", 53, .up = "wg0" },
	{ "strict", "2001:db8:99::1", 443, .up = "wg0", .type = SOCK_STREAM },
	{ "kernel", "198.51.100.1", 443, .refused = true, .up = "wg0" },
	{ "strict", "198.51.100.1", 443, .refused = true, .up = "wg1" },
	{ "apart", "198.51.100.1", 443, .up = "wg0" },
	{ "apart", "198.51.100.1", 443, .up = "raw0" },
	{ "apart", "198.51.100.1", 443, .refused = true, .up = "wg1" },
	/* bound to a device */
	{ "strict", "198.51.100.1", 443, .refused = true, .up = "wg0", .bound = "eth0" },
	{ "strict", "198.51.100.1", 443, .up = "wg0", .bound = "wg0" },
	{ "home", "198.51.100.1", 443, .refused = true, .bound = "eth1" },
	{ "home", "198.51.100.1", 443, .bound = "lan0", .how = CONNECT },
	{ "strict", "198.51.100.1", 443, .bound = "lo" },
	{ "strict", "203.0.113.7", 51820, .bound = "eth0" },
	/* this machine */
	{ "strict", "127.0.0.53", 53, .refused = false },
	{ "strict", "127.0.0.53", 53, .type = SOCK_STREAM },
	{ "strict", "127.0.0.53", 53, .v6_socket = true },
	{ "strict", "::1", 53, .refused = false },
	{ "strict", "0.0.0.0", 9, .refused = false },
	{ "strict", "::", 9, .refused = false },
	{ "strict", "192.0.2.10", 53, .refused = false },
	{ "strict", "192.0.2.11", 443, .refused = true },
	{ "strict", "198.18.0.2", 443, .refused = false },
	{ "strict", "2001:db8:1::10", 53, .refused = false },
	{ "strict", "2001:db8:1::11", 443, .refused = true },
	/* behind an inside device: its own subnets, and what a router there may lead to */
	{ "home", "198.18.0.77", 53, .refused = false },
	{ "strict", "198.18.0.77", 53, .refused = true },
	{ "home", "198.19.0.77", 443, .refused = true },
	{ "home", "2001:db8:5::77", 53, .refused = false },
	{ "home", "2001:db8:6::77", 443, .refused = true },
	{ "home", "10.1.2.3", 53, .refused = false },
	{ "home", "100.64.1.1", 53, .refused = false },
	{ "home", "172.31.1.1", 53, .refused = false },
	{ "home", "172.32.1.1", 53, .refused = true },
	{ "home", "224.0.0.251", 5353, .refused = false },
	{ "home", "fd00::1", 53, .refused = false },
	{ "home", "ff02::fb", 5353, .refused = false },
	/* endpoints, whatever the port */
	{ "strict", "203.0.113.7", 51820, .refused = false },
	{ "strict", "203.0.113.7", 51821, .refused = true },
	{ "strict", "203.0.113.7", 51820, .refused = true, .type = SOCK_STREAM },
	{ "strict", "2001:db8:51::7", 51820, .refused = false },
	{ "port53", "203.0.113.53", 53, .refused = false },
	{ "port53", "203.0.113.54", 853, .type = SOCK_STREAM },
	/* rules, by any uplink */
	{ "rules", "192.0.2.123", 123, .refused = false },
	{ "rules", "192.0.2.123", 124, .refused = true },
	{ "rules", "192.0.2.123", 123, .refused = true, .type = SOCK_STREAM },
	{ "rules", "192.0.2.70", 9, .refused = false },
	{ "rules", "192.0.2.99", 53, .refused = true },
	{ "rules", "192.0.2.99", 52, .refused = false },
	{ "rules", "198.51.100.9", 8050, .type = SOCK_STREAM },
	{ "rules", "198.51.100.9", 8101, .refused = true, .type = SOCK_STREAM },
	{ "rules", "2001:db8:2::1", 1, .refused = false },
	/* the LAN, but no names */
	{ "lan-some", "192.168.5.1", 80, .refused = false },
	{ "lan-some", "192.168.8.1", 80, .refused = true },
	{ "lan-some", "192.168.5.1", 53, .refused = true },
	{ "lan-some", "192.168.5.1", 853, .refused = true, .type = SOCK_STREAM },
	{ "lan-some", "fd00:1234::9", 80, .refused = false },
	{ "lan-some", "fd00:1235::9", 80, .refused = true },
	/* answers of an allowed service */
	{ "home", "198.51.100.1", 9, .from = 5000 },
	{ "home", "198.51.100.1", 9, .refused = true, .from = 5002 },
	{ "home", "198.51.100.1", 53, .refused = true, .from = 5000 },
	{ "home", "2001:db8:99::1", 9, .from = 5001 },
	{ "home", "198.51.100.1", 443, .refused = true, .from = 22, .type = SOCK_STREAM },
	/* DHCP clients that use a socket */
	{ "dhcp", "255.255.255.255", 67, .refused = false },
	{ "dhcp", "ff02::1:2", 547, .refused = false },
	{ "strict", "255.255.255.255", 67, .refused = true },
};

static socklen_t address_of(const struct attempt *a, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct tf_addr addr;

	assert_int_equal(addr_parse(a->address, &addr, NULL), 0);
	memset(ret, 0, sizeof(*ret));
	if (tf_addr_is_v4(&addr) && !a->v6_socket) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(a->port);
		memcpy(&v4->sin_addr, addr.byte + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(a->port);
	memcpy(&v6->sin6_addr, addr.byte, 16);
	return sizeof(*v6);
}

static int socket_for(const struct attempt *a, int family)
{
	int fd = socket(family, (a->type ? a->type : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->from) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(a->from) };

	assert_true(fd >= 0);
	assert_int_equal(set(fd, SOL_SOCKET, SO_BROADCAST, 1), 0);
	if (a->bound)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, a->bound,
					    (socklen_t)strlen(a->bound)), 0);
	if (a->from && family == AF_INET)
		assert_int_equal(bind(fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
	if (a->from && family == AF_INET6)
		assert_int_equal(bind(fd, (struct sockaddr *)&v6, sizeof(v6)), 0);
	return fd;
}

static void attempt(const struct guard *g, const struct attempt *a, enum how how)
{
	__u64 before = refused(g, TF_REASON_NO_TUNNEL), counted;
	struct sockaddr_storage to;
	socklen_t bytes = address_of(a, &to);
	_cleanup_close_ int fd = socket_for(a, to.ss_family);
	int r;

	r = how == CONNECT ? connect(fd, (struct sockaddr *)&to, bytes) :
			     (int)sendto(fd, "", 1, 0, (struct sockaddr *)&to, bytes);
	r = r < 0 ? errno : 0;
	counted = refused(g, TF_REASON_NO_TUNNEL) - before;
	if (counted != a->refused || (r == EPERM) != a->refused)
		fail_msg("'%s': %s to %s port %u: %s, counted %llu", a->policy,
			 how == CONNECT ? "connect" : "send", a->address, a->port, strerror(r),
			 (unsigned long long)counted);
}

static void each_attempt_gets_its_answer(void **state)
{
	const struct guard *g;
	char words[64];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *a = &attempts[i];
		enum how how = a->how ? a->how : BOTH;

		sit(false, true);
		if (a->up) {
			snprintf(words, sizeof(words), "link set %s up", a->up);
			assert_true(run_ip(words));
		}
		g = guard_raise(a->policy);
		sit(a->foreign, false);
		if (how & CONNECT)
			attempt(g, a, CONNECT);
		if (how & SEND && a->type != SOCK_STREAM)
			attempt(g, a, SEND);
		if (a->up) {
			snprintf(words, sizeof(words), "link set %s down", a->up);
			assert_true(run_ip(words));
		}
	}
}

/* A tunnel that comes or goes is noticed at once, by the same program. */
static void a_tunnel_is_looked_for_at_each_call(void **state)
{
	const struct guard *g;
	const struct attempt up = { "strict", "198.51.100.1", 443, .refused = false };
	const struct attempt down = { "strict", "198.51.100.1", 443, .refused = true };
	int i;

	(void)state;
	g = guard_raise("strict");
	sit(false, false);
	for (i = 0; i < 3; i++) {
		attempt(g, &down, CONNECT);
		assert_true(run_ip("link set wg0 up"));
		attempt(g, &up, CONNECT);
		assert_true(run_ip("link set wg0 down"));
	}
}

/* In a list that is walked in parts. */
static void a_tunnel_behind_many_devices_is_found(void **state)
{
	const struct attempt up = { "apart", "198.51.100.1", 443, .refused = false };
	const struct attempt down = { "apart", "198.51.100.1", 443, .refused = true };
	struct ifreq request = { .ifr_name = "raw0", .ifr_flags = IFF_TUN | IFF_NO_PI };
	const struct guard *g = guard_raise("apart");
	_cleanup_close_ int tunnel = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	char words[64];
	int i;

	(void)state;
	sit(false, false);
	assert_true(run_ip("link del raw0"));
	for (i = 0; i < MANY_PAIRS; i++) {
		snprintf(words, sizeof(words), "link add one%d type veth peer name other%d", i, i);
		assert_true(run_ip(words));
	}
	assert_int_equal(ioctl(tunnel, TUNSETIFF, &request), 0);
	attempt(g, &down, CONNECT);
	assert_true(run_ip("link set raw0 up"));
	attempt(g, &up, CONNECT);
	for (i = 0; i < MANY_PAIRS; i++) {
		snprintf(words, sizeof(words), "link del one%d", i);
		assert_true(run_ip(words));
	}
}

/* ---- what it costs --------------------------------------------------------------------------- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The best of some batches: others use this machine too. */
static double nanoseconds_per_connect(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(443) };
	double start, best = 1e9;
	int batch, i;

	to.sin_addr.s_addr = htonl(0xc6336401);
	for (batch = 0; batch < BATCHES; batch++) {
		start = now();
		for (i = 0; i < CALLS; i++)
			(void)!connect(fd, (struct sockaddr *)&to, sizeof(to));
		if ((now() - start) / CALLS * 1e9 < best)
			best = (now() - start) / CALLS * 1e9;
	}
	return best;
}

static void costs(void **state)
{

	(void)state;
	if (!getenv("TUNFENCE_BENCH"))
		skip();
	guard_raise("strict");
	sit(false, true);
	assert_true(run_ip("link set wg0 up"));
	print_message("%6.0f ns per connect() outside\n", nanoseconds_per_connect());
	sit(true, false);
	print_message("%6.0f ns in another namespace\n", nanoseconds_per_connect());
	sit(false, false);
	print_message("%6.0f ns, the 7th device is a tunnel that is up\n", nanoseconds_per_connect());
	assert_true(run_ip("link set wg0 down"));
	print_message("%6.0f ns, refused\n", nanoseconds_per_connect());
}

/* ---- the program ----------------------------------------------------------------------------- */

static bool make_place(void)
{
	static const char *const words[] = {
		"link set lo up",
		"addr add 192.0.2.10/24 dev eth0",
		"addr add 192.0.2.200/24 dev eth0",
		"addr add 2001:db8:1::10/64 dev eth0 nodad",
		"addr add 198.18.0.2/24 dev lan0",
		"addr add 2001:db8:5::2/64 dev lan0 nodad",
		"link set eth0 up",
		"link set eth1 up",
		"link set lan0 up",
		"route add default via 192.0.2.1",
		"-6 route add default via 2001:db8:1::1",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (!run_ip(words[i]))
			return false;
	}
	return true;
}

static int test_all(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bypasses_are_refused_in_every_namespace),
		cmocka_unit_test(whether_a_socket_is_held_can_be_asked),
		cmocka_unit_test(other_options_are_not_touched),
		cmocka_unit_test(who_is_outside_is_not_refused),
		cmocka_unit_test(an_observing_fence_counts_and_refuses_nothing),
		cmocka_unit_test(an_option_longer_than_a_page_stays_whole),
		cmocka_unit_test(each_attempt_gets_its_answer),
		cmocka_unit_test(a_tunnel_is_looked_for_at_each_call),
		cmocka_unit_test(a_tunnel_behind_many_devices_is_found),
		cmocka_unit_test(costs),
	};

	return cmocka_run_group_tests_name(fallback ? "guard, by probe reads" : "guard", tests, NULL,
					   NULL);
}

static bool can_be_loaded(void)
{
	struct bpf_object *o = open_guard();
	bool can = o && bpf_object__load(o) == 0;

	bpf_object__close(o);
	return can;
}

static bool has_netfilter(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = (enum bpf_attach_type)NETFILTER_ATTACH);
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	_cleanup_close_ int fd = bpf_prog_load((enum bpf_prog_type)NETFILTER_TYPE, "empty", "GPL",
					       code, ARRAY_SIZE(code), &options);

	return fd >= 0;
}

/* Who has netfilter programs (6.4) has plain loads (6.2). */
static void there_are_no_plain_loads(void **state)
{
	(void)state;
	assert_false(has_netfilter());
	skip();
}

static int test_none(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(there_are_no_plain_loads) };

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}

/* Those that the tests name; of a vector only its policy is asked for. */
static int read_policies(struct err *e)
{
	_cleanup_free_ struct vector *items = calloc(ARRAY_SIZE(attempts) + 1, sizeof(*items));
	struct vectors named = { .items = items };

	if (!items)
		return err_set(e, -ENOMEM, "out of memory");
	snprintf(items[named.count++].policy, sizeof(items->policy), "observe");
	for (; named.count <= ARRAY_SIZE(attempts); named.count++)
		snprintf(items[named.count].policy, sizeof(items->policy), "%s",
			 attempts[named.count - 1].policy);
	return scene_policies_read(&named, &sandbox.place, &policies, e);
}

/* In a process of its own, whose end takes the namespaces with it. */
static int inside(void)
{
	struct err e = {};
	int r = sandbox_enter(&sandbox, &e);

	if (!r)
		r = read_policies(&e);
	if (r)
		fprintf(stderr, "%s\n", e.text);
	else if (!can_be_loaded())
		r = test_none();
	else
		r = make_place() ? test_all() : 1;
	guard_lower(&the_guard);
	scene_policies_free(&policies);
	cgroup_close(&sandbox.fenced);
	return r != 0;
}

int main(void)
{
	int preferred;

	cmocka_set_test_filter(getenv("TUNFENCE_TEST")); /* one, or all of them */
	preferred = sandbox_main(&sandbox, "test_guard", inside);
	fallback = true;
	return sandbox_main(&sandbox, "test_guard", inside) || preferred;
}
