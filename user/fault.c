// SPDX-License-Identifier: GPL-2.0
/* Test hook: see fault.h. Empty in a normal build. */
#include "fault.h"

#ifdef TUNFENCE_TEST_HOOKS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fault_step(void)
{
	static long steps;
	const char *fault = getenv("TUNFENCE_FAULT");

	if (fault && strtol(fault, NULL, 10) == ++steps)
		kill(getpid(), SIGKILL);
}

bool fault_is(const char *name)
{
	const char *fault = getenv("TUNFENCE_FAULT");
	const size_t length = strlen(name);

	for (; fault; fault = strchr(fault, ',')) {
		fault += *fault == ',';
		if (strncmp(fault, name, length) == 0 && (!fault[length] || fault[length] == ','))
			return true;
	}
	return false;
}
#endif
