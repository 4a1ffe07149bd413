// SPDX-License-Identifier: GPL-2.0
/*
 * The namespace plane. First by BPF_PROG_TEST_RUN: a test run of a netfilter program leaves by no
 * device at all, so every vector and many mutated ones are judged by their bytes alone, and the
 * kernel's verdict must be the native one. Then attached in a namespace of our own, with real
 * packets of every kind of sender, where a tap shows what would be on the wire.
 *
 * TUNFENCE_SEED=N and TUNFENCE_PACKETS=N change the mutated packets. Skipped where the kernel has no
 * netfilter programs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include <tunfence/judge.h>

#include "addr.h"
#include "kernel/object.h"
#include "kernel/sandbox.h"
#include "namespace.skel.h"
#include "reason.h"
#include "util.h"
#include "vectors/mutate.h"
#include "vectors/scene.h"
#include "vectors/vector.h"

enum {
	NETFILTER_TYPE = 32,   /* BPF_PROG_TYPE_NETFILTER */
	NETFILTER_ATTACH = 45, /* BPF_NETFILTER */
	POST_ROUTING = 4,
	PRIORITY = 2000,
	DEFAULT_SEED = 20240229,
	DEFAULT_PACKETS = 20000,
	TEST_RUN_BYTES = 20, /* it refuses less */
	WAIT_MS = 3000,
};

/* The one for BPF_LINK_CREATE, for a netfilter link. */
struct link_create_attr {
	__u32 prog_fd;
	__u32 target;
	__u32 attach_type;
	__u32 flags;
	__u32 family;
	__u32 hook;
	__s32 priority;
	__u32 netfilter_flags;
};

/* A policy's namespace plane. */
struct plane {
	char name[VECTOR_NAME_LEN];
	const struct policy *policy;
	struct tunfence_namespace_bpf *object;
	struct maps maps;
	int link[2];
	counter_table seen;
};

static struct sandbox sandbox;
static struct vectors vectors;
static struct scene_policies policies;
static struct plane *planes;

static int plane_make(struct plane *p, const struct scene_policy *from, struct err *e)
{
	struct bpf_program *program;

	snprintf(p->name, sizeof(p->name), "%s", from->name);
	p->policy = from->policy;
	p->link[0] = p->link[1] = -1;
	p->object = tunfence_namespace_bpf__open();
	if (!p->object)
		return err_set(e, -errno, "the object cannot be opened");
	program = p->object->progs.tunfence_ns;
	bpf_program__set_type(program, (enum bpf_prog_type)NETFILTER_TYPE);
	bpf_program__set_expected_attach_type(program, (enum bpf_attach_type)NETFILTER_ATTACH);
	return object_load(p->object->obj, &p->object->rodata->policy, from->policy, &p->maps,
			   e);
}

static void plane_free(struct plane *p)
{
	cleanup_close(&p->link[0]);
	cleanup_close(&p->link[1]);
	if (p->object)
		tunfence_namespace_bpf__destroy(p->object);
}

static struct plane *find_plane(const char *policy)
{
	size_t i;

	for (i = 0; i < policies.count; i++) {
		if (streq(planes[i].name, policy))
			return &planes[i];
	}
	fail_msg("no policy '%s'", policy);
	return NULL;
}

static __u64 count_of(const struct plane *p, enum tf_reason reason)
{
	return object_count(&p->maps, TF_PLANE_NAMESPACE, reason);
}

/* ---- by test runs ---------------------------------------------------------------------------- */

/* What a test run makes of a packet: no device, no socket, no route, nothing offloaded. */
static struct tf_decision native_verdict(const struct plane *p, const __u8 *packet, __u32 bytes,
					 bool *ret_remembered)
{
	struct native n = {
		.frame = packet,
		.bytes = bytes,
		.owner = TF_OWNER_ELSEWHERE,
		.tables = &policy_tables,
		.data = p->policy,
	};
	struct tf_meta meta = { .plane = TF_PLANE_NAMESPACE, .bytes = bytes };
	struct tf_decision d = native_judge(&n, &p->policy->rodata, &meta);

	*ret_remembered = n.remembered;
	return d;
}

