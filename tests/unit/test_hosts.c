// SPDX-License-Identifier: GPL-2.0
/*
 * hosts.h: what is written is read again; what others could have written, or tunfence would not
 * write, is ignored as a whole; a write that fails or is killed leaves the old file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hosts.h"
#include "util.h"

static char dir[] = "/tmp/tunfence-hosts-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "%s/wg0.hosts", mkdtemp(dir) ? dir : "");
	return chmod(dir, 0755);
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static struct resolve_name name(const char *host, enum resolve_source source, const char *a,
				const char *b)
{
	struct resolve_name n = { .source = source };
	struct tf_addr addr;

	strcpy(n.host, host);
	if (a && addr_parse(a, &addr, NULL) == 0)
		resolve_add(&n, &addr);
	if (b && addr_parse(b, &addr, NULL) == 0)
		resolve_add(&n, &addr);
	return n;
}

static void put(const char *text)
{
	FILE *f;

	unlink(path);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void assert_text(const char *expected)
{
	char text[1024] = "";
	FILE *f = fopen(path, "re");
	char *line;

	assert_non_null(f);
	line = fgets(text, sizeof(text), f);
	assert_non_null(line);
	assert_int_equal(text[0], '#');
	assert_int_equal(fread(text, 1, sizeof(text) - 1, f), strlen(expected));
	text[strlen(expected)] = '\0';
	assert_string_equal(text, expected);
	fclose(f);
}

static long long time_of(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	return st.st_mtim.tv_sec;
}

static void set_time(long long when)
{
	const struct timespec t[2] = { { .tv_sec = when }, { .tv_sec = when } };

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

/* What the file says, or an error. */
static int read_it(struct hosts *h, struct err *e)
{
	return hosts_read(dir, "wg0", h, e);
}

static int write_it(const struct resolve_name *names, size_t count)
{
	struct hosts before = {};
	struct err e = {};
	int r;

	assert_int_equal(read_it(&before, &e), 0);
	r = hosts_write(dir, "wg0", names, count, &before, &e);
	hosts_free(&before);
	return r;
}

static void what_is_written_is_read(void **state)
{
	const struct resolve_name names[] = {
		name("vpn.example.net", RESOLVE_LIBC, "203.0.113.9", "203.0.113.7"),
		name("b.example.net.", RESOLVE_BOOTSTRAP, "2001:db8::1", NULL),
		name("nobody.example", RESOLVE_NOTHING, NULL, NULL),
	};
	struct hosts h = {};
	struct err e = {};

	(void)state;
	assert_int_equal(write_it(names, 3), 0);
	assert_text("203.0.113.7 vpn.example.net\n203.0.113.9 vpn.example.net\n"
		    "2001:db8::1 b.example.net.\n");
	assert_int_equal(read_it(&h, &e), 0);
	assert_int_equal(h.count, 2);
	assert_true(h.when >= time(NULL) - 60 && h.when <= time(NULL));
	assert_int_equal(hosts_find(&h, "VPN.example.net")->count, 2);
	assert_int_equal(hosts_find(&h, "b.example.net.")->source, RESOLVE_LAST_GOOD);
	assert_null(hosts_find(&h, "nobody.example"));
	hosts_free(&h);
}

static void no_file_is_no_error(void **state)
{
	struct hosts h = { .count = 7 };
	struct err e = {};

	(void)state;
	unlink(path);
	assert_int_equal(read_it(&h, &e), 0);
	assert_int_equal(h.count, 0);
	assert_int_equal(h.when, 0);
	assert_int_equal(hosts_read("/nonexistent/dir", "wg0", &h, &e), 0);
}

/* A fresh answer replaces the old one; who has none keeps what it had, and the file its time. */
static void news_replaces_what_was(void **state)
{
	struct resolve_name names[] = {
		name("a.example", RESOLVE_LIBC, "192.0.2.1", NULL),
		name("b.example", RESOLVE_LIBC, "192.0.2.2", NULL),
	};

	(void)state;
	unlink(path);
	assert_int_equal(write_it(names, 2), 0);
	set_time(1000000000);
	names[0] = name("a.example", RESOLVE_LIBC, "192.0.2.77", NULL);
	names[1] = name("b.example", RESOLVE_LAST_GOOD, "192.0.2.2", NULL);
	assert_int_equal(write_it(names, 2), 0);
	assert_text("192.0.2.77 a.example\n192.0.2.2 b.example\n");
	assert_int_equal(time_of(), 1000000000);
	names[1] = name("b.example", RESOLVE_LIBC, "192.0.2.2", NULL); /* the same: time alone */
	assert_int_equal(write_it(names, 2), 0);
	assert_true(time_of() > 1000000000);
	assert_int_equal(write_it(names, 1), 0); /* b.example is of the configuration no more */
	assert_text("192.0.2.77 a.example\n");
}

