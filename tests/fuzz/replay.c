// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a fuzz target over inputs that are there: no fuzzer is needed. A line "ok" for each argument
 * and how many inputs it was; one that the target does not bear ends the program with "FAIL NAME".
 *
 *     build-san/fuzz/fuzz_NAME FILE|DIRECTORY...
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"
#include "util.h"

enum {
	INPUT_MAX = 1 << 20
};

static const char *current; /* input */
static unsigned int count;

static void on_death(void)
{
	dprintf(STDOUT_FILENO, "FAIL %s: see above\n", current ? current : "the beginning");
}

static void on_abort(int signal)
{
	(void)signal;
	on_death();
	_exit(1);
}

static int fail(const char *path)
{
	fprintf(stderr, "replay: '%s': %s\n", path, strerror(errno));
	return 1;
}

/* The file's bytes in memory of exactly their size, so that the sanitizer sees overreads. */
static int replay_file(const char *path)
{
	_cleanup_fclose_ FILE *stream = fopen(path, "re");
	_cleanup_free_ uint8_t *data = malloc(INPUT_MAX), *exact = NULL;
	size_t size;

	if (!stream || !data)
		return fail(path);
	size = fread(data, 1, INPUT_MAX, stream);
	exact = malloc(size);
	if (ferror(stream) || (size && !exact))
		return fail(path);
	memcpy(exact, data, size);
	current = path;
	LLVMFuzzerTestOneInput(exact, size);
	count++;
	return 0;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int replay_directory(const char *path)
{
	struct dirent **list = NULL;
	char name[PATH_MAX];
	int i, r = 0, entries = scandir(path, &list, is_visible, alphasort);

	if (entries < 0)
		return fail(path);
	for (i = 0; i < entries; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, list[i]->d_name);
		if (!r)
			r = replay_file(name);
		free(list[i]);
	}
	free(list);
	return r;
}

static int replay(const char *path)
{
	struct stat st;
	int r;

	count = 0;
	if (stat(path, &st))
		return fail(path);
	r = S_ISDIR(st.st_mode) ? replay_directory(path) : replay_file(path);
	if (r)
		return r;
	printf(count ? "ok %s: %u inputs\n" : "FAIL %s: there is no input\n", path, count);
	return count == 0;
}

int main(int argc, char *argv[])
{
	int i, r = 0;

	setlinebuf(stdout);
	signal(SIGABRT, on_abort);
	__sanitizer_set_death_callback(on_death);
	LLVMFuzzerInitialize(&argc, &argv);
	for (i = 1; !r && i < argc; i++)
		r = replay(argv[i]);
	return r;
}