static void forget(const struct plane *p)
{
	int fd = p->maps.fd[MAP_FRAGMENTS];
	struct tf_fragment_key key;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0)
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
}

/* The reason whose counter has gone up by one since the last run; no other may have. */
static enum tf_reason reason_of_last(struct plane *p)
{
	unsigned int reason, found = TF_REASON_COUNT, changes = 0;
	counter_table table;

	assert_int_equal(maps_read_counters(p->maps.fd[MAP_COUNTERS], table, NULL), 0);
	for (reason = 0; reason < TF_REASON_COUNT; reason++) {
		if (table[TF_PLANE_NAMESPACE][reason].packets ==
		    p->seen[TF_PLANE_NAMESPACE][reason].packets)
			continue;
		found = reason;
		changes++;
	}
	memcpy(p->seen, table, sizeof(p->seen));
	assert_int_equal(changes, 1);
	return (enum tf_reason)found;
}

static void recount(struct plane *p)
{
	assert_int_equal(maps_read_counters(p->maps.fd[MAP_COUNTERS], p->seen, NULL), 0);
}

static void must_agree(struct plane *p, const char *name, const __u8 *packet, __u32 bytes,
		       __u32 *reasons)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = bytes);
	struct tf_decision native;
	enum tf_reason reason;
	bool remembered;

	if (bytes < TEST_RUN_BYTES)
		return;
	native = native_verdict(p, packet, bytes, &remembered);
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(p->object->progs.tunfence_ns),
						&opts), 0);
	reason = reason_of_last(p);
	if (remembered)
		forget(p);
	if (opts.retval != (native.verdict == TF_PASS) || reason != native.reason)
		fail_msg("'%s' on '%s': the kernel says %u %s, we %u %s", name, p->name,
			 opts.retval, reason_name(reason), native.verdict,
			 reason_name(native.reason));
	reasons[reason]++;
}

/* Whether it is a packet as this plane sees it: without a link header. */
static bool is_usable(const struct vector *v)
{
	return !v->framed && v->length >= TEST_RUN_BYTES;
}

static void every_vector_is_judged_alike(void **state)
{
	__u32 reasons[TF_REASON_COUNT] = {};
	size_t i, j;

	(void)state;
	for (i = 0; i < policies.count; i++) {
		recount(&planes[i]);
		for (j = 0; j < vectors.count; j++) {
			const struct vector *v = &vectors.items[j];

			if (is_usable(v))
				must_agree(&planes[i], v->name, v->bytes, v->length, reasons);
		}
	}
	/* The rules that a packet of no device, no socket and no route can meet. What is this kernel's
	 * own by its route passes by none of these, and by real packets below. */
	assert_false(reasons[TF_REASON_INBOUND] || reasons[TF_REASON_ENDPOINT]);
	assert_true(reasons[TF_REASON_NEIGHBOUR] && reasons[TF_REASON_DHCP]);
	assert_true(reasons[TF_REASON_NAME_LOOKUP] && reasons[TF_REASON_DESTINATION]);
	assert_true(reasons[TF_REASON_LAN] && reasons[TF_REASON_NOT_ALLOWED]);
	assert_true(reasons[TF_REASON_STRAY_FRAGMENT] && reasons[TF_REASON_EXT_CHAIN]);
	assert_true(reasons[TF_REASON_SHORT] && reasons[TF_REASON_TRAILER]);
}

