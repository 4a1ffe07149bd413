/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Text that strangers chose, made fit to be shown: names of programs, devices and hosts. Does no I/O.
 */
#ifndef TUNFENCE_TEXT_H
#define TUNFENCE_TEXT_H

#include <stddef.h>

/* Copies what is printable, as UTF-8; every other byte becomes \xNN: control characters, what is no
 * UTF-8, and characters that nobody sees or that turn the order of others around. A backslash stays
 * itself, since the text is for reading and not for decoding. Ends at a NUL or after bytes, and when
 * there is no more room; always terminated. Returns to. */
const char *text_escape(const char *from, size_t bytes, char *to, size_t room);

/* Lines that are longer than width columns, as more of them: broken at spaces, what follows begins
 * below the column indent. A word that is wider than a line stays whole. Colours take no room, and
 * the text is fit to be shown already. NULL: out of memory; free() the rest. */
char *text_wrap(const char *text, size_t width, size_t indent);

/* Room for the longest text that this many bytes can become. */
#define TEXT_ROOM(bytes) (4 * (bytes) + 1)

#endif
