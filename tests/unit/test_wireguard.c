// SPDX-License-Identifier: GPL-2.0
/*
 * What WireGuard devices answer: netlink messages made by hand, UAPI texts good and bad, and a
 * daemon of our own on a socket, in this network namespace and in another. Needs no WireGuard.
 */
#define _GNU_SOURCE

#include "wireguard.h"

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "addr.h"
#include "netlink_message.h"
#include "util.h"
#include "world.h"

static void assert_endpoint(const struct wireguard_device *d, size_t i, const char *expected)
{
	char text[ADDR_TEXT_LEN];

	assert_true(i < d->endpoint_count);
	assert_string_equal(addr_port_format(&d->endpoints[i].addr, d->endpoints[i].port, text),
			    expected);
}

static void assert_peer(const struct wireguard_device *d, size_t i, __u8 number,
			const char *endpoint, long long handshake)
{
	const struct wireguard_peer *peer = &d->peers[i];
	char text[ADDR_TEXT_LEN];

	assert_true(i < d->peer_count);
	assert_int_equal(peer->key.byte[31], number);
	assert_int_equal(peer->last_handshake, handshake);
	assert_int_equal(peer->has_endpoint, endpoint != NULL);
	if (endpoint)
		assert_string_equal(addr_port_format(&peer->endpoint.addr, peer->endpoint.port,
						     text), endpoint);
}

/* ---- netlink ---- */

static void begin_device(struct message *m)
{
	static const struct genlmsghdr header = { .cmd = WG_CMD_SET_DEVICE, .version = 1 };

	message_begin(m, 30, &header, sizeof(header));
	mnl_attr_put_strz(m->nlh, WGDEVICE_A_IFNAME, "wg0");
}

static struct sockaddr_in v4(const char *text, __u16 port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
	return in;
}

static struct sockaddr_in6 v6(const char *text, __u16 port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return in6;
}

static void put_peer(struct message *m, __u8 number, const void *endpoint, size_t len,
		     long long handshake)
{
	const __u8 key[WG_KEY_LEN] = { 1, 2, 3, [31] = number };
	struct nlattr *peer = mnl_attr_nest_start(m->nlh, 0);
	long long time[2] = { handshake, 0 };

	mnl_attr_put(m->nlh, WGPEER_A_PUBLIC_KEY, sizeof(key), key);
	if (handshake >= 0)
		mnl_attr_put(m->nlh, WGPEER_A_LAST_HANDSHAKE_TIME, sizeof(time), time);
	if (endpoint)
		mnl_attr_put(m->nlh, WGPEER_A_ENDPOINT, len, endpoint);
	mnl_attr_nest_end(m->nlh, mnl_attr_nest_start(m->nlh, WGPEER_A_ALLOWEDIPS));
	mnl_attr_nest_end(m->nlh, peer);
}

static void good_device(struct message *m)
{
	struct sockaddr_in in = v4("192.0.2.1", 51820);
	struct sockaddr_in6 in6 = v6("2001:db8::1", 1234);
	struct nlattr *peers;

	begin_device(m);
	mnl_attr_put_u16(m->nlh, WGDEVICE_A_LISTEN_PORT, 51999);
	mnl_attr_put_u32(m->nlh, WGDEVICE_A_FWMARK, 0xca6c);
	peers = mnl_attr_nest_start(m->nlh, WGDEVICE_A_PEERS);
	put_peer(m, 1, &in, sizeof(in), 1700000000);
	put_peer(m, 2, NULL, 0, 1700000005); /* not heard of yet, or behind a NAT */
	put_peer(m, 3, &in6, sizeof(in6), 1600000000);
	mnl_attr_nest_end(m->nlh, peers);
}