static __u64 number_from(const char *variable, __u64 otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void mutated_packets_are_judged_alike(void **state)
{
	__u64 seed = number_from("TUNFENCE_SEED", DEFAULT_SEED), random = mutate_seed(seed), done;
	__u64 packets = number_from("TUNFENCE_PACKETS", DEFAULT_PACKETS);
	__u32 reasons[TF_REASON_COUNT] = {};
	struct mutated m;
	size_t i;

	(void)state;
	for (i = 0; i < policies.count; i++)
		recount(&planes[i]);
	print_message("TUNFENCE_SEED=%llu TUNFENCE_PACKETS=%llu\n", (unsigned long long)seed,
		      (unsigned long long)packets);
	for (done = 0; done < packets; done++) {
		const struct vector *v = &vectors.items[mutate_below(&random, (__u32)vectors.count)];
		const struct vector *w = &vectors.items[mutate_below(&random, (__u32)vectors.count)];

		if (!is_usable(v))
			continue;
		mutate(&random, v->bytes, v->length, w->bytes, w->length, false, &m);
		must_agree(find_plane(v->policy), v->name, m.bytes, m.length, reasons);
	}
}

/* ---- with real packets ----------------------------------------------------------------------- */

static int attach(const struct plane *p, int family)
{
	struct link_create_attr attr = {
		.prog_fd = (__u32)bpf_program__fd(p->object->progs.tunfence_ns),
		.attach_type = NETFILTER_ATTACH,
		.family = (__u32)family,
		.hook = POST_ROUTING,
		.priority = PRIORITY,
	};

	return (int)syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
}

static struct plane *plane_raise(const char *policy)
{
	struct plane *p;
	size_t i;

	for (i = 0; i < policies.count; i++) { /* whatever a failed test left */
		cleanup_close(&planes[i].link[0]);
		cleanup_close(&planes[i].link[1]);
	}
	p = find_plane(policy);
	p->link[0] = attach(p, AF_INET);
	p->link[1] = attach(p, AF_INET6);
	assert_true(p->link[0] >= 0 && p->link[1] >= 0);
	recount(p);
	return p;
}

/* A device of ours in place of the scene's of that name; what leaves by it can be read. */
static int own_device(const char *name, short mode)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq request = { .ifr_flags = (short)(mode | IFF_NO_PI) };
	char words[64];

	snprintf(words, sizeof(words), "link del %s", name);
	if (if_nametoindex(name))
		assert_true(run_ip(words));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

static void run_all(const char *const *words)
{
	for (; *words; words++)
		assert_true(run_ip(*words));
}

static int uplink = -1, tunnel = -1, lan = -1;

#define ROUTER_MAC "02:00:00:00:00:99"

static const char *const place[] = {
	"link set lo up",
	"link set eth0 address 02:00:00:00:00:01",
	"link set lan0 address 02:00:00:00:00:02",
	"link set eth0 up",
	"link set lan0 up",
	"link set wg0 up",
	"addr add 192.0.2.10/24 dev eth0",
	"addr add 10.8.0.2/24 dev wg0",
	"addr add 198.18.0.1/24 dev lan0",
	"-6 addr add 2001:db8:1::10/64 dev eth0 nodad",
	"-6 addr add 2001:db8:8::2/64 dev wg0 nodad",
	"neigh add 192.0.2.1 lladdr " ROUTER_MAC " dev eth0",
	"neigh add 192.0.2.123 lladdr " ROUTER_MAC " dev eth0",
	"-6 neigh add 2001:db8:1::1 lladdr " ROUTER_MAC " dev eth0",
	"neigh add 198.18.0.9 lladdr " ROUTER_MAC " dev lan0",
	"route add default via 192.0.2.1",
	"-6 route add default via 2001:db8:1::1",
	"route add 10.0.0.0/8 dev wg0",
	NULL,
};

static void write_setting(const char *path, const char *digit)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_equal(write(fd, digit, 1), 1);
}

static int enter_place(void **state)
{
	(void)state;
	uplink = own_device("eth0", IFF_TAP);
	tunnel = own_device("wg0", IFF_TUN);
	lan = own_device("lan0", IFF_TAP);
	run_all(place);
	write_setting("/proc/sys/net/ipv4/ip_forward", "1");
	return 0;
}

static socklen_t to_sockaddr(const char *address, __u16 port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct tf_addr addr;

	assert_int_equal(addr_parse(address, &addr, NULL), 0);
	memset(ret, 0, sizeof(*ret));
	if (tf_addr_is_v4(&addr)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, addr.byte + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, addr.byte, 16);
	return sizeof(*v6);
}

