// SPDX-License-Identifier: GPL-2.0
/* kinds.h, watch_view.h, journal.h: what a watcher counts, and what it makes of a packet. */
#define _GNU_SOURCE /* memmem */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "addr.h"
#include "journal.h"
#include "kinds.h"
#include "util.h"
#include "watch_journal.h"
#include "watch_view.h"

#define S 1000000000ULL

static struct tf_blocked_key key_of(__u16 port)
{
	struct tf_blocked_key key = {
		.device = { "eth0" },
		.comm = "firefox",
		.uid = TF_NO_UID,
		.port = port,
		.protocol = 17,
		.reason = TF_REASON_NOT_ALLOWED,
		.sender = TF_SENDER_PROGRAM,
	};

	assert_int_equal(addr_parse("192.0.2.1", &key.addr, NULL), 0);
	return key;
}

/* ---- kinds ----------------------------------------------------------------------------------- */

static __u64 count(struct kinds *k, __u16 port, __u64 first, __u64 last, __u64 packets)
{
	const struct tf_blocked value = { .packets = packets, .first = first, .last = last };
	const struct tf_blocked_key key = key_of(port);
	bool is_new;
	struct kind *kind = kinds_find(k, 1, &key, &is_new);

	kind->open = true;
	return kind_count(kind, is_new, &value, 100 * S);
}

static void test_counts(void **state)
{
	_cleanup_free_ struct kinds *k = calloc(1, sizeof(*k));

	(void)state;
	assert_int_equal(count(k, 1, 101 * S, 101 * S, 3), 3);
	assert_int_equal(count(k, 1, 101 * S, 102 * S, 3), 0);
	assert_int_equal(count(k, 1, 101 * S, 103 * S, 10), 7);
	assert_int_equal(count(k, 1, 104 * S, 104 * S, 2), 2); /* it was cleared */
	assert_int_equal(count(k, 2, 50 * S, 105 * S, 500), 1); /* 499 came before anybody watched */
	assert_int_equal(count(k, 2, 50 * S, 106 * S, 600), 100);
	kinds_drop(k, 1);
	assert_int_equal(count(k, 1, 107 * S, 107 * S, 5), 5);
}

static void count_settled(struct kind *kind, void *data)
{
	assert_false(kind->open);
	++*(size_t *)data;
}

static void test_only_what_is_quiet_settles(void **state)
{
	_cleanup_free_ struct kinds *k = calloc(1, sizeof(*k));
	size_t settled = 0;

	(void)state;
	count(k, 1, 101 * S, 101 * S, 3);
	count(k, 2, 101 * S, 105 * S, 3);
	kinds_settle(k, 101 * S, count_settled, &settled);
	assert_int_equal(settled, 0);
	kinds_settle(k, 102 * S, count_settled, &settled);
	kinds_settle(k, 102 * S, count_settled, &settled);
	assert_int_equal(settled, 1);
}

/* Whatever is sent, the table stays as large as it is, and who is heard of often stays in it. */
static void test_kinds_make_room(void **state)
{
	_cleanup_free_ struct kinds *k = calloc(1, sizeof(*k));
	__u32 i;

	(void)state;
	for (i = 0; i < 60000; i++) {
		count(k, (__u16)(i + 1), 101 * S, 101 * S + i, 1);
		count(k, 0, 101 * S, 101 * S + i, i + 1);
	}
	assert_int_equal(count(k, 0, 101 * S, 200 * S, 60007), 7);
	assert_int_equal(count(k, 60000, 101 * S, 200 * S, 3), 2);
	assert_int_equal(count(k, 1, 101 * S, 200 * S, 3), 3); /* long forgotten */
}

/* ---- lines ----------------------------------------------------------------------------------- */

static const char *line_of(const struct drop *drop, bool colour, char buf[512])
{
	const struct watch_style style = { .colours = colours_if(colour) };
	_cleanup_fclose_ FILE *out = fmemopen(buf, 512, "w");

	assert_non_null(out);
	watch_view_drop(drop, &style, out);
	return buf;
}

