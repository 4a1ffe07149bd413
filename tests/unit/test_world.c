// SPDX-License-Identifier: GPL-2.0
/*
 * What world_read() makes of what exists: kinds, warnings, resolved names, namespace, cgroup. In an
 * empty network namespace, with a resolver of our own in place of libc's: no packet is ever sent.
 */
#define _GNU_SOURCE

#include "world.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "netlink_message.h"
#include "util.h"

/* ---- the resolver: "twice.example" has two addresses, one of them said twice. It is asked in
 * processes of its own, so what it has seen lies in memory they share ---- */

static struct {
	int calls;
	struct addrinfo hints;
} *resolver;
static int resolver_code;

static struct addrinfo *answer(const char *text, struct addrinfo *next)
{
	struct {
		struct addrinfo info;
		union {
			struct sockaddr sa;
			struct sockaddr_in in;
			struct sockaddr_in6 in6;
		};
	} *a = calloc(1, sizeof(*a));
	struct tf_addr addr;

	if (!a || addr_parse(text, &addr, NULL) < 0)
		abort();
	a->info.ai_addr = &a->sa;
	a->info.ai_next = next;
	if (tf_addr_is_v4(&addr)) {
		a->in.sin_family = AF_INET;
		memcpy(&a->in.sin_addr, addr.byte + 12, 4);
	} else {
		a->in6.sin6_family = AF_INET6;
		memcpy(&a->in6.sin6_addr, addr.byte, 16);
	}
	return &a->info;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	resolver->calls++;
	resolver->hints = *hints;
	if (!streq(node, "twice.example") || !service)
		return resolver_code;

	*result = answer("192.0.2.1", answer("2001:db8::1", answer("192.0.2.1", NULL)));
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list);
		list = next;
	}
}

/* ---- kinds ---- */

static int kernel_asked;

static bool kernel_can(void)
{
	kernel_asked++;
	return true;
}

static bool kernel_cannot(void)
{
	kernel_asked++;
	return false;
}

/* live: NULL: there is no interface. */
static void assert_kind(const char *configured, bool any_protocol, const char *live,
			bool (*in_kernel)(void), const char *expected, bool expected_mismatch)
{
	struct config_tunnel c = { .any_protocol = any_protocol };
	struct link link = { .ifindex = 1 };
	struct tf_name kind = { .text = "?" };
	bool mismatch = !expected_mismatch;

	strcpy(c.kind.text, configured);
	if (live)
		strcpy(link.kind.text, live);
	world_choose_kind(&c, live ? &link : NULL, in_kernel, &kind, &mismatch);
	assert_string_equal(kind.text, expected);
	assert_int_equal(mismatch, expected_mismatch);
}

static void test_kind_without_an_interface(void **state)
{
	(void)state;
	assert_kind("", false, NULL, kernel_can, "wireguard", false);
	assert_kind("", false, NULL, kernel_cannot, "tun", false);
	assert_kind("ppp", false, NULL, kernel_can, "ppp", false);
	kernel_asked = 0; /* it may load a module: only if it matters */
	assert_kind("", true, NULL, kernel_can, "tun", false);
	assert_kind("wireguard", false, NULL, kernel_cannot, "wireguard", false);
	assert_kind("", false, "tun", kernel_can, "tun", false);
	assert_int_equal(kernel_asked, 0);
}

static void test_kind_of_a_live_interface(void **state)
{
	(void)state;
	assert_kind("", false, "wireguard", kernel_cannot, "wireguard", false);
	assert_kind("tun", false, "tun", kernel_can, "tun", false);
	assert_kind("", true, "ppp", kernel_can, "ppp", false);
	assert_kind("dummy", false, "dummy", kernel_can, "dummy", false);
	assert_kind("wireguard", false, "tun", kernel_can, "wireguard", true);
	assert_kind("tun", true, "", kernel_can, "tun", true);
	assert_kind("", false, "", kernel_can, "", false); /* hardware: compile() refuses it */
	assert_kind("", true, "", kernel_can, "", false);
}

/* A bridge, bond or VLAN leads out of the machine: never a WireGuard tunnel by mistake. */
static void test_kind_that_is_no_tunnel(void **state)
{
	(void)state;
	assert_kind("", false, "bridge", kernel_can, "wireguard", true);
	assert_kind("", false, "vlan", kernel_cannot, "tun", true);
	assert_kind("", false, "dummy", kernel_can, "wireguard", true);
	assert_kind("", false, "wireguardx", kernel_can, "wireguard", true);
}

/* ---- the whole ---- */

struct setting {
	struct config c;
	struct config_tunnel tunnel;
	struct config_endpoint endpoint;
	struct world_options o;
	struct err e;
};

static void setting_init(struct setting *s, const char *interface)
{
	*s = (struct setting){
		.c = { .name = "test", .tunnels = &s->tunnel, .tunnel_count = 1 },
		.tunnel = { .endpoints = &s->endpoint, .endpoint_count = 1 },
		.endpoint = { .protocol = IPPROTO_UDP, .port = 51820 },
		.o = { .socket_dir = "/nonexistent" },
	};
	strcpy(s->tunnel.interface.text, interface);
	strcpy(s->endpoint.host, "twice.example");
}