static int udp_socket(const char *address)
{
	int fd = socket(strchr(address, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

/* A datagram; 0 or -errno. */
static int send_by(int fd, const char *address, __u16 port, const void *data, size_t bytes)
{
	struct sockaddr_storage to;
	socklen_t length = to_sockaddr(address, port, &to);

	return sendto(fd, data, bytes, 0, (struct sockaddr *)&to, length) < 0 ? -errno : 0;
}

static int send_one(const char *address, __u16 port, const void *data, size_t bytes)
{
	_cleanup_close_ int fd = udp_socket(address);

	return send_by(fd, address, port, data, bytes);
}

/* A WireGuard data message. */
static const __u8 message[1280] = { TF_WG_DATA };

struct attempt {
	const char *policy, *address;
	__u16 port;
	enum tf_reason reason;
	size_t bytes;
};

static const struct attempt attempts[] = {
	{ "strict", "198.51.100.1", 9, TF_REASON_NOT_ALLOWED, 100 },
	{ "strict", "2001:db8:99::1", 9, TF_REASON_NOT_ALLOWED, 100 },
	{ "strict", "198.51.100.1", 53, TF_REASON_NAME_LOOKUP, 100 },
	{ "strict", "2001:db8:99::1", 53, TF_REASON_NAME_LOOKUP, 100 },
	{ "strict", "203.0.113.7", 51820, TF_REASON_ENDPOINT, 100 },
	{ "strict", "203.0.113.7", 51820, TF_REASON_NOT_ALLOWED, 20 },
	{ "strict", "203.0.113.7", 51821, TF_REASON_NOT_ALLOWED, 100 },
	{ "strict", "2001:db8:51::7", 51820, TF_REASON_ENDPOINT, 100 },
	{ "strict", "127.0.0.1", 9, TF_REASON_LOOPBACK, 100 },
	{ "strict", "192.0.2.10", 9, TF_REASON_LOOPBACK, 100 },
	{ "strict", "::1", 9, TF_REASON_LOOPBACK, 100 },
	{ "strict", "10.8.0.1", 53, TF_REASON_TUNNEL, 100 },
	{ "strict", "2001:db8:8::1", 53, TF_REASON_TUNNEL, 100 },
	{ "strict", "198.18.0.9", 53, TF_REASON_NAME_LOOKUP, 100 },
	{ "home", "198.18.0.9", 53, TF_REASON_INSIDE, 100 },
	{ "kernel", "10.8.0.1", 9, TF_REASON_NOT_ALLOWED, 100 }, /* kind tun, not wireguard */
	{ "kernel", "203.0.113.7", 51820, TF_REASON_NOT_ALLOWED, 100 }, /* a program's socket */
	{ "rules", "192.0.2.123", 123, TF_REASON_DESTINATION, 100 },
	{ "rules", "192.0.2.123", 124, TF_REASON_NOT_ALLOWED, 100 },
	{ "cgroup", "198.51.100.1", 9, TF_REASON_OUT_OF_SCOPE, 100 },
};

static void each_datagram_gets_its_verdict(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *a = &attempts[i];
		struct plane *p = plane_raise(a->policy);
		bool passes = tf_reason_verdict(a->reason) == TF_PASS;
		int r = send_one(a->address, a->port, message, a->bytes);
		enum tf_reason reason = reason_of_last(p);

		if (reason != a->reason || (r == -EPERM) == passes)
			fail_msg("'%s' to %s port %u: %s, %s", a->policy, a->address, a->port,
				 reason_name(reason), strerror(-r));
	}
}

static void whose_socket_it_is_decides_in_a_cgroup_fence(void **state)
{
	struct plane *p = plane_raise("cgroup");

	(void)state;
	assert_int_equal(sandbox_sit(&sandbox, false, false, NULL), 0);
	assert_int_equal(send_one("198.51.100.1", 9, message, 100), -EPERM);
	assert_int_equal(reason_of_last(p), TF_REASON_NOT_ALLOWED);
	assert_int_equal(send_one("203.0.113.7", 51820, message, 100), 0);
	assert_int_equal(reason_of_last(p), TF_REASON_ENDPOINT);
	assert_int_equal(sandbox_sit(&sandbox, false, true, NULL), 0);
	assert_int_equal(send_one("198.51.100.1", 9, message, 100), 0);
	assert_int_equal(reason_of_last(p), TF_REASON_OUT_OF_SCOPE);
}

static void an_observing_fence_counts_and_drops_nothing(void **state)
{
	struct plane *p = plane_raise("observe");

	(void)state;
	assert_int_equal(send_one("198.51.100.1", 9, message, 100), 0);
	assert_int_equal(reason_of_last(p), TF_REASON_NOT_ALLOWED);
}

/* Before it is cut, and judged by what it will be cut into. */
static void a_super_packet_is_judged_by_its_segments(void **state)
{
	_cleanup_close_ int fd = udp_socket("203.0.113.7");
	struct plane *p = plane_raise("strict");
	int size = 64;

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(send_by(fd, "203.0.113.7", 51820, message, sizeof(message)), 0);
	assert_int_equal(reason_of_last(p), TF_REASON_ENDPOINT);
	size = 16; /* too short for a message */
	assert_int_equal(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(send_by(fd, "203.0.113.7", 51820, message, 160), -EPERM);
	assert_int_equal(reason_of_last(p), TF_REASON_NOT_ALLOWED);
}

/* A datagram longer than the link's MTU is one packet here. */
static void a_datagram_is_judged_before_it_is_fragmented(void **state)
{
	_cleanup_free_ __u8 *large = calloc(1, 8000);
	struct plane *p = plane_raise("strict");

	(void)state;
	assert_non_null(large);
	large[0] = TF_WG_DATA;
	assert_int_equal(send_one("203.0.113.7", 51820, large, 8000), 0);
	assert_int_equal(reason_of_last(p), TF_REASON_ENDPOINT);
	assert_int_equal(send_one("198.51.100.1", 9, large, 8000), -EPERM);
	assert_int_equal(reason_of_last(p), TF_REASON_NOT_ALLOWED);
}

/* ---- what has no socket of a program --------------------------------------------------------- */

/* Waits until the reason's counter is beyond what it was when the plane was raised. */
static bool is_counted(const struct plane *p, enum tf_reason reason)
{
	__u64 before = p->seen[TF_PLANE_NAMESPACE][reason].packets;
	const struct timespec tick = { .tv_nsec = 5000000 };
	int i;

	for (i = 0; i < WAIT_MS / 5; i++) {
		if (count_of(p, reason) > before)
			return true;
		nanosleep(&tick, NULL);
	}
	return false;
}

static __u16 ipv4_checksum(const __u8 *header)
{
	__u32 sum = 0;
	int i;

	for (i = 0; i < 20; i += 2)
		sum += (__u32)header[i] << 8 | header[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~(sum + (sum >> 16));
}

/* A frame for the host on lan0: UDP from 198.18.0.9 to dst. */
static void arrive(const __u8 *dst, __u16 port, const __u8 *payload, size_t bytes)
{
	__u8 frame[256] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0x99, 0x08, 0x00, 0x45 };
	__u8 *ip = frame + 14, *udp = ip + 20;
	size_t length = 20 + 8 + bytes;
	__u16 sum;

	assert_true(14 + length <= sizeof(frame));
	ip[3] = (__u8)length;
	ip[8] = 64;
	ip[9] = TF_PROTO_UDP;
	memcpy(ip + 12, (__u8[]){ 198, 18, 0, 9 }, 4);
	memcpy(ip + 16, dst, 4);
	sum = ipv4_checksum(ip);
	ip[10] = (__u8)(sum >> 8);
	ip[11] = (__u8)sum;
	udp[0] = 0x30;
	udp[2] = (__u8)(port >> 8);
	udp[3] = (__u8)port;
	udp[5] = (__u8)(8 + bytes);
	memcpy(udp + 8, payload, bytes);
	assert_int_equal(write(lan, frame, 14 + length), 14 + (ssize_t)length);
}

static void forwarded_packets_are_judged(void **state)
{
	struct plane *p = plane_raise("strict");

	(void)state;
	arrive((__u8[]){ 198, 51, 100, 1 }, 9, message, 64);
	assert_true(is_counted(p, TF_REASON_NOT_ALLOWED));
	p = plane_raise("strict");
	/* Not even to the endpoint: the tunnel is this machine's. */
	arrive((__u8[]){ 203, 0, 113, 7 }, 51820, message, 64);
	assert_true(is_counted(p, TF_REASON_NOT_ALLOWED));
	p = plane_raise("plain-kernel"); /* whose own packets have no socket either */
	arrive((__u8[]){ 203, 0, 113, 7 }, 51820, message, 64);
	assert_true(is_counted(p, TF_REASON_NOT_ALLOWED));
	p = plane_raise("strict");
	arrive((__u8[]){ 10, 9, 9, 9 }, 53, message, 64);
	assert_true(is_counted(p, TF_REASON_TUNNEL));
	p = plane_raise("rules");
	arrive((__u8[]){ 192, 0, 2, 123 }, 123, message, 64);
	assert_true(is_counted(p, TF_REASON_DESTINATION));
}

static void drain(int fd)
{
	__u8 frame[9000];

	while (read(fd, frame, sizeof(frame)) > 0)
		;
}

/* Whether an IPv4 packet of this protocol leaves by the device before the deadline. */
static bool is_seen(int fd, __u8 protocol)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	__u8 frame[9000];
	ssize_t bytes;

	while (poll(&wait, 1, WAIT_MS) == 1) {
		bytes = read(fd, frame, sizeof(frame));
		if (bytes > 34 && frame[12] == 0x08 && frame[13] == 0 && frame[23] == protocol)
			return true;
	}
	return false;
}

/* A TCP segment whose header goes on, behind the ports, in memory that is not the skb's own: of what
 * takes more than a page, a tap's sender says how much is to lie there. offset: the header's length
 * in words, as it says itself. */
static void arrive_in_parts(int fd, __u8 offset)
{
	enum { LINK = 14, OWN = LINK + 20 + 8, BYTES = 5000 };
	static struct {
		struct virtio_net_hdr header;
		__u8 frame[BYTES];
	} __attribute__((packed)) whole;
	__u8 *ip = whole.frame + LINK, *tcp = ip + 20;
	const __u8 start[] = { 2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 0x99, 0x08, 0x00, 0x45, 0,
			       (BYTES - LINK) >> 8, (BYTES - LINK) & 0xff, [22] = 64,
			       [23] = TF_PROTO_TCP, [26] = 203, 0, 201, 9, 198, 51, 100, 9, 0x30, 0,
			       8050 >> 8, 8050 & 0xff, [46] = (__u8)(offset << 4) };
	__u16 sum;

	memset(&whole, 0, sizeof(whole));
	whole.header.hdr_len = (TF_FORCE __virtio16)OWN;
	memcpy(whole.frame, start, sizeof(start));
	sum = ipv4_checksum(ip);
	ip[10] = (__u8)(sum >> 8);
	ip[11] = (__u8)sum;
	tcp[13] = TF_TCP_SYN;
	assert_int_equal(write(fd, &whole, sizeof(whole)), sizeof(whole));
}

/* What lies behind the skb's own part of it is whatever was there before. */
static void a_header_in_parts_is_judged_by_its_bytes(void **state)
{
	static const char *const words[] = {
		"link set parts0 address 02:00:00:00:00:03",
		"link set parts0 up",
		"addr add 203.0.201.2/24 dev parts0",
		NULL,
	};
	_cleanup_close_ int fd = own_device("parts0", IFF_TAP | IFF_VNET_HDR);
	const __u32 turns = 0xb8e5; /* in no order that memory could be used again in */
	const struct plane *p;
	int i;

	(void)state;
	write_setting("/proc/sys/net/ipv4/ip_early_demux", "0"); /* or TCP gets its whole header */
	run_all(words);
	for (i = 0; i < 16; i++) {
		bool whole = turns >> i & 1;

		p = plane_raise("rules");
		arrive_in_parts(fd, whole ? 5 : 4); /* of 20 bytes, and of too few */
		assert_true(is_counted(p, whole ? TF_REASON_DESTINATION : TF_REASON_BAD_HEADER));
	}
}

/* A device that did not exist when the plane was raised. */
static void a_device_plugged_in_a_moment_ago_is_fenced(void **state)
{
	static const char *const words[] = {
		"link set new0 up",
		"addr add 203.0.200.2/24 dev new0",
		"neigh add 203.0.200.9 lladdr " ROUTER_MAC " dev new0",
		NULL,
	};
	struct plane *p = plane_raise("strict");
	_cleanup_close_ int fd = own_device("new0", IFF_TAP);

	(void)state;
	run_all(words);
	drain(fd);
	recount(p);
	assert_int_equal(send_one("203.0.200.9", 9, message, 100), -EPERM);
	assert_true(is_counted(p, TF_REASON_NOT_ALLOWED));
	p = plane_raise("observe"); /* and the same packet is seen when it may pass */
	assert_int_equal(send_one("203.0.200.9", 9, message, 100), 0);
	assert_true(is_seen(fd, TF_PROTO_UDP));
}

/* IGMP goes round the cgroup hook. */
static void what_the_kernel_makes_is_judged(void **state)
{
	struct ip_mreqn join = { .imr_multiaddr.s_addr = htonl(0xe8010203) };
	_cleanup_close_ int fd = udp_socket("198.51.100.1");
	struct plane *p = plane_raise("strict");

	(void)state;
	join.imr_ifindex = (int)if_nametoindex("eth0");
	assert_int_equal(setsockopt(fd, SOL_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)), 0);
	assert_true(is_counted(p, TF_REASON_NOT_ALLOWED));
}

static void raw_sockets_are_judged(void **state)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	struct plane *p = plane_raise("strict");
	__u8 packet[128] = { 0x45, [8] = 64, [9] = TF_PROTO_UDP, [12] = 192, [14] = 2, [15] = 10 };

	(void)state;
	assert_true(fd >= 0);
	memcpy(packet + 16, (__u8[]){ 203, 0, 113, 7 }, 4);
	packet[22] = 51820 >> 8;
	packet[23] = 51820 & 0xff;
	packet[25] = sizeof(packet) - 20;
	packet[28] = TF_WG_DATA;
	/* An endpoint's packet, but no tunnel's socket made it. */
	assert_int_equal(send_by(fd, "203.0.113.7", 0, packet, sizeof(packet)), -EPERM);
	assert_int_equal(reason_of_last(p), TF_REASON_NOT_ALLOWED);
}

