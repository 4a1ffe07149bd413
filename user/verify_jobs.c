// SPDX-License-Identifier: GPL-2.0
/*
 * Fires all vectors, several at a time: each worker is a process with worlds of its own. Most of the
 * time goes into raising fences, which the kernel does as well on two processors as on one.
 */
#define _GNU_SOURCE /* CPU_COUNT */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "verify_world.h"

enum {
	MOST_JOBS = 4,
	WORLDS_EACH = 100000, /* numbers of worlds and shots begin apart */
	LOOK_MS = 200,        /* how often to ask whether to go on */
};

/* What the workers share. */
struct board {
	atomic_size_t next; /* index into the rows: nobody has it yet */
	atomic_bool stop;
};

/* A result that was not told is a failed one from the start. */
struct row {
	struct verify_result result;
	bool done;
};

struct jobs {
	struct verify_run *run;
	struct board *board;
	struct row *rows;
	size_t count, told;
	pid_t workers[MOST_JOBS];
	int results; /* whole (index, result) pairs come out of it */
	const struct verify_audience *audience;
};

struct message {
	size_t index;
	struct verify_result result;
};
_Static_assert(sizeof(struct message) <= 4096, "a message is written to the pipe in one piece");

static size_t each_chosen(const char *only, struct row *rows)
{
	size_t g, v, count = 0;

	for (g = 0; g < verify_group_count; g++) {
		const struct vector_group *group = verify_groups[g].group;

		for (v = 0; v < group->count; v++) {
			if (!verify_is_chosen(only, group, &group->vectors[v]))
				continue;
			if (rows)
				rows[count].result = (struct verify_result){
					.group = group,
					.vector = &group->vectors[v],
					.verdict = VERIFY_FAILED,
					.why.text = "the process that fired it died",
				};
			count++;
		}
	}
	return count;
}

/* In a worker. */
static void work(struct jobs *j, int number, int results)
{
	struct verify_run run = *j->run;
	struct message m;

	run.worlds = run.shots = (unsigned int)(number + 1) * WORLDS_EACH;
	while (!atomic_load(&j->board->stop)) {
		m.index = atomic_fetch_add(&j->board->next, 1);
		if (m.index >= j->count)
			break;
		verify_vector(&run, j->rows[m.index].result.group, j->rows[m.index].result.vector,
			      &m.result);
		if (write(results, &m, sizeof(m)) != sizeof(m))
			break;
	}
	verify_worlds_free(&run);
}

static int start_workers(struct jobs *j, int results, struct err *e)
{
	cpu_set_t set;
	int i, most = MOST_JOBS;

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) < most)
		most = CPU_COUNT(&set);
	for (i = 0; i < most && (size_t)i < j->count; i++) {
		j->workers[i] = fork();
		if (j->workers[i] < 0)
			return err_set(e, -errno, "cannot fork: %s", strerror(errno));
		if (j->workers[i] > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		close(j->results);
		work(j, i, results);
		_exit(0);
	}
	return 0;
}

/* Tells what has its turn; the rest waits for those before it. */
static void tell_in_order(struct jobs *j, bool all)
{
	while (j->told < j->count && (all || j->rows[j->told].done))
		j->audience->tell(&j->rows[j->told++].result, j->audience->data);
}

/* Reaps those that have ended. */
static bool any_worker_left(struct jobs *j)
{
	bool left = false;
	size_t i;

	for (i = 0; i < MOST_JOBS; i++) {
		if (j->workers[i] > 0 && waitpid(j->workers[i], NULL, WNOHANG) != 0)
			j->workers[i] = 0;
		left = left || j->workers[i] > 0;
	}
	return left;
}

/* Until the last worker has closed its end; something that a vector left may still hold it. */
static int collect(struct jobs *j, struct err *e)
{
	struct pollfd fd = { .fd = j->results, .events = POLLIN };
	struct message m;
	ssize_t n;

	for (;;) {
		bool left = any_worker_left(j);

		if (!j->audience->goes_on())
			atomic_store(&j->board->stop, true);
		if (poll(&fd, 1, LOOK_MS) == 0 && !left)
			return 0;
		if (!fd.revents)
			continue;
		n = read(j->results, &m, sizeof(m));
		if (n == 0)
			return 0;
		if (n != sizeof(m) || m.index >= j->count)
			return err_set(e, -EIO, "cannot hear the processes that fire: %s",
				       strerror(errno));
		j->rows[m.index] = (struct row){ .result = m.result, .done = true };
		tell_in_order(j, false);
	}
}

static void wait_for_workers(struct jobs *j)
{
	size_t i;

	for (i = 0; i < MOST_JOBS; i++) {
		if (j->workers[i] > 0)
			waitpid(j->workers[i], NULL, 0);
	}
}

static int run_jobs(struct jobs *j, struct err *e)
{
	_cleanup_close_ int theirs = -1;
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, -errno, "cannot make a pipe: %s", strerror(errno));
	j->results = ends[0];
	theirs = ends[1];
	r = start_workers(j, theirs, e);
	if (r)
		atomic_store(&j->board->stop, true);
	close(TAKE_FD(theirs));
	if (!r)
		r = collect(j, e);
	close(j->results);
	wait_for_workers(j);
	if (!r && !atomic_load(&j->board->stop))
		tell_in_order(j, true);
	return r;
}

int verify_all(struct verify_run *run, const char *only, const struct verify_audience *audience,
	       struct err *e)
{
	struct jobs j = { .run = run, .audience = audience };
	_cleanup_free_ struct row *rows = NULL;
	int r;

	verify_worlds_free(run); /* a worker cannot use worlds whose processes are not its own */
	j.count = each_chosen(only, NULL);
	j.rows = rows = calloc(j.count + 1, sizeof(*rows));
	j.board = mmap(NULL, sizeof(*j.board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (!rows || j.board == MAP_FAILED)
		return err_set(e, -ENOMEM, "out of memory");
	each_chosen(only, rows);
	r = run_jobs(&j, e);
	munmap(j.board, sizeof(*j.board));
	return r;
}