static int read_world(struct setting *s, struct world **ret)
{
	int r = world_read(&s->c, &s->o, ret, &s->e);

	if (r < 0)
		print_error("%s\n", s->e.text);
	return r;
}

static bool has_warning(const struct world *w, const char *a, const char *b)
{
	for (size_t i = 0; i < w->warning_count; i++)
		if (strstr(w->warnings[i], a) && strstr(w->warnings[i], b))
			return true;
	return false;
}

static int resolves(void)
{
	_cleanup_world_ struct world *w = NULL;
	struct setting s;
	struct stat st;

	setting_init(&s, "wg0");
	CHILD_CHECK(read_world(&s, &w) == 0);
	CHILD_CHECK(stat("/proc/self/ns/net", &st) == 0 && w->netns == st.st_ino);
	CHILD_CHECK(links_find(&w->links, "lo"));
	CHILD_CHECK(w->groups.count == 1 && w->groups.list[0].fd >= 0);
	CHILD_CHECK(w->tunnel_count == 1 && w->tunnels[0].ifindex == 0);
	CHILD_CHECK(!w->tunnels[0].answered && !w->tunnels[0].kind_mismatch);
	CHILD_CHECK(w->tunnels[0].resolved_count == 2);
	CHILD_CHECK(w->tunnels[0].resolved[0].protocol == IPPROTO_UDP);
	CHILD_CHECK(w->tunnels[0].resolved[0].port == tf_htons(51820));
	CHILD_CHECK(tf_addr_is_v4(&w->tunnels[0].resolved[0].addr));
	CHILD_CHECK(!tf_addr_is_v4(&w->tunnels[0].resolved[1].addr));
	CHILD_CHECK(resolver->hints.ai_socktype == SOCK_DGRAM);
	CHILD_CHECK(resolver->hints.ai_family == AF_UNSPEC);
	CHILD_CHECK(w->warning_count == 0);
	return 0;
}

static int does_not_resolve(void)
{
	_cleanup_world_ struct world *w = NULL;
	struct setting s;

	setting_init(&s, "wg0");
	strcpy(s.endpoint.host, "gone.example");
	resolver_code = EAI_NONAME;
	CHILD_CHECK(read_world(&s, &w) == 0); /* the fence goes up all the same */
	CHILD_CHECK(w->tunnels[0].resolved_count == 0);
	CHILD_CHECK(w->warning_count == 2);
	CHILD_CHECK(has_warning(w, "'gone.example' did not resolve", gai_strerror(EAI_NONAME)));
	CHILD_CHECK(has_warning(w, "'gone.example'", "tunfence sync"));
	CHILD_CHECK(has_warning(w, "'wg0' has no endpoint", "nothing can leave"));
	return 0;
}

static int names_are_asked_once(void)
{
	struct config_endpoint endpoints[3];
	_cleanup_world_ struct world *w = NULL;
	struct setting s;

	setting_init(&s, "wg0");
	endpoints[0] = endpoints[1] = endpoints[2] = s.endpoint;
	endpoints[1].port = 1194;
	strcpy(endpoints[2].host, "TWICE.example");
	s.tunnel.endpoints = endpoints;
	s.tunnel.endpoint_count = 3;
	CHILD_CHECK(read_world(&s, &w) == 0);
	CHILD_CHECK(resolver->calls == 1);
	CHILD_CHECK(w->name_count == 1 && w->names[0].source == RESOLVE_LIBC);
	CHILD_CHECK(w->tunnels[0].resolved_count == 6);
	CHILD_CHECK(w->tunnels[0].resolved[2].port == tf_htons(1194));
	return 0;
}

/* Only names that the configuration has, and only those that do not resolve. */
static int last_good_addresses_stand(void)
{
	char dir[] = "/tmp/tunfence-world-XXXXXX", path[64];
	_cleanup_world_ struct world *w = NULL;
	struct setting s;
	FILE *f;

	setting_init(&s, "wg0");
	strcpy(s.endpoint.host, "gone.example");
	s.o.state_dir = mkdtemp(dir);
	resolver_code = EAI_AGAIN;
	CHILD_CHECK(s.o.state_dir);
	snprintf(path, sizeof(path), "%s/test.hosts", dir);
	f = fopen(path, "we");
	CHILD_CHECK(f);
	fputs("#\n192.0.2.9 gone.example\n192.0.2.8 another.example\n", f);
	fclose(f);
	CHILD_CHECK(read_world(&s, &w) == 0);
	unlink(path);
	rmdir(dir);
	CHILD_CHECK(w->names[0].source == RESOLVE_LAST_GOOD);
	CHILD_CHECK(w->tunnels[0].resolved_count == 1);
	CHILD_CHECK(w->tunnels[0].resolved[0].addr.byte[15] == 9);
	CHILD_CHECK(w->warning_count == 1);
	CHILD_CHECK(has_warning(w, "'gone.example' did not resolve", "last good addresses"));
	CHILD_CHECK(has_warning(w, gai_strerror(EAI_AGAIN), "ago") ||
		    has_warning(w, gai_strerror(EAI_AGAIN), ", of 20"));
	return 0;
}

