// SPDX-License-Identifier: GPL-2.0
/* state.h: what is written is read again; what is not ours is refused and leaves the output alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"

static char dir[] = "/tmp/tunfence-state-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

/* Two tunnels; the first has a name and a literal, the second two names. */
static void with_config(void (*use)(const struct config *c))
{
	struct config_endpoint first[] = {
		{ .protocol = IPPROTO_UDP, .port = 51820, .host = "vpn.example.net" },
		{ .protocol = IPPROTO_UDP, .port = 51820, .literal = true, .host = "192.0.2.1" },
	};
	struct key key = { .byte = { 1, 2, 3, [31] = 0xff } };
	struct config_endpoint second[] = {
		{ .protocol = IPPROTO_TCP, .port = 443, .host = "a.example.net" },
		{ .protocol = IPPROTO_UDP, .port = 1194, .host = "b.example.net", .peer = key },
	};
	struct config_tunnel tunnels[] = {
		{ .interface = { "wg0" }, .endpoints = first, .endpoint_count = 2 },
		{ .interface = { "tun0" }, .endpoints = second, .endpoint_count = 2 },
	};
	struct config c = { .name = "wg0", .tunnels = tunnels, .tunnel_count = 2 };
	char path[] = "/etc/tunfence/wg0.conf", alice[] = "alice", number[] = "1000";
	char *users[] = { alice, number };

	c.path = path;
	c.exempt = (struct config_exempt){ .any = true, .users = users, .user_count = 2 };
	use(&c);
}

static void check_round_trip(const struct config *c)
{
	struct cgroup list[] = { { .path = "/sys/fs/cgroup/a.slice" }, { .path = "/b" } };
	const struct cgroups groups = { .list = list, .count = 2 };
	struct cgroup exempt = { .path = "/x" };
	const struct cgroups exempts = { .list = &exempt, .count = 1 };
	struct state s = {};
	struct err e = {};

	assert_int_equal(state_write(dir, c, &groups, &exempts, &e), 0);
	assert_int_equal(state_read(dir, "wg0", &s, &e), 0);
	assert_string_equal(s.config, "/etc/tunfence/wg0.conf");
	assert_int_equal(s.group_count, 2);
	assert_string_equal(s.groups[0], "/sys/fs/cgroup/a.slice");
	assert_string_equal(s.groups[1], "/b");
	assert_int_equal(s.exempt_count, 1);
	assert_string_equal(s.exempt[0], "/x");
	assert_int_equal(s.user_count, 2);
	assert_string_equal(s.users[0], "alice");
	assert_string_equal(s.users[1], "1000");
	assert_true(s.since > 1000000000);
	assert_int_equal(s.tunnel_count, 2);
	assert_string_equal(s.tunnels[0].interface.text, "wg0");
	assert_int_equal(s.tunnels[0].endpoint_count, 1);
	assert_string_equal(s.tunnels[0].endpoints[0].host, "vpn.example.net");
	assert_int_equal(s.tunnels[0].endpoints[0].port, 51820);
	assert_false(s.tunnels[0].endpoints[0].literal);
	assert_string_equal(s.tunnels[1].interface.text, "tun0");
	assert_int_equal(s.tunnels[1].endpoint_count, 2);
	assert_int_equal(s.tunnels[1].endpoints[0].protocol, IPPROTO_TCP);
	assert_string_equal(s.tunnels[1].endpoints[1].host, "b.example.net");
	assert_false(key_is_set(&s.tunnels[1].endpoints[0].peer));
	assert_true(key_equal(&s.tunnels[1].endpoints[1].peer,
			      &c->tunnels[1].endpoints[1].peer));
	state_free(&s);
	assert_null(s.tunnels);
	state_remove(dir, "wg0");
	assert_int_equal(state_read(dir, "wg0", &s, &e), -EBADMSG);
}