/* A SYN for 192.0.2.10 comes in by eth0; from: the low byte of its port, one for each connection. */
static void arrive_syn(__u16 port, __u8 from)
{
	__u8 syn[54] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x99, 0x08, 0x00, 0x45, [17] = 40,
			 [22] = 64, [23] = TF_PROTO_TCP, 0, 0, 198, 51, 100, 9, 192, 0, 2, 10,
			 0x30, from, (__u8)(port >> 8), (__u8)port, [46] = 0x50, [47] = TF_TCP_SYN,
			 [48] = 0xff, 0xff };
	__u32 sum = ipv4_checksum(syn + 14);
	int i;

	syn[24] = (__u8)(sum >> 8);
	syn[25] = (__u8)sum;
	for (sum = TF_PROTO_TCP + 20, i = 26; i < 54; i += 2)
		sum += (__u32)syn[i] << 8 | syn[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16));
	syn[50] = (__u8)(sum >> 8);
	syn[51] = (__u8)sum;
	assert_int_equal(write(uplink, syn, sizeof(syn)), sizeof(syn));
}

static int listen_at(__u16 port)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* A listener's answer to a SYN has a request's mini-socket, whose cgroup is the listener's. */
static void a_syn_ack_belongs_to_its_listener(void **state)
{
	int outside;

	(void)state;
	for (outside = 0; outside < 2; outside++) {
		struct plane *p = plane_raise("cgroup");
		_cleanup_close_ int listener = -1;

		assert_int_equal(sandbox_sit(&sandbox, false, outside, NULL), 0);
		listener = listen_at(8080);
		arrive_syn(8080, (__u8)(0x30 + outside));
		assert_true(is_counted(p, outside ? TF_REASON_OUT_OF_SCOPE :
						    TF_REASON_NOT_ALLOWED));
	}
}