static int literals_are_not_resolved(void)
{
	_cleanup_world_ struct world *w = NULL;
	struct setting s;

	setting_init(&s, "wg0");
	s.endpoint.literal = true;
	CHILD_CHECK(read_world(&s, &w) == 0);
	CHILD_CHECK(resolver->calls == 0);
	CHILD_CHECK(w->warning_count == 0);
	return 0;
}

/* "lo" is the one interface there is. Its kind is not the one that is configured. */
static int mismatch(void)
{
	_cleanup_world_ struct world *w = NULL;
	struct setting s;

	setting_init(&s, "lo");
	strcpy(s.tunnel.kind.text, "wireguard");
	CHILD_CHECK(read_world(&s, &w) == 0);
	CHILD_CHECK(w->tunnels[0].ifindex == 1);
	CHILD_CHECK(w->tunnels[0].kind_mismatch && !w->tunnels[0].answered);
	CHILD_CHECK(streq(w->tunnels[0].kind.text, "wireguard"));
	CHILD_CHECK(w->warning_count == 1);
	CHILD_CHECK(has_warning(w, "'lo' is of kind 'hardware'", "'wireguard'"));
	return 0;
}

static int missing_cgroup(void)
{
	struct world *w = (struct world *)(uintptr_t)8, *before = w;
	char path[] = "/no/such/group", unit[] = "no-such.service";
	struct config_group group = { .cgroup = path };
	struct setting s;

	setting_init(&s, "wg0");
	s.c.scope = TF_SCOPE_CGROUP;
	CHILD_CHECK(world_read(&s.c, &s.o, &w, &s.e) == -ENOENT); /* its own, which 'up' makes */
	CHILD_CHECK(strstr(s.e.text, "/tunfence.slice/tunfence-") && strstr(s.e.text, ".slice'"));
	s.c.groups = &group;
	s.c.group_count = 1;
	CHILD_CHECK(world_read(&s.c, &s.o, &w, &s.e) == -ENOENT);
	CHILD_CHECK(strstr(s.e.text, "/no/such/group"));
	group = (struct config_group){ .unit = unit };
	CHILD_CHECK(world_read(&s.c, &s.o, &w, &s.e) == -ENOENT);
	CHILD_CHECK(strstr(s.e.text, "'no-such.service' has no cgroup"));
	s.c.scope = TF_SCOPE_SYSTEM;
	s.o.cgroup = "/tmp";
	CHILD_CHECK(world_read(&s.c, &s.o, &w, &s.e) == -EINVAL);
	CHILD_CHECK(w == before);
	return 0;
}

static void need_cgroup2(void)
{
	char path[4096];

	if (cgroup_find_mount(path, NULL) < 0) {
		print_message("there is no cgroup2 mount\n");
		skip();
	}
}

static void run(int (*test)(void))
{
	need_cgroup2();
	memset(resolver, 0, sizeof(*resolver));
	in_new_netns(test);
}

static void test_names_are_resolved_once_each(void **state)
{
	(void)state;
	run(resolves);
}

static void test_name_that_does_not_resolve(void **state)
{
	(void)state;
	run(does_not_resolve);
}

static void test_names_are_asked_once(void **state)
{
	(void)state;
	run(names_are_asked_once);
}

static void test_last_good_addresses_stand(void **state)
{
	(void)state;
	run(last_good_addresses_stand);
}

static void test_literals_are_not_resolved(void **state)
{
	(void)state;
	run(literals_are_not_resolved);
}

static void test_device_of_another_kind(void **state)
{
	(void)state;
	run(mismatch);
}

static void test_missing_cgroup(void **state)
{
	(void)state;
	run(missing_cgroup);
}

static void test_free_accepts_null(void **state)
{
	(void)state;
	world_free(NULL);
	links_free(NULL);
	wireguard_device_free(NULL);
}

static int share_resolver(void **state)
{
	(void)state;
	resolver = mmap(NULL, sizeof(*resolver), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	return resolver == MAP_FAILED ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kind_without_an_interface),
		cmocka_unit_test(test_kind_of_a_live_interface),
		cmocka_unit_test(test_kind_that_is_no_tunnel),
		cmocka_unit_test(test_names_are_resolved_once_each),
		cmocka_unit_test(test_name_that_does_not_resolve),
		cmocka_unit_test(test_names_are_asked_once),
		cmocka_unit_test(test_last_good_addresses_stand),
		cmocka_unit_test(test_literals_are_not_resolved),
		cmocka_unit_test(test_device_of_another_kind),
		cmocka_unit_test(test_missing_cgroup),
		cmocka_unit_test(test_free_accepts_null),
	};

	return cmocka_run_group_tests(tests, share_resolver, NULL);
}