static void no_news_write_nothing(void **state)
{
	const struct resolve_name names[] = {
		name("a.example", RESOLVE_LAST_GOOD, "192.0.2.1", NULL),
		name("b.example", RESOLVE_NOTHING, NULL, NULL),
	};

	(void)state;
	unlink(path);
	assert_int_equal(write_it(names, 2), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void what_cannot_be_an_endpoint_is_not_kept(void **state)
{
	const struct resolve_name names[] = {
		name("a.example", RESOLVE_LIBC, "127.0.0.1", "192.0.2.1"),
		name("b.example\n192.0.2.66 c.example", RESOLVE_LIBC, "192.0.2.2", NULL),
	};

	(void)state;
	assert_int_equal(write_it(names, 2), 0);
	assert_text("192.0.2.1 a.example\n");
}

static void it_is_lent_to_who_has_nothing_fresh(void **state)
{
	struct resolve_name names[] = {
		name("a.example", RESOLVE_LIBC, "192.0.2.50", NULL),
		name("b.example", RESOLVE_NOTHING, NULL, NULL),
		name("c.example", RESOLVE_NOTHING, NULL, NULL),
	};
	struct hosts h = {};
	struct err e = {};

	(void)state;
	put("#\n192.0.2.1 a.example\n192.0.2.2 b.example\n192.0.2.3 b.example\n");
	assert_int_equal(read_it(&h, &e), 0);
	hosts_lend(&h, names, 3);
	hosts_free(&h);
	assert_int_equal(names[0].count, 1);
	assert_int_equal(names[0].source, RESOLVE_LIBC);
	assert_int_equal(names[1].count, 2);
	assert_int_equal(names[1].source, RESOLVE_LAST_GOOD);
	assert_int_equal(names[2].source, RESOLVE_NOTHING);
}

static void assert_refused(const char *word)
{
	struct hosts h = { .count = 7 };
	struct err e = {};
	int r = read_it(&h, &e);

	if (r >= 0 || h.count || !strstr(e.text, word))
		fail_msg("'%s': %d, %zu names: %s", word, r, h.count, e.text);
}

static void what_is_not_ours_is_ignored_as_a_whole(void **state)
{
	static const char *const texts[] = {
		"", "\n", "192.0.2.1 a.example\n", "#",
		"#\n192.0.2.1 a.example", /* cut off */
		"#\n192.0.2.1 a.example\n\n",
		"#\n192.0.2.1 a.example\n# more\n",
		"#\n192.0.2.1 a.example b.example\n",
		"#\n192.0.2.1\ta.example\n",
		"#\n192.0.2.1  a.example\n",
		"#\n192.0.2.1\n", "#\n192.0.2.1 \n", "#\n 192.0.2.1 a.example\n",
		"#\n192.0.2 a.example\n", "#\nfe80::1%eth0 a.example\n",
		"#\n::ffff:192.0.2.1 a.example\n",
		"#\n192.0.2.1 a/example\n",
		"#\n192.0.2.1 a.example\r\n",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		put(texts[i]);
		assert_refused("no last good address counts");
	}
}

static void what_cannot_be_an_endpoint_is_not_believed(void **state)
{
	static const char *const addrs[] = { "127.0.0.1", "0.0.0.0", "224.0.0.251",
					     "255.255.255.255", "::", "::1", "ff02::fb" };
	char text[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		snprintf(text, sizeof(text), "#\n192.0.2.1 a.example\n%s a.example\n", addrs[i]);
		put(text);
		assert_refused("never be an endpoint");
	}
}

static void what_others_could_write_is_not_believed(void **state)
{
	char other[80];

	(void)state;
	put("#\n192.0.2.1 a.example\n");
	chmod(path, 0664);
	assert_refused("others than root");
	chmod(path, 0646);
	assert_refused("others than root");
	chmod(path, 0644);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 1000, 0), 0);
		assert_refused("others than root");
	}
	snprintf(other, sizeof(other), "%s/other", dir);
	put("#\n192.0.2.1 a.example\n");
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_refused("no last good address counts");
	unlink(other);
	unlink(path);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_refused("regular file");
	put("#\n192.0.2.1 a.example\n");
	chmod(dir, 0777);
	assert_refused("chmod go-w");
	chmod(dir, 0755);
}

static void it_is_bounded(void **state)
{
	struct resolve_name many[1];
	struct tf_addr addr;
	char text[64];
	FILE *f;
	int i;

	(void)state;
	put("#\n");
	f = fopen(path, "ae");
	for (i = 1; i <= RESOLVE_ADDRS + 1; i++)
		fprintf(f, "192.0.2.%d a.example\n", i);
	fclose(f);
	assert_refused("too many addresses");

	put("#\n");
	f = fopen(path, "ae");
	for (i = 0; i < 4000; i++)
		fprintf(f, "192.0.2.1 a%d.example\n", i);
	fclose(f);
	assert_refused("64 KiB");

	many[0] = name("a.example", RESOLVE_LIBC, NULL, NULL);
	for (i = 1; i <= 100; i++) {
		snprintf(text, sizeof(text), "192.0.2.%d", i);
		addr_parse(text, &addr, NULL);
		resolve_add(&many[0], &addr);
	}
	assert_int_equal(many[0].count, RESOLVE_ADDRS);
}