/* It has no full socket and is known for this kernel's by its route, which test runs cannot give. */
static void a_syn_ack_of_an_allowed_service_passes(void **state)
{
	struct plane *p = plane_raise("home");
	_cleanup_close_ int listener = listen_at(8005);

	(void)state;
	arrive_syn(8005, 0x40);
	assert_true(is_counted(p, TF_REASON_INBOUND));
}

/* ---- what it costs --------------------------------------------------------------------------- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The best of some batches: others use this machine too. */
static double nanoseconds_per_send(const char *address, __u16 port)
{
	_cleanup_close_ int fd = udp_socket(address);
	struct sockaddr_storage to;
	socklen_t length = to_sockaddr(address, port, &to);
	double start, best = 1e9;
	int batch, i;

	for (batch = 0; batch < 100; batch++) {
		start = now();
		for (i = 0; i < 200; i++)
			(void)!sendto(fd, message, 64, 0, (struct sockaddr *)&to, length);
		if ((now() - start) / 200 * 1e9 < best)
			best = (now() - start) / 200 * 1e9;
		drain(uplink);
		drain(tunnel);
	}
	return best;
}

static void costs(void **state)
{
	static const struct {
		const char *address;
		__u16 port;
		const char *what;
	} ways[] = {
		{ "127.0.0.1", 9, "loopback" },
		{ "10.8.0.1", 9, "tunnel" },
		{ "203.0.113.7", 51820, "endpoint" },
		{ "198.51.100.1", 9, "dropped" },
	};
	double without[ARRAY_SIZE(ways)];
	size_t i;

	(void)state;
	if (!getenv("TUNFENCE_BENCH"))
		skip();
	cleanup_close(&plane_raise("strict")->link[0]);
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		without[i] = nanoseconds_per_send(ways[i].address, ways[i].port);
	plane_raise("strict");
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		print_message("%-9s %6.0f ns per packet without, %+5.0f with\n", ways[i].what,
			      without[i],
			      nanoseconds_per_send(ways[i].address, ways[i].port) - without[i]);
}