static void test_netlink_device(void **state)
{
	_cleanup_(wireguard_device_free) struct wireguard_device d = { 0 };
	struct sockaddr_in in = v4("198.51.100.7", 443);
	struct message m;
	struct nlattr *peers;

	(void)state;
	good_device(&m);
	assert_int_equal(wireguard_parse_netlink(m.nlh, &d), 0);

	begin_device(&m); /* goes on: the last peer's allowed IPs, then another peer */
	peers = mnl_attr_nest_start(m.nlh, WGDEVICE_A_PEERS);
	put_peer(&m, 3, NULL, 0, -1);
	put_peer(&m, 4, &in, sizeof(in), 0);
	mnl_attr_nest_end(m.nlh, peers);
	assert_int_equal(wireguard_parse_netlink(m.nlh, &d), 0);

	assert_int_equal(d.listen_port, 51999);
	assert_int_equal(d.mark, 0xca6c);
	assert_int_equal(d.last_handshake, 1700000005);
	assert_int_equal(d.endpoint_count, 3);
	assert_endpoint(&d, 0, "192.0.2.1:51820");
	assert_endpoint(&d, 1, "[2001:db8::1]:1234");
	assert_endpoint(&d, 2, "198.51.100.7:443");
	assert_int_equal(d.peer_count, 4);
	assert_peer(&d, 0, 1, "192.0.2.1:51820", 1700000000);
	assert_peer(&d, 1, 2, NULL, 1700000005);
	assert_peer(&d, 2, 3, "[2001:db8::1]:1234", 1600000000);
	assert_peer(&d, 3, 4, "198.51.100.7:443", 0);
}

static void test_netlink_peer_without_key(void **state)
{
	_cleanup_(wireguard_device_free) struct wireguard_device d = { 0 };
	struct sockaddr_in in = v4("192.0.2.1", 51820);
	struct nlattr *peers, *peer;
	struct message m;

	(void)state;
	begin_device(&m);
	peers = mnl_attr_nest_start(m.nlh, WGDEVICE_A_PEERS);
	peer = mnl_attr_nest_start(m.nlh, 0);
	mnl_attr_put(m.nlh, WGPEER_A_ENDPOINT, sizeof(in), &in);
	mnl_attr_nest_end(m.nlh, peer);
	mnl_attr_nest_end(m.nlh, peers);
	assert_int_equal(wireguard_parse_netlink(m.nlh, &d), -EPROTO);
}

/* ---- telling a peer its place ---- */

static struct wireguard_peer a_peer(const char *address, __u16 port)
{
	struct wireguard_peer peer = { .key = { { 1, 2, 3, [31] = 0xfe } }, .has_endpoint = true,
				       .endpoint.port = tf_htons(port) };

	assert_int_equal(addr_parse(address, &peer.endpoint.addr, NULL), 0);
	return peer;
}

/* By the bytes: attribute headers in this machine's order, the rest as the kernel's header says. */
static void assert_set(const struct wireguard_peer *peer, const void *sockaddr, __u16 size)
{
	const struct nlattr *name, *peers, *one, *key, *flags, *endpoint;
	struct message m;

	message_begin(&m, 30, &(struct genlmsghdr){ .cmd = WG_CMD_SET_DEVICE, .version = 1 },
		      sizeof(struct genlmsghdr));
	wireguard_put_set(m.nlh, "wg0", peer);
	assert_true(m.nlh->nlmsg_len <= WIREGUARD_SET_SIZE);

	name = mnl_nlmsg_get_payload_offset(m.nlh, sizeof(struct genlmsghdr));
	assert_int_equal(name->nla_type, WGDEVICE_A_IFNAME);
	assert_string_equal(mnl_attr_get_str(name), "wg0");
	peers = mnl_attr_next(name);
	assert_int_equal(peers->nla_type, NLA_F_NESTED | WGDEVICE_A_PEERS);
	assert_ptr_equal(mnl_attr_next(peers), mnl_nlmsg_get_payload_tail(m.nlh));
	one = mnl_attr_get_payload(peers);
	assert_int_equal(one->nla_type, NLA_F_NESTED | 0);
	assert_ptr_equal(mnl_attr_next(one), mnl_nlmsg_get_payload_tail(m.nlh));
	key = mnl_attr_get_payload(one);
	assert_int_equal(key->nla_type, WGPEER_A_PUBLIC_KEY);
	assert_int_equal(mnl_attr_get_payload_len(key), WG_KEY_LEN);
	assert_memory_equal(mnl_attr_get_payload(key), &peer->key, WG_KEY_LEN);
	flags = mnl_attr_next(key);
	assert_int_equal(flags->nla_type, WGPEER_A_FLAGS);
	assert_int_equal(mnl_attr_get_u32(flags), WGPEER_F_UPDATE_ONLY);
	endpoint = mnl_attr_next(flags);
	assert_int_equal(endpoint->nla_type, WGPEER_A_ENDPOINT);
	assert_int_equal(mnl_attr_get_payload_len(endpoint), size);
	assert_memory_equal(mnl_attr_get_payload(endpoint), sockaddr, size);
	assert_ptr_equal(mnl_attr_next(endpoint), mnl_nlmsg_get_payload_tail(m.nlh));
}