static void test_columns(void **state)
{
	static const struct watched fence = { .name = "wg0", .netns = 1 };
	struct drop drop = { .fence = &fence, .entry.key = key_of(443), .count = 12 };
	char buf[512];

	(void)state;
	assert_string_equal(line_of(&drop, false, buf) + 8, " firefox      udp 192.0.2.1:443"
			    "               eth0   not_allowed  x12\n");
	memcpy(drop.entry.key.comm, "a-name-of-15-by", 16); /* takes blanks, and no more */
	assert_string_equal(line_of(&drop, false, buf) + 8, " a-name-of-15-by udp 192.0.2.1:443"
			    "            eth0   not_allowed  x12\n");
	drop.entry.key.sender = TF_SENDER_KERNEL;
	drop.entry.key.device.text[0] = '\0';
	assert_string_equal(line_of(&drop, false, buf) + 8, " [kernel]     udp 192.0.2.1:443"
			    "               -      not_allowed  x12\n");
	drop.entry.key.question = 7;
	drop.entry.key.port = 53;
	memcpy(drop.entry.value.question, "\7example\3org", 13);
	assert_string_equal(line_of(&drop, false, buf) + 8, " [kernel]     dns 192.0.2.1 example.org"
			    "       -      not_allowed  x12\n");
}

/* Letters take one place each, however many bytes they have. */
static void test_other_letters(void **state)
{
	static const struct watched fence = { .name = "wg0", .netns = 1 };
	struct drop drop = { .fence = &fence, .entry.key = key_of(443), .count = 1 };
	char buf[512];

	(void)state;
	memcpy(drop.entry.key.comm, "f\xc3\xbcr\xc3\xb6r\0\0", 9);
	assert_string_equal(line_of(&drop, false, buf) + 8, " f\xc3\xbcr\xc3\xb6r        udp "
			    "192.0.2.1:443               eth0   not_allowed  x1\n");
}

static void test_colours_change_no_column(void **state)
{
	static const struct watched fence = { .name = "wg0", .netns = 1 };
	const struct drop drop = { .fence = &fence, .entry.key = key_of(443), .count = 1 };
	char plain[512], painted[512], *from = painted, *to = painted;

	(void)state;
	line_of(&drop, false, plain);
	line_of(&drop, true, painted);
	assert_non_null(strstr(painted, "\033[1mfirefox\033[0m"));
	while ((*to = *from)) { /* takes them out */
		if (*from == '\033')
			from = strchr(from, 'm') + 1;
		else
			from++, to++;
	}
	assert_string_equal(painted, plain);
}

/* ---- the journal ----------------------------------------------------------------------------- */

static void test_entry(void **state)
{
	static const char wanted[] = "A\n\3\0\0\0\0\0\0\0x\ny\nB_C\n\2\0\0\0\0\0\0\00042\n";
	_cleanup_free_ struct journal_entry *entry = calloc(1, sizeof(*entry));
	_cleanup_free_ char *big = calloc(1, sizeof(entry->data) + 1);

	(void)state;
	journal_put(entry, "A", "x\ny");
	journal_put_number(entry, "B_C", 42);
	assert_int_equal(entry->length, sizeof(wanted) - 1);
	assert_memory_equal(entry->data, wanted, sizeof(wanted) - 1);
	assert_false(entry->full);
	memset(big, 'x', sizeof(entry->data));
	journal_put(entry, "BIG", big);
	assert_true(entry->full);
	assert_int_equal(journal_send(-1, entry), -EMSGSIZE);
}

static void test_no_more_than_so_many(void **state)
{
	struct journal_limit limit = {};
	const __u64 start = 5 * S, next = start + JOURNAL_INTERVAL_NS;
	unsigned int i;

	(void)state;
	for (i = 0; i < JOURNAL_LINES; i++)
		assert_true(journal_may(&limit, i, start + i));
	for (i = 0; i < 7; i++)
		assert_false(journal_may(&limit, 1000 + i, start + S));
	assert_int_equal(journal_held(&limit, next - 1), 0);
	assert_false(journal_may(&limit, 1, next)); /* first it is said how many there were */
	assert_int_equal(journal_held(&limit, next), 8);
	assert_int_equal(journal_held(&limit, next), 0);
	assert_true(journal_may(&limit, 1, next));
}

static void test_one_leaves_room_for_others(void **state)
{
	struct journal_limit limit = {};
	unsigned int i;

	(void)state;
	for (i = 0; i < JOURNAL_OF_ONE; i++)
		assert_true(journal_may(&limit, 7, S));
	assert_false(journal_may(&limit, 7, S));
	assert_true(journal_may(&limit, 8, S));
	assert_false(journal_may(&limit, 7, S));
	assert_int_equal(journal_held(&limit, S + JOURNAL_INTERVAL_NS), 2);
	assert_true(journal_may(&limit, 7, S + JOURNAL_INTERVAL_NS));
}