/* ---- the program ----------------------------------------------------------------------------- */

static int test_all(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vector_is_judged_alike),
		cmocka_unit_test(mutated_packets_are_judged_alike),
		cmocka_unit_test(each_datagram_gets_its_verdict),
		cmocka_unit_test(whose_socket_it_is_decides_in_a_cgroup_fence),
		cmocka_unit_test(an_observing_fence_counts_and_drops_nothing),
		cmocka_unit_test(a_super_packet_is_judged_by_its_segments),
		cmocka_unit_test(a_datagram_is_judged_before_it_is_fragmented),
		cmocka_unit_test(forwarded_packets_are_judged),
		cmocka_unit_test(a_header_in_parts_is_judged_by_its_bytes),
		cmocka_unit_test(a_device_plugged_in_a_moment_ago_is_fenced),
		cmocka_unit_test(what_the_kernel_makes_is_judged),
		cmocka_unit_test(raw_sockets_are_judged),
		cmocka_unit_test(a_syn_ack_belongs_to_its_listener),
		cmocka_unit_test(a_syn_ack_of_an_allowed_service_passes),
		cmocka_unit_test(costs),
	};

	return cmocka_run_group_tests_name("namespace", tests, enter_place, NULL);
}

static int make_planes(struct err *e)
{
	size_t i;
	int r = 0;

	planes = calloc(policies.count, sizeof(*planes));
	if (!planes)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; !r && i < policies.count; i++)
		r = plane_make(&planes[i], &policies.items[i], e);
	return r;
}

static void free_all(void)
{
	size_t i;

	for (i = 0; planes && i < policies.count; i++)
		plane_free(&planes[i]);
	free(planes);
	scene_policies_free(&policies);
	vectors_free(&vectors);
	cgroup_close(&sandbox.fenced);
}

/* In a process of its own, whose end takes the namespaces with it. */
static int inside(void)
{
	struct err e = {};
	int r = sandbox_enter(&sandbox, &e);

	if (!r)
		r = vectors_read(VECTOR_DIRECTORY, &vectors, &e);
	if (!r)
		r = scene_policies_read(&vectors, &sandbox.place, &policies, &e);
	if (!r)
		r = make_planes(&e);
	if (r)
		fprintf(stderr, "%s\n", e.text);
	else
		r = test_all();
	free_all();
	return r != 0;
}

int main(void)
{
	cmocka_set_test_filter(getenv("TUNFENCE_TEST")); /* one, or all of them */
	return sandbox_main(&sandbox, "test_namespace", inside);
}
