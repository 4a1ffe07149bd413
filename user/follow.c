// SPDX-License-Identifier: GPL-2.0
/*
 * The loop of the long-running sync: see follow.h. Owns the sockets it waits on, the times at which
 * passes are due and their processes; knows nothing of fences. Whatever it missed, the next pass
 * looks at everything anew.
 */
#include "follow.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#include "link.h"
#include "util.h"

enum follow_time {
	/* WireGuard tells nobody that a peer roamed. Its keepalive, by which a peer that roamed is
	 * heard from, comes every 25 s. */
	FACTS_PERIOD_MS = 25 * 1000,
	NAMES_PERIOD_MS = 300 * 1000,
	/* The wait after a name led nowhere, or its peer was lost; then twice as long each time. */
	NAMES_RETRY_MS = 1000,
	/* Between two rounds of questions when all was well: routers repeat addresses as they like. */
	NAMES_GAP_MS = 30 * 1000,
	/* The first news is acted on at once. While they go on, the wait doubles up to the longest. */
	PAUSE_MS = 20,
	PAUSE_LONGEST_MS = 1000,
	PASS_LONGEST_S = 120, /* anything in a pass has a shorter time limit */
};

#define NEVER INT64_MAX

struct job {
	pid_t pid; /* 0: none is under way */
	struct follow_report *report;
	char *told; /* the complaints of the last time */
	unsigned int wanting; /* that time */
	int64_t due, started, ended, wait;
};

struct follower {
	const struct follow_calls *calls;
	int news, signals, timer;
	sigset_t before;
	struct job jobs[FOLLOW_JOBS];
	bool routed; /* routes and rules are news */
	bool end;
};

/* Counts on while the machine sleeps: after that, everything may be due. */
static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void no_later_than(struct job *job, int64_t time)
{
	if (time < job->due)
		job->due = time;
}

void follow_complain(struct follow_report *report, const char *format, ...)
{
	const size_t used = strlen(report->complaints);
	const size_t room = sizeof(report->complaints) - used;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(report->complaints + used, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n + 1 >= room) /* no room for the newline */
		report->complaints[used] = '\0';
	else
		memcpy(report->complaints + used + n, "\n", 2);
}

/* ---- passes ---- */

static int job_start(struct follower *f, enum follow_job number)
{
	struct job *job = &f->jobs[number];
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &f->before, NULL);
		alarm(PASS_LONGEST_S);
		f->calls->pass(number, job->report, f->calls->data);
		fflush(NULL);
		_exit(0);
	}
	job->pid = pid;
	job->started = now_ms();
	job->due = NEVER;
	return 0;
}

static bool has_line(const char *text, const char *line, size_t length)
{
	for (; text && *text; text += *text == '\n') {
		if (strcspn(text, "\n") == length && strncmp(text, line, length) == 0)
			return true;
		text += strcspn(text, "\n");
	}
	return false;
}

/* What is new in it. The same again each time would be noise. */
static void pass_on(const struct follower *f, struct job *job)
{
	char *text = strdup(job->report->complaints), *rest = text, *line;

	while (rest && (line = strsep(&rest, "\n"))) {
		if (*line && !has_line(job->told, line, strlen(line)))
			f->calls->complain(line);
	}
	free(text);
	free(job->told);
	job->told = strdup(job->report->complaints);
}

/* Somebody may be reached by a name now, or should be reached again. */
static void want_names(struct follower *f)
{
	struct job *job = &f->jobs[FOLLOW_NAMES];

	if (!f->jobs[FOLLOW_FACTS].report->names)
		return;
	job->wait = NAMES_RETRY_MS;
	no_later_than(job, later(now_ms(), job->started +
					    (job->wanting ? NAMES_RETRY_MS : NAMES_GAP_MS)));
}

/* News that came meanwhile have set a time already, which then is too soon. */
static void facts_ended(struct follower *f)
{
	struct job *job = &f->jobs[FOLLOW_FACTS], *names = &f->jobs[FOLLOW_NAMES];
	const struct follow_report *report = job->report;

	job->due = later(job->due, job->ended + job->wait);
	no_later_than(job, job->ended + FACTS_PERIOD_MS);
	if (!report->names)
		names->due = NEVER;
	else if (report->wanting > job->wanting)
		want_names(f);
	else if (!names->pid)
		no_later_than(names, later(job->ended, names->started + NAMES_PERIOD_MS));
	job->wanting = report->wanting;
	f->routed = report->routed > 0;
}

static void names_ended(struct follower *f)
{
	struct job *job = &f->jobs[FOLLOW_NAMES];

	job->wanting = job->report->wanting;
	no_later_than(job, job->ended + (job->wanting ? job->wait : NAMES_PERIOD_MS));
	job->wait = job->wanting ? job->wait * 2 : NAMES_RETRY_MS;
	if (job->wait > NAMES_PERIOD_MS)
		job->wait = NAMES_PERIOD_MS;
}

static void job_ended(struct follower *f, enum follow_job number, int status)
{
	struct job *job = &f->jobs[number];

	job->pid = 0;
	job->ended = now_ms();
	if (WIFSIGNALED(status))
		follow_complain(job->report, "a pass was ended by signal %d; the next will be as due",
				WTERMSIG(status));
	pass_on(f, job);
	if (number == FOLLOW_FACTS)
		facts_ended(f);
	else
		names_ended(f);
}