/* What is written of more names than there is room for can be read again. */
static void too_many_names_are_left_out_whole(void **state)
{
	const size_t count = 1000;
	struct resolve_name *names = calloc(count, sizeof(*names));
	struct hosts h = {};
	struct err e = {};
	size_t i, j;

	(void)state;
	assert_non_null(names);
	for (i = 0; i < count; i++) {
		names[i] = name("", RESOLVE_LIBC, "192.0.2.1", "192.0.2.2");
		memset(names[i].host, 'a', 60);
		sprintf(names[i].host + 60, "%zu.example", i);
	}
	unlink(path);
	assert_int_equal(write_it(names, count), 0);
	assert_int_equal(read_it(&h, &e), 0);
	assert_in_range(h.count, 300, count - 1);
	for (j = 0; j < h.count; j++)
		assert_int_equal(h.names[j].count, 2);
	hosts_free(&h);
	free(names);
}

static void assert_old(const char *expected)
{
	char beside[80];

	assert_text(expected);
	snprintf(beside, sizeof(beside), "%s.new", path);
	unlink(beside);
}

/* After each step that changes something. */
static void a_kill_leaves_the_old_file_or_the_new(void **state)
{
	static const char old_text[] = "192.0.2.1 a.example\n", new_text[] = "192.0.2.2 a.example\n";
	const struct resolve_name names[] = { name("a.example", RESOLVE_LIBC, "192.0.2.2", NULL) };
	char step_text[4];
	int step, status;
	pid_t child;

	(void)state;
	for (step = 1; step <= 4; step++) {
		put("#\n192.0.2.1 a.example\n");
		snprintf(step_text, sizeof(step_text), "%d", step);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			setenv("TUNFENCE_FAULT", step_text, 1);
			write_it(names, 1);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(WIFSIGNALED(status), step <= 3);
		assert_old(step < 3 ? old_text : new_text);
	}
}

static void a_full_disk_leaves_the_old_file(void **state)
{
	const struct resolve_name names[] = { name("a.example", RESOLVE_LIBC, "192.0.2.2", NULL) };
	char beside[80];
	int status;
	pid_t child;

	(void)state;
	put("#\n192.0.2.1 a.example\n");
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit none = { 8, 8 };

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &none);
		_exit(write_it(names, 1) < 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_text("192.0.2.1 a.example\n");
	snprintf(beside, sizeof(beside), "%s.new", path);
	assert_int_equal(access(beside, F_OK), -1);
}

static void what_cannot_be_written_is_said(void **state)
{
	const struct resolve_name names[] = { name("a.example", RESOLVE_LIBC, "192.0.2.2", NULL) };
	const struct hosts none = {};
	struct err e = {};

	(void)state;
	assert_true(hosts_write("/nonexistent/dir", "wg0", names, 1, &none, &e) < 0);
	assert_non_null(strstr(e.text, "/nonexistent/dir/wg0.hosts"));
	assert_non_null(strstr(e.text, "next boot"));
}

static void ages_are_told(void **state)
{
	const long long now = (long long)time(NULL);
	char age[HOSTS_AGE_LEN];

	(void)state;
	assert_non_null(strstr(hosts_age(now - 3 * 86400 - 7, age), ", 3 days ago"));
	assert_non_null(strstr(hosts_age(now - 3600 - 7, age), ", 1 hour ago"));
	assert_non_null(strstr(hosts_age(now - 150, age), ", 2 minutes ago"));
	assert_null(strstr(hosts_age(now + 86400, age), "ago"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(no_file_is_no_error),
		cmocka_unit_test(news_replaces_what_was),
		cmocka_unit_test(no_news_write_nothing),
		cmocka_unit_test(what_cannot_be_an_endpoint_is_not_kept),
		cmocka_unit_test(it_is_lent_to_who_has_nothing_fresh),
		cmocka_unit_test(what_is_not_ours_is_ignored_as_a_whole),
		cmocka_unit_test(what_cannot_be_an_endpoint_is_not_believed),
		cmocka_unit_test(what_others_could_write_is_not_believed),
		cmocka_unit_test(it_is_bounded),
		cmocka_unit_test(too_many_names_are_left_out_whole),
		cmocka_unit_test(a_kill_leaves_the_old_file_or_the_new),
		cmocka_unit_test(a_full_disk_leaves_the_old_file),
		cmocka_unit_test(what_cannot_be_written_is_said),
		cmocka_unit_test(ages_are_told),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
