// SPDX-License-Identifier: GPL-2.0
/* sender.h: which unit, whose process, who is meant. */
#include "sender.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util.h"

#define S 1000000000ULL

static void test_unit(void **state)
{
	static const struct {
		const char *path, *unit;
	} cases[] = {
		{ "/sys/fs/cgroup/system.slice/ssh.service", "ssh.service" },
		{ "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/"
		  "app-gnome-firefox-2211.scope", "app-gnome-firefox-2211.scope" },
		{ "/sys/fs/cgroup/system.slice/docker-1f.scope/inner/more", "docker-1f.scope" },
		{ "/sys/fs/cgroup/system.slice", "system.slice" },
		{ "/sys/fs/cgroup", "" },
		{ "/sys/fs/cgroup/.service/plain", "" },
		{ "/sys/fs/cgroup/a\x1b[2J.service", "a\\x1b[2J.service" },
		{ "", "" },
	};
	char unit[SENDER_NAME_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		sender_unit(cases[i].path, unit);
		assert_string_equal(unit, cases[i].unit);
	}
}

/* A process that began after the packet is another, which was given the number again. */
static void test_the_same_process(void **state)
{
	long tick = sysconf(_SC_CLK_TCK);
	char stat[256];

	(void)state;
	snprintf(stat, sizeof(stat), "7 (a) (b c) 1) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %ld 0 0",
		 100 * tick);
	assert_true(sender_runs(stat, 101 * S));
	assert_true(sender_runs(stat, 100 * S));
	assert_false(sender_runs(stat, 99 * S));
	assert_false(sender_runs("", 101 * S));
	assert_false(sender_runs("7 (a) S 1 7 7 0", 101 * S));
	assert_false(sender_runs("7 (a) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 x", 101 * S));
}

static void test_meant(void **state)
{
	const struct sender s = { .program = "firefox", .unit = "app-firefox-1.scope" };
	const struct sender nobody = {};

	(void)state;
	assert_true(sender_is_meant(&s, "firefox"));
	assert_true(sender_is_meant(&s, "fire*"));
	assert_true(sender_is_meant(&s, "app-firefox-1.scope"));
	assert_true(sender_is_meant(&s, "app-firefox-1"));
	assert_false(sender_is_meant(&s, "fire"));
	assert_false(sender_is_meant(&s, ""));
	assert_false(sender_is_meant(&nobody, "*"));
}

static void test_text(void **state)
{
	static const struct {
		enum tf_sender sender;
		__u32 pid;
		struct sender s;
		const char *text;
	} cases[] = {
		{ TF_SENDER_PROGRAM, 7,
		  { .program = "dig", .user = "ada", .unit = "ssh.service", .runs = true, .may_run = true },
		  "dig, pid 7, user ada, ssh.service" },
		{ TF_SENDER_PROGRAM, 7, { .program = "dig", .may_run = true, .cgroup_gone = true },
		  "dig, pid 7 (ended), in a cgroup that is gone" },
		{ TF_SENDER_PROGRAM, 7, { .program = "dig", .cgroup = "/box" },
		  "dig, pid 7, cgroup /box" },
		{ TF_SENDER_OLDER, 0, { .user = "0", .cgroup = "/" },
		  "a program whose socket is older than the fence, user 0" },
		{ TF_SENDER_KERNEL, 0, {}, "the kernel" },
		{ TF_SENDER_FORWARDED, 0, { .from = "docker0" }, "forwarded from docker0" },
		{ TF_SENDER_FORWARDED, 0, {}, "forwarded from device number 9" },
		{ TF_SENDER_NETWORK, 0, {}, "from the network" },
		{ TF_SENDER_UNKNOWN, 0, {}, "unknown" },
		{ TF_SENDER_COUNT, 0, {}, "unknown" },
	};
	char text[SENDER_TEXT_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct blocked_entry b = {
			.key = { .sender = (__u8)cases[i].sender, .from = 9 },
			.value = { .pid = cases[i].pid },
		};

		assert_string_equal(sender_text(&b, &cases[i].s, text), cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unit),
		cmocka_unit_test(test_the_same_process),
		cmocka_unit_test(test_meant),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