static void reap(struct follower *f)
{
	int status;
	size_t i;

	for (i = 0; i < FOLLOW_JOBS; i++) {
		pid_t pid = f->jobs[i].pid;

		if (pid && waitpid(pid, &status, WNOHANG) == pid)
			job_ended(f, (enum follow_job)i, status);
	}
}

/* ---- what happens ---- */

static int hear(struct follower *f, struct err *e)
{
	struct job *facts = &f->jobs[FOLLOW_FACTS];
	unsigned int news;
	int r = link_hear(f->news, &news, e);

	if (!r && (news & LINK_NEWS_HOOKS || (f->routed && news & LINK_NEWS_ROUTES)))
		no_later_than(facts, later(now_ms(), facts->ended + facts->wait));
	if (!r && news & LINK_NEWS_WAY)
		want_names(f);
	return r;
}

static void take_signals(struct follower *f)
{
	struct signalfd_siginfo info;

	while (read(f->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		f->end |= info.ssi_signo != SIGCHLD;
	reap(f);
}

/* How long news must wait behind a pass: doubles while one follows the other. */
static void set_pause(struct job *facts, int64_t now)
{
	const bool calm = !facts->ended || now - facts->ended > PAUSE_LONGEST_MS;

	facts->wait = calm ? PAUSE_MS : facts->wait * 2;
	if (facts->wait > PAUSE_LONGEST_MS)
		facts->wait = PAUSE_LONGEST_MS;
}

/* -EAGAIN and -ENOMEM pass: the next second may be better. */
static void start_due(struct follower *f)
{
	const int64_t now = now_ms();
	size_t i;

	for (i = 0; i < FOLLOW_JOBS; i++) {
		struct job *job = &f->jobs[i];

		if (job->pid || job->due > now)
			continue;
		if (i == FOLLOW_FACTS)
			set_pause(job, now);
		*job->report = (struct follow_report){};
		if (job_start(f, (enum follow_job)i))
			job->due = now + 1000;
	}
}

static int set_timer(const struct follower *f)
{
	struct itimerspec at = {};
	int64_t next = NEVER;
	size_t i;

	for (i = 0; i < FOLLOW_JOBS; i++) {
		if (!f->jobs[i].pid && f->jobs[i].due < next)
			next = f->jobs[i].due;
	}
	if (next != NEVER) {
		at.it_value.tv_sec = next / 1000;
		at.it_value.tv_nsec = next % 1000 * 1000000;
	}
	return timerfd_settime(f->timer, TFD_TIMER_ABSTIME, &at, NULL) ? -errno : 0;
}

static int turn(struct follower *f, struct err *e)
{
	struct pollfd fds[] = {
		{ .fd = f->signals, .events = POLLIN },
		{ .fd = f->news, .events = POLLIN },
		{ .fd = f->timer, .events = POLLIN },
	};
	int r;

	start_due(f);
	r = set_timer(f);
	if (!r && poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
		r = -errno;
	if (r)
		return err_set(e, r, "cannot wait for news: %s", strerror(-r));
	if (fds[0].revents)
		take_signals(f);
	return fds[1].revents ? hear(f, e) : 0;
}

/* ---- begin and end ---- */

static int listen_to_all(struct follower *f, struct err *e)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &wanted, &f->before))
		return err_set(e, -errno, "cannot hold back signals: %s", strerror(errno));
	f->signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	f->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (f->signals < 0 || f->timer < 0)
		return err_set(e, -errno, "cannot wait for signals and times: %s", strerror(errno));
	f->news = link_listen(e);
	return f->news < 0 ? f->news : 0;
}

static int make_reports(struct follower *f, struct err *e)
{
	size_t i;

	for (i = 0; i < FOLLOW_JOBS; i++) {
		void *report = mmap(NULL, sizeof(struct follow_report), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		if (report == MAP_FAILED)
			return err_set(e, -errno, "out of memory");
		f->jobs[i].report = report;
	}
	return 0;
}

/* A pass may be ended between any two of its steps. */
static void follower_close(struct follower *f)
{
	size_t i;

	for (i = 0; i < FOLLOW_JOBS; i++) {
		struct job *job = &f->jobs[i];

		if (job->pid && kill(job->pid, SIGTERM) == 0)
			waitpid(job->pid, NULL, 0);
		if (job->report)
			munmap(job->report, sizeof(*job->report));
		free(job->told);
	}
	cleanup_close(&f->news);
	cleanup_close(&f->signals);
	cleanup_close(&f->timer);
}
#define _cleanup_follower_ _cleanup_(follower_close)

int follow_run(const struct follow_calls *calls, struct err *e)
{
	_cleanup_follower_ struct follower f = {
		.calls = calls,
		.news = -1,
		.signals = -1,
		.timer = -1,
		.routed = true, /* as long as that is not known */
		.jobs[FOLLOW_NAMES] = { .due = NEVER, .wait = NAMES_RETRY_MS,
					.started = -NAMES_PERIOD_MS },
	};
	int r = listen_to_all(&f, e);

	if (!r)
		r = make_reports(&f, e);
	while (!r && !f.end)
		r = turn(&f, e);
	return r;
}
