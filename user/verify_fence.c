// SPDX-License-Identifier: GPL-2.0
/*
 * Raises the fence under test as its users raise it: tunfence by its command line, another one by
 * its script. Knows nothing of how either works, but for one pin: whether BPF LSM is in use.
 */
#define _GNU_SOURCE /* memfd_create */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "verify_world.h"

#define FENCE "verify"

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define PORT STRING(VERIFY_VPN_PORT)

/* The tunnel, DHCP, and nothing else. */
static const char config[] = "[Fence]\n"
			     "Scope=system\n"
			     "[Tunnel]\n"
			     "Interface=" VERIFY_TUNNEL "\n"
			     "Kind=tun\n"
			     "Endpoint=udp " VERIFY_VPN4 ":" PORT "\n"
			     "Endpoint=udp [" VERIFY_VPN6 "]:" PORT "\n"
			     "ListenPort=" PORT "\n"
			     "[Allow]\n"
			     "DHCP=yes\n"
			     "LAN=no\n";

/* What a script is told: see verify.h. */
static const char *const environment[][2] = {
	{ "UPLINK", VERIFY_DEVICE },
	{ "TUNNEL", VERIFY_TUNNEL },
	{ "TUNNEL4", VERIFY_TUNNEL4 },
	{ "TUNNEL6", VERIFY_TUNNEL6 },
	{ "TUNNEL_NET", "10.66.0.0/24" },
	{ "TUNNEL_NET6", "fd66::/64" },
	{ "ENDPOINT", VERIFY_VPN4 },
	{ "ENDPOINT6", VERIFY_VPN6 },
	{ "PORT", PORT },
	{ "MARK", STRING(VERIFY_MARK) },
	{ "CLIENT", VERIFY_CLIENT4 },
	{ "CLIENT6", VERIFY_CLIENT6 },
	{ "ROUTER", VERIFY_ROUTER4 },
	{ "ROUTER6", VERIFY_ROUTER6 },
	{ "LAN_NET", "192.168.77.0/24" },
	{ "LAN_NET6", "2001:db8:77::/64" },
};

/* The fence's name is its file's; each world has a file, because several are fenced at a time. */
static void config_path(const struct verify_world *w, char to[128])
{
	snprintf(to, 128, "%s/" FENCE ".conf", w->run_dir);
}

static int write_config(const struct verify_world *w, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char path[128];

	config_path(w, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, config, sizeof(config) - 1) != sizeof(config) - 1)
		return err_set(e, -EIO, "cannot write '%s': %s", path, strerror(errno));
	return 0;
}

static void __attribute__((noreturn)) exec_tunfence(const struct verify_world *w, bool up)
{
	char path[128];
	char *words[] = { "tunfence", up ? "up" : "down", up ? path : FENCE,
			  "--bpffs", (char *)w->bpffs, "--run-dir", (char *)w->run_dir,
			  "--cgroup", (char *)w->cgroup, NULL };

	config_path(w, path);
	execv("/proc/self/exe", words);
	_exit(errno);
}

static void __attribute__((noreturn)) exec_script(const struct verify_world *w, const char *script,
						  bool up)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(environment); i++)
		setenv(environment[i][0], environment[i][1], 1);
	setenv("CGROUP", w->cgroup, 1);
	setenv("BPFFS", w->bpffs, 1);
	setenv("STATE", w->run_dir, 1);
	execl(script, script, up ? "up" : "down", NULL);
	_exit(errno);
}

static void __attribute__((noreturn)) exec_fence(const struct verify_run *run,
						 const struct verify_world *w, int said, bool up)
{
	int nothing = open("/dev/null", O_RDONLY);

	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(said, STDOUT_FILENO) < 0 ||
	    dup2(said, STDERR_FILENO) < 0 || verify_join(w->cgroup) < 0 ||
	    verify_enter_fd(w->places[VERIFY_CLIENT]) < 0)
		_exit(EIO);
	if (run->script)
		exec_script(w, run->script, up);
	exec_tunfence(w, up);
}

/* The last line that a tool wrote. */
static void last_line(int said, char *text, size_t size)
{
	off_t length = lseek(said, 0, SEEK_END);
	off_t from = length > (off_t)size - 1 ? length - (off_t)size + 1 : 0;
	ssize_t n = pread(said, text, size - 1, from);
	char *line;

	text[n > 0 ? n : 0] = '\0';
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	line = strrchr(text, '\n');
	if (line)
		memmove(text, line + 1, strlen(line + 1) + 1);
}

static int run_fence(const struct verify_run *run, const struct verify_world *w, bool up,
		     struct err *e)
{
	_cleanup_close_ int said = memfd_create("said", MFD_CLOEXEC);
	char text[700];
	int status;
	pid_t child = said < 0 ? -1 : fork();

	if (child < 0)
		return err_set(e, -errno, "cannot start a child: %s", strerror(errno));
	if (child == 0)
		exec_fence(run, w, said, up);
	if (waitpid(child, &status, 0) != child)
		return err_set(e, -errno, "cannot wait: %s", strerror(errno));
	if (status == 0)
		return 0;
	last_line(said, text, sizeof(text));
	return err_set(e, -EIO, "'%s %s' failed (%s %d): %s", run->script ? run->script : "tunfence",
		       up ? "up" : "down", WIFEXITED(status) ? "status" : "signal",
		       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), text);
}

/* The kernel may have BPF LSM and still not take our program: only a pin says that it is in use. */
static bool uses_lsm(const struct verify_world *w)
{
	char pin[128];

	snprintf(pin, sizeof(pin), "%s/tunfence/" FENCE "/progs/guard-lsm", w->bpffs);
	return access(pin, F_OK) == 0;
}

int verify_fence_raise(struct verify_run *run, struct verify_world *w, struct err *e)
{
	int r = run->script ? 0 : write_config(w, e);

	if (!r)
		r = run_fence(run, w, true, e);
	w->fenced = !r;
	run->has_lsm = !r && uses_lsm(w);
	return r;
}

/* If that fails, the world's end lowers it. */
void verify_fence_lower(const struct verify_run *run, struct verify_world *w)
{
	if (w->fenced)
		run_fence(run, w, false, NULL);
	w->fenced = false;
}