/* Services, and what is known of their groups: where there is a slice for them, and else nothing. */
static void check_units(const struct config *c)
{
	struct cgroup list[] = { { .path = "/c/tunfence.slice/tunfence-wg0.slice" },
				 { .path = "/c/system.slice/a.service" } };
	const struct cgroups with = { .list = list, .count = 2 }, without = { list + 1, 1 }, none = {};
	struct config_group named[] = { { .unit = (char[]){ "a.service" } },
					{ .unit = (char[]){ "b.slice" } },
					{ .cgroup = (char[]){ "c.service" } } };
	struct config one = *c;
	struct state s = {};
	struct err e = {};

	one.groups = named;
	one.group_count = 3;
	assert_int_equal(state_write(dir, &one, &with, &none, &e), 0);
	assert_int_equal(state_read(dir, "wg0", &s, &e), 0);
	assert_int_equal(s.unit_count, 1);
	assert_string_equal(s.units[0], "a.service");
	assert_true(state_is_fleeting(&s, "/c/system.slice/a.service"));
	assert_false(state_is_fleeting(&s, "/c/system.slice/aa.service"));
	assert_false(state_is_fleeting(&s, "/c/a.service/b"));
	assert_false(state_is_fleeting(&s, "/c/system.slice/c.service"));
	assert_false(state_is_fleeting(&s, list[0].path));
	state_free(&s);
	assert_int_equal(state_write(dir, &one, &without, &none, &e), 0);
	assert_int_equal(state_read(dir, "wg0", &s, &e), 0);
	assert_int_equal(s.unit_count, 0);
	assert_false(state_is_fleeting(&s, "/c/system.slice/a.service"));
	state_free(&s);
	state_remove(dir, "wg0");
}

static void write_text(const char *text)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/wg0.json", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Who is not named by the new configuration, but nothing else; nobody is added. What cannot be read
 * goes, and with it whoever it named. */
static void check_narrow(const struct config *c)
{
	char one[] = "1000", other[] = "bob";
	char *users[] = { one, other };
	const struct cgroups none = {};
	struct config next = *c;
	struct state s = {};
	struct err e = {};

	assert_int_equal(state_narrow(dir, c, &e), 0);
	assert_int_equal(state_read(dir, "wg0", &s, &e), -EBADMSG);
	assert_int_equal(state_write(dir, c, &none, &none, &e), 0);
	next.exempt.users = users;
	assert_int_equal(state_narrow(dir, &next, &e), 0);
	assert_int_equal(state_read(dir, "wg0", &s, &e), 0);
	assert_int_equal(s.user_count, 1);
	assert_string_equal(s.users[0], "1000");
	assert_int_equal(s.tunnel_count, 2);
	state_free(&s);
	next.exempt.user_count = 0;
	assert_int_equal(state_narrow(dir, &next, &e), 0);
	assert_int_equal(state_read(dir, "wg0", &s, &e), 0);
	assert_int_equal(s.user_count, 0);
	state_free(&s);
	write_text("{ \"users\": \"alice\" }");
	assert_int_equal(state_narrow(dir, c, &e), 0);
	write_text("{");
	assert_int_equal(state_narrow(dir, c, &e), 0); /* remove_dir() finds nothing */
}

static void users_are_taken_out(void **state)
{
	(void)state;
	with_config(check_narrow);
}

static void units_are_kept(void **state)
{
	(void)state;
	with_config(check_units);
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	with_config(check_round_trip);
}

static void check_unwritable(const struct config *c)
{
	const struct cgroups groups = {};
	struct err e = {};

	assert_int_equal(state_write("/nonexistent", c, &groups, &groups, &e), -EIO);
	assert_non_null(strstr(e.text, "/nonexistent/wg0.json"));
	assert_non_null(strstr(e.text, "tunfence up wg0"));
}

static void what_cannot_be_written_is_said(void **state)
{
	(void)state;
	with_config(check_unwritable);
}

static void put(const char *text)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/x.json", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

#define REST "\"config\": \"\", \"since\": 1"
#define EXEMPT ", \"exempt\": [], \"users\": []"
#define FIELDS REST EXEMPT ", \"cgroups\": [\"/\"], \"units\": []"