static void test_set_by_netlink(void **state)
{
	struct wireguard_peer peer = a_peer("203.0.113.9", 51820);
	struct sockaddr_in in = v4("203.0.113.9", 51820);
	struct wireguard_peer peer6 = a_peer("2001:db8::9", 443);
	struct sockaddr_in6 in6 = v6("2001:db8::9", 443);

	(void)state;
	assert_set(&peer, &in, sizeof(in));
	assert_set(&peer6, &in6, sizeof(in6));
}

#define SET_KEY "01020300000000000000000000000000000000000000000000000000000000fe"
#define PEER "public_key=" SET_KEY "\n"

static void test_set_by_text(void **state)
{
	struct wireguard_peer peer = a_peer("203.0.113.9", 51820);
	struct wireguard_peer longest =
		a_peer("2001:db8:1111:2222:3333:4444:5555:6666", 65535);
	char text[WIREGUARD_SET_SIZE];

	(void)state;
	wireguard_format_set(&peer, text);
	assert_string_equal(text, "set=1\npublic_key=" SET_KEY "\nupdate_only=true\n"
				  "endpoint=203.0.113.9:51820\n\n");
	wireguard_format_set(&longest, text);
	assert_string_equal(text, "set=1\npublic_key=" SET_KEY "\nupdate_only=true\n"
				  "endpoint=[2001:db8:1111:2222:3333:4444:5555:6666]:65535\n\n");
}

static void assert_peer_refused(const void *endpoint, size_t len)
{
	_cleanup_(wireguard_device_free) struct wireguard_device d = { 0 };
	_cleanup_free_ struct nlmsghdr *exact = NULL;
	struct message m;
	struct nlattr *peers;

	begin_device(&m);
	peers = mnl_attr_nest_start(m.nlh, WGDEVICE_A_PEERS);
	put_peer(&m, 1, endpoint, len, 0);
	mnl_attr_nest_end(m.nlh, peers);
	exact = message_cut(&m, m.nlh->nlmsg_len);
	assert_int_equal(wireguard_parse_netlink(exact, &d), -EPROTO);
	assert_int_equal(d.endpoint_count, 0);
}

static void test_netlink_wrong_endpoints(void **state)
{
	struct sockaddr_in in = v4("192.0.2.1", 51820);
	struct sockaddr_in6 in6 = v6("2001:db8::1", 1234);
	char long_in6[sizeof(in6) + 4] = { 0 };
	sa_family_t family = AF_INET6;

	(void)state;
	assert_peer_refused(&in, sizeof(in) - 1);
	assert_peer_refused(&in6, sizeof(in6) - 4);
	memcpy(long_in6, &in6, sizeof(in6));
	assert_peer_refused(long_in6, sizeof(long_in6));
	memcpy(&in, &family, sizeof(family)); /* says IPv6, has the length of IPv4 */
	assert_peer_refused(&in, sizeof(in));
	in6.sin6_family = AF_INET; /* and the other way round */
	assert_peer_refused(&in6, sizeof(in6));
	in6.sin6_family = AF_UNIX;
	assert_peer_refused(&in6, sizeof(in6));
}

static void test_netlink_wrong_lengths(void **state)
{
	static const __u8 bytes[64];
	static const struct {
		__u16 type, len;
	} wrong[] = { { WGDEVICE_A_LISTEN_PORT, 1 }, { WGDEVICE_A_LISTEN_PORT, 4 },
		      { WGDEVICE_A_FWMARK, 2 }, { WGDEVICE_A_FWMARK, 8 },
		      { WGDEVICE_A_PEERS, 3 } };
	struct wireguard_device d = { 0 };
	struct message m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin_device(&m);
		mnl_attr_put(m.nlh, wrong[i].type, wrong[i].len, bytes);
		assert_int_equal(wireguard_parse_netlink(m.nlh, &d), -EPROTO);
	}
	begin_device(&m);
	m.nlh->nlmsg_len = NLMSG_HDRLEN + 2;
	assert_int_equal(wireguard_parse_netlink(m.nlh, &d), -EPROTO);
}

