// SPDX-License-Identifier: GPL-2.0
/* follow.h: when passes are made, how often in a storm, and what of their complaints is passed on. In
 * a network namespace of its own, with passes that only count. */
#define _GNU_SOURCE

#include "follow.h"

#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "netlink_message.h"
#include "util.h"

/* Shared with the passes and with who drives the test. */
struct shared {
	volatile unsigned int passes[FOLLOW_JOBS], complaints;
	volatile unsigned int names, wanting;
	volatile bool die;
	char last[64];
};
static struct shared *shared;

static void count_pass(enum follow_job job, struct follow_report *report, const void *data)
{
	(void)data;
	shared->passes[job]++;
	report->names = shared->names;
	report->wanting = shared->wanting;
	follow_complain(report, "always the same");
	if (shared->passes[FOLLOW_FACTS] == 2)
		follow_complain(report, "of the second");
	if (shared->die)
		raise(SIGKILL);
}

static void count_complaint(const char *line)
{
	shared->complaints++;
	snprintf(shared->last, sizeof(shared->last), "%s", line);
}

static const struct follow_calls calls = { .pass = count_pass, .complain = count_complaint };

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool reaches(const volatile unsigned int *count, unsigned int wanted)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	const double end = seconds() + 10;

	while (*count < wanted && seconds() < end)
		nanosleep(&pause, NULL);
	return *count >= wanted;
}

/* News of the hooks. */
static int toggle(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo" };

	CHILD_CHECK(fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &lo) == 0);
	lo.ifr_flags = (short)(lo.ifr_flags ^ IFF_ALLMULTI);
	CHILD_CHECK(ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
	return 0;
}

/* News of a way: the loopback's addresses come. */
static int raise_loopback(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	CHILD_CHECK(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
	return 0;
}

/* What must be followed by a pass that begins after it. */
static int followed(int (*event)(void))
{
	const unsigned int before = shared->passes[FOLLOW_FACTS];

	CHILD_CHECK(event() == 0);
	CHILD_CHECK(reaches(&shared->passes[FOLLOW_FACTS], before + 1));
	return 0;
}

/* Drives what follow_run() in this process is to see, and ends it. */
static int follow_with(int (*drive)(void), int number)
{
	struct err e = {};
	pid_t self = getpid(), driver;
	int status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHILD_CHECK(shared != MAP_FAILED);
	driver = fork();
	CHILD_CHECK(driver >= 0);
	if (driver == 0) {
		status = drive();
		kill(self, number);
		_exit(status ? 1 : 0);
	}
	alarm(60);
	CHILD_CHECK(follow_run(&calls, &e) == 0);
	CHILD_CHECK(waitpid(driver, &status, 0) == driver && status == 0);
	return 0;
}

static int drive_news(void)
{
	CHILD_CHECK(reaches(&shared->passes[FOLLOW_FACTS], 1));
	CHILD_CHECK(reaches(&shared->complaints, 1));
	CHILD_CHECK(followed(toggle) == 0);
	CHILD_CHECK(reaches(&shared->complaints, 2) && streq(shared->last, "of the second"));
	CHILD_CHECK(followed(toggle) == 0);
	shared->die = true;
	CHILD_CHECK(followed(toggle) == 0);
	CHILD_CHECK(reaches(&shared->complaints, 3) && strstr(shared->last, "signal 9"));
	CHILD_CHECK(followed(toggle) == 0);
	CHILD_CHECK(followed(raise_loopback) == 0); /* also a way, but nobody has a name */
	CHILD_CHECK(followed(toggle) == 0);
	CHILD_CHECK(shared->complaints == 3 && shared->passes[FOLLOW_NAMES] == 0);
	return 0;
}

static int drive_storm(void)
{
	const double end = seconds() + 2;

	CHILD_CHECK(reaches(&shared->passes[FOLLOW_FACTS], 1));
	while (seconds() < end)
		CHILD_CHECK(toggle() == 0);
	/* 20, 40, 80 ms ... 1 s apart; without that, some hundred. */
	CHILD_CHECK(shared->passes[FOLLOW_FACTS] >= 4 && shared->passes[FOLLOW_FACTS] <= 12);
	return 0;
}

static int drive_names(void)
{
	double start;

	shared->names = 1;
	CHILD_CHECK(reaches(&shared->passes[FOLLOW_FACTS], 1));
	CHILD_CHECK(followed(toggle) == 0); /* in case the first was before there were names */
	CHILD_CHECK(reaches(&shared->passes[FOLLOW_NAMES], 1));
	start = seconds();
	while (seconds() - start < 1.5) /* were something wanting, it would be asked again */
		CHILD_CHECK(followed(toggle) == 0);
	CHILD_CHECK(followed(raise_loopback) == 0); /* all is well, and was asked just now */
	CHILD_CHECK(followed(toggle) == 0);
	CHILD_CHECK(shared->passes[FOLLOW_NAMES] == 1);
	return 0;
}

/* Asked again by itself after 1, 2, ... s, at once when a way appears. */
static int drive_wanting(void)
{
	double start;

	shared->names = shared->wanting = 1;
	CHILD_CHECK(reaches(&shared->passes[FOLLOW_FACTS], 1));
	CHILD_CHECK(toggle() == 0);
	CHILD_CHECK(reaches(&shared->passes[FOLLOW_NAMES], 1));
	start = seconds();
	CHILD_CHECK(reaches(&shared->passes[FOLLOW_NAMES], 3) && seconds() - start > 2.7);
	CHILD_CHECK(raise_loopback() == 0); /* in place of the next, 4 s later */
	start = seconds();
	CHILD_CHECK(reaches(&shared->passes[FOLLOW_NAMES], 4) && seconds() - start < 3);
	return 0;
}

static int news(void)
{
	return follow_with(drive_news, SIGTERM);
}

static int storm(void)
{
	return follow_with(drive_storm, SIGINT);
}

static int names(void)
{
	return follow_with(drive_names, SIGTERM);
}

static int wanting(void)
{
	return follow_with(drive_wanting, SIGTERM);
}

static void test_news(void **state)
{
	(void)state;
	in_new_netns(news);
}

static void test_storm(void **state)
{
	(void)state;
	in_new_netns(storm);
}

static void test_names(void **state)
{
	(void)state;
	in_new_netns(names);
}

static void test_wanting(void **state)
{
	(void)state;
	in_new_netns(wanting);
}

static void test_complaints(void **state)
{
	_cleanup_free_ struct follow_report *report = calloc(1, sizeof(*report));
	const size_t room = sizeof(report->complaints);
	_cleanup_free_ char *text = malloc(room);

	(void)state;
	assert_non_null(report);
	assert_non_null(text);
	follow_complain(report, "%s: %d", "one", 1);
	follow_complain(report, "two");
	assert_string_equal(report->complaints, "one: 1\ntwo\n");
	memset(text, 'x', room);
	text[room - strlen(report->complaints) - 1] = '\0'; /* its newline has no room */
	follow_complain(report, "%s", text);
	assert_string_equal(report->complaints, "one: 1\ntwo\n");
	text[room - strlen(report->complaints) - 2] = '\0';
	follow_complain(report, "%s", text);
	assert_int_equal(strlen(report->complaints), room - 1);
	assert_int_equal(report->complaints[room - 2], '\n');
	follow_complain(report, "more");
	assert_int_equal(strlen(report->complaints), room - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complaints), cmocka_unit_test(test_news),
		cmocka_unit_test(test_storm),      cmocka_unit_test(test_names),
		cmocka_unit_test(test_wanting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
