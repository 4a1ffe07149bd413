// SPDX-License-Identifier: GPL-2.0
/* The asking end of an admission: see admission.h. Needs no privilege. */
#define _GNU_SOURCE /* struct ucred */
#include "admission.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "group.h"
#include "util.h"

#define PATIENCE_S 40 /* longer than the answering end's own */

#define HOW "have it allowed with 'systemctl enable --now tunfence-run.socket', or use sudo"

static int not_allowed(int code, struct err *e)
{
	if (code == -ENOENT || code == -ECONNREFUSED)
		return err_set(e, code,
			       "only root can put a program into a fence here: nobody listens at '%s'; "
			       HOW, ADMISSION_SOCKET);
	return err_set(e, code, "'%s' cannot be asked to put a program into a fence: %s; " HOW,
		       ADMISSION_SOCKET, strerror(-code));
}

int admission_connect(struct err *e)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = ADMISSION_SOCKET };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct ucred owner;
	socklen_t size = sizeof(owner);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return not_allowed(-errno, e);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &size) < 0 || owner.uid != 0)
		return err_set(e, -EPERM, "who listens at '%s' is not root and is not believed; " HOW,
			       ADMISSION_SOCKET);
	return TAKE_FD(fd);
}

/* "WORD ID PATH" */
static bool parse_place(const char *text, const char *word, struct admission *a)
{
	char *end;

	if (strncmp(text, word, strlen(word)) != 0 || text[strlen(word)] != ' ')
		return false;
	text += strlen(word) + 1;
	if (*text < '1' || *text > '9')
		return false;
	errno = 0;
	a->id = strtoull(text, &end, 10);
	if (errno || end[0] != ' ' || end[1] != '/' || strlen(end + 1) >= sizeof(a->path))
		return false;
	strcpy(a->path, end + 1);
	return true;
}

int admission_parse(const char *answer, struct admission *ret, struct err *e)
{
	struct admission a = {};

	if (strncmp(answer, "error ", 6) == 0)
		return err_set(e, -EREMOTEIO, "%s", answer + 6);
	a.observed = parse_place(answer, "observed", &a);
	a.exempt = !a.observed && parse_place(answer, "exempt", &a);
	if (!a.observed && !a.exempt && !parse_place(answer, "fenced", &a))
		return err_set(e, -EBADMSG,
			       "the answer of '%s' is not understood; is it of another version of "
			       "tunfence?", ADMISSION_SOCKET);
	*ret = a;
	return 0;
}

int admission_ask(int fd, const char *name, bool exempt, struct admission *ret, struct err *e)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	char answer[ADMISSION_MESSAGE + 1], request[128];
	struct admission a;
	ssize_t n;
	int r;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return err_set(e, -errno, "a time limit cannot be set: %s", strerror(errno));
	/* Who refused at once has answered already: what it said counts. */
	snprintf(request, sizeof(request), "%s%s", exempt ? ADMISSION_EXEMPT : "", name);
	(void)send(fd, request, strlen(request), MSG_NOSIGNAL);
	n = recv(fd, answer, sizeof(answer) - 1, 0);
	if (n <= 0)
		return err_set(e, n ? -errno : -ECONNRESET,
			       "no answer to the request to put a program into fence '%s': %s; too many "
			       "may ask at once: try again, or see 'journalctl -u tunfence-run@*'",
			       name, strerror(n ? errno : ECONNRESET));
	answer[n] = '\0';
	r = admission_parse(answer, &a, e);
	if (!r && a.exempt != exempt)
		r = err_set(e, -EBADMSG, "the answer is to another question than was asked");
	if (!r)
		*ret = a;
	return r;
}

int admission_check(const struct admission *a, const char *name, struct err *e)
{
	char path[PATH_MAX];
	int r = group_of_process(0, path, e);

	if (r)
		return r;
	if (group_is_below(path, a->id))
		return 0;
	return err_set(e, -EXDEV,
		       "this process is in cgroup '%s', which is not in fence '%s', although it was put "
		       "into '%s'; somebody moves processes here", path, name, a->path);
}
