/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One error: a negative errno and a sentence for the person at the terminal.
 *
 * The sentence names the thing in single quotes, says what is wrong and what to do next. It is
 * written where the knowledge is and printed once, by main.c.
 */
#ifndef TUNFENCE_ERR_H
#define TUNFENCE_ERR_H

struct err {
	int code; /* negative errno; 0: no error */
	char text[1024];
};

/* Fills e and returns code, so that callers can `return err_set(e, -ENODEV, ...)`.
 * e may be NULL. Never fails; too long a text is cut. */
int err_set(struct err *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "text: " in front of what e says already. Returns e->code. */
int err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