static void test_netlink_every_prefix(void **state)
{
	struct message m;

	(void)state;
	good_device(&m);
	for (size_t len = NLMSG_HDRLEN; len < m.nlh->nlmsg_len; len++) {
		_cleanup_(wireguard_device_free) struct wireguard_device d = { 0 };
		_cleanup_free_ struct nlmsghdr *cut = message_cut(&m, len);
		int r = wireguard_parse_netlink(cut, &d);

		assert_true(r == -EPROTO || (r == 0 && d.endpoint_count == 0));
	}
}

/* What no packet can be sent to is left out, and the rest is kept. */
static void test_impossible_endpoints(void **state)
{
	static const char text[] = PEER
				   "endpoint=192.0.2.1:0\nendpoint=[::ffff:192.0.2.1]:9\n"
				   "endpoint=192.0.2.2:9\nerrno=0\n\n";
	_cleanup_(wireguard_device_free) struct wireguard_device d = { 0 };

	(void)state;
	assert_int_equal(wireguard_parse_uapi(text, strlen(text), &d), 0);
	assert_int_equal(d.endpoint_count, 1);
	assert_endpoint(&d, 0, "192.0.2.2:9");
}

/* ---- UAPI texts ---- */

static const char good_text[] =
	"private_key=0000000000000000000000000000000000000000000000000000000000000001\n"
	"listen_port=51999\n"
	"fwmark=51820\n"
	"public_key=0000000000000000000000000000000000000000000000000000000000000002\n"
	"preshared_key=0000000000000000000000000000000000000000000000000000000000000003\n"
	"protocol_version=1\n"
	"endpoint=192.0.2.1:51820\n"
	"last_handshake_time_sec=1700000005\n"
	"last_handshake_time_nsec=999999999\n"
	"tx_bytes=18446744073709551615\n"
	"allowed_ip=0.0.0.0/0\n"
	"public_key=0000000000000000000000000000000000000000000000000000000000000004\n"
	"last_handshake_time_sec=0\n"
	"public_key=0000000000000000000000000000000000000000000000000000000000000005\n"
	"endpoint=[2001:db8::1]:1234\n"
	"public_key=0000000000000000000000000000000000000000000000000000000000000006\n"
	"endpoint=[fe80::1%eth0]:1234\n"
	"something_yet_to_be_invented=1\n"
	"errno=0\n\n";

static void assert_good(const struct wireguard_device *d)
{
	assert_int_equal(d->listen_port, 51999);
	assert_int_equal(d->mark, 51820);
	assert_int_equal(d->last_handshake, 1700000005);
	assert_int_equal(d->endpoint_count, 3);
	assert_endpoint(d, 0, "192.0.2.1:51820");
	assert_endpoint(d, 1, "[2001:db8::1]:1234");
	assert_endpoint(d, 2, "[fe80::1]:1234");
	assert_int_equal(d->peer_count, 4);
	assert_peer(d, 0, 2, "192.0.2.1:51820", 1700000005);
	assert_peer(d, 1, 4, NULL, 0);
	assert_peer(d, 2, 5, "[2001:db8::1]:1234", 0);
	assert_peer(d, 3, 6, "[fe80::1]:1234", 0);
}

/* From memory of exactly its length. Refused, and ret is as it was. */
static void assert_text_refused(const char *text, size_t len)
{
	static const struct wireguard_device before = { .listen_port = 77, .last_handshake = 88 };
	struct wireguard_device d = before;
	_cleanup_free_ char *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, text, len);
	if (wireguard_parse_uapi(exact, len, &d) != -EPROTO)
		fail_msg("was taken: '%.*s'", (int)len, text);
	assert_memory_equal(&d, &before, sizeof(d));
}

static void test_uapi_device(void **state)
{
	_cleanup_(wireguard_device_free) struct wireguard_device d = { 0 };

	(void)state;
	assert_int_equal(wireguard_parse_uapi(good_text, strlen(good_text), &d), 0);
	assert_good(&d);
}