static void test_each_minute_anew(void **state)
{
	struct journal_limit limit = {};
	unsigned int i;

	(void)state;
	for (i = 0; i < 2 * JOURNAL_LINES; i++)
		assert_true(journal_may(&limit, i,
					i < JOURNAL_LINES ? S : S + JOURNAL_INTERVAL_NS));
	assert_int_equal(journal_held(&limit, ~0ULL), 0);
}

/* A journal of ours: what is sent to it is read from *ret. */
static struct watch_journal open_journal(int *ret)
{
	int both[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, both), 0);
	*ret = both[1];
	return (struct watch_journal){ .fd = both[0], .netns = 1 };
}

static void close_journal(struct watch_journal *j, int reader)
{
	cleanup_close(&j->fd);
	cleanup_close(&reader);
}

/* Whether there is another entry, and it has this. */
static bool has_entry(int reader, const char *field)
{
	char entry[8192];
	ssize_t n = recv(reader, entry, sizeof(entry), 0);

	return n > 0 && memmem(entry, (size_t)n, field, strlen(field));
}

static void test_an_hour_of_quiet(void **state)
{
	static const struct watched fence = { .name = "wg0", .netns = 1 };
	struct drop drop = { .fence = &fence, .entry.key = key_of(443), .quiet = NEVER_HEARD };
	int reader;
	struct watch_journal j = open_journal(&reader);

	(void)state;
	watch_journal_drop(&j, &drop);
	assert_true(has_entry(reader, "firefox"));
	drop.quiet = JOURNAL_QUIET_NS - 1;
	watch_journal_drop(&j, &drop);
	assert_false(has_entry(reader, ""));
	drop.quiet = JOURNAL_QUIET_NS;
	watch_journal_drop(&j, &drop);
	assert_true(has_entry(reader, "firefox"));
	close_journal(&j, reader);
}

/* Who goes round a plane is more than a habit of a program. */
static void test_priority(void **state)
{
	static const char notice[] = "PRIORITY\n\1\0\0\0\0\0\0\0005";
	static const struct watched fence = { .name = "wg0", .netns = 1 };
	struct drop drop = { .fence = &fence, .entry.key = key_of(443), .quiet = NEVER_HEARD };
	int reader;
	struct watch_journal j = open_journal(&reader);
	char entry[8192], warning[sizeof(notice)];
	ssize_t n;
	int i;

	(void)state;
	memcpy(warning, notice, sizeof(notice));
	warning[sizeof(notice) - 2] = '4';
	for (i = 0; i < 3; i++) {
		drop.entry.key.flags = i == 1 ? TF_BLOCKED_ROUND : 0;
		drop.entry.key.reason = i == 2 ? TF_REASON_BYPASS : TF_REASON_NOT_ALLOWED;
		watch_journal_drop(&j, &drop);
		n = recv(reader, entry, sizeof(entry), 0);
		assert_true(n > 0);
		assert_non_null(memmem(entry, (size_t)n, i ? warning : notice, sizeof(notice) - 1));
	}
	close_journal(&j, reader);
}

/* At once, and then no more often than once in the interval. */
static void test_what_was_lost_is_said(void **state)
{
	int reader;
	struct watch_journal j = open_journal(&reader);

	(void)state;
	watch_journal_tick(&j);
	assert_false(has_entry(reader, ""));
	watch_journal_lost(&j, 3);
	watch_journal_lost(&j, 4);
	watch_journal_tick(&j);
	assert_true(has_entry(reader, "7 events lost"));
	watch_journal_lost(&j, 2);
	watch_journal_tick(&j);
	assert_false(has_entry(reader, ""));
	j.told_lost -= JOURNAL_INTERVAL_NS;
	watch_journal_tick(&j);
	assert_true(has_entry(reader, "2 events lost"));
	close_journal(&j, reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_only_what_is_quiet_settles),
		cmocka_unit_test(test_kinds_make_room),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_other_letters),
		cmocka_unit_test(test_colours_change_no_column),
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_no_more_than_so_many),
		cmocka_unit_test(test_one_leaves_room_for_others),
		cmocka_unit_test(test_each_minute_anew),
		cmocka_unit_test(test_an_hour_of_quiet),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_what_was_lost_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