static void what_is_not_ours_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"{\"version\": 9, " FIELDS ", \"names\": []}",
		"{\"version\": 3, " REST EXEMPT ", \"names\": []}",
		"{\"version\": 3, " REST EXEMPT ", \"units\": [], \"cgroups\": \"/\", \"names\": []}",
		"{\"version\": 3, " REST EXEMPT ", \"units\": [], \"cgroups\": [\"/\", 1], \"names\": []}",
		"{\"version\": 3, " REST ", \"cgroups\": [\"/\"], \"names\": []}",
		"{\"version\": 3, " REST ", \"cgroups\": [\"/\"], \"units\": [], \"exempt\": [], \"users\": [1],"
		" \"names\": []}",
		"{\"version\": 3, " REST ", \"cgroups\": [\"/\"], \"units\": [], \"exempt\": {}, \"users\": [],"
		" \"names\": []}",
		"{\"version\": 3, " REST EXEMPT ", \"cgroups\": [], \"units\": \"a.service\","
		" \"names\": []}",
		"{\"version\": 3, " REST EXEMPT ", \"cgroups\": [], \"units\": [1], \"names\": []}",
		"{\"version\": 3, " FIELDS ", \"names\": {}}",
		"{\"version\": 3, " FIELDS ", \"names\": [1]}",
		"{\"version\": 3, \"version\": 3, " FIELDS ", \"names\": []}",
		"{\"version\": 3, " FIELDS ", \"names\": [{\"tunnel\": \"wg0\", \"protocol\": 17,"
		" \"host\": \"a\", \"port\": 0}]}",
		"{\"version\": 3, " FIELDS ", \"names\": [{\"tunnel\": \"wg0\", \"protocol\": 17,"
		" \"host\": \"a\", \"port\": 65536}]}",
		"{\"version\": 3, " FIELDS ", \"names\": [{\"tunnel\": \"wg0\", \"protocol\": 17,"
		" \"host\": \"a\", \"port\": 1, \"peer\": \"x\"}]}",
		"{\"version\": 3, " FIELDS ", \"names\": [{\"tunnel\": \"wg0\", \"protocol\": 17,"
		" \"host\": \"a\", \"port\": 1, \"peer\": 1}]}",
		"{\"version\": 3, " FIELDS ", \"names\": [{\"tunnel\": \"sixteen-is-much0\","
		" \"protocol\": 17, \"host\": \"a\", \"port\": 1}]}",
		"{\"version\": 3, " FIELDS ", \"names\": [{\"tunnel\": \"wg0\", \"protocol\": 300,"
		" \"host\": \"a\", \"port\": 1}]}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct state s = { .since = 42 };
		struct err e = {};

		put(texts[i]);
		assert_int_equal(state_read(dir, "x", &s, &e), -EBADMSG);
		assert_int_equal(s.since, 42);
		assert_non_null(strstr(e.text, "x.json"));
	}
	state_remove(dir, "x");
}

/* A host as long as there is room for is read, and one that is longer is not. */
static void a_name_fits_or_is_refused(void **state)
{
	size_t length;

	(void)state;
	for (length = CONFIG_HOST_LEN - 1; length <= CONFIG_HOST_LEN; length++) {
		char host[CONFIG_HOST_LEN + 1] = {}, text[2 * CONFIG_HOST_LEN + 256];
		struct state s = {};

		memset(host, 'a', length);
		snprintf(text, sizeof(text),
			 "{\"version\": 3, " FIELDS ", \"names\": [{\"tunnel\": \"wg0\","
			 " \"protocol\": 17, \"host\": \"%s\", \"port\": 1}]}", host);
		put(text);
		assert_int_equal(state_read(dir, "x", &s, NULL),
				 length < CONFIG_HOST_LEN ? 0 : -EBADMSG);
		state_free(&s);
	}
	state_remove(dir, "x");
}

/* The file's time is when somebody last looked; nothing else of it changes. */
static void check_touch(const struct config *c)
{
	const struct cgroups none = {};
	const struct timespec old[] = { { .tv_sec = 1000000007 }, { .tv_sec = 1000000007 } };
	char path[256];
	struct state s = {};
	struct err e = {};

	assert_int_equal(state_write(dir, c, &none, &none, &e), 0);
	snprintf(path, sizeof(path), "%s/wg0.json", dir);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(state_read(dir, "wg0", &s, &e), 0);
	assert_int_equal(s.looked, 1000000007);
	assert_true(s.since > s.looked);
	state_free(&s);
	state_touch(dir, "wg0");
	assert_int_equal(state_read(dir, "wg0", &s, &e), 0);
	assert_true(s.looked >= s.since);
	state_free(&s);
	state_remove(dir, "wg0");
	state_touch(dir, "wg0");
	assert_int_equal(access(path, F_OK), -1);
}

static void looks_are_noted(void **state)
{
	(void)state;
	with_config(check_touch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(units_are_kept),
		cmocka_unit_test(looks_are_noted),
		cmocka_unit_test(users_are_taken_out),
		cmocka_unit_test(what_cannot_be_written_is_said),
		cmocka_unit_test(what_is_not_ours_is_refused),
		cmocka_unit_test(a_name_fits_or_is_refused),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