static void test_uapi_empty_device(void **state)
{
	_cleanup_(wireguard_device_free) struct wireguard_device d = { .listen_port = 5 };

	(void)state;
	assert_int_equal(wireguard_parse_uapi("errno=0\n\n", 9, &d), 0);
	assert_int_equal(d.listen_port, 0);
	assert_int_equal(d.endpoint_count, 0);
}

static void test_uapi_every_prefix_is_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < strlen(good_text); len++)
		assert_text_refused(good_text, len);
}

static void test_uapi_bad_texts(void **state)
{
	static const char *const bad[] = {
		"\n",
		"listen_port=1\n\n",                /* no errno */
		"errno=1\n\n",
		"errno=\n\n",
		"errno=-2\n\n",
		"errno=0\nlisten_port=1\n\n",       /* errno not last */
		"errno=0\nerrno=0\n\n",
		"errno=0\n\nendpoint=1.2.3.4:5\n",  /* more behind the end */
		"errno=0\n\n\n",
		"nonsense\nerrno=0\n\n",
		"listen_port=65536\nerrno=0\n\n",
		"listen_port=-1\nerrno=0\n\n",
		"listen_port=\nerrno=0\n\n",
		"listen_port= 1\nerrno=0\n\n",
		"fwmark=4294967296\nerrno=0\n\n",
		PEER "last_handshake_time_sec=x\nerrno=0\n\n",
		"public_key=\nerrno=0\n\n",
		"public_key=" SET_KEY "0\nerrno=0\n\n",
		"public_key=x" SET_KEY "\nerrno=0\n\n",
		PEER "endpoint=\nerrno=0\n\n",
		PEER "endpoint=:1\nerrno=0\n\n",
		PEER "endpoint=192.0.2.1\nerrno=0\n\n",
		PEER "endpoint=192.0.2.1:\nerrno=0\n\n",
		PEER "endpoint=192.0.2.1:65536\nerrno=0\n\n",
		PEER "endpoint=192.0.2:1\nerrno=0\n\n",
		PEER "endpoint=example.com:1\nerrno=0\n\n",
		PEER "endpoint=[]:1\nerrno=0\n\n",
		PEER "endpoint=[:1\nerrno=0\n\n",
		PEER "endpoint=]:1\nerrno=0\n\n",
		PEER "endpoint=2001:db8::1:1\nerrno=0\n\n",
		PEER "endpoint=[2001:db8::1:1\nerrno=0\n\n",
		PEER "endpoint=[192.0.2.1]:1\nerrno=0\n\n",
		PEER "endpoint=[%eth0]:1\nerrno=0\n\n",
		"endpoint=192.0.2.1:1\nerrno=0\n\n",    /* nobody's */
		"endpoint=192.0.2.1:1\n" PEER "errno=0\n\n",
		"last_handshake_time_sec=1\nerrno=0\n\n",
	};
	static const char nul[] = "listen_port=1\0 \nerrno=0\n\n";
	char long_value[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_text_refused(bad[i], strlen(bad[i]));
	assert_text_refused(nul, sizeof(nul) - 1);
	snprintf(long_value, sizeof(long_value), PEER "endpoint=%0300d:1\nerrno=0\n\n", 0);
	assert_text_refused(long_value, strlen(long_value));
}

/* ---- a daemon ---- */

struct daemon {
	char directory[64], path[96];
	int listener;
	pid_t pid;
};

/* Answers one client in two pieces, then waits for it to go, as wireguard-go does. */
static void serve(int listener, const char *expected, const char *answer, size_t len, bool hang_up)
{
	int client = accept(listener, NULL, NULL);
	char question[256];
	ssize_t n = recv(client, question, sizeof(question), 0);

	if (n != (ssize_t)strlen(expected) || memcmp(question, expected, (size_t)n) != 0)
		_exit(1);
	if (send(client, answer, len / 2, MSG_NOSIGNAL) < 0 ||
	    send(client, answer + len / 2, len - len / 2, MSG_NOSIGNAL) < 0)
		_exit(1);
	if (!hang_up)
		while (recv(client, question, sizeof(question), 0) > 0)
			;
	_exit(0);
}

static void daemon_listen(struct daemon *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	snprintf(d->directory, sizeof(d->directory), "/tmp/tunfence-test-XXXXXX");
	assert_non_null(mkdtemp(d->directory));
	snprintf(d->path, sizeof(d->path), "%s/wg0.sock", d->directory);
	memcpy(at.sun_path, d->path, strlen(d->path) + 1);
	d->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(d->listener >= 0);
	assert_int_equal(bind(d->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(d->listener, 1), 0);
}

static void daemon_expect(struct daemon *d, const char *expected, const char *answer, size_t len,
			  bool hang_up)
{
	d->pid = fork();
	assert_true(d->pid >= 0);
	if (!d->pid) {
		alarm(20); /* never outlives a test that failed */
		serve(d->listener, expected, answer, len, hang_up);
	}
	close(d->listener);
}

static void daemon_serve(struct daemon *d, const char *answer, size_t len, bool hang_up)
{
	daemon_expect(d, "get=1\n\n", answer, len, hang_up);
}

static void daemon_stop(struct daemon *d)
{
	kill(d->pid, SIGKILL);
	waitpid(d->pid, NULL, 0);
	unlink(d->path);
	rmdir(d->directory);
}

static int ask_daemon(const struct daemon *d, struct wireguard_device *ret, struct err *e)
{
	__u32 netns;

	assert_int_equal(world_netns(&netns, e), 0);
	return wireguard_read("wg0", "tun", d->directory, netns, ret, e);
}

static int tell_daemon(const struct daemon *d, struct err *e)
{
	struct wireguard_peer peer = a_peer("2001:db8::9", 443);
	__u32 netns;

	assert_int_equal(world_netns(&netns, e), 0);
	return wireguard_set_endpoint("wg0", "tun", d->directory, netns, &peer, e);
}

static void test_daemon_is_told(void **state)
{
	static const struct {
		const char *answer;
		int code;
	} answers[] = { { "errno=0\n\n", 0 }, { "errno=-22\n\n", -EPROTO }, { "\n\n", -EPROTO } };
	struct daemon d;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		daemon_listen(&d);
		daemon_expect(&d, "set=1\npublic_key=" SET_KEY "\nupdate_only=true\n"
				  "endpoint=[2001:db8::9]:443\n\n",
			      answers[i].answer, strlen(answers[i].answer), false);
		assert_int_equal(tell_daemon(&d, &e), answers[i].code);
		daemon_stop(&d);
	}
	assert_int_equal(tell_daemon(&d, &e), -ENODEV);
}

static void test_daemon_answers(void **state)
{
	_cleanup_(wireguard_device_free) struct wireguard_device device = { 0 };
	struct daemon d;
	struct err e = { 0 };

	(void)state;
	daemon_listen(&d);
	daemon_serve(&d, good_text, strlen(good_text), false);
	assert_int_equal(ask_daemon(&d, &device, &e), 0);
	assert_good(&device);
	daemon_stop(&d);
}

/* Many thousand peers: the buffer grows, the answer comes in many pieces. */
static void test_daemon_answers_at_length(void **state)
{
	enum { PEERS = 3000, LINES = 128 };
	_cleanup_(wireguard_device_free) struct wireguard_device device = { 0 };
	_cleanup_free_ char *text = malloc(PEERS * LINES + 16);
	struct daemon d;
	struct err e = { 0 };
	size_t len = 0;

	(void)state;
	assert_non_null(text);
	for (int i = 1; i <= PEERS; i++)
		len += (size_t)sprintf(text + len, "public_key=%064x\nendpoint=192.0.2.1:%d\n",
				       (unsigned int)i, i);
	len += (size_t)sprintf(text + len, "errno=0\n\n");
	daemon_listen(&d);
	daemon_serve(&d, text, len, false);
	assert_int_equal(ask_daemon(&d, &device, &e), 0);
	assert_int_equal(device.peer_count, PEERS);
	assert_int_equal(device.endpoint_count, PEERS);
	assert_endpoint(&device, PEERS - 1, "192.0.2.1:3000");
	daemon_stop(&d);
}

static void test_daemon_hangs_up(void **state)
{
	struct wireguard_device device = { .listen_port = 77 };
	struct daemon d;
	struct err e = { 0 };

	(void)state;
	daemon_listen(&d);
	daemon_serve(&d, good_text, strlen(good_text) - 1, true); /* all but the empty line */
	assert_int_equal(ask_daemon(&d, &device, &e), -EPROTO);
	assert_int_equal(device.listen_port, 77);
	assert_null(device.endpoints);
	assert_non_null(strstr(e.text, d.path));
	daemon_stop(&d);
}

static struct daemon elsewhere;

static int asked_from_elsewhere(void)
{
	struct wireguard_device device = { .listen_port = 77 };
	struct err e = { 0 };

	CHILD_CHECK(tell_daemon(&elsewhere, &e) == -EXDEV);

	CHILD_CHECK(ask_daemon(&elsewhere, &device, &e) == -EXDEV);
	CHILD_CHECK(e.code == -EXDEV && strstr(e.text, "namespace"));
	CHILD_CHECK(device.listen_port == 77 && !device.endpoints);
	return 0;
}

static void test_socket_of_another_namespace(void **state)
{
	(void)state;
	daemon_listen(&elsewhere);
	daemon_serve(&elsewhere, good_text, strlen(good_text), false);
	in_new_netns(asked_from_elsewhere);
	daemon_stop(&elsewhere);
}

static void test_nobody_answers(void **state)
{
	struct wireguard_device device = { .listen_port = 77 };
	struct daemon d;
	struct err e = { 0 };

	(void)state;
	daemon_listen(&d);
	close(d.listener); /* its socket stays behind, as after SIGKILL */
	assert_int_equal(ask_daemon(&d, &device, &e), -ENODEV);
	assert_int_equal(e.code, -ENODEV);
	unlink(d.path);
	assert_int_equal(ask_daemon(&d, &device, &e), -ENODEV);
	rmdir(d.directory);
	assert_int_equal(ask_daemon(&d, &device, &e), -ENODEV);
	assert_int_equal(device.listen_port, 77);
}

static void test_bad_names(void **state)
{
	static const char *const bad[] = { "", "../wg0", "a/b", "sixteen--letters" };
	struct wireguard_device device = { .listen_port = 77 };
	char directory[200];
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(wireguard_read(bad[i], "tun", "/tmp", 1, &device, &e), -EINVAL);
		assert_int_equal(wireguard_read(bad[i], "wireguard", "/", 1, &device, &e), -EINVAL);
	}
	memset(directory, 'd', sizeof(directory));
	directory[sizeof(directory) - 1] = '\0';
	assert_int_equal(wireguard_read("wg0", "tun", directory, 1, &device, &e), -ENAMETOOLONG);
	assert_int_equal(device.listen_port, 77);
}

static void test_no_such_kernel_device(void **state)
{
	struct wireguard_peer peer = a_peer("192.0.2.1", 1);
	struct wireguard_device device = { .listen_port = 77 };
	struct err e = { 0 };
	int r = wireguard_read("tf-none", "wireguard", "/", 1, &device, &e);

	(void)state;
	assert_true(r == -ENODEV || r == -EPERM); /* only root may ask */
	assert_int_equal(e.code, r);
	assert_int_equal(device.listen_port, 77);
	r = wireguard_set_endpoint("tf-none", "wireguard", "/", 1, &peer, &e);
	assert_true(r == -ENODEV || r == -EPERM);
	assert_int_equal(wireguard_set_endpoint("a/b", "wireguard", "/", 1, &peer, &e), -EINVAL);
	assert_int_equal(wireguard_set_endpoint("", "tun", "/", 1, &peer, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_netlink_device),
		cmocka_unit_test(test_netlink_peer_without_key),
		cmocka_unit_test(test_set_by_netlink),
		cmocka_unit_test(test_set_by_text),
		cmocka_unit_test(test_netlink_wrong_endpoints),
		cmocka_unit_test(test_netlink_wrong_lengths),
		cmocka_unit_test(test_netlink_every_prefix),
		cmocka_unit_test(test_impossible_endpoints),
		cmocka_unit_test(test_uapi_device),
		cmocka_unit_test(test_uapi_empty_device),
		cmocka_unit_test(test_uapi_every_prefix_is_refused),
		cmocka_unit_test(test_uapi_bad_texts),
		cmocka_unit_test(test_daemon_is_told),
		cmocka_unit_test(test_daemon_answers),
		cmocka_unit_test(test_daemon_answers_at_length),
		cmocka_unit_test(test_daemon_hangs_up),
		cmocka_unit_test(test_socket_of_another_namespace),
		cmocka_unit_test(test_nobody_answers),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_no_such_kernel_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
